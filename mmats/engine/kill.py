"""The kill switch that needs no socket: a signal and a file."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

POLL_NS = 100_000_000
REASON_CHARS_MAX = 500


class KillSwitch:
    """Tripped by SIGUSR1 or by the kill file, and for as long as that file exists.

    The signal makes the file, so that the switch stays tripped over a restart. Only `release`, or
    whoever removes the file, resets it.

    Parameters
    ----------
    path : the kill file; `Profile.kill_file`
    monotonic_ns : clock that spaces the looks at the file
    wake : called in the signal handler; ends the wait of the loop that asks `tripped`
    """

    def __init__(
        self,
        path: Path,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._path = path
        self._monotonic_ns = monotonic_ns
        self._wake = wake
        self._pending = ""  # tripped, but not on disk yet
        self._reason = ""
        self._look_ns = monotonic_ns()

    def install(self, number: signal.Signals = signal.SIGUSR1) -> None:
        """Take the signal; only the main thread of a process may."""
        signal.signal(number, self._on_signal)

    def wakes(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the signal handler from now on."""
        self._wake = wake

    def tripped(self) -> str:
        """Return why trading has to stop, or an empty text. Looks at the file every 100 ms."""
        if self._pending:
            self._persist()
        now_ns = self._monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + POLL_NS
            self._reason = self._read()
        return self._reason

    def trip(self, reason: str) -> None:
        """Trip the switch from inside; it is on disk before this returns.

        Raises OSError where the file can't be written; the switch is tripped all the same.
        """
        self._pending = self._reason = reason
        write_kill_file(self._path, reason)
        self._pending = ""

    def release(self) -> None:
        """Remove the file; a signal that has not been seen yet stays. Raises OSError."""
        self._path.unlink(missing_ok=True)
        _sync_folder(self._path.parent)
        self._reason = ""

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._pending = f"signal {signal.Signals(number).name}"
        if self._wake is not None:
            self._wake()

    def _persist(self) -> None:
        """Make the file of a signal; while that fails, memory keeps the switch tripped."""
        self._reason = self._pending
        with contextlib.suppress(OSError):
            write_kill_file(self._path, self._pending)
            self._pending = ""

    def _read(self) -> str:
        """Reason in the file; a file that can't be read trips as well."""
        try:
            # A pipe in its place must not hold the trading thread up.
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                text = (file.read(REASON_CHARS_MAX) or b"").decode(errors="replace").strip()
        except FileNotFoundError:
            if os.path.lexists(self._path):
                return f"kill file {self._path.name} leads nowhere"
            return self._pending
        except OSError as error:
            return f"kill file {self._path.name} can't be read: {error.strerror}"
        return text or f"kill file {self._path.name}"


def write_kill_file(path: Path, reason: str) -> None:
    """Write the kill file, durably; an existing one keeps its (first) reason."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        os.write(handle, f"{reason} at {at}\n".encode()[:REASON_CHARS_MAX])
        os.fsync(handle)
    finally:
        os.close(handle)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
