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
