"""Live market data on its way in: each event is checked, then shown to venue and pipeline."""

from enum import IntEnum
from typing import Any, NamedTuple, Self, final

from numpy.typing import NDArray

from mmats._core.matching import SimulatedVenue
from mmats._core.pipeline import Pipeline

class FeedProblem(IntEnum):
    """Why an event was not played."""

    FEED_INSTRUMENT = 1
    """No such instrument."""
    FEED_KIND = 2
    """No kind of market data; timers come by `Intake.on_timer`."""
    FEED_PRICE = 3
    """A price is not positive."""
    FEED_RANGE = 4
    """A bar's open or close lies outside its low and high."""
    FEED_CROSSED = 5
    """Bid above ask."""
    FEED_SIZE = 6
    """A negative size."""
    FEED_OUT_OF_ORDER = 7
    """Before the instrument's last event of this kind, or without a time."""
    FEED_DUPLICATE = 8
    """The instrument's last event of this kind once more: the same contents, or the same time and
    a trade id or quote sequence that is not newer."""
    FEED_FUTURE = 9
    """Further ahead of the latest event or timer than `future_ns_max`."""
    FEED_JUMP = 10
    """Further from the last price than `price_jump_ppm`; held back until three in a row agree."""

class FeedFault(NamedTuple):
    """One event that was not played."""

    instrument: int
    """Dense index; -1 = the event named none that exists."""
    problem: FeedProblem
    ts_event_ns: int
    observed: int
    """What was seen: a time in ns, a price in ticks, lots, a kind or an index."""
    limit: int
    """What it was compared with, in the same unit; 0 = nothing."""

@final
class Intake:
    """Plays live events at a simulated venue, where there is one, and at the pipeline.

    Parameters
    ----------
    pipeline, venue
        `venue` is None where reports come from elsewhere, or where no order ever leaves.
    price_jump_ppm
        Furthest that a price may be from the instrument's last, in millionths of it; at least 1.
    future_ns_max
        Furthest that a time may be ahead of the latest event or timer, ns; 1 to 366 days. It must
        exceed the longest pause of the market where no timer tells the time.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    price_jump_ppm: int
    future_ns_max: int
    event_count: int
    """Events played."""
    refused_count: int
    """Events not played."""
    unkept_count: int
    """Refused events that `take_problems` does not tell of, because too many waited."""
    known_ns: int
    """Latest time of any event played or timer, ns UTC; 0 = none."""

    def __new__(
        cls,
        pipeline: Pipeline,
        venue: SimulatedVenue | None = None,
        *,
        price_jump_ppm: int = 300_000,
        future_ns_max: int = 604_800_000_000_000,
    ) -> Self: ...
    def on_events(self, events: NDArray[Any]) -> int:
        """Check events in their order and play the good ones; returns how many those are.

        Bars of one moment that follow each other are played together; they must not be split over
        two calls. Raises ValueError where `events` is no contiguous array of 64-byte records, and
        whatever the pipeline raises.
        """
    def resume(self) -> None:
        """Refuse what the restored account has been marked by already; call after a restore.

        A feed that begins anew would otherwise be traded twice.
        """
    def on_timer(self, now_ns: int) -> None:
        """Tell venue and pipeline the time, ns UTC; it never goes back."""
    def on_reports(self, now_ns: int) -> None:
        """Let the pipeline take all reports that have arrived by `now_ns`."""
    @property
    def refused(self) -> dict[str, int]:
        """Events not played, by name of `FeedProblem`; only those above 0."""
    def refused_of(self, instrument: int) -> dict[str, int]:
        """The same of one instrument; -1 = those that named none. Raises IndexError."""
    def take_problems(self) -> list[FeedFault]:
        """Return what was refused since the last call, oldest first; 256 are kept at most."""
