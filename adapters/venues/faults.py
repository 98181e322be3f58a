"""What goes wrong between a venue and us, on purpose and from a seed."""

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats.model.errors import ConfigError

Reports = NDArray[Any]


class Fault(StrEnum):
    """What becomes of one message."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    REORDER = "reorder"  # it arrives after the next one
    DELAY = "delay"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How often what goes wrong. Shares are of all messages, 0 to 1, and exclude each other.

    A message holds what the venue says at one moment, such as all fills of an answer. With
    `each_report` every report is a message of its own: a fill may be lost and the end that follows
    it arrive.
    """

    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    reject_cancels: float = 0.0  # of cancels: refused although the order is open
    delay_ns_max: int = 50_000_000  # uniform from 0; a reordered report waits no longer than that
    each_report: bool = False
    script: Mapping[int, Fault] = field(default_factory=dict)  # by number of the message, from 1
    seed: int = 1

    def __post_init__(self) -> None:
        shares = (self.lose, self.duplicate, self.reorder, self.delay)
        if min(*shares, self.reject_cancels) < 0 or max(sum(shares), self.reject_cancels) > 1:
            raise ConfigError("shares of faults lie between 0 and 1, all together too", "faults")
        if self.delay_ns_max < 0:
            raise ConfigError(f"a delay of {self.delay_ns_max} ns", "faults")


class FaultyLine:
    """A line that reports take, with the faults of a plan.

    Single writer; `now_ns` is a monotonic time of the caller. The same reports in the same order
    meet the same faults.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._count = 0
        self._held: Reports | None = None  # waits for the next one, to come after it
        self._held_until_ns = 0
        self._ready: list[Reports] = []
        self._delayed: list[tuple[int, int, Reports]] = []
        self.counters = dict.fromkeys(
            ["sent", *(fault.value for fault in Fault), "refused_cancels"], 0
        )

    def put(self, reports: Reports, now_ns: int) -> None:
        """Let the reports of one message leave, in order."""
        size = 1 if self._plan.each_report else len(reports)
        for start in range(0, len(reports), size):
            self._put_one(reports[start : start + size], now_ns)

    def take(self, now_ns: int) -> Reports | None:
        """Take what arrives by now; None where nothing does."""
        if self._held is not None and self._held_until_ns <= now_ns:
            self._release()
        while self._delayed and self._delayed[0][0] <= now_ns:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready:
            return None
        taken = np.concatenate(self._ready) if len(self._ready) > 1 else self._ready[0]
        self._ready = []
        return taken

    def next_ns(self) -> int | None:
        """When something that is held back arrives; None where nothing is."""
        times = [self._delayed[0][0]] if self._delayed else []
        if self._held is not None:
            times.append(self._held_until_ns)
        return min(times, default=None)

    def refuses_cancel(self) -> bool:
        """Say of one cancel whether the venue refuses it."""
        refused = self._plan.reject_cancels > 0 and (
            self._random.random() < self._plan.reject_cancels
        )
        self.counters["refused_cancels"] += refused
        return refused

    def _put_one(self, message: Reports, now_ns: int) -> None:
        self._count += 1
        fault = self._plan.script.get(self._count) or self._drawn()
        if fault is not None:
            self.counters[fault.value] += 1
        if fault is Fault.LOSE:
            return
        self.counters["sent"] += 1
        if fault is Fault.DELAY:
            due_ns = now_ns + self._random.randint(0, self._plan.delay_ns_max)
            heapq.heappush(self._delayed, (due_ns, self._count, message))
            return
        if fault is Fault.REORDER and self._held is None:
            self._held, self._held_until_ns = message, now_ns + self._plan.delay_ns_max
            return
        self._ready.append(message)
        if fault is Fault.DUPLICATE:
            self.counters["sent"] += 1
            self._ready.append(message)
        if self._held is not None:
            self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._ready.append(self._held)
            self._held = None

    def _drawn(self) -> Fault | None:
        drawn = self._random.random()
        for fault, share in self._shares():
            if drawn < share:
                return fault
            drawn -= share
        return None

    def _shares(self) -> Iterator[tuple[Fault, float]]:
        plan = self._plan
        yield Fault.LOSE, plan.lose
        yield Fault.DUPLICATE, plan.duplicate
        yield Fault.REORDER, plan.reorder
        yield Fault.DELAY, plan.delay
