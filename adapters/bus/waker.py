"""Ends another thread's wait on sockets."""

import contextlib
import socket


class Waker:
    """A pair of sockets: `wake` may come from any thread, many of them end one wait."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """What a poller watches."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make the descriptor readable; nothing happens where it is already, or closed."""
        with contextlib.suppress(OSError):  # full: it is readable
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Take all wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while len(self._reader.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
