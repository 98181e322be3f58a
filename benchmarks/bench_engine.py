"""A tick on the engine's socket to an order on the venue's, beside a bare ZeroMQ echo.

The engine is the real one in a process of its own, with control plane, publishing and logs. Its
ticks are order book updates, one a frame; a strategy in Python sees each and answers one in fifty
with a market order, which the venue fills. The echo answers the same ticks.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.budget import note
from benchmarks.engine_rounds import RATE, Echo, Market, Times, child, pattern
from mmats.model.profile import Profile

ROUNDS = 5
P50_MAX, P99_MAX = 1.1, 1.2  # over the echo
SYNCS = 500
SYNC_BYTES = 4096  # of the few pages and records of one commit


class Quantiles(NamedTuple):
    """Of one round, us."""

    p50: float
    p99: float

    @classmethod
    def of(cls, times: Times) -> "Quantiles":
        """The two figures of a round."""
        p50, p99 = np.percentile(times, [50, 99]) / 1e3
        return cls(float(p50), float(p99))


@pytest.fixture
def profile() -> Iterator[Profile]:
    home = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    made = Profile.of("dev", home)
    made.create()
    yield made
    shutil.rmtree(home)


def test_tick_to_order(profile: Profile) -> None:
    echo = Echo(profile)
    market = Market(profile)
    rounds: list[tuple[Quantiles, Quantiles]] = []
    with child("echo", profile), child("memory", profile):
        market.begin()
        for turn in range(ROUNDS + 1):
            answered = pattern(turn)
            both = Quantiles.of(echo.round(answered)), Quantiles.of(market.round(answered))
            if turn > 0:
                rounds.append(both)
        echo.close()
    market.close()
    figures = np.array(rounds)
    p50, p99 = np.median(figures[:, 1] / figures[:, 0], axis=0)
    bare, ours = np.median(figures, axis=0)
    note(
        f"tick in, order out of the whole engine at {RATE:,} ticks/s without a disk, over a bare "
        "ZeroMQ echo",
        f"p50 at most {P50_MAX} times, p99 at most {P99_MAX} times",
        f"{p50:.2f} and {p99:.2f} times ({ours[0]:.0f} / {ours[1]:.0f} us against {bare[0]:.0f} / "
        f"{bare[1]:.0f} us; load {os.getloadavg()[0]:.1f})",
        bool(p50 <= P50_MAX and p99 <= P99_MAX),
    )
    assert p50 < 50 * P50_MAX


def synced(folder: Path) -> NDArray[np.int64]:
    """Nanoseconds that append and fdatasync take."""
    taken = []
    handle = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for _ in range(SYNCS):
        start = time.perf_counter_ns()
        os.write(handle, bytes(SYNC_BYTES))
        os.fdatasync(handle)
        taken.append(time.perf_counter_ns() - start)
    os.close(handle)
    return np.array(taken, np.int64)


def test_tick_to_order_with_the_journal(profile: Profile) -> None:
    market = Market(profile)
    rounds: list[tuple[Quantiles, Quantiles]] = []
    with child("durable", profile):
        market.begin()
        for turn in range(ROUNDS + 1):
            disk = Quantiles.of(synced(profile.journal_dir))
            if turn > 0:
                rounds.append((disk, Quantiles.of(market.round(pattern(turn)))))
    market.close()
    disk, ours = np.median(np.array(rounds), axis=0)
    note(
        f"the same with the durable journal, beside append and fdatasync of {SYNC_BYTES} bytes",
        "none: it is the disk's",
        f"p50 {ours[0] / 1e3:.2f} ms, p99 {ours[1] / 1e3:.2f} ms (disk {disk[0] / 1e3:.2f} and "
        f"{disk[1] / 1e3:.2f} ms; load {os.getloadavg()[0]:.1f})",
        True,
    )
    assert ours[0] > disk[0] / 10
