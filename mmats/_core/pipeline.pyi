"""Strategy Engine -> Risk Manager -> Order Manager -> Position Manager, as one object."""

from collections.abc import Iterable, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from mmats._core.bars import BarBuilder
from mmats._core.book import OrderBook
from mmats._core.journal import JournalPort
from mmats._core.ledger import Ledger
from mmats._core.orders import OrderManager
from mmats._core.risk import RiskGate
from mmats._core.slots import StrategySlot
from mmats._core.venue import VenuePort

class StrategyStopped(Exception):
    """A strategy failed and is configured to stop the run."""

@final
class Pipeline:
    """Takes one event at a time and is the single writer of everything it reaches.

    `symbols` holds the names of each instrument, the first of which strategies are told; `scales`
    its tick and lot size as (tick_num, tick_den, lot_num, lot_den); `sample_interval_ns` is the
    distance of equity samples. Without a `venue` nothing can leave: what would have is recorded as
    ADVISED.
    """

    ledger: Ledger
    gate: RiskGate
    orders: OrderManager
    journal: JournalPort
    strategies: list[StrategySlot]
    errors: list[tuple[str, int, str, str]]
    """(strategy, ts_ns, method, traceback) of each strategy that was disabled."""
    now_ns: int
    """Time of the last event or report, ns UTC."""
    event_count: int

    def __new__(
        cls,
        ledger: Ledger,
        gate: RiskGate,
        venue: VenuePort | None,
        journal: JournalPort,
        symbols: list[tuple[str, ...]],
        scales: Sequence[tuple[int, int, int, int]],
        sample_interval_ns: int,
    ) -> Self: ...
    def add_strategy(self, name: str, strategy: Any, stop_on_error: bool = False) -> int:
        """Register a strategy, hand it its account view and return its index.

        Raises ValueError when the ledger was made for fewer strategies.
        """
    def add_series(
        self,
        instrument: int,
        interval_ns: int,
        specs: Iterable[str],
        builder: BarBuilder | None = None,
        source_kind: int = ...,
    ) -> int:
        """Register bars of an instrument with their indicators; returns their position.

        `source_kind` is the one EventKind that the bars come from; other events are passed over.
        """
    def subscribe(self, strategy: int, instrument: int, series: int) -> None:
        """Let a strategy hear the bars of a series."""
    def add_book(self, instrument: int) -> OrderBook:
        """Keep an order book of an instrument on our side of the feed."""
    def subscribe_book(self, strategy: int, instrument: int) -> None:
        """Let a strategy hear every whole update of an instrument's order book."""
    def resolve(self, now_ns: int) -> int:
        """Take the reports that wait, and ask the venue for orders that it has not answered for.

        Call it on timers where the venue is an ``ExecutionPort``; returns how many questions left.
        """
    def equity_curve(self) -> NDArray[np.int64]:
        """Equity samples, int64, shape (n, 2): ts_ns, equity in 1e-8 account currency."""
    def cell_curve(self) -> NDArray[np.int64]:
        """Hourly result by strategy and instrument, int64, shape (n, 1 + cells)."""
    @property
    def signal_counts(self) -> dict[str, int]:
        """Signals by strategy name."""
