"""What has come of a numbered stream of messages: gaps, duplicates, sessions."""

import time
from collections import deque
from typing import Any

_SESSIONS_KEPT = 16


class Track:
    """One sender's stream. Its numbers count up by one from 1 in a session; a new one starts anew.

    A session that another one has followed is over: what still comes of it from a dead process's
    pipe is dropped.
    """

    __slots__ = (
        "_past",
        "duplicates",
        "gaps",
        "last_recv_monotonic_ns",
        "lost",
        "sequence",
        "session",
        "superseded",
    )

    def __init__(self) -> None:
        self.session = 0
        self.sequence = 0
        self.gaps = 0
        self.lost = 0
        self.duplicates = 0
        self.superseded = 0
        self.last_recv_monotonic_ns = 0
        self._past: deque[int] = deque(maxlen=_SESSIONS_KEPT)

    def accept(self, session: int, sequence: int) -> bool:
        """Count a message; False where it came before, or is of a session that is over."""
        if session != self.session:
            if session in self._past:
                self.superseded += 1
                return False
            self._past.append(self.session)
            self.session, self.sequence = session, 0
        elif sequence <= self.sequence:
            self.duplicates += 1
            return False
        missing = sequence - self.sequence - 1
        if missing:
            self.gaps += 1
            self.lost += missing
        self.sequence = sequence
        self.last_recv_monotonic_ns = time.monotonic_ns()
        return True

    def facts(self) -> dict[str, Any]:
        """All counters by name."""
        return {
            "session": self.session,
            "sequence": self.sequence,
            "gaps": self.gaps,
            "lost_frames": self.lost,
            "duplicates": self.duplicates,
            "superseded": self.superseded,
            "last_recv_monotonic_ns": self.last_recv_monotonic_ns,
        }
