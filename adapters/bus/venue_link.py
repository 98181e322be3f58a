"""A connection to a venue process besides the engine's."""

import secrets
import time

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
from adapters.bus.sockets import SocketOptions, open_connected
from mmats._core import REPORT_DTYPE
from mmats.model.profile import Profile


class VenueLink:
    """Sends requests to the venue of a name and receives its reports; used by one thread."""

    def __init__(self, profile: Profile, *, name: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._dealer = open_connected(
                self._context,
                zmq.DEALER,
                profile.endpoint(f"venue-{name}"),
                SocketOptions(message_bytes_max=FRAME_BYTES_MAX, immediate=True),
            )
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._session = secrets.randbits(63) | 1
        self._sequence = 0

    def send(self, requests: NDArray[np.void]) -> bool:
        """Send requests (REQUEST_DTYPE); False: nothing was sent, the venue is not there."""
        data = encode_message(
            MessageKind.REQUESTS,
            requests,
            session=self._session,
            sequence=self._sequence + 1,
            sent_ns=time.time_ns(),
        )
        try:
            self._dealer.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._sequence += 1
        return True

    def receive(self, timeout_ms: int) -> NDArray[np.void]:
        """Return reports (REPORT_DTYPE) of one message, after waiting at most so long."""
        if self._dealer.poll(timeout_ms):
            try:
                data = b"".join(self._dealer.recv_multipart(zmq.NOBLOCK))
                return decode_message(data, MessageKind.REPORTS).rows
            except FrameError:
                pass  # not of a venue: as if nothing had come
        return np.empty(0, dtype=REPORT_DTYPE)

    def close(self) -> None:
        """Close the socket; twice is fine."""
        self._context.destroy(linger=0)
