"""A compressed day, and much more: engine and feed processes run on, and nothing creeps.

`MMATS_SOAK_MIN` is the length in minutes, 20 by default. Two made-up markets of one-minute bars go
on without end at SPEED times real time, so that 20 minutes are 100 days.
"""

import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.fakes.engines import Place, place

MINUTES = float(os.environ.get("MMATS_SOAK_MIN", "20"))
SPEED = 7_200
SAMPLE_S = 2.0
WARM_UP = 0.1
GROWTH_BYTES_MAX = 8 << 20  # over the whole run: far below a MiB per simulated hour
ENTRY_BYTES_CHANGE_MAX = 0.10  # upwards, from the first half to the second
COST_RATIO_MAX = 1.1
HOUR_NS = 3_600 * 10**9


class Sample(NamedTuple):
    """What one look at the engine found."""

    market_ns: int
    events: int
    rss_bytes: int
    fds: int
    threads: int
    cpu_s: float
    entries: int  # of the journal
    journal_bytes: int
    signals: int
    tick_to_signal_ns: int  # sum over the signals


def process_facts(pid: int) -> tuple[int, int, int, float]:
    """Resident bytes, file descriptors, threads and processor seconds."""
    folder = Path(f"/proc/{pid}")
    fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    rss = int(folder.joinpath("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return rss, len(os.listdir(folder / "fd")), int(fields[17]), cpu_s


def look(here: Place, pid: int, state: Any) -> Sample:
    timing = state["metrics"]["tick_to_signal_ns"]
    files = here.profile.journal_dir.glob("*.mdb")
    journal_bytes = sum(file.stat().st_blocks * 512 for file in files)
    rss, fds, threads, cpu_s = process_facts(pid)
    return Sample(
        max(value["ts_ns"] for key, value in state.items() if key.startswith("market:")),
        state["feed:0"]["events"],
        rss,
        fds,
        threads,
        cpu_s,
        state["journal"]["size"],
        journal_bytes,
        timing["count"],
        timing["sum_ns"],
    )


def rate(samples: list[Sample], over: str, by: str) -> float:
    """Median growth of one figure by another, from sample to sample."""
    values = np.array([(getattr(s, over), getattr(s, by)) for s in samples], float)
    steps = np.diff(values, axis=0)
    steps = steps[steps[:, 1] > 0]
    return float(np.median(steps[:, 0] / steps[:, 1]))


@pytest.mark.long
def test_nothing_creeps(capsys: pytest.CaptureFixture[str]) -> None:
    samples = []
    with place(speed=f"{SPEED}x") as here:
        engine = here.start("engine")
        feed = here.start("feed", "--loop", "--quiet")
        with here.client() as client:
            assert client.wait_for(lambda m: "feed:0" in m and "metrics" in m, timeout_s=30)
            ends = time.monotonic() + MINUTES * 60
            while time.monotonic() < ends:
                time.sleep(SAMPLE_S)
                assert (engine.poll(), feed.poll()) == (None, None)
                samples.append(look(here, engine.pid, client.state))
    warm = samples[int(len(samples) * WARM_UP) :]
    tenth = max(3, len(warm) // 10)
    first, last = warm[:tenth], warm[-tenth:]
    hours = (warm[-1].market_ns - warm[0].market_ns) / HOUR_NS
    growth = np.median([s.rss_bytes for s in last]) - np.median([s.rss_bytes for s in first])
    marks = [warm[0], warm[len(warm) // 2], warm[-1]]
    per_entry = [
        (end.journal_bytes - start.journal_bytes) / (end.entries - start.entries)
        for start, end in pairwise(marks)
    ]
    cost = rate(last, "cpu_s", "events") / rate(first, "cpu_s", "events")
    latency = [rate(some, "tick_to_signal_ns", "signals") / 1e3 for some in (first, last)]
    told = (
        f"{hours:.0f} h, {warm[-1].events:,} events, {warm[-1].signals:,} decisions, "
        f"{warm[-1].entries:,} entries of {per_entry[0]:.0f} and {per_entry[1]:.0f} bytes; "
        f"memory {growth / 2**20:+.2f} MiB; descriptors {warm[0].fds} to {warm[-1].fds}, threads "
        f"{warm[0].threads} to {warm[-1].threads}; processor time of an event {cost:.2f} times the "
        f"first tenth's; tick to signal {latency[0]:.0f} and {latency[1]:.0f} us; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")
    assert hours > 24 * MINUTES / 20
    assert growth <= GROWTH_BYTES_MAX
    assert max(s.fds for s in warm) <= warm[0].fds + 1  # the one that counts them
    assert {s.threads for s in warm} == {warm[0].threads}
    assert per_entry[1] <= per_entry[0] * (1 + ENTRY_BYTES_CHANGE_MAX)
    assert cost <= COST_RATIO_MAX
