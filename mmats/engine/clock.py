"""Where a running engine's time comes from: the wall clock, or the feed that it replays."""

import time
from collections.abc import Callable

JUMP_NS = 5 * 10**9
"""The wall clock and the monotonic clock may drift apart by so much before it counts as a jump."""


class WallClock:
    """The time of this machine; it never goes back or stands still, and tells when it jumped."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start from what both clocks show now."""
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._offset_ns = wall_ns() - monotonic_ns()
        self._last_ns = self._last_monotonic_ns = 0

    def now_ns(self) -> int:
        """UTC; where the machine's clock was set back, time goes on from what was told last."""
        wall_ns, monotonic_ns = self._wall_ns(), self._monotonic_ns()
        if wall_ns < self._last_ns:
            wall_ns = self._last_ns + monotonic_ns - self._last_monotonic_ns
        self._last_ns, self._last_monotonic_ns = wall_ns, monotonic_ns
        return wall_ns

    def follow(self, ts_ns: int) -> None:
        """Events do not set this clock."""

    def monotonic_ns(self) -> int:
        """For durations."""
        return self._monotonic_ns()

    def take_jump_ns(self) -> int:
        """How far the wall clock has jumped since the last call, 0 for less than five seconds."""
        offset_ns = self._wall_ns() - self._monotonic_ns()
        jump_ns = offset_ns - self._offset_ns
        if abs(jump_ns) < JUMP_NS:
            return 0
        self._offset_ns = offset_ns
        return jump_ns


class FeedClock:
    """The time of the last event of a feed that replays stored or made-up data."""

    def __init__(self) -> None:
        """Before the first event it is 1970."""
        self._now_ns = 0

    def follow(self, ts_ns: int) -> None:
        """An event of this time has been played."""
        self._now_ns = max(self._now_ns, ts_ns)

    def now_ns(self) -> int:
        """Time of the last event."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """For durations, in real time."""
        return time.monotonic_ns()

    def take_jump_ns(self) -> int:
        """The time of a feed makes its own jumps: they are checked with its events."""
        return 0
