"""One engine a profile: a lock that the system lets go of when its process dies, however."""

import fcntl
import os

from mmats.model.errors import MmatsError
from mmats.model.profile import Profile


class AlreadyRunning(MmatsError):
    """Another process holds the lock."""


class EngineLock:
    """Held for the life of an engine process; its file names the process.

    Raises
    ------
    AlreadyRunning
        Another engine runs on this profile.
    """

    def __init__(self, profile: Profile) -> None:
        path = profile.lock_file
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise AlreadyRunning(
                f"an engine already runs on profile {profile.name} (process {holder})",
                str(path),
                "stop it with `mmats down`, or use another profile or --home",
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let the next engine in."""
        os.ftruncate(self._file, 0)
        os.close(self._file)
