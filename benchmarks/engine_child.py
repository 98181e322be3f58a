"""An engine process for benchmarks, or a bare ZeroMQ echo in its place.

usage: python -m benchmarks.engine_child ROLE HOME [MODE]

The engine is the real one, with its control plane; with the role `memory` its journal counts as
durable at once, which leaves the wire and the decision.
"""

import cProfile
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from adapters.bus.sockets import open_bound
from benchmarks.engine_market import CONFIG, SYMBOL
from mmats.config import load_config
from mmats.engine.process import Engine
from mmats.model.profile import Profile
from mmats.ports.journal import Group, Head, IJournalWriter, Recovered

IDLE_MS = 20_000
ANSWERED = b"\1"


class MemoryWriter:
    """Implements IJournalWriter: what is handed over is durable before the call returns."""

    is_idle = True
    failure: Exception | None = None
    commit_ns_last = 0

    def __init__(self) -> None:
        """Nothing is committed."""
        self.committed = self.size = 0

    @property
    def head(self) -> Head:
        """What an engine publishes."""
        return Head(self.size, "")

    def submit(self, group: Group) -> None:
        """Commit."""
        self.committed = group.number
        self.size += len(group.records) // 160 + len(group.notes)

    def on_done(self, wake: Callable[[], None]) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """There is nothing to close."""


class MemoryEngine(Engine):
    """The engine without a disk."""

    def _open_journal(self) -> tuple[IJournalWriter, Recovered]:
        return MemoryWriter(), Recovered(Head(0, ""), b"", True, True)


def engine(profile: Profile, kind: type[Engine], mode: str) -> None:
    """Run until SIGTERM."""
    tables: dict[str, Any] = {**CONFIG, "profile": profile.name}
    tables["engine"] = {**tables["engine"], "mode": mode}
    if mode == "advisory":
        watching = {"name": "watch", "source": "benchmarks.engine_market:Watching"}
        tables["strategies"] = [{**watching, "symbols": [SYMBOL]}]
    kind(load_config(tables), profile, tables, lambda text: None).trade()


def echo(profile: Profile) -> None:
    """A ROUTER that sends those messages back that ask for it; an empty one ends it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bound = open_bound(context, zmq.ROUTER, profile.endpoint("bare"))
    print(flush=True)
    while bound.socket.poll(IDLE_MS):
        peer, data = bound.socket.recv_multipart()
        if not data:
            break
        if data.startswith(ANSWERED):
            bound.socket.send_multipart((peer, data))
    bound.close()
    context.term()


def main(role: str, home: str, mode: str = "operator") -> None:
    """Run a role."""
    profile = Profile.of("paper" if mode == "paper" else "dev", Path(home))
    if role == "echo":
        echo(profile)
    else:
        engine(profile, MemoryEngine if role == "memory" else Engine, mode)


if __name__ == "__main__":
    if os.environ.get("MMATS_PROFILE"):
        cProfile.run("main(*sys.argv[1:])", os.environ["MMATS_PROFILE"])
    else:
        main(*sys.argv[1:])
