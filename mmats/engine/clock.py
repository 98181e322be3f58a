"""Where a running engine's time comes from: the wall clock, or the feed that it replays."""

import time

JUMP_NS = 5 * 10**9
"""The wall clock and the monotonic clock may drift apart by so much before it counts as a jump."""


class WallClock:
    """The time of this machine; it never goes back, and tells when it jumped."""

    def __init__(self) -> None:
        """Start from what both clocks show now."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._last_ns = 0

    def now_ns(self) -> int:
        """UTC; while the machine's clock is behind what was told last, that is told again."""
        self._last_ns = max(self._last_ns, time.time_ns())
        return self._last_ns

    def follow(self, ts_ns: int) -> None:
        """Events do not set this clock."""

    def monotonic_ns(self) -> int:
        """For durations."""
        return time.monotonic_ns()

    def take_jump_ns(self) -> int:
        """How far the wall clock has jumped since the last call, 0 for less than five seconds."""
        offset_ns = time.time_ns() - time.monotonic_ns()
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
