"""Waits for signals, without a loop that asks again and again."""

import contextlib
import select
import signal
import socket
from types import FrameType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalWait:
    """Takes the stop signals and SIGCHLD for the time of a `with`; main thread only.

    `stop` is the first stop signal that came, 0 before. A signal that comes just before `wait`
    ends it at once: none is lost between a look and the wait.
    """

    def __init__(self) -> None:
        self.stop = 0
        self._reader, self._writer = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            self._before[number] = signal.signal(number, self._on_signal)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *unused: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_s: float | None) -> None:
        """Wait for a signal, at most for so long; None: for ever."""
        if select.select([self._reader], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                while self._reader.recv(4096):
                    pass

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD and not self.stop:
            self.stop = number
