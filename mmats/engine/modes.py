"""What an engine may do with a signal, from the least risky mode to the riskiest."""

from enum import IntEnum

from mmats.config import Config
from mmats.model.errors import ConfigError


class Mode(IntEnum):
    """A higher mode risks more."""

    ADVISORY = 1  # signals are checked, written down and published; no order path exists
    PAPER = 2  # a simulated venue in the engine fills the orders
    OPERATOR = 3  # orders leave for a venue process

    @classmethod
    def of(cls, name: str) -> "Mode":
        """Return the mode that a configuration calls `name`."""
        return cls[name.upper()]

    @property
    def word(self) -> str:
        """Its name in a configuration."""
        return self.name.lower()


def check_modes(config: Config) -> None:
    """Refuse combinations that would be riskier than they look.

    Raises
    ------
    ConfigError
        The profile does not fit the mode, or a strategy asks for a mode that this engine lacks.
    """
    mode = Mode.of(config.engine.mode)
    if config.profile == "paper" and mode is Mode.OPERATOR:
        raise ConfigError(
            "profile paper never sends orders to a venue",
            "engine.mode",
            'choose "paper" or "advisory", or profile = "live" (dev: a rehearsal venue)',
        )
    if config.profile == "live" and mode is Mode.PAPER:
        raise ConfigError(
            "profile live does not trade on paper",
            "engine.mode",
            'choose profile = "paper", or mode = "advisory"',
        )
    if config.profile == "live" and config.engine.venue.startswith("rehearsal"):
        raise ConfigError(
            "profile live does not rehearse", "engine.venue", 'rehearse in profile = "dev"'
        )
    if mode is Mode.OPERATOR and not config.engine.venue:
        raise ConfigError(
            "mode operator needs a venue",
            "engine.venue",
            "name the venue process that takes orders",
        )
    for table in config.strategies:
        if table.mode == "paper" and mode is Mode.OPERATOR:
            raise ConfigError(
                "paper trading inside an operator engine is not possible: one account, one ledger",
                f"strategies[{table.name}].mode",
                'run it in profile "paper", or choose "advisory"',
            )


def is_advisory(own: Mode, engine: Mode) -> bool:
    """Whether a strategy's signals stop at the gate: its own mode or the engine's says so."""
    return min(own, engine) is Mode.ADVISORY
