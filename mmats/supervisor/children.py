"""One child process: how it is started, when it is started again, how it is stopped."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from mmats.model.errors import ConfigError
from mmats.model.profile import Profile
from mmats.supervisor import launch
from mmats.supervisor.pids import ChildState, Status, start_ticks, write_state

EXIT_BAD_INPUT = 2
TOLD_BYTES_MAX = 4_000
_VARIABLES = frozenset(
    ("PATH", "HOME", "LANG", "TZ", "TERM", "MMATS_HOME", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
)


class Part(StrEnum):
    """What a child is; decides what its end means."""

    VENUE = "venue"
    ENGINE = "engine"  # its orderly end, and its failure, end everything
    FEED = "feed"  # its orderly end is the end of its data
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child to start: `argv[0]` is the path of a program."""

    name: str
    part: Part
    argv: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{self.name!r} is no name for a process")


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before a child is started again, and how often."""

    first_s: float = 0.2
    longest_s: float = 30.0
    good_life_s: float = 60.0  # a child that lived longer starts anew at first_s
    quick_deaths_max: int = 5  # so many in a row are borne


class Backoff:
    """Waiting times that double, with jitter of a seeded source so that a run can be repeated."""

    def __init__(self, policy: RestartPolicy, source: random.Random) -> None:
        self._policy = policy
        self._source = source
        self._quick_deaths = 0

    def after(self, lived_s: float) -> float | None:
        """Return how many seconds to wait, from half of to the whole time; None: give up."""
        policy = self._policy
        self._quick_deaths = 0 if lived_s > policy.good_life_s else self._quick_deaths + 1
        if self._quick_deaths > policy.quick_deaths_max:
            return None
        doublings = max(0, self._quick_deaths - 1)
        whole_s = min(policy.longest_s, policy.first_s * float(2**doublings))
        return max(policy.first_s, whole_s * self._source.uniform(0.5, 1.0))


class Child:
    """A child process and its pid file; its stdout and stderr go to `logs/NAME.out`."""

    def __init__(self, spec: ChildSpec, profile: Profile, backoff: Backoff) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at_s: float | None = 0.0
        """Monotonic time of the next start; None: running, or not to be started any more."""
        self.status: Status = "waiting"
        self._profile = profile
        self._backoff = backoff
        self._started_s = 0.0
        self._starts = 0
        self._output = profile.logs_dir / f"{spec.name}.out"

    def start(self, now_s: float) -> None:
        """Start the process in a group of its own, with allowed variables only."""
        argv = self.spec.argv
        if self.spec.part is not Part.WATCHDOG:  # that one outlives us for as long as it is needed
            argv = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *argv)
        self._starts += 1
        self._started_s = now_s
        self.start_at_s = None
        handle = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
                argv,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                env=child_environment(os.environ),
                process_group=0,
            )
        finally:
            os.close(handle)
        self._tell("running")

    def poll(self) -> int | None:
        """Return the exit code if the process has ended, else None; what it started ends too."""
        if self.process is None or self.process.returncode is not None:
            return None
        # Looked at before it is reaped: until then nobody else can get the number of its group.
        if os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self.kill_group()
        return self.process.wait()

    def ended(self, code: int, now_s: float, *, again: bool) -> float | None:
        """Note the end of the process; return the seconds until the next start, None: never."""
        delay_s = self._backoff.after(now_s - self._started_s) if again else None
        self.start_at_s = None if delay_s is None else now_s + delay_s
        if delay_s is not None:
            self._tell("waiting", code)
        else:
            self._tell("failed" if again or code == EXIT_BAD_INPUT else "ended", code)
        self.process = None
        return delay_s

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.process is not None:
            self.process.terminate()
        self.start_at_s = None

    def kill_group(self) -> None:
        """Kill the process and all that it has started."""
        if self.process is not None and self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # the group is empty
                return

    def last_words(self) -> str:
        """Return the end of what the process wrote on stdout and stderr."""
        try:
            with self._output.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TOLD_BYTES_MAX))
                return file.read().decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _tell(self, status: Status, code: int | None = None) -> None:
        self.status = status
        pid = self.process.pid if self.process is not None else 0
        write_state(
            self._profile,
            ChildState(
                name=self.spec.name,
                pid=pid,
                start_ticks=start_ticks(pid) if status == "running" else 0,
                status=status,
                since=datetime.now(UTC).isoformat(timespec="seconds"),
                restarts=self._starts - 1,
                exit_code=code,
            ),
        )


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that children may have: no secret is ever passed in one."""
    return {
        name: value
        for name, value in variables.items()
        if name in _VARIABLES or name.startswith("LC_")
    }


def python_child(name: str, part: Part, verb: str, *options: str | Path) -> ChildSpec:
    """Return a child that is a verb of this program."""
    return ChildSpec(
        name, part, (sys.executable, "-m", "mmats", verb, *(str(option) for option in options))
    )
