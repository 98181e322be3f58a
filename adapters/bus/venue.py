"""A venue process's socket: requests in, reports out."""

import secrets
import time
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from adapters.bus.frames import (
    FRAME_BYTES_MAX,
    FrameError,
    MessageKind,
    decode_message,
    encode_message,
)
from adapters.bus.sockets import SocketOptions, open_bound, received
from adapters.bus.tracks import Track
from adapters.bus.waker import Waker
from mmats.model.profile import Profile

PEERS_MAX = 16
REQUESTS_AT_ONCE = 256


class VenueServer:
    """Serves the engine of a profile under a venue's name; one thread uses it, any may `wake` it.

    An engine that starts anew is a new peer: it makes itself known by its first message, which
    may be without requests.

    Raises
    ------
    BusError
        Another venue process of that name runs, or its socket can't be bound.
    """

    def __init__(self, profile: Profile, *, name: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._waker = Waker()
        try:
            self._bound = open_bound(
                self._context,
                zmq.ROUTER,
                profile.endpoint(f"venue-{name}"),
                SocketOptions(message_bytes_max=FRAME_BYTES_MAX),
            )
        except BaseException:
            self._waker.close()
            self._context.destroy(linger=0)
            raise
        self._router = self._bound.socket
        self._poller = zmq.Poller()
        self._poller.register(self._router, zmq.POLLIN)
        self._poller.register(self._waker.fileno(), zmq.POLLIN)
        self._peers: dict[bytes, Track] = {}
        self._sequences: dict[bytes, int] = {}
        self._session = secrets.randbits(63) | 1
        self._bad_messages = self._requests = self._reports = 0

    def wait(self, timeout_ms: int) -> bool:
        """Sleep until a message is there, the time is over or `wake`; True: there is a message."""
        found = dict(self._poller.poll(timeout_ms))
        if self._waker.fileno() in found:
            self._waker.clear()
        return self._router in found

    def wake(self) -> None:
        """End a `wait` from any thread."""
        self._waker.wake()

    def requests(self) -> list[tuple[bytes, NDArray[np.void]]]:
        """Take what has come, at most 256 messages: (peer, REQUEST_DTYPE rows).

        No rows: the peer only made itself known. What came before is left out.
        """
        found = []
        receive = self._router.recv_multipart
        for peer, *parts in received(self._router, receive, REQUESTS_AT_ONCE):
            try:
                message = decode_message(b"".join(parts), MessageKind.REQUESTS)
            except FrameError:
                self._bad_messages += 1
                continue
            if self._track(peer).accept(message.session, message.sequence):
                self._requests += len(message.rows)
                found.append((peer, message.rows))
        return found

    def _track(self, peer: bytes) -> Track:
        track = self._peers.get(peer)
        if track is None:
            if len(self._peers) == PEERS_MAX:
                self._forget(next(iter(self._peers)))
            track = self._peers[peer] = Track()
        return track

    def _forget(self, peer: bytes) -> None:
        self._peers.pop(peer, None)
        self._sequences.pop(peer, None)

    def send_reports(self, peer: bytes, reports: NDArray[np.void]) -> bool:
        """Send reports (REPORT_DTYPE) to a peer; none: only say that the venue lives.

        Returns
        -------
        False: nothing was sent, the peer is gone or does not read.
        """
        sequence = self._sequences.get(peer, 0) + 1
        data = encode_message(
            MessageKind.REPORTS,
            reports,
            session=self._session,
            sequence=sequence,
            sent_ns=time.time_ns(),
        )
        try:
            self._router.send_multipart((peer, data), zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._forget(peer)
            return False
        self._sequences[peer] = sequence
        self._reports += len(reports)
        return True

    def counters(self) -> dict[str, Any]:
        """bad_messages, requests, reports, peers, request_gaps."""
        return {
            "bad_messages": self._bad_messages,
            "requests": self._requests,
            "reports": self._reports,
            "peers": len(self._peers),
            "request_gaps": sum(track.gaps for track in self._peers.values()),
        }

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket and remove its file; twice is fine."""
        if not self._context.closed:
            self._bound.close(linger_ms)
            self._waker.close()
            self._context.term()
