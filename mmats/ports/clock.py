"""The port that time comes from: the core never reads a clock of its own."""

from typing import Protocol


class IClock(Protocol):
    """Time as the engine sees it; in a backtest it is the time of the event being replayed."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start, for durations only; never goes back."""
