"""Errors a person can act on: what is wrong, where, and what to do about it."""


class MmatsError(Exception):
    """Base of every error that this system raises on purpose.

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


class ConfigError(MmatsError, ValueError):
    """A setting is missing, unknown or contradicts another one."""


class StrategyError(MmatsError):
    """A strategy can't be loaded, breaks its contract, or raised."""


class DataError(MmatsError, ValueError):
    """Market data that can't be used as it is.

    Parameters
    ----------
    problem : str
        What is wrong.
    file, row, column : str, int, str
        Where it is; `row` is the 1-based line of the file.
    hint : str
        What to do.
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
        parts = (
            file,
            f"row {row}" if row is not None else "",
            f"column {column}" if column else "",
        )
        super().__init__(problem, ", ".join(part for part in parts if part), hint)
        self.problem = problem
        self.file = file
        self.row = row
        self.column = column


class JournalError(MmatsError):
    """The journal can't be opened or written: nothing may be sent that it does not hold."""


class JournalQuarantined(JournalError):
    """The journal is damaged where no honest crash can have damaged it.

    It is left as it is; `where` names it, the message what was found. An engine does not start on
    it, and a person decides.
    """
