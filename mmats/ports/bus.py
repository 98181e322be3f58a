"""The ports between processes: market data in, orders out, reports in, commands and state."""

from collections.abc import Callable, Sequence
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmats.model.messages import Answer, Command


class FrameKind(IntEnum):
    """What a frame of a feed says."""

    DATA = 1  # events, in time order
    HEARTBEAT = 2  # nothing new; the feed lives
    START = 3  # a new session of the feed: sequence starts again
    END = 4  # the feed has no more data
    STALE = 5  # the feed has lost its source until the next DATA


class FeedFrame(NamedTuple):
    """One message of a feed process; a tuple, since one is made of every message."""

    feed: int  # index of the feed process
    kind: FrameKind
    session: int  # random number of the feed's session
    sequence: int  # counts up by one within a session
    sent_ns: int  # UTC, when it left the feed
    events: NDArray[np.void]  # EVENT_DTYPE, read-only; empty unless DATA


class IFeedPublisher(Protocol):
    """A feed process's end."""

    def send(
        self,
        kind: FrameKind,
        events: NDArray[np.void] | None = None,
        sent_ns: int = 0,
        block_ms: int = -1,
    ) -> bool:
        """Send a frame; False: there was no room in the pipe for so long, nothing was sent."""

    def close(self) -> None:
        """Let what is on its way leave, for a bounded time, and close the socket."""


class Ready(IntFlag):
    """What `IEngineBus.wait` found."""

    NOTHING = 0
    FEED = 1
    VENUE = 2
    WAKE = 4


class IEngineBus(Protocol):
    """The trading thread's end: synchronous, in batches, never blocks but in `wait`."""

    def wait(self, timeout_ms: int) -> Ready:
        """Sleep until something is there or the time is over; clears the wake-up."""

    def wake(self) -> None:
        """End a `wait` from any thread."""

    def feed_frames(self, frames_max: int) -> list[FeedFrame]:
        """Take up to so many frames of the feeds, in order of arrival; bad ones are counted."""

    def reports(self, messages_max: int) -> list[NDArray[np.void]]:
        """Take reports of the venue (REPORT_DTYPE)."""

    def send_requests(self, requests: NDArray[np.void]) -> bool:
        """Send requests (REQUEST_DTYPE) to the venue; False: nothing was sent, its pipe is full."""

    def feed_state(self) -> dict[int, dict[str, Any]]:
        """By feed: session, sequence, gaps, lost_frames, duplicates and more."""

    def venue_state(self) -> dict[str, Any]:
        """The same of the venue's reports; empty without a venue."""

    def counters(self) -> dict[str, int]:
        """bad_frames, feed_frames, feed_events, reports, requests."""

    def close(self) -> None:
        """Close the sockets."""


class IControlServer(Protocol):
    """The control plane, on a thread of its own. Its methods are called by the trading thread."""

    def start(self) -> None:
        """Bind the sockets and serve; raises what keeps it from doing so."""

    def take_commands(self, commands_max: int) -> list[Command]:
        """Commands that wait for the trading thread, in order of arrival."""

    def answer(self, command: Command, answer: Answer) -> None:
        """Reply to a command, once."""

    def publish_state(self, channel: str, changes: Sequence[tuple[str, Any]]) -> None:
        """Set keys of the published state (value None removes one). Never blocks."""

    def publish_event(self, channel: str, kind: str, value: dict[str, Any]) -> None:
        """Publish an event and keep it among the last ones. Never blocks."""

    def set_heartbeat(self, value: dict[str, Any]) -> None:
        """What heartbeats carry from now on; the trading thread renews it, at least every 250 ms.

        Heartbeats stop when it has not been renewed for two seconds: the trading thread hangs.
        """

    def on_command(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called when a command waits."""

    def take_audit(self, notes_max: int = 256) -> list[tuple[str, dict[str, Any]]]:
        """Take what the audit record is to say: (kind, facts), without secrets, oldest first."""

    def record(self, command: Command, answer: Answer) -> dict[str, Any]:
        """Return what the journal keeps of a command, so that its id is not executed again."""

    def counters(self) -> dict[str, int]:
        """sessions, commands, refused, published, dropped, queue depths."""

    def close(self) -> None:
        """Send what is on its way, stop the thread, remove the sockets."""
