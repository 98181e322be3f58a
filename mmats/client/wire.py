"""The ZeroMQ sockets of a client: one thread connects, waits, sends and receives.

`wake` alone may be called from other threads.
"""

import math
import socket
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import zmq

from mmats.client.endpoints import Curve
from mmats.model.messages import Published, Reply

REPLY_BYTES_MAX = 64 * 2**20  # snapshots of large books
RECEIVED_MAX = 500  # messages of a socket before the others get their turn
HIGH_WATER_MARK = (
    2_000  # a client that is behind is sooner right with a snapshot than by reading on
)
RECONNECT_MS, RECONNECT_MS_MAX = 50, 1_000
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 1_000, 3_000


class Wire:
    """A DEALER for commands and a SUB for each channel."""

    def __init__(self, endpoints: dict[str, str], curve: Curve | None) -> None:
        self._endpoints = endpoints
        self._curve = curve
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._poller = zmq.Poller()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._poller.register(self._wake_in.fileno(), zmq.POLLIN)
        self._decode_reply = msgspec.json.Decoder(Reply).decode
        self._decode_published = msgspec.json.Decoder(Published).decode

    def wake(self) -> None:
        """End a `wait` from any thread."""
        with suppress(OSError):  # full: it will wake anyway; closed: nobody waits
            self._wake_out.send(b"\0")

    def connect(self, name: str) -> None:
        """Connect the socket of `control` or a channel, once."""
        if name in self._sockets:
            return
        kind = zmq.DEALER if name == "control" else zmq.SUB
        link = self._context.socket(kind)
        link.linger = 0
        link.setsockopt(zmq.MAXMSGSIZE, REPLY_BYTES_MAX)
        link.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        link.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        link.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        link.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        link.set_hwm(HIGH_WATER_MARK)
        if self._curve is not None:
            link.curve_serverkey = self._curve.server_public.encode()
            link.curve_publickey = self._curve.public.encode()
            link.curve_secretkey = self._curve.secret.encode()
        if kind == zmq.SUB:
            link.subscribe(b"")
        else:
            # Nothing waits in a queue for an engine to come back. A subscriber must not have it: it
            # would throw away what has come, but is not read yet, when the engine goes.
            link.setsockopt(zmq.IMMEDIATE, 1)
        self._sockets[name] = link
        link.connect(self._endpoints[name])
        self._poller.register(link, zmq.POLLIN)

    def wait(self, timeout_s: float) -> None:
        """Sleep until something is there, somebody wakes it, or the time is over."""
        self._poller.poll(math.ceil(timeout_s * 1_000))
        with suppress(BlockingIOError):
            while self._wake_in.recv(4_096):
                pass

    def send(self, message: bytes) -> bool:
        """Send on the control socket; False: there is no connection."""
        try:
            self._sockets["control"].send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def replies(self) -> Iterator[Reply]:
        """Replies that are there; what can't be read is no reply."""
        for message in self._received("control"):
            with suppress(ValueError, RecursionError):
                yield self._decode_reply(message)

    def published(self, channel: str) -> Iterator[Published | None]:
        """Messages of a channel that are there; None stands for one that can't be read."""
        for message in self._received(channel):
            try:
                yield self._decode_published(message)
            except (ValueError, RecursionError):
                yield None

    def _received(self, name: str) -> Iterator[bytes]:
        link = self._sockets.get(name)
        if link is None:
            return
        for _ in range(RECEIVED_MAX):
            try:
                yield link.recv_multipart(zmq.NOBLOCK)[-1]
            except zmq.Again:
                return

    def close(self) -> None:
        """Close the sockets."""
        for link in self._sockets.values():
            link.close(linger=0)
        self._context.term()
        self._wake_out.close()
        self._wake_in.close()
