"""Time bars from trades, quotes or smaller bars, aligned to multiples of the interval in UTC."""

from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

@final
class BarBuilder:
    """Build the bars of one instrument. Single writer.

    A bucket is [end - interval, end) with `end` a multiple of the interval since the epoch;
    whole weeks start on Monday 00:00 UTC. An event at exactly `end` belongs to the next bucket;
    a bar whose close is `end` belongs to this one and closes it at once. An emitted bar has
    `ts_event_ns` = end and `ts_recv_ns` = arrival of the event that closed it. Buckets without
    events are not emitted.

    Feed either ticks or smaller bars, which must not straddle a bucket's end. From trades:
    first, highest, lowest and last price, sum of lots. From quotes: the bid, or the mid rounded
    down to a tick; volume 0; `spread_ticks` is the widest spread seen, at most 65535, 0 where
    crossed. From bars: volume is summed, the widest spread of those with BAR_SPREAD is kept.

    Parameters
    ----------
    interval_ns
        1 ns to 366 days.
    basis
        Which ticks are used; others are ignored. Bars are always used.

    Raises
    ------
    ValueError
        When the interval or the basis is not one of the above.
    """

    interval_ns: int
    closed_until_ns: int
    """End of the last emitted bar, ns UTC; the least int64 before the first."""
    late_count: int
    """Events refused because they are older than the current or the last bar."""
    overflow_count: int
    """Times a bar's volume stopped at 2**63 - 1 lots."""

    def __init__(
        self, interval_ns: int, basis: Literal["trade", "bid", "mid"] = "trade"
    ) -> None: ...
    def aggregate(self, events: NDArray[Any], until_ns: int | None = None) -> NDArray[np.void]:
        """Feed events and return the bars they close, as an array of BAR_DTYPE.

        Parameters
        ----------
        events
            1-D array of BAR_, QUOTE_, TRADE_ or EVENT_DTYPE of one instrument in order of
            ts_event_ns. It continues where the last call ended.
        until_ns
            Then also close the current bar when its end is not after this time.

        Raises
        ------
        ValueError
            When the events are of another type, out of order, of several instruments, hold both
            bars and ticks, or hold neither.
        OverflowError
            When the volume of a bar exceeds 2**63 - 1 lots.
        """
    def reset(self) -> None:
        """Forget the current bar and what was closed."""
