"""Several sources as one stream, in the order in which a replay plays them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mmats._core import EVENT_DTYPE, EventKind
from mmats.model.errors import DataError

Events = NDArray[np.void]


def merge(sources: Sequence[Iterator[Events]]) -> Iterator[Events]:
    """Yield blocks of events of all sources, in time order; a moment is never split over two.

    At equal times earlier sources come first, and bars of one moment come together, at the place
    of the first of them.

    Raises
    ------
    DataError
        A source goes back in time.
    """
    cursors = [_Cursor(source) for source in sources]
    live = [cursor for cursor in cursors if cursor.fill()]
    while live:
        ends = [int(cursor.rows["ts_event_ns"][-1]) for cursor in live if not cursor.ended]
        if not ends:
            yield ordered([cursor.rows for cursor in live])
            return
        # Rows at the last moment of a chunk wait: the next chunk may hold more of that moment.
        until_ns = min(ends)
        parts = [cursor.take_before(until_ns) for cursor in live]
        if any(map(len, parts)):
            yield ordered(parts)
        for cursor in live:
            if len(cursor.rows) == 0 or int(cursor.rows["ts_event_ns"][-1]) == until_ns:
                cursor.fill()
        live = [cursor for cursor in live if len(cursor.rows)]


def ordered(parts: Sequence[Events]) -> Events:
    """Merge arrays, each in time order, that come first to last at equal times."""
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    events = np.concatenate([part.view(EVENT_DTYPE) for part in filled])
    ts = events["ts_event_ns"]
    is_bar = events["kind"] == EventKind.EVENT_BAR
    order = np.argsort(ts, kind="stable")
    if is_bar.any() and not is_bar.all():
        rank = np.repeat(np.arange(len(filled)), [len(part) for part in filled])
        order = _bars_together(order, ts, is_bar, rank)
    return events[order]


def _bars_together(
    order: NDArray[np.int64],
    ts: NDArray[np.int64],
    is_bar: NDArray[np.bool_],
    rank: NDArray[np.int64],
) -> NDArray[np.int64]:
    sorted_ts, sorted_bar, sorted_rank = ts[order], is_bar[order], rank[order]
    is_first = np.diff(sorted_ts, prepend=sorted_ts[0] - 1) != 0
    starts = np.flatnonzero(is_first)
    bar_rank = np.where(sorted_bar, sorted_rank, len(rank))
    first_bar = np.minimum.reduceat(bar_rank, starts)[np.cumsum(is_first) - 1]
    place = np.where(sorted_bar, first_bar, sorted_rank)
    return order[np.lexsort((place, sorted_ts))]


def cut(events: Events, start: int, count_max: int) -> int:
    """Return where a batch from `start` ends: at most `count_max` on, but bars of one moment stay
    together whatever their number."""
    end = min(start + count_max, len(events))
    kinds, ts = events["kind"], events["ts_event_ns"]
    while (
        end < len(events)
        and kinds[end - 1] == kinds[end] == EventKind.EVENT_BAR
        and ts[end - 1] == ts[end]
    ):
        end += 1
    return end


class _Cursor:
    """A source and what of it has been read but not merged."""

    def __init__(self, source: Iterator[Events]) -> None:
        self._source = source
        self.rows: Events = np.empty(0, dtype=EVENT_DTYPE)
        self.ended = False
        self._last_ns = -(2**63)

    def fill(self) -> bool:
        """Read one more chunk; False: nothing is left."""
        for chunk in self._source:
            if len(chunk):
                self._check(chunk["ts_event_ns"])
                rows = chunk.view(EVENT_DTYPE)
                self.rows = np.concatenate([self.rows, rows]) if len(self.rows) else rows
                return True
        self.ended = True
        return len(self.rows) > 0

    def take_before(self, until_ns: int) -> Events:
        count = int(np.searchsorted(self.rows["ts_event_ns"], until_ns, "left"))
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def _check(self, ts: NDArray[np.int64]) -> None:
        if int(ts[0]) < self._last_ns or (np.diff(ts) < 0).any():
            raise DataError("a source of market data goes back in time", hint="import it again")
        self._last_ns = int(ts[-1])
