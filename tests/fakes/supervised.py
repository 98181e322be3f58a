"""A supervisor with fake children in a process of its own, and what is heard of them."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from mmats.model.profile import Profile
from mmats.supervisor.alarm import Alarm
from mmats.supervisor.children import ChildSpec, Part, RestartPolicy
from mmats.supervisor.pids import start_ticks
from mmats.supervisor.supervisor import StopDeadlines, Supervisor

PATIENCE_S = 60.0
CHILD = str(Path(__file__).with_name("child.py"))


class Told:
    """Lines that processes write into a FIFO, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._handle = os.open(path, os.O_RDWR)  # a writer of our own: never at its end
        self._rest = b""
        self._lines: list[str] = []
        self.seen: list[str] = []

    def line(self) -> str:
        """Return the next line; fail after a minute."""
        end_s = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._handle], [], [], end_s - time.monotonic())
            assert ready, f"silence after {self.seen}"
            self._rest += os.read(self._handle, 65_536)
        line, _, self._rest = self._rest.partition(b"\n")
        self.seen.append(line.decode())
        return self.seen[-1]

    def until(self, start: str) -> str:
        """Return the rest of the next line that starts so; others are passed over."""
        while not (line := self.line()).startswith(start):
            pass
        return line.removeprefix(start).strip()

    def close(self) -> None:
        os.close(self._handle)


class Running:
    """A supervisor's process."""

    def __init__(self, home: Path, told: Told, children: list[tuple[str, ...]]) -> None:
        self.profile = Profile.of("paper", home)
        arguments = json.dumps([str(home), str(told.path), children])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.supervised", arguments],
            env={**os.environ, "TOKEN_CANARY": "canary"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)


@contextmanager
def hearing(folder: Path) -> Iterator[Told]:
    """A FIFO of a test."""
    told = Told(folder / "told")
    try:
        yield told
    finally:
        told.close()


def is_gone(pid: int) -> bool:
    """Wait for the end of any process; False: it is still there after a minute."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], PATIENCE_S)[0]) and start_ticks(pid) == 0
    finally:
        os.close(handle)


def main() -> None:
    """Supervise as told in argv[1]: [home, fifo, [[name, part, behavior, argument ...] ...]]."""
    home, fifo, children = json.loads(sys.argv[1])
    profile = Profile.of("paper", Path(home))

    def tell(text: str) -> None:
        with open(fifo, "w") as file:
            file.write(f"supervisor {text}\n")

    specs = [
        ChildSpec(name, Part(part), (sys.executable, CHILD, fifo, name, *behavior))
        for name, part, *behavior in children
    ]
    supervisor = Supervisor(
        profile,
        specs,
        alarm=Alarm(profile, "supervisor"),
        tell=tell,
        policy=RestartPolicy(first_s=0.01, longest_s=0.02, quick_deaths_max=2),
        deadlines=StopDeadlines(engine_s=0.5, others_s=0.5),
    )
    code = supervisor.run(lambda: tell("started"))
    tell(f"exits {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
