"""The journal beside a plain file: commits of groups, and the check of all of it.

``pytest benchmarks/bench_journal.py``. The reference appends the same records to a file and calls
fdatasync; each round does one after the other on the same disk, and the figure that counts is the
ratio of the medians. What a sync takes belongs to the disk, not to the journal.
"""

import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.journal.chain import RECORD_SIZE
from adapters.journal.store import open_journal
from adapters.journal.verify import check
from adapters.journal.writer import JournalWriter
from benchmarks.budget import note
from mmats.ports.journal import Genesis, Group

GENESIS = Genesis("dev", "USD benchmark", 1)
GROUP_RECORDS = 100
ROUNDS = 300
RECORDS_PER_S_MIN = 100_000
RATIO_MAX = 8.0
IMAGE_SIZE = 32 * 1024  # bytes
PAGES_CHANGED = 4  # of the state image, by each group
VERIFIED = 200_000
VERIFIED_PER_S_MIN = 500_000


class Committer:
    """Commits one group after the other and waits for each, as an engine under load does."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer
        self._done = threading.Event()
        self._image = bytearray(np.random.default_rng(1).bytes(IMAGE_SIZE))
        self._number = 0
        writer.on_done(self._done.set)

    def commit(self, records: bytes) -> int:
        """Commit a group with a changed state; returns the time in ns until it was durable."""
        self._number += 1
        for page in range(PAGES_CHANGED):
            at = (self._number * 7 + page * 9) * 1024 % IMAGE_SIZE
            self._image[at] ^= 0xFF
        group = Group(self._number, self._number, records, image=bytes(self._image))
        start_ns = time.perf_counter_ns()
        self._writer.submit(group)
        while self._writer.committed < self._number:
            assert self._writer.failure is None
            self._done.wait()
            self._done.clear()
        return time.perf_counter_ns() - start_ns


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[JournalWriter]:
    opened, _ = open_journal(tmp_path / "journal", GENESIS, run="benchmark")
    yield opened
    opened.close()


def append_ns(file: int, data: bytes) -> int:
    """Append to a file and sync it; returns the time in ns."""
    start_ns = time.perf_counter_ns()
    os.write(file, data)
    os.fdatasync(file)
    return time.perf_counter_ns() - start_ns


@pytest.mark.parametrize("count", [1, GROUP_RECORDS, 1000])
def test_commit_of_a_group(writer: JournalWriter, tmp_path: Path, count: int) -> None:
    records = np.random.default_rng(2).bytes(count * RECORD_SIZE)
    committer = Committer(writer)
    file = os.open(tmp_path / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ours_ns: list[int] = []
    plain_ns: list[int] = []
    for _ in range(ROUNDS):
        plain_ns.append(append_ns(file, records))
        ours_ns.append(committer.commit(records))
    os.close(file)
    ours, plain = statistics.median(ours_ns), statistics.median(plain_ns)
    p99 = sorted(ours_ns)[-ROUNDS // 100]
    per_s = count * ROUNDS / (sum(ours_ns) / 1e9)
    note(
        f"journal: commit of {count} records and {PAGES_CHANGED} pages of state, "
        "over append and fdatasync",
        f"at most {RATIO_MAX:.0f} times"
        + (f", {RECORDS_PER_S_MIN:,} records/s" if count == GROUP_RECORDS else ""),
        f"{ours / plain:.1f} times (p50 {ours / 1e6:.2f} ms, p99 {p99 / 1e6:.2f} ms; plain "
        f"{plain / 1e6:.2f} ms), {per_s:,.0f} records/s",
        ours / plain <= RATIO_MAX and (count != GROUP_RECORDS or per_s >= RECORDS_PER_S_MIN),
    )
    assert ours / plain <= 4 * RATIO_MAX


def test_check_of_a_journal(tmp_path: Path) -> None:
    writer, _ = open_journal(tmp_path / "journal", GENESIS, run="benchmark")
    committer = Committer(writer)
    records = np.random.default_rng(3).bytes(1000 * RECORD_SIZE)
    for _ in range(VERIFIED // 1000):
        committer.commit(records)
    writer.close()
    key = bytes.fromhex((tmp_path / "keys" / "journal.verify").read_text())
    times_s = []
    for _ in range(5):
        start_s = time.process_time()
        result = check(tmp_path / "journal", key=key)
        times_s.append(time.process_time() - start_s)
        assert result.findings == []
    per_s = result.size / statistics.median(times_s)
    note(
        "journal: check of every entry, hash and seal",
        f"at least {VERIFIED_PER_S_MIN:,} entries/s",
        f"{per_s:,.0f} entries/s",
        per_s >= VERIFIED_PER_S_MIN,
    )
    assert per_s > VERIFIED_PER_S_MIN / 10
