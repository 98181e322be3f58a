"""Errors a person can act on: what was wrong, where, what to do."""


class MmatsError(Exception):
    """Base of every error this system raises on purpose."""


class ConfigError(MmatsError, ValueError):
    """A setting is missing, unknown or contradicts another one."""


class DataError(MmatsError, ValueError):
    """Market data that can't be used as it is.

    `problem` says what is wrong; `file`, `row` (1-based line of the file) and `column` say where;
    `hint` says what to do. The message is one line made of all of them.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str = "",
        row: int | None = None,
        column: str = "",
        hint: str = "",
    ) -> None:
        self.problem, self.file, self.row, self.column, self.hint = problem, file, row, column, hint
        where = ", ".join(
            part
            for part in (
                file,
                f"row {row}" if row is not None else "",
                f"column {column}" if column else "",
            )
            if part
        )
        message = f"{where}: {problem}" if where else problem
        super().__init__(f"{message} ({hint})" if hint else message)
