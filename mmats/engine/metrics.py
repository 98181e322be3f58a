"""Counters, gauges and histograms of a process, and what is published of them."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from mmats.engine.histogram import Histogram

NAME = re.compile(r"[a-z][a-z0-9_]*")
Value = int | float | dict[str, int]


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, count: int = 1) -> None:
        """Count up."""
        self.value += count


class Metrics:
    """All figures of a process by name, with the unit last: `tick_to_order_ns`, `rss_bytes`.

    They belong to one thread, which takes a `sample` about once a second; the last sample is a
    plain dict that other threads (publisher, endpoint) may read. A `label` tells members of a
    family apart: `queue_depth` of `commands` and of `feed` is `queue_depth.commands` and so on.
    """

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Callable[[], int | float]] = {}
        self._histograms: dict[str, Histogram] = {}
        self.help: dict[str, str] = {}
        self.last: dict[str, Value] = {}
        """The last sample; replaced as a whole, never changed in place."""

    def counter(self, name: str, text: str, label: str = "") -> Counter:
        """Register a counter; `text` says what it counts."""
        return self._counters.setdefault(self._key(name, text, label), Counter())

    def gauge(self, name: str, text: str, read: Callable[[], int | float], label: str = "") -> None:
        """Register a figure that is read whenever a sample is taken."""
        self._gauges[self._key(name, text, label)] = read

    def histogram(self, name: str, text: str, label: str = "") -> Histogram:
        """Register durations; `name` ends in `_ns`."""
        return self._histograms.setdefault(self._key(name, text, label), Histogram())

    def kind(self, key: str) -> str:
        """Return counter, gauge or summary (of a histogram)."""
        if key in self._counters:
            return "counter"
        return "summary" if key in self._histograms else "gauge"

    def sample(self) -> dict[str, Value]:
        """Read everything, keep it as `last` and return it, in order of names.

        A counter or gauge is a number, a histogram {count, sum_ns, p50_ns, p90_ns, p99_ns, max_ns}
        since the start.
        """
        values: dict[str, Value] = {key: c.value for key, c in self._counters.items()}
        values.update((key, read()) for key, read in self._gauges.items())
        values.update((key, h.summary()) for key, h in self._histograms.items())
        self.last = dict(sorted(values.items()))
        return self.last

    def _key(self, name: str, text: str, label: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a metric")
        self.help[name] = text
        return f"{name}.{label}" if label else name


class EngineMetrics(Metrics):
    """What every engine measures, beside the queues that `watch_queue` adds."""

    def __init__(self) -> None:
        super().__init__()
        self.tick_to_signal = self.histogram("tick_to_signal_ns", "Frame taken to signal")
        self.tick_to_order = self.histogram("tick_to_order_ns", "Frame taken to order sent")
        self.journal_commit = self.histogram("journal_commit_ns", "Group handed over to durable")
        self.loop_lag = self.histogram("loop_lag_ns", "Round of the trading loop beyond its wait")
        add_process_gauges(self)

    def watch_queue(self, queue: str, depth: Callable[[], int]) -> None:
        """Publish how full a queue is as `queue_depth.QUEUE`."""
        self.gauge("queue_depth", "Items that wait", depth, queue)


def add_process_gauges(metrics: Metrics) -> None:
    """Register rss_bytes, open_fds and uptime_s; the first two where /proc tells them."""
    start_ns = time.monotonic_ns()
    metrics.gauge("uptime_s", "Time since start", lambda: (time.monotonic_ns() - start_ns) // 10**9)
    if Path("/proc/self/statm").exists():
        metrics.gauge("rss_bytes", "Resident memory", resident_bytes)
        metrics.gauge("open_fds", "Open file descriptors", open_fds)


def resident_bytes() -> int:
    """Resident memory of this process in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def open_fds() -> int:
    """File descriptors of this process, without the one that counts them."""
    return len(os.listdir("/proc/self/fd")) - 1


class SessionUptime:
    """Share of a market's session, so far, in which it could be traded.

    A session is a day of a market that never closes, or the hours between open and close.
    """

    def __init__(self) -> None:
        self._session = ""
        self._last_ns = 0
        self._total_ns = 0
        self._up_ns = 0
        self._was_up = False

    def observe(self, now_ns: int, session: str, up: bool) -> None:
        """Say which session it is (empty: closed), and whether the market can be traded.

        The time since the last call counts as that call told.
        """
        if session != self._session:
            self._session = session
            self._total_ns = self._up_ns = 0
        elif session:
            passed_ns = max(0, now_ns - self._last_ns)
            self._total_ns += passed_ns
            self._up_ns += passed_ns * self._was_up
        self._last_ns = now_ns
        self._was_up = up

    @property
    def share(self) -> float:
        """0 to 1; 1 before anything is known, and while the market is closed."""
        return self._up_ns / self._total_ns if self._total_ns else 1.0
