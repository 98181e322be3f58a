"""Order book updates and quotes through the whole engine, as fast as a feed process sends them."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.bench_bus import bare_rate
from benchmarks.budget import note
from benchmarks.engine_flood import BATCH
from benchmarks.engine_rounds import child
from benchmarks.native import HERE
from mmats.client import Client
from mmats.engine.users import ensure_users
from mmats.model.profile import Profile

SECONDS = 12.0
SAMPLE_S = 0.25
TICKS_PER_S_MIN = 1_000_000
EVENT_BYTES = 64
GROWTH_BYTES_MAX = 4 << 20  # over the second half of a run of some ten million ticks


class Flood(NamedTuple):
    """What a run gave."""

    sent: int
    state: dict[str, int]  # of the feed, as the engine told it in the end
    refused: int
    ticks_per_s: float
    rss_bytes: list[int]


@pytest.fixture
def profile() -> Iterator[Profile]:
    home = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    made = Profile.of("dev", home)
    made.create()
    ensure_users(made, lambda text: None)
    yield made
    shutil.rmtree(home)


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def flooded(profile: Profile) -> Flood:
    """Run a feed against an engine until it has sent, and the engine has taken, everything."""
    command = [sys.executable, "-m", "benchmarks.engine_flood", str(profile.root.parent)]
    rss: list[int] = []
    with (
        child("memory", profile, "advisory") as engine,
        Client.connect(profile, role="trader", wait=True, timeout_s=20) as client,
        subprocess.Popen(
            [*command, str(SECONDS)], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
        ) as feed,
    ):
        assert client.wait_for(lambda mirror: mirror.get("feed:0") is not None, timeout_s=20)
        marks = []

        def ended() -> bool:
            told = client.state.get("feed:0", {})
            marks.append((time.monotonic(), told.get("events", 0)))
            return bool(told.get("state") == "ended")

        while not ended():
            rss.append(resident(engine.pid))
            assert feed.poll() in (None, 0)
            time.sleep(SAMPLE_S)
        assert feed.stdout is not None
        sent = int(feed.stdout.readline())
        (t0, n0), (t1, n1) = marks[len(marks) // 5], marks[-2]
        refused = client.state["intake"]["refused"]
        return Flood(sent, client.state["feed:0"], refused, (n1 - n0) / (t1 - t0), rss)


def test_flood(profile: Profile) -> None:
    bare_before = bare_rate(profile)
    flood = flooded(profile)
    bare = statistics.mean((bare_before, bare_rate(profile)))
    half = len(flood.rss_bytes) // 2
    growth = np.median(flood.rss_bytes[-4:]) - np.median(flood.rss_bytes[half : half + 4])
    is_whole = flood.state["events"] == flood.sent and not flood.state["gaps"] and not flood.refused
    note(
        f"order book updates and quotes through the whole engine, in frames of {BATCH}, none lost",
        f"at least {TICKS_PER_S_MIN / 1e6:.0f} M/s, memory flat",
        f"{flood.ticks_per_s / 1e6:.2f} M/s, {flood.ticks_per_s * EVENT_BYTES / bare:.2f} of the "
        f"bytes of bare PUSH/PULL; {growth / 2**20:+.1f} MiB over the second half "
        f"({flood.sent / 1e6:.0f} M ticks; load {os.getloadavg()[0]:.1f})",
        bool(is_whole and flood.ticks_per_s >= TICKS_PER_S_MIN and growth <= GROWTH_BYTES_MAX),
    )
    assert is_whole
    assert growth < 10 * GROWTH_BYTES_MAX
