"""Rounds of ticks against an engine process: feed and venue are this process."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import zmq
from numpy.typing import NDArray

from adapters.bus.frames import FRAME_BYTES_MAX, encode_frame
from adapters.bus.sockets import SocketOptions, open_connected
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
FRAME_BYTES = 104  # of one tick
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


def pattern(seed: int, share: float = ANSWERED_SHARE) -> NDArray[np.bool_]:
    """Which ticks are answered: the same for all contenders of a round."""
    return np.random.default_rng(seed).random(TICKS) < share


class Side(Protocol):
    """One end of a round: frames to send, and what comes back."""

    def prepared(self, k: int) -> bytes:
        """The frame of a tick, ready to be sent."""

    def send(self, frame: bytes) -> None:
        """Put it on the socket."""

    def wait(self) -> None:
        """Wait until the answer is on the socket."""

    def take(self) -> None:
        """Take the answer from it."""


def played(answered: NDArray[np.bool_], side: Side) -> Times:
    """Send at RATE; returns the nanoseconds from frame on the socket to answer on the socket."""
    taken = []
    step_ns = 10**9 // RATE
    gc.collect()
    gc.disable()
    due = time.perf_counter_ns()
    for k, is_answered in enumerate(answered.tolist()):
        time.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
        frame = side.prepared(k)
        start = time.perf_counter_ns()
        side.send(frame)
        if is_answered:
            side.wait()
            taken.append(time.perf_counter_ns() - start)
            side.take()
        due = max(due + step_ns, start)
    gc.enable()
    return np.array(taken, np.int64)


class Echo:
    """A bare echo that answers the same ticks."""

    def __init__(self, profile: Profile) -> None:
        """Connect; the other process need not run yet."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = open_connected(self._context, zmq.DEALER, profile.endpoint("bare"))
        self._data = (b"\0" * FRAME_BYTES, ANSWERED * FRAME_BYTES)
        self._flags: list[bool] = []

    def round(self, answered: NDArray[np.bool_]) -> Times:
        """One round."""
        self._flags = answered.tolist()
        return played(answered, self)

    def prepared(self, k: int) -> bytes:
        """As long as a frame of one tick."""
        return self._data[self._flags[k]]

    def send(self, frame: bytes) -> None:
        """Send it."""
        self._dealer.send(frame)

    def wait(self) -> None:
        """Wait for the same."""
        assert self._dealer.poll(WAIT_MS)

    def take(self) -> None:
        """Take it."""
        self._dealer.recv()

    def close(self) -> None:
        """End the other process, too."""
        self._dealer.send(b"")
        self._dealer.close(linger=1000)
        self._context.term()


class Market:
    """The feed and the venue of an engine that runs; fills every order."""

    def __init__(self, profile: Profile) -> None:
        """Bind and connect; the engine need not run yet."""
        self._venue = VenueServer(profile, name=VENUE)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        options = SocketOptions(message_bytes_max=FRAME_BYTES_MAX, immediate=True)
        endpoint = profile.endpoint("feed")
        self._push = open_connected(self._context, zmq.PUSH, endpoint, options)
        self._sequence = self._trade_id = 0
        self._rows = ticks(pattern(0))

    def begin(self) -> None:
        """Wait for the engine, and play a round that warms up."""
        assert self._push.poll(WAIT_MS, zmq.POLLOUT)
        self.send(self._frame(FrameKind.START, None))
        self.round(pattern(0))

    def round(self, answered: NDArray[np.bool_]) -> Times:
        """One round, from a new snapshot on."""
        self._rows = ticks(answered)
        self.send(self._frame(FrameKind.DATA, snapshot(time.time_ns())))
        return played(answered, self)

    def prepared(self, k: int) -> bytes:
        """A frame of one tick, of now."""
        return self._frame(FrameKind.DATA, dated(self._rows[k : k + 1]))

    def _frame(self, kind: FrameKind, rows: NDArray[np.void] | None) -> bytes:
        self._sequence += 1
        return encode_frame(
            kind, rows, feed=0, session=1, sequence=self._sequence, sent_ns=time.time_ns()
        )

    def send(self, frame: bytes) -> None:
        """What FeedPublisher does with a frame."""
        self._push.send(frame)

    def wait(self) -> None:
        """Wait for an order."""
        assert self._venue.wait(WAIT_MS), "no order came"

    def take(self) -> None:
        """Fill it."""
        for peer, found in self._venue.requests():
            for request in found[found["kind"] == RequestKind.REQUEST_SUBMIT]:
                self._trade_id += 1
                assert self._venue.send_reports(peer, fill(request, self._trade_id))

    def close(self) -> None:
        """Close both sockets."""
        self._push.close(linger=0)
        self._context.term()
        self._venue.close()
