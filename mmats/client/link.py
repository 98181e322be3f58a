"""Whether what a client shows is what the engine does: live, stale or lost."""

import math
from enum import StrEnum

LIVE_S = 1.0
STALE_S = 3.0


class Link(StrEnum):
    """State of the connection, judged by the engine's heartbeats."""

    LIVE = "live"  # a heartbeat within the last second
    STALE = "stale"  # none for more than a second: figures may be old
    LOST = "lost"  # none for more than three seconds: what the engine does is not known


class LinkWatch:
    """Keeps the time of the last heartbeat of each channel; `now_s` is a monotonic clock."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def follow(self, channel: str) -> None:
        """Expect heartbeats on a channel."""
        self._beats.setdefault(channel, -math.inf)

    def beat(self, channel: str, now_s: float) -> None:
        """Note a heartbeat."""
        self._beats[channel] = now_s

    def age_s(self, now_s: float) -> float:
        """Seconds since the last heartbeat of the channel that is silent longest."""
        return now_s - min(self._beats.values(), default=-math.inf)

    def state(self, now_s: float) -> Link:
        """Judge the age of the heartbeats."""
        age_s = self.age_s(now_s)
        if age_s <= LIVE_S:
            return Link.LIVE
        return Link.STALE if age_s <= STALE_S else Link.LOST
