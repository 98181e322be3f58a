"""Contenders measured side by side: interleaved repetitions, medians and ratios.

Absolute figures drift by a quarter within minutes on a shared machine; two contenders that take
turns in one process drift together. So a budget is a ratio of medians of one run, never a time.
"""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

REPETITIONS_MIN = 5


@dataclass
class Contender:
    """Something to measure; `prepare` runs untimed before each `run` and feeds it."""

    name: str
    run: Callable[[object], object]
    items: int
    prepare: Callable[[], object] = lambda: None
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    outcome: object = None

    @property
    def cpu_s_median(self) -> float:
        """Median processor time of one repetition."""
        return statistics.median(self.cpu_s)

    @property
    def cpu_ns_per_item(self) -> float:
        """Median processor time of one item."""
        return self.cpu_s_median / self.items * 1e9

    @property
    def items_per_s(self) -> float:
        """Items in a second of processor time, from the median."""
        return self.items / self.cpu_s_median

    @property
    def spread(self) -> float:
        """Slowest over fastest repetition: how quiet the run was."""
        return max(self.cpu_s) / min(self.cpu_s)


def interleave(contenders: Sequence[Contender], repetitions: int = REPETITIONS_MIN) -> None:
    """Let the contenders take turns; the first round warms up and is dropped."""
    for turn in range(repetitions + 1):
        for contender in contenders:
            prepared = contender.prepare()
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            contender.outcome = contender.run(prepared)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn > 0:
                contender.cpu_s.append(cpu)
                contender.wall_s.append(wall)


def ratio(contender: Contender, base: Contender) -> float:
    """Processor time per item of the contender over that of the base; below 1 is faster."""
    return contender.cpu_ns_per_item / base.cpu_ns_per_item


def table(contenders: Sequence[Contender], base: Contender) -> str:
    """A Markdown table of the run, fastest first."""
    rows = [
        "| contender | items/s | ns/item | time over base | slowest/fastest |",
        "|---|---:|---:|---:|---:|",
    ]
    rows += [
        f"| {c.name} | {c.items_per_s:,.0f} | {c.cpu_ns_per_item:,.1f} | {ratio(c, base):,.2f} "
        f"| {c.spread:.2f} |"
        for c in sorted(contenders, key=lambda c: c.cpu_ns_per_item)
    ]
    return "\n".join(rows)


def machine_facts() -> dict[str, str]:
    """What a figure must be read with: processor, cores, system, Python, date."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
