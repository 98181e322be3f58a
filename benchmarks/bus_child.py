"""The other process of bench_bus: answers each message, or counts what comes."""

import gc
import sys
import time
from pathlib import Path

import numpy as np
import zmq

from adapters.bus.engine_bus import EngineBus
from adapters.bus.sockets import SocketOptions, open_bound
from mmats._core import REQUEST_DTYPE
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind

FRAMES_AT_ONCE = 64
IDLE_MS = 20_000


def bare_echo(profile: Profile) -> None:
    """A ROUTER that sends every message back; an empty one ends it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bound = open_bound(context, zmq.ROUTER, profile.endpoint("bare"))
    tell()
    while bound.socket.poll(IDLE_MS):
        peer, data = bound.socket.recv_multipart()
        if not data:
            break
        bound.socket.send_multipart((peer, data))
    bound.close()
    context.term()


def engine_echo(profile: Profile) -> None:
    """A tick frame in, a request out: the engine's bus without a core."""
    bus = EngineBus(profile, venue="bench")
    request = np.zeros(1, REQUEST_DTYPE)
    order_id, price = request["order_id"], request["price_ticks"]
    tell()
    while not bus.send_requests(request[:0]):
        time.sleep(0.001)
    while bus.wait(IDLE_MS):
        for frame in bus.feed_frames(FRAMES_AT_ONCE):
            if frame.kind is FrameKind.END:
                bus.close()
                return
            if frame.kind is FrameKind.DATA:
                order_id[0] = frame.events["ts_event_ns"][0]
                price[0] = frame.events["a"][0]
                bus.send_requests(request)


def bare_count(profile: Profile) -> None:
    """A PULL that takes messages as bytes; prints seconds, and bytes after the first message."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    options = SocketOptions(receive_queue_max=64, message_bytes_max=1 << 21)
    bound = open_bound(context, zmq.PULL, profile.endpoint("bare"), options)
    tell()
    started, size = 0.0, 0
    while bound.socket.poll(IDLE_MS):
        data = bound.socket.recv()
        if not data:
            break
        if not started:
            started = time.perf_counter()
        size += len(data)
    tell(time.perf_counter() - started, size)
    bound.close()
    context.term()


def engine_count(profile: Profile) -> None:
    """The engine's bus; every price is read. Prints seconds, events, and the sum of prices."""
    bus = EngineBus(profile)
    tell()
    started, count, total = 0.0, 0, 0
    while bus.wait(IDLE_MS):
        for frame in bus.feed_frames(FRAMES_AT_ONCE):
            if frame.kind is FrameKind.END:
                tell(time.perf_counter() - started, count, total)
                bus.close()
                return
            if frame.kind is FrameKind.DATA:
                if not started:
                    started = time.perf_counter()
                count += len(frame.events)
                total += int(frame.events["a"].sum())


def tell(*values: object) -> None:
    """Print one line that the parent waits for."""
    print(*values, flush=True)


if __name__ == "__main__":
    gc.disable()
    ROLES = {
        "bare_echo": bare_echo,
        "engine_echo": engine_echo,
        "bare_count": bare_count,
        "engine_count": engine_count,
    }
    ROLES[sys.argv[1]](Profile.of("dev", Path(sys.argv[2])))
