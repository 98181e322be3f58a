"""The port that market data comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mmats.model.instrument import Instrument


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What a feed is made from; entry points of `mmats.feeds` are called with it alone."""

    kind: str = "bar"  # bar, quote, trade or delta
    interval_ns: int = 60_000_000_000  # of bars
    path: Path = Path("catalog")  # catalog: its folder; tail: the file
    seed: int = 1  # synthetic
    days: int = 30  # synthetic: length of time from start_ns
    start_ns: int = 1_704_067_200_000_000_000  # synthetic: first moment; 2024-01-01
    stamp: str = "open"  # tail: which end of the bar its time is, or "close"
    endless: bool = False  # synthetic: goes on after `days`, for ever


class IDataFeed(Protocol):
    """A source of market data of one kind for one instrument, in batches."""

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield batches of 64-byte event records of a range.

        Bars are those that lie in it, `start_ns < ts_event_ns <= end_ns`; other records those
        with `start_ns <= ts_event_ns < end_ns`. They are sorted by `ts_event_ns`, across
        batches too. None leaves an end open.

        Raises
        ------
        DataError
            The source is missing, damaged, or not in order.
        """

    def describe(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> dict[str, Any]:
        """What the events of a range are, as plain values, without reading them.

        `source` names the feed, `synthetic` tells whether any of the data are made up. A feed
        of stored files lists them in `files`; none where nothing is stored.

        Raises
        ------
        DataError
            The source can't serve this instrument at all.
        """


class ILiveStream(Protocol):
    """One instrument's events as they come; used by one thread."""

    def poll(self, now_ns: int) -> NDArray[np.void]:
        """Take what has come since the last call, in time order, maybe nothing; never waits.

        `now_ns` is the wall clock, UTC; it becomes `ts_recv_ns`. An event's instrument is 0.
        """

    @property
    def lost(self) -> str:
        """Why the source can't be followed at the moment; empty where it can.

        Events may have been missed while it could not, so whoever polls must look after each
        poll: it is told once at least, even where the source came back at once.
        """

    def counters(self) -> dict[str, int]:
        """What has come by name: `events`, `bad_lines` and others."""

    def close(self) -> None:
        """Let go of the source; twice is fine."""


@runtime_checkable
class ILiveFeed(Protocol):
    """A data feed that can also be followed while its data come."""

    def follow(self, instrument: Instrument, now_ns: int, from_start: bool) -> ILiveStream:
        """Open a stream from now on.

        Parameters
        ----------
        now_ns
            The wall clock, UTC.
        from_start
            What the source holds already comes first, where it keeps anything.

        Raises
        ------
        DataError
            The source can't serve this instrument at all.
        """
