"""Events that wait for room in a feed's pipe: the engine is slower than the feed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mmats._core import EVENT_DTYPE, EventKind
from mmats.engine.merging import cut
from mmats.ports.bus import FrameKind, IFeedPublisher

Events = NDArray[np.void]
_EMPTY: Events = np.empty(0, dtype=EVENT_DTYPE)


class Outbox:
    """Keeps order and loses nothing without saying so.

    Of quotes that wait only the last one of each instrument is kept: it says all that the others
    said. Everything else is kept up to `queue_max`; where that is not enough all that waits is
    dropped, and the feed is STALE before its next events.
    """

    def __init__(
        self,
        publisher: IFeedPublisher,
        batch_max: int,
        queue_max: int,
        tell: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._tell = tell
        self._waiting = _EMPTY
        self._stale_before = False
        self._stale_after = False
        self.frames = 0
        self.events = 0
        self.conflated = 0
        self.lost = 0

    @property
    def is_empty(self) -> bool:
        """Nothing waits."""
        return not (len(self._waiting) or self._stale_before or self._stale_after)

    def put(self, events: Events) -> None:
        """Add events, in time order, behind those that wait."""
        if len(self._waiting) == 0:
            self._waiting = events
            return
        both = np.concatenate([self._waiting.view(EVENT_DTYPE), events.view(EVENT_DTYPE)])
        self._waiting = conflated(both)
        self.conflated += len(both) - len(self._waiting)

    def stale(self) -> None:
        """Say, behind the events that wait, that the source is lost."""
        self._stale_after = True

    def flush(self, block_ms: int = 0) -> bool:
        """Send what there is room for; False: something waits still."""
        if self._stale_before and not self._say_stale(block_ms):
            self._limit()
            return False
        self._stale_before = False
        while len(self._waiting):
            end = cut(self._waiting, 0, self._batch_max)
            if not self._publisher.send(FrameKind.DATA, self._waiting[:end], 0, block_ms):
                self._limit()
                return False
            self.frames += 1
            self.events += end
            self._waiting = self._waiting[end:]
        if self._stale_after and not self._say_stale(block_ms):
            return False
        self._stale_after = False
        return True

    def _say_stale(self, block_ms: int) -> bool:
        return self._publisher.send(FrameKind.STALE, None, 0, block_ms)

    def _limit(self) -> None:
        if len(self._waiting) <= self._queue_max:
            return
        count = len(self._waiting)
        self._waiting = _EMPTY
        self._stale_before = True
        self.lost += count
        self._tell(f"the engine is too slow, or not there: {count} events were dropped")


def conflated(events: Events) -> Events:
    """Leave out every quote that a later one of its instrument replaces; the rest keep order."""
    is_quote = events["kind"] == EventKind.EVENT_QUOTE
    places = np.flatnonzero(is_quote)
    if len(places) < 2:
        return events
    _, from_end = np.unique(events["instrument"][places[::-1]], return_index=True)
    keep = ~is_quote
    keep[places[len(places) - 1 - from_end]] = True
    rest: Events = events[keep]
    return rest
