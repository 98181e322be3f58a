"""Value objects: what strategies, adapters and the engine talk about."""

from mmats._core import (
    AccountState,
    Action,
    CompiledStrategy,
    Indicators,
    MarketData,
    OrderBook,
    Position,
    SignalError,
    TradeResult,
    TradeSignal,
)
from mmats.model.errors import ConfigError, DataError, MmatsError, StrategyError
from mmats.model.instrument import MONEY_SCALE, Instrument, PriceBasis, Settlement
from mmats.model.strategy import Strategy

__all__ = [
    "MONEY_SCALE",
    "AccountState",
    "Action",
    "CompiledStrategy",
    "ConfigError",
    "DataError",
    "Indicators",
    "Instrument",
    "MarketData",
    "MmatsError",
    "OrderBook",
    "Position",
    "PriceBasis",
    "Settlement",
    "SignalError",
    "Strategy",
    "StrategyError",
    "TradeResult",
    "TradeSignal",
]
