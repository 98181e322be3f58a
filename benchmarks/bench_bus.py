"""Market data into the engine and requests out of it, beside bare ZeroMQ between two processes."""

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from adapters.bus.feed import FeedPublisher
from adapters.bus.sockets import SocketOptions, open_connected
from adapters.bus.venue import VenueServer
from benchmarks.budget import note
from benchmarks.native import HERE
from mmats._core import EVENT_DTYPE
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind

RATE = 5_000  # messages a second
MESSAGES, WARMUP, ROUNDS = 5_000, 500, 5
TICKS, BATCH = 2_000_000, 256
P50_MAX, P99_MAX = 1.3, 1.5  # over a bare echo
TICKS_PER_S_MIN = 1_000_000
SHARE_MIN = 0.6  # of what bare PUSH/PULL carries
WAIT_MS = 20_000

Times = np.ndarray[Any, np.dtype[np.int64]]


@pytest.fixture
def profile() -> Iterator[Profile]:
    home = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    made = Profile.of("dev", home)
    made.create()
    yield made
    shutil.rmtree(home)


@contextmanager
def child(role: str, profile: Profile) -> Iterator["subprocess.Popen[str]"]:
    """The other process, once it is ready."""
    command = [sys.executable, "-m", "benchmarks.bus_child", role, str(profile.root.parent)]
    with subprocess.Popen(
        command,
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            answer(process)
            yield process
            process.wait(WAIT_MS / 1000)
        finally:
            process.kill()


def answer(process: "subprocess.Popen[str]") -> list[float]:
    """The numbers of the line that the other process prints next."""
    assert process.stdout is not None
    return [float(word) for word in process.stdout.readline().split()]


def round_trips(send: Callable[[int], None], receive: Callable[[], None]) -> Times:
    """Nanoseconds of each round trip at RATE, after a warm-up."""
    taken = np.zeros(MESSAGES + WARMUP, np.int64)
    step_ns = 10**9 // RATE
    gc.collect()
    gc.disable()
    due = time.perf_counter_ns()
    for k in range(len(taken)):
        while time.perf_counter_ns() < due:
            pass
        start = time.perf_counter_ns()
        send(k)
        receive()
        taken[k] = time.perf_counter_ns() - start
        due = max(due + step_ns, start)
    gc.enable()
    return taken[WARMUP:]


def bare_trips(profile: Profile) -> Times:
    """A DEALER sends 100 bytes, a ROUTER sends them back."""
    with child("bare_echo", profile):
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        dealer = open_connected(context, zmq.DEALER, profile.endpoint("bare"))
        data = b"x" * 100

        def receive() -> None:
            assert dealer.poll(WAIT_MS)
            dealer.recv()

        taken = round_trips(lambda k: dealer.send(data), receive)
        dealer.send(b"")
        dealer.close(linger=1000)
        context.term()
    return taken


def engine_trips(profile: Profile) -> Times:
    """A feed sends one tick, the engine's bus a request to the venue."""
    venue = VenueServer(profile, name="bench")
    with child("engine_echo", profile):
        feed = FeedPublisher(profile, feed=0, session=1)
        assert venue.wait(WAIT_MS)
        assert len(venue.requests()) == 1
        assert feed.send(FrameKind.START, block_ms=WAIT_MS)
        ticks = np.zeros(MESSAGES + WARMUP, EVENT_DTYPE)
        ticks["kind"] = 2
        ticks["a"] = ticks["ts_event_ns"] = 1 + np.arange(len(ticks))
        got = []

        def receive() -> None:
            assert venue.wait(WAIT_MS)
            ((_, found),) = venue.requests()
            got.append(int(found["order_id"][0]))

        def send(k: int) -> None:
            assert feed.send(FrameKind.DATA, ticks[k : k + 1])

        taken = round_trips(send, receive)
        assert got == ticks["a"].tolist()
        assert feed.send(FrameKind.END)
        feed.close()
    venue.close()
    return taken


def test_tick_to_request(profile: Profile) -> None:
    p50, p99 = [], []
    shown = ""
    for turn in range(ROUNDS + 1):
        bare, ours = bare_trips(profile), engine_trips(profile)
        if turn > 0:
            of_bare, of_ours = np.percentile(bare, [50, 99]), np.percentile(ours, [50, 99])
            p50.append(of_ours[0] / of_bare[0])
            p99.append(of_ours[1] / of_bare[1])
            shown = (
                f"last round {of_ours[0] / 1e3:.0f} / {of_ours[1] / 1e3:.0f} us "
                f"against {of_bare[0] / 1e3:.0f} / {of_bare[1] / 1e3:.0f} us"
            )
    medians = float(np.median(p50)), float(np.median(p99))
    note(
        f"tick in, request out through the bus at {RATE:,}/s over a bare ZeroMQ echo of 100 bytes",
        f"p50 at most {P50_MAX} times, p99 at most {P99_MAX} times",
        f"{medians[0]:.2f} and {medians[1]:.2f} times ({shown})",
        medians[0] <= P50_MAX and medians[1] <= P99_MAX,
    )
    assert medians[0] < 10 * P50_MAX


def bare_rate(profile: Profile) -> float:
    """Bytes a second of bare PUSH/PULL in messages as large as a frame."""
    with child("bare_count", profile) as process:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        options = SocketOptions(send_queue_max=256)
        push = open_connected(context, zmq.PUSH, profile.endpoint("bare"), options)
        data = bytes(BATCH * 64 + 40)
        for _ in range(-(-TICKS // BATCH)):
            push.poll(WAIT_MS, zmq.POLLOUT)
            push.send(data)
        push.poll(WAIT_MS, zmq.POLLOUT)
        push.send(b"")
        seconds, size = answer(process)
        push.close()
        context.term()
    return size / seconds


def engine_rate(profile: Profile) -> float:
    """Ticks a second through a feed and the engine's bus, every price read."""
    ticks = np.zeros(TICKS, EVENT_DTYPE)
    ticks["kind"] = 2
    ticks["a"] = np.arange(TICKS)
    with child("engine_count", profile) as process:
        feed = FeedPublisher(profile, feed=0, session=1, high_water_mark=256)
        feed.send(FrameKind.START)
        for start in range(0, TICKS, BATCH):
            feed.send(FrameKind.DATA, ticks[start : start + BATCH])
        feed.send(FrameKind.END)
        seconds, count, total = answer(process)
        feed.close()
    assert (count, total) == (TICKS, TICKS * (TICKS - 1) // 2)
    return count / seconds


def test_throughput(profile: Profile) -> None:
    rates, shares = [], []
    for turn in range(ROUNDS + 1):
        bare, ours = bare_rate(profile), engine_rate(profile)
        if turn > 0:
            rates.append(ours)
            shares.append(ours * 64 / bare)
    rate, share = float(np.median(rates)), float(np.median(shares))
    note(
        f"ticks through the bus in frames of {BATCH}, read by the engine",
        f"at least {TICKS_PER_S_MIN / 1e6:.0f} M/s, and {SHARE_MIN} of the bytes of bare PUSH/PULL",
        f"{rate / 1e6:.1f} M/s, {share:.2f} of the bytes",
        rate >= TICKS_PER_S_MIN and share >= SHARE_MIN,
    )
    assert rate > TICKS_PER_S_MIN / 10
