"""Value objects that strategies, ports and the engine share."""

from mmats.model.errors import ConfigError, DataError, MmatsError, StrategyError
from mmats.model.instrument import Instrument, PriceBasis, Settlement

__all__ = [
    "ConfigError",
    "DataError",
    "Instrument",
    "MmatsError",
    "PriceBasis",
    "Settlement",
    "StrategyError",
]
