"""A feed process without processes: a pipe that can be full, and time that passes in waits."""

import threading
from collections.abc import Callable

import numpy as np

from mmats._core import EVENT_DTYPE
from mmats.ports.bus import FrameKind


class FakeClock:
    """Stands still but for `advance`."""

    def __init__(self, now_ns: int = 1_704_067_200 * 10**9) -> None:
        self.wall_ns = now_ns
        self.mono_ns = 0

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.mono_ns

    def advance(self, ns: int) -> None:
        self.wall_ns += ns
        self.mono_ns += ns


class FakeStop(threading.Event):
    """Time passes in its waits, and ends at a moment of the monotonic clock."""

    def __init__(self, clock: FakeClock, end_ns: int = 2**62) -> None:
        super().__init__()
        self._clock = clock
        self._end_ns = end_ns
        self.at: list[tuple[int, Callable[[], None]]] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout <= 0.25, "no heartbeat could be sent in time"
        self._clock.advance(max(1000, round(timeout * 1e9)))
        while self.at and self.at[0][0] <= self._clock.mono_ns:
            self.at.pop(0)[1]()
        if self._clock.mono_ns >= self._end_ns:
            self.set()
        return self.is_set()


class FakePublisher:
    """Keeps what is sent with its time; takes nothing while it is full."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.full = False
        self.sent: list[tuple[FrameKind, int, np.ndarray]] = []
        self.on_refused: Callable[[], None] = lambda: None

    def send(
        self,
        kind: FrameKind,
        events: np.ndarray | None = None,
        sent_ns: int = 0,
        block_ms: int = -1,
    ) -> bool:
        assert block_ms >= 0, "a stop must be noticed"
        assert (events is not None and len(events) > 0) == (kind is FrameKind.DATA)
        if self.full:
            self._clock.advance(block_ms * 1_000_000)
            self.on_refused()
            return False
        rows = np.empty(0, EVENT_DTYPE) if events is None else events.view(EVENT_DTYPE).copy()
        self.sent.append((kind, self._clock.mono_ns, rows))
        return True

    def close(self) -> None:
        pass

    @property
    def kinds(self) -> list[FrameKind]:
        return [kind for kind, _, _ in self.sent]

    @property
    def events(self) -> np.ndarray:
        return np.concatenate([rows for _, _, rows in self.sent] or [np.empty(0, EVENT_DTYPE)])
