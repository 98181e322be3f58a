"""The simulated venue: orders meet market data under written fill conditions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from mmats._core.accounts import Accounts
from mmats._core.crossing import Crossing

ORDER_DEFAULTS: dict[str, int]

@final
class SimulatedVenue(Crossing):
    """A venue that fills orders from market data.

    `instruments`, `costs` and `fill` are mappings with the field names of `instrument_t`,
    `cost_model_t` and `fill_model_t`; a field that is left out is 0 (no cost, no latency, no
    minimum), `path` is PATH_WORST, `queue` is 1, `fee_asset` is FEE_QUOTE. Raises ValueError for
    unknown fields and for values out of range.
    """

    def __init__(
        self,
        instruments: Sequence[Mapping[str, int | float]],
        costs: Sequence[Mapping[str, int]] | None = None,
        fill: Mapping[str, int] | None = None,
        *,
        strategy_count: int = 1,
    ) -> None: ...
    @property
    def cut_count(self) -> int:
        """Return the number of events not matched to the end because reports were not drained."""

    def declare_source(self, instrument: int, kind: int) -> None:
        """Fill this instrument's orders from one EventKind only; 0 = learn the finest seen."""

    def declare_day_end(self, instrument: int, offset_ns: int) -> None:
        """End this instrument's day `offset_ns` after UTC midnight."""

    def declare_feed_broken(self, instrument: int) -> None:
        """Fill nothing on this instrument's L2 book until its next snapshot."""

    def use_ledger(self, ledger: Accounts) -> None:
        """Convert fees of FEE_THIRD and FEE_ACCOUNT at the rates of this ledger."""

    def take_positions(self) -> None:
        """Take over the positions and dust of the ledger, for after a restart.

        Without them the venue cancels what may only reduce. Raises ValueError where there is no
        ledger, or one of other sizes.
        """

    def submit_order(self, now_ns: int, **fields: int) -> bool:
        """Send one order (fields of `order_t`); False = too much in flight, nothing was sent."""

    def cancel_order(self, now_ns: int, order_id: int, instrument: int = 0) -> bool:
        """Send a cancel; False = nothing was sent."""

    def modify_order(
        self,
        now_ns: int,
        order_id: int,
        instrument: int = 0,
        *,
        quantity_lots: int = 0,
        price_ticks: int = 0,
        trigger_ticks: int = 0,
    ) -> bool:
        """Send a change of open quantity, limit or trigger (0 = as it was); False = not sent."""

    def feed(self, events: NDArray[np.void], on_step: Callable[[], object] | None = None) -> None:
        """Run 64-byte market events through the venue; `on_step` is called after each step."""

    def reports(self, now_ns: int = ...) -> list[dict[str, Any]]:
        """Drain the reports that have reached us by `now_ns`, in order of arrival."""

    def carries(self) -> list[dict[str, Any]]:
        """Drain the carry of positions held over a day's end, quote currency in 1e-8 units."""

    def position_lots(self, strategy: int, instrument: int) -> int:
        """Return the signed position of one strategy at this venue."""
