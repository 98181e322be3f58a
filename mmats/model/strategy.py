"""A convenient base for strategies; the contract itself is `mmats.ports.strategy.IStrategy`."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmats._core import AccountState, MarketData, TradeResult, TradeSignal


class Strategy:
    """Base with defaults: subclass it and write `on_market_data`.

    `account` is set before `initialize` is called. `indicators` may be changed in `initialize`.
    """

    name: str = "strategy"
    supported_symbols: Sequence[str] = ()
    indicators: Sequence[str] = ()
    account: AccountState

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the parameters of the configuration; called once, before data."""

    def on_market_data(self, data: MarketData) -> TradeSignal | Sequence[TradeSignal] | None:
        """Look at one closed bar and say what to do about it."""
        raise NotImplementedError(f"{type(self).__name__} has no on_market_data")

    def _ignores_results(self, signal: TradeSignal | None, result: TradeResult) -> None:
        """Learn what became of a signal; not even called unless a subclass overrides it."""

    on_signal_result = _ignores_results
