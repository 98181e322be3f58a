"""Child processes of a campaign: each in its folder, none outlives it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLI = "from mmats.cli.main import main; main()"


def cli(*arguments: str | Path) -> list[str]:
    """Return the command line of a verb, of this tree and this interpreter."""
    return [sys.executable, "-c", CLI, *map(str, arguments)]


def module(name: str, *arguments: str | Path) -> list[str]:
    """Return the command line of a module of the tests."""
    return [sys.executable, "-m", name, *map(str, arguments)]


class Child:
    """A process whose output goes to a file; killed when the block ends."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.command, self.log = command, log
        self.started_ns = time.monotonic_ns()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; twice is fine."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout_s: float) -> int:
        """SIGTERM; returns the exit code. Raises where it does not end in time."""
        self._process.terminate()
        return self._process.wait(timeout_s)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __str__(self) -> str:
        tail = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
        return f"{' '.join(self.command[:6])}\n{tail}"


def wait_until(
    is_met: Callable[[], bool], child: Any, timeout_s: float, poll: Callable[[], object]
) -> None:
    """Call `poll`, which may block for some ms, until a child has done something, or fail."""
    deadline = time.monotonic() + timeout_s
    while not is_met():
        if child.has_ended or time.monotonic() > deadline:
            raise AssertionError(f"not ready, ended = {child.has_ended}: {child}")
        poll()
