"""What the audit record is to say about commands and refusals, on its way to the trading thread."""

from collections import deque
from typing import Any

from adapters.bus.control_sessions import Bucket
from mmats.ports.clock import IClock

AuditNote = tuple[str, dict[str, Any]]
"""Kind (control.command, control.refused, ...) and facts; never a token or a passphrase."""

_SHARE_OF_REFUSALS = 2  # of the queue: refusals leave room for commands


class AuditQueue:
    """Bounded notes; refusals are bounded in rate too, and those left out are counted.

    `note` and `refuse` are the control thread's, `take` is the trading thread's.
    """

    def __init__(self, queued_max: int, refusals_per_s: int, clock: IClock) -> None:
        self._queued_max = queued_max
        self._clock = clock
        self._rate = Bucket(refusals_per_s, clock.monotonic_ns())
        self._queue: deque[AuditNote] = deque()
        self._left_out = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._queue)

    def note(self, kind: str, facts: dict[str, Any]) -> None:
        """Note what was done."""
        if len(self._queue) >= self._queued_max:
            self.lost += 1
            return
        self._queue.append((kind, facts))

    def refuse(self, kind: str, facts: dict[str, Any]) -> None:
        """Note what was refused, unless there are too many of these."""
        full = len(self._queue) >= self._queued_max // _SHARE_OF_REFUSALS
        if full or not self._rate.take(self._clock.monotonic_ns()):
            self._left_out += 1
            self.lost += 1
            return
        if self._left_out:
            facts = {**facts, "left_out_before": self._left_out}
            self._left_out = 0
        self._queue.append((kind, facts))

    def take(self, notes_max: int) -> list[AuditNote]:
        """Take notes, oldest first."""
        taken: list[AuditNote] = []
        while self._queue and len(taken) < notes_max:
            taken.append(self._queue.popleft())
        return taken
