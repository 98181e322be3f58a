"""Where a profile keeps its things: journal, sockets, keys, logs. Profiles share nothing."""

import os
from dataclasses import dataclass
from pathlib import Path

from mmats.model.errors import ConfigError

PROFILES = ("dev", "paper", "live")
SOCKET_PATH_MAX = 100  # a unix socket's path ends at 107 bytes


@dataclass(frozen=True, slots=True)
class Profile:
    """Paths of one profile; `create` makes the folders, for this user alone."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str, home: Path | None = None) -> "Profile":
        """Return a profile below `home`, else $MMATS_HOME, else ~/.mmats.

        Raises
        ------
        ConfigError
            There is no profile of that name, or its socket paths would be too long.
        """
        if name not in PROFILES:
            raise ConfigError(f"there is no profile {name!r}", "profile", ", ".join(PROFILES))
        base = home or Path(os.environ.get("MMATS_HOME") or Path.home() / ".mmats")
        profile = cls(name, base.expanduser().absolute() / name)
        if len(os.fsencode(profile.socket("venue-0123456789"))) > SOCKET_PATH_MAX:
            raise ConfigError(
                f"{profile.root} is too long for the path of a socket",
                "MMATS_HOME",
                "choose a shorter folder",
            )
        return profile

    @property
    def run_dir(self) -> Path:
        """Sockets, lock, process ids; mode 0700."""
        return self.root / "run"

    @property
    def journal_dir(self) -> Path:
        """The LMDB environment of the journal."""
        return self.root / "journal"

    @property
    def keys_dir(self) -> Path:
        """Users, tokens, CURVE keys; mode 0700, files 0600."""
        return self.root / "keys"

    @property
    def logs_dir(self) -> Path:
        """JSON lines, rotated."""
        return self.root / "logs"

    @property
    def recordings_dir(self) -> Path:
        """One folder of input events a run, where `record = true`."""
        return self.root / "recordings"

    @property
    def anchors_file(self) -> Path:
        """Heads of the journal that clients have seen, JSON lines."""
        return self.root / "anchors" / "heads.jsonl"

    @property
    def kill_file(self) -> Path:
        """While this file exists the engine is halted; works when no socket does."""
        return self.root / "KILL"

    @property
    def lock_file(self) -> Path:
        """Held by the engine process; a second one refuses to start."""
        return self.run_dir / "engine.lock"

    def socket(self, name: str) -> Path:
        """Path of a unix socket: control, public, private, feed, venue-NAME."""
        return self.run_dir / f"{name}.sock"

    def endpoint(self, name: str) -> str:
        """The same as a ZeroMQ endpoint."""
        return f"ipc://{self.socket(name)}"

    def create(self) -> None:
        """Make the folders, readable by their owner alone."""
        for folder in (
            self.root,
            self.run_dir,
            self.journal_dir,
            self.keys_dir,
            self.logs_dir,
            self.recordings_dir,
            self.anchors_file.parent,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
