"""What an operator may do to a running pipeline: cancel, close, order by hand, switch on and off.

Everything goes the way that orders of strategies go: through the same gate, journal and venue port.
Indexes of strategies, instruments and markets are dense; -1 stands for all of them. An index that
does not exist raises ValueError. `now_ns` is the pipeline's time of the command.
"""

from typing import Any, final

from mmats._core.dispatch import ClosingState
from mmats._core.pipeline import Pipeline
from mmats._core.risk import Reason

class ReloadError(Exception):
    """A strategy can't take the place of another one while the engine runs."""

@final
class Controls:
    """The operator's hand on one pipeline; the same single writer. Keeps no state of its own."""

    def __init__(self, pipeline: Pipeline) -> None: ...
    def preview_cancel(
        self, strategy: int = -1, instrument: int = -1, market: int = -1, entries_only: bool = False
    ) -> list[int]:
        """Ids of the open orders that `cancel_all` of this scope is about, oldest first."""
    def cancel_all(
        self,
        now_ns: int,
        strategy: int = -1,
        instrument: int = -1,
        market: int = -1,
        entries_only: bool = False,
    ) -> int:
        """Cancel the open orders of a scope; returns how many cancels left.

        `entries_only` spares what reduces a position. Otherwise stops and targets go as well and
        are not sent again: the positions stay, without protection.
        """
    def cancel_order(self, order_id: int, now_ns: int) -> bool:
        """Cancel one order; False where it has ended or is being canceled already."""
    def preview_flatten(
        self, strategy: int = -1, instrument: int = -1, market: int = -1
    ) -> list[tuple[int, int, int, int]]:
        """Positions that `flatten` of this scope closes: (strategy, instrument, lots, mark)."""
    def flatten(
        self, now_ns: int, strategy: int = -1, instrument: int = -1, market: int = -1
    ) -> int:
        """Cancel the orders of a scope and close its positions; how many closing orders left.

        What an order without a final answer may close already (a stop whose cancel is under way, an
        unknown order) is closed only when that answer is there: call `step` until nothing is
        pending. A closing order that is denied, rejected or filled in part is followed by another
        one, a bounded number of times (`OrderManager.set_closing`).
        """
    def step(self, now_ns: int) -> int:
        """Go on with what is being closed; cheap where nothing is. Returns how many orders left.

        Call it after every batch of reports and on timers. Positions whose stop could not be had
        are closed here, too.
        """
    def flatten_state(self) -> dict[tuple[int, int], tuple[ClosingState, int, int]]:
        """By (strategy, instrument): state of the last closing, lots now, closing orders tried."""
    def preview_manual(
        self,
        now_ns: int,
        strategy: int,
        instrument: int,
        side: int,
        lots: int,
        price_ticks: int = 0,
        stop_loss_ticks: int = 0,
        take_profit_ticks: int = 0,
        reduce_only: bool = False,
    ) -> tuple[Reason, int, int]:
        """What the gate would say to `submit_manual`: (reason, observed, limit)."""
    def submit_manual(
        self,
        now_ns: int,
        strategy: int,
        instrument: int,
        side: int,
        lots: int,
        price_ticks: int = 0,
        stop_loss_ticks: int = 0,
        take_profit_ticks: int = 0,
        reduce_only: bool = False,
    ) -> tuple[int, Reason, int, int]:
        """Send an order by hand in the name of a strategy, whose position it changes.

        A market order, or a limit order with `price_ticks`; until canceled. Its fills open a
        bracket as those of a signal do. `reduce_only` closes at most the position. Returns
        (order id, reason, observed, limit); the id is 0 where the gate denied it, and with
        REASON_OK where there is no venue.
        """
    def set_enabled(self, strategy: int, is_enabled: bool, now_ns: int) -> bool:
        """Switch a strategy on or off; off cancels its entries. False where it was so already."""
    def set_trading_state(self, level: str, index: int, state: int, now_ns: int) -> None:
        """Set the TradingState of ``"global"`` (index 0), a ``"market"`` or a ``"strategy"``.

        It holds for the next order. Orders that are open stay. Raises ValueError.
        """
    def lend_account(self, index: int, strategy: Any) -> None:
        """Give an object that is to replace a strategy its account, before it initializes."""
    def replace_strategy(self, index: int, strategy: Any) -> None:
        """Put another, initialized object in a strategy's place.

        It hears the same series; orders and positions stay those of the index. Results of signals
        of the old object are told to the new one without the signal. Raises ReloadError, and
        changes nothing, where it asks for indicators that its series do not have.
        """
