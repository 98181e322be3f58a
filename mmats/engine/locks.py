"""A lock that a process holds for as long as it lives, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import Self

from mmats.model.errors import MmatsError


class LockHeld(MmatsError):
    """Another process holds the lock."""


class FileLock:
    """An exclusive `flock`; the file holds the process id of its owner and is never removed.

    Raises
    ------
    LockHeld
        Another process has it; the error names that process.
    """

    def __init__(self, path: Path, what: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._handle, 20, 0).decode(errors="replace").strip()
            os.close(self._handle)
            raise LockHeld(
                f"{what} is running already" + (f" as process {owner}" if owner else ""),
                str(path),
                "stop it first, or use another profile",
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
