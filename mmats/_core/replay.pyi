"""Replays market data: merges sources by time, shows each event to the simulated venue first and
to the pipeline when the feed's latency has passed."""

from collections.abc import Callable, Iterable
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from mmats._core.matching import SimulatedVenue
from mmats._core.pipeline import Pipeline

class OutOfOrder(ValueError):
    """A source holds events that go back in time."""

@final
class Source:
    """Events of one instrument, read chunk by chunk from an iterable of 64-byte record arrays."""

    def __init__(self, instrument: int, chunks: Iterable[NDArray[Any]]) -> None: ...

@final
class DelayLine:
    """Events on their way to us: FIFO, since a feed delivers in order."""

    def __new__(cls, seed: int) -> Self: ...

@final
class Replay:
    """Drives one pipeline with a simulated venue; `run` returns when the data ends.

    An event reaches the pipeline `feed_latency_ns` after the venue, plus a jitter that is uniform
    in [0, feed_jitter_ns] and drawn from `seed`; events never overtake each other.
    """

    event_count: int
    first_ns: int
    last_ns: int

    def __init__(
        self,
        pipeline: Pipeline,
        venue: SimulatedVenue,
        feed_latency_ns: int = 0,
        feed_jitter_ns: int = 0,
        seed: int = 1,
    ) -> None: ...
    def add_source(self, instrument: int, chunks: Iterable[NDArray[Any]]) -> None:
        """Add the events of one instrument; earlier sources come first at equal times."""
    @property
    def data_hash(self) -> int:
        """Fingerprint of all data replayed so far, by source."""
    def marks(self, instrument: int) -> NDArray[np.int64]:
        """Hourly prices of an instrument, int64, shape (n, 2): ts_ns, ticks."""
    def run(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Replay everything. `progress(events, ts_ns)` is called now and then.

        Raises
        ------
        OutOfOrder
            The events of a source go back in time.
        ValueError
            A chunk is no contiguous array of 64-byte records, or belongs to another instrument.
        """
