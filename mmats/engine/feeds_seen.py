"""What the trading thread knows of each feed: alive, silent, stale or ended, its gaps, its lag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmats.ports.bus import FeedFrame, FrameKind


@dataclass(slots=True)
class _Feed:
    session: int = 0
    sequence: int = 0
    state: str = "waiting"
    seen_ns: int = 0
    frames: int = 0
    events: int = 0
    lag_ns: int = 0


class FeedsSeen:
    """Follows the state of each feed; tells where the order of its events has a break.

    Parameters
    ----------
    timeout_ns : silence after which a feed counts as lost
    """

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._feeds: dict[int, _Feed] = {}

    def take(self, frame: FeedFrame, now_ns: int, wall_ns: int) -> str:
        """Take note of a frame; returns how it breaks with what came before, mostly nothing.

        Parameters
        ----------
        now_ns : monotonic
        wall_ns : UTC, to compare with the time at which the frame left the feed
        """
        feed = self._feeds.setdefault(frame.feed, _Feed())
        problem = ""
        if frame.session != feed.session:
            problem = f"session {frame.session:x} begins"
            feed.session = frame.session
        elif frame.sequence != feed.sequence + 1:
            problem = f"{frame.sequence - feed.sequence - 1} frames are missing"
        feed.sequence = frame.sequence
        feed.seen_ns = now_ns
        feed.frames += 1
        feed.events += len(frame.events)
        feed.lag_ns = max(0, wall_ns - frame.sent_ns)
        state = {FrameKind.END: "ended", FrameKind.STALE: "stale"}.get(frame.kind)
        if state is None:
            is_idle = frame.kind is FrameKind.HEARTBEAT
            state = "stale" if is_idle and feed.state == "stale" else "live"
        if state != feed.state:
            problem = ", ".join(filter(None, [problem, f"{feed.state} -> {state}"]))
            feed.state = state
        return problem

    def lost(self, now_ns: int) -> list[int]:
        """Return the feeds that have just become silent."""
        found = []
        for index, feed in self._feeds.items():
            if feed.state == "live" and now_ns - feed.seen_ns > self._timeout_ns:
                feed.state = "lost"
                found.append(index)
        return found

    @property
    def ended(self) -> bool:
        """Every feed that was ever there has said that it has no more data."""
        return bool(self._feeds) and all(feed.state == "ended" for feed in self._feeds.values())

    def state(self, tracks: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return `feed:N` keys of the published state; `tracks` is what the bus counted of each."""
        return {
            f"feed:{index}": {
                "state": feed.state,
                "frames": feed.frames,
                "events": feed.events,
                "gaps": tracks.get(index, {}).get("gaps", 0),
                "lag_ms": round(feed.lag_ns / 1e6, 1),
            }
            for index, feed in self._feeds.items()
        }
