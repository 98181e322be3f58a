"""Halting an engine that does not answer: the kill file and a signal, no socket."""

import os
import signal
from pathlib import Path

from mmats.cli.engine_options import owned_by_us
from mmats.engine.kill import write_kill_file
from mmats.model.profile import Profile


def halt_without_link(profile: Profile) -> list[str]:
    """Write the kill file and signal the engine's process; return what was done, a line each."""
    done = [_write_kill_file(profile)]
    done.append(_signal(profile))
    return done


def _write_kill_file(profile: Profile) -> str:
    if not profile.root.is_dir():
        return f"there is no folder {profile.root}: no engine of this profile has run here"
    try:
        write_kill_file(profile.kill_file, "mmats halt")
    except OSError as error:
        return f"{profile.kill_file} can't be written: {error.strerror}"
    return f"wrote {profile.kill_file}: while it is there, the engine is halted"


def _signal(profile: Profile) -> str:
    """Send SIGUSR1, if the process is surely ours: others would be ended by it."""
    pid_file = profile.run_dir / "engine.pid"
    if not pid_file.exists():
        pid_file = profile.lock_file  # an engine that was started alone writes its id there
    try:
        pid = int(pid_file.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return f"no process id in {pid_file}: no signal was sent"
    process = Path("/proc") / str(pid)
    if pid <= 1 or not owned_by_us(process) or not _takes_halt(process, profile.lock_file):
        return f"process {pid} is no engine of this user: no signal was sent"
    try:
        os.kill(pid, signal.SIGUSR1)
    except OSError as error:
        return f"process {pid} can't be signaled: {error.strerror}"
    return f"sent SIGUSR1 to process {pid}"


def _takes_halt(process: Path, lock_file: Path) -> bool:
    """Whether the process is an engine, by its lock or its name, and has a handler."""
    try:
        command = (process / "cmdline").read_bytes()
        status = (process / "status").read_text("ascii", "replace")
        opened = {os.readlink(link) for link in (process / "fd").iterdir()}
    except OSError:  # it has just ended
        return False
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), ":0")
    mask = int(caught.partition(":")[2], 16)
    is_engine = b"mmats" in command or str(lock_file) in opened
    return is_engine and bool(mask >> (signal.SIGUSR1 - 1) & 1)
