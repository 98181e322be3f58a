"""The port that time comes from: the core never reads a clock of its own."""

from typing import Protocol


class IClock(Protocol):
    """Time as the engine sees it: the wall clock, or the time of a replayed feed."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never goes back within a run."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start, for durations only; never goes back."""


class IEngineClock(IClock, Protocol):
    """The clock of the trading thread."""

    def follow(self, ts_ns: int) -> None:
        """An event of this time has been played."""

    def take_jump_ns(self) -> int:
        """How far the machine's clock has jumped since the last call; 0 for nothing to speak of."""
