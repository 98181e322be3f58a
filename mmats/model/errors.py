<<<<<<< HEAD
"""Errors that say what is wrong, where, and what to do about it."""


class MmatsError(Exception):
    """Base of every error that a user can cause and mend.

    Parameters
    ----------
    message : str
        What is wrong, in plain words.
    where : str
        File, key, symbol or line it is about; empty where there is no such place.
    hint : str
        What to do; empty where nothing helps.
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(MmatsError):
    """The configuration can't be used."""


class DataError(MmatsError):
    """Market data is missing, damaged or contradicts itself."""


class StrategyError(MmatsError):
    """A strategy can't be loaded or breaks its contract."""
=======
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
>>>>>>> data
