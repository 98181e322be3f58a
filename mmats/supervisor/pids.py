"""Pid files: which processes of a profile there are, also when no socket answers."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from mmats.engine.locks import is_locked
from mmats.engine.logs import get_logger
from mmats.model.profile import Profile

ENGINE = "engine"
Status = Literal["running", "waiting", "ended", "failed"]
"""waiting: to be started again; ended: with exit code 0, or stopped; failed: given up."""


class ChildState(msgspec.Struct, frozen=True, kw_only=True):
    """One process as its pid file tells: `run/NAME.pid` is a line with the pid, then this as JSON.

    A process that was started alone writes the first line only.
    """

    name: str
    pid: int
    start_ticks: int  # of the process since boot: tells it from a later one of the same pid
    status: Status
    since: str  # of the status, UTC ISO 8601
    restarts: int = 0
    exit_code: int | None = None  # of the last end; negative: the signal
    detail: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether this very process exists and is no zombie."""
        return self.pid > 0 and start_ticks(self.pid) == self.start_ticks != 0


def children_state(profile: Profile) -> list[ChildState]:
    """Return what the pid files of a profile tell, by name; unreadable ones are left out.

    A state says `running` even where the process was killed together with its supervisor: ask
    `is_alive`. An engine that was started alone has no pid file: its lock names it.
    """
    states = []
    paths = sorted(profile.run_dir.glob("*.pid"))
    if pid_file(profile, ENGINE) not in paths and is_locked(profile.lock_file):
        paths.insert(0, profile.lock_file)
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # of which msgspec's errors are some
            states.append(_read_state(path))
    return states


def _read_state(path: Path) -> ChildState:
    first, _, rest = path.read_bytes().partition(b"\n")
    if rest.strip():
        return msgspec.json.decode(rest, type=ChildState)
    pid = int(first)
    since = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return ChildState(
        name=path.stem, pid=pid, start_ticks=start_ticks(pid), status="running", since=since
    )


def write_state(profile: Profile, state: ChildState) -> None:
    """Replace the pid file of a process, whole or not at all.

    It only informs: where the disk does not take it, that is logged, and supervision goes on.
    """
    path = pid_file(profile, state.name)
    draft = path.with_suffix(".pid.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(b"%d\n%b\n" % (state.pid, msgspec.json.encode(state)))
        draft.replace(path)
    except OSError as error:
        get_logger("supervisor").error("no pid file", child=state.name, error=str(error))


def pid_file(profile: Profile, name: str) -> Path:
    """Path of the pid file of a process."""
    return profile.run_dir / f"{name}.pid"


def start_ticks(pid: int) -> int:
    """Clock ticks from boot to the start of a process; 0 where there is none, or only a zombie.

    Without /proc every existing process has 1.
    """
    if not os.path.exists("/proc/self/stat"):
        return _exists(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return 0 if fields[0] in "ZX" else int(fields[19])


def _exists(pid: int) -> int:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return 0
    except PermissionError:
        return 1
    return 1
