"""Rounds of ticks against an engine process: feed and venue are this process."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from adapters.bus.feed import FeedPublisher
from adapters.bus.sockets import open_connected
from adapters.bus.venue import VenueServer
from benchmarks.engine_child import ANSWERED
from benchmarks.engine_market import VENUE, dated, fill, snapshot, ticks
from benchmarks.native import HERE
from mmats._core import RequestKind
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind

RATE = 5_000  # ticks a second
TICKS = 10_000  # of a round
ANSWERED_SHARE = 0.02
WAIT_MS = 20_000

Times = NDArray[np.int64]


@contextmanager
def child(role: str, profile: Profile, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """The other process; ended by SIGTERM, if it still runs."""
    command = [sys.executable, "-m", "benchmarks.engine_child", role, str(profile.root.parent)]
    with subprocess.Popen(
        [*command, *more],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
            process.terminate()
            process.wait(WAIT_MS / 1000)
        finally:
            process.kill()


def pattern(seed: int) -> NDArray[np.bool_]:
    """Which ticks are answered: the same for all contenders of a round."""
    return np.random.default_rng(seed).random(TICKS) < ANSWERED_SHARE


def played(
    answered: NDArray[np.bool_], send: Callable[[int], None], receive: Callable[[], None]
) -> Times:
    """Send at RATE; returns the nanoseconds of those that were answered, from send to answer."""
    taken = []
    step_ns = 10**9 // RATE
    gc.collect()
    gc.disable()
    due = time.perf_counter_ns()
    for k, is_answered in enumerate(answered.tolist()):
        time.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
        start = time.perf_counter_ns()
        send(k)
        if is_answered:
            receive()
            taken.append(time.perf_counter_ns() - start)
        due = max(due + step_ns, start)
    gc.enable()
    return np.array(taken, np.int64)


class Echo:
    """A bare echo that answers the same ticks."""

    def __init__(self, profile: Profile) -> None:
        """Connect; the other process need not run yet."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = open_connected(self._context, zmq.DEALER, profile.endpoint("bare"))
        self._data = (b"\0" * 104, ANSWERED * 104)  # as long as a frame of one tick

    def round(self, answered: NDArray[np.bool_]) -> Times:
        """One round."""
        flags = answered.tolist()

        def receive() -> None:
            assert self._dealer.poll(WAIT_MS)
            self._dealer.recv()

        return played(answered, lambda k: self._dealer.send(self._data[flags[k]]), receive)

    def close(self) -> None:
        """End the other process, too."""
        self._dealer.send(b"")
        self._dealer.close(linger=1000)
        self._context.term()


class Market:
    """The feed and the venue of an engine that runs."""

    def __init__(self, profile: Profile) -> None:
        """Bind and connect; the engine need not run yet."""
        self._venue = VenueServer(profile, name=VENUE)
        self._feed = FeedPublisher(profile, feed=0, session=1)
        self._trade_id = 0

    def begin(self) -> None:
        """Wait for the engine, and play a round that warms up."""
        assert self._feed.send(FrameKind.START, block_ms=WAIT_MS)
        self.round(pattern(0))

    def round(self, answered: NDArray[np.bool_]) -> Times:
        """One round, from a new snapshot on; every order is filled after its time was taken."""
        rows = ticks(answered)
        reports: list[tuple[bytes, Any]] = []
        assert self._feed.send(FrameKind.DATA, snapshot(time.time_ns()))

        def send(k: int) -> None:
            while reports:
                peer, request = reports.pop()
                self._trade_id += 1
                assert self._venue.send_reports(peer, fill(request, self._trade_id))
            assert self._feed.send(FrameKind.DATA, dated(rows[k : k + 1]))

        def receive() -> None:
            while not reports:
                assert self._venue.wait(WAIT_MS), "no order came"
                for peer, found in self._venue.requests():
                    submits = found[found["kind"] == RequestKind.REQUEST_SUBMIT]
                    reports.extend((peer, request) for request in submits)

        times = played(answered, send, receive)
        for peer, request in reports:
            self._trade_id += 1
            self._venue.send_reports(peer, fill(request, self._trade_id))
        return times

    def close(self) -> None:
        """Close both sockets."""
        self._feed.close()
        self._venue.close()
