"""Forks engines from a process that has imported everything already.

An engine process spends most of its start on imports, which no kill is about; forked, it starts at
the first line of its own. usage: python -m tests.campaigns.nursery VERB ARGUMENTS...; every line
on stdin starts one engine, whose process id is the answer.
"""

import importlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.children import ROOT, module

IMPORTED = (
    "mmats.engine.process",
    "mmats.cli.engine",
    "adapters.bus.control",
    "adapters.bus.engine_bus",
    "adapters.journal.store",
    "uvloop",
)


def main(arguments: list[str]) -> None:
    """Serve until stdin ends."""
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _live(arguments)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _live(arguments: list[str]) -> None:
    """Be an engine: its output is that of the nursery's errors."""
    from mmats.cli.main import main as mmats

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    code = 1
    try:
        mmats(arguments, standalone_mode=False)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


class Nursery:
    """The process that forks, seen from the campaign."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                module("tests.campaigns.nursery", *arguments),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def start(self) -> "Forked":
        """Start an engine."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        started_ns = time.monotonic_ns()
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        return Forked(pid, started_ns, self._log)

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Forked:
    """A forked engine; the same face as `Child`."""

    def __init__(self, pid: int, started_ns: int, log: Path) -> None:
        self.pid, self.started_ns, self._log = pid, started_ns, log
        self._handle = os.pidfd_open(pid)

    @property
    def has_ended(self) -> bool:
        return self._wait(0)

    def _wait(self, timeout_s: float) -> bool:
        if self._handle < 0:
            return True
        ended, _, _ = select.select([self._handle], [], [], timeout_s)
        return bool(ended)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; twice is fine."""
        if self._handle >= 0:
            if not self.has_ended:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            assert self._wait(10), "a process outlived SIGKILL"
            os.close(self._handle)
            self._handle = -1

    def stop(self, timeout_s: float) -> None:
        """SIGTERM; raises where it does not end in time."""
        if not self.has_ended:
            signal.pidfd_send_signal(self._handle, signal.SIGTERM)
        assert self._wait(timeout_s), f"not stopped in {timeout_s} s: {self}"

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __str__(self) -> str:
        return f"engine {self.pid}\n{self._log.read_text(errors='replace')[-3000:]}"


if __name__ == "__main__":
    main(sys.argv[1:])
