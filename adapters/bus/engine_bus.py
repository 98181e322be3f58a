"""The trading thread's sockets: market data in, requests out, reports in."""

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
    decode_frame,
    decode_message,
    encode_message,
)
from adapters.bus.sockets import SocketOptions, open_bound, open_connected, received
from adapters.bus.tracks import Track
from adapters.bus.waker import Waker
from mmats.model.profile import Profile
from mmats.ports.bus import FeedFrame, Ready

FEED_QUEUE_MAX = 64  # frames of each feed: what is older than a moment should not queue here
# By FrameKind. A heartbeat of a feed that has lost its source does not bring it back.
_STATES = ("", "live", "", "live", "ended", "stale")


class EngineBus:
    """Implements `IEngineBus` over unix sockets; one thread uses it, any may `wake` it.

    Parameters
    ----------
    profile
        Its run folder holds the sockets.
    venue
        Name of the venue process that orders go to; "" where there is none.
    feed_count_max
        Feeds are numbered below it; frames of others are bad frames.

    Raises
    ------
    BusError
        Another engine holds the socket, or it can't be bound.
    """

    def __init__(self, profile: Profile, *, venue: str = "", feed_count_max: int = 64) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._waker = Waker()
        self._poller = zmq.Poller()
        self._venue: zmq.Socket[bytes] | None = None
        try:
            self._feed = open_bound(
                self._context,
                zmq.PULL,
                profile.endpoint("feed"),
                SocketOptions(receive_queue_max=FEED_QUEUE_MAX, message_bytes_max=FRAME_BYTES_MAX),
            )
            self._pull = self._feed.socket
            if venue:
                self._venue = open_connected(
                    self._context,
                    zmq.DEALER,
                    profile.endpoint(f"venue-{venue}"),
                    SocketOptions(message_bytes_max=FRAME_BYTES_MAX, immediate=True),
                )
                self._poller.register(self._venue, zmq.POLLIN)
        except BaseException:
            self._waker.close()
            self._context.destroy(linger=0)
            raise
        self._poller.register(self._pull, zmq.POLLIN)
        self._poller.register(self._waker.fileno(), zmq.POLLIN)
        self._feed_count_max = feed_count_max
        self._tracks: dict[int, Track] = {}
        self._states: dict[int, str] = {}
        self._venue_track = Track()
        self._session = secrets.randbits(63) | 1
        self._request_sequence = 0
        self._bad_frames = self._bad_reports = 0
        self._frames = self._events = self._reports = self._requests = 0

    def wait(self, timeout_ms: int) -> Ready:
        """Sleep until something is there or the time is over; clears the wake-up."""
        ready = Ready.NOTHING
        for found, _ in self._poller.poll(timeout_ms):
            if found is self._pull:
                ready |= Ready.FEED
            elif found is self._venue:
                ready |= Ready.VENUE
            else:
                self._waker.clear()
                ready |= Ready.WAKE
        return ready

    def wake(self) -> None:
        """End a `wait` from any thread."""
        self._waker.wake()

    def feed_frames(self, frames_max: int) -> list[FeedFrame]:
        """Take up to so many messages of the feeds, in order of arrival.

        What is no frame, or came before, is counted and left out.
        """
        frames = []
        for data in received(self._pull, self._pull.recv, frames_max):
            try:
                frame = decode_frame(data)
            except FrameError:
                self._bad_frames += 1
                continue
            if self._accepts(frame):
                frames.append(frame)
        return frames

    def _accepts(self, frame: FeedFrame) -> bool:
        track = self._tracks.get(frame.feed)
        if track is None:
            if frame.feed >= self._feed_count_max:
                self._bad_frames += 1
                return False
            track = self._tracks[frame.feed] = Track()
        if not track.accept(frame.session, frame.sequence):
            return False
        state = _STATES[frame.kind]
        if state:
            self._states[frame.feed] = state
        self._frames += 1
        self._events += len(frame.events)
        return True

    def feed_state(self) -> dict[int, dict[str, Any]]:
        """What has come of each feed, by its number.

        Returns
        -------
        Of each: `session`, `sequence` (last one), `gaps` (times that numbers were missing),
        `lost_frames` (how many), `duplicates` and `superseded` (dropped: came before, or of a
        session that is over), `last_recv_monotonic_ns`, and `state`: live, stale or ended.
        """
        return {
            feed: {**track.facts(), "state": self._states.get(feed, "live")}
            for feed, track in self._tracks.items()
        }

    def venue_state(self) -> dict[str, Any]:
        """The same of the venue's reports; a message without rows shows that it lives."""
        return self._venue_track.facts()

    def reports(self, messages_max: int) -> list[NDArray[np.void]]:
        """Take up to so many messages of the venue (REPORT_DTYPE); those without rows are left out.

        A gap in their numbers shows in `venue_state`: orders must be queried then.
        """
        found: list[NDArray[np.void]] = []
        if self._venue is None:
            return found
        for parts in received(self._venue, self._venue.recv_multipart, messages_max):
            try:
                message = decode_message(b"".join(parts), MessageKind.REPORTS)
            except FrameError:
                self._bad_reports += 1
                continue
            if self._venue_track.accept(message.session, message.sequence) and len(message.rows):
                self._reports += len(message.rows)
                found.append(message.rows)
        return found

    def send_requests(self, requests: NDArray[np.void]) -> bool:
        """Send requests (REQUEST_DTYPE) to the venue; none: tell it where reports go.

        Returns
        -------
        False: nothing was sent, there is no venue or its pipe is full.

        Raises
        ------
        FrameError
            They are of another layout, or more than 16,384.
        """
        if self._venue is None:
            return False
        data = encode_message(
            MessageKind.REQUESTS,
            requests,
            session=self._session,
            sequence=self._request_sequence + 1,
            sent_ns=time.time_ns(),
        )
        try:
            self._venue.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._request_sequence += 1
        self._requests += len(requests)
        return True

    def counters(self) -> dict[str, int]:
        """bad_frames, bad_reports, feed_frames, feed_events, reports, requests, feed_gaps."""
        return {
            "bad_frames": self._bad_frames,
            "bad_reports": self._bad_reports,
            "feed_frames": self._frames,
            "feed_events": self._events,
            "feed_gaps": sum(track.gaps for track in self._tracks.values()),
            "reports": self._reports,
            "requests": self._requests,
        }

    def close(self) -> None:
        """Close the sockets and remove their files; twice is fine."""
        if self._context.closed:
            return
        if self._venue is not None:
            self._venue.close(linger=0)
        self._feed.close()
        self._waker.close()
        self._context.term()
