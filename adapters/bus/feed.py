"""A feed process's socket."""

import time

import numpy as np
import zmq
from numpy.typing import NDArray

from adapters.bus.frames import FRAME_BYTES_MAX, encode_frame
from adapters.bus.sockets import PathLock, SocketOptions, open_connected
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind


class FeedPublisher:
    """Sends frames to the engine of a profile, in order; used by one thread.

    Nothing is queued while there is no engine: `send` waits, or says that it could not.

    Parameters
    ----------
    feed
        Number of the feed in the profile, from 0; one process at a time has it.
    session
        Random, not 0, below 2**64; a new one for every process.
    high_water_mark
        Frames that may be on their way before `send` waits.

    Raises
    ------
    BusError
        Another process has this feed's number, or the profile has no folder.
    """

    def __init__(
        self, profile: Profile, *, feed: int, session: int, high_water_mark: int = 1000
    ) -> None:
        self._lock = PathLock(profile.run_dir / f"feed-{feed}.lock", f"feed {feed}")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._push = open_connected(
                self._context,
                zmq.PUSH,
                profile.endpoint("feed"),
                SocketOptions(
                    send_queue_max=high_water_mark,
                    message_bytes_max=FRAME_BYTES_MAX,
                    immediate=True,
                ),
            )
        except BaseException:
            self._lock.release()
            self._context.destroy(linger=0)
            raise
        self._feed = feed
        self._session = session
        self._sequence = 0

    def send(
        self,
        kind: FrameKind,
        events: NDArray[np.void] | None = None,
        sent_ns: int = 0,
        block_ms: int = -1,
    ) -> bool:
        """Send one frame.

        Parameters
        ----------
        events
            1 to 16,384 records of 64 bytes for DATA, None for other kinds.
        sent_ns
            UTC; 0 = now.
        block_ms
            How long to wait for room; -1 = for ever, 0 = not at all.

        Returns
        -------
        False: the pipe is full, or there is no engine; nothing was sent.
        """
        data = encode_frame(
            kind,
            events,
            feed=self._feed,
            session=self._session,
            sequence=self._sequence + 1,
            sent_ns=sent_ns or time.time_ns(),
        )
        if not self._sent(data) and (
            block_ms == 0 or not self._push.poll(block_ms, zmq.POLLOUT) or not self._sent(data)
        ):
            return False
        self._sequence += 1
        return True

    def _sent(self, data: bytes) -> bool:
        try:
            self._push.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self, linger_ms: int = 1000) -> None:
        """Wait at most so long for what is on its way, then close; twice is fine."""
        if not self._context.closed:
            self._push.close(linger=linger_ms)
            self._context.term()
            self._lock.release()
