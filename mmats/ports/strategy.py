"""The port that trading ideas plug into."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mmats.model import MarketData, TradeResult, TradeSignal


@runtime_checkable
class IStrategy(Protocol):
    """What a strategy must offer; nothing has to be inherited.

    The engine sets `account` (see `AccountState`) before it calls `initialize`, and reads
    `indicators`, where the strategy has it, after `initialize`: they are computed besides those
    that the configuration declares. A strategy that raises is disabled, with its error shown.
    """

    @property
    def name(self) -> str:
        """What the strategy is called in messages and reports."""

    @property
    def supported_symbols(self) -> Sequence[str]:
        """Symbols that it can trade; empty means any."""

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the `[strategies.params]` table of the configuration; called once, before data."""

    def on_market_data(self, data: "MarketData") -> "TradeSignal | Sequence[TradeSignal] | None":
        """Look at one closed bar and say what to do about it, on any of the symbols.

        The call is synchronous and on the engine's only thread: it must not block.
        """

    def on_signal_result(self, signal: "TradeSignal", result: "TradeResult") -> None:
        """Learn what became of a signal: filled, denied by risk or rejected by the venue."""
