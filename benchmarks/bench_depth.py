"""Order book events: the venue's book, our book, order latency, queue, a strategy at each event."""

from typing import Any

import pytest

from benchmarks.book_events import BOOK_CONFIG, SNAPSHOT_ROWS, book_rows
from benchmarks.budget import note
from benchmarks.compiled import module
from benchmarks.ratio import Contender, interleave
from benchmarks.wiring import ring_replay

ROWS = 500_000
PER_S_MIN = 12e6  # hftbacktest's ROIVector depth on this kind of data, one event at a time


def test_book_events() -> None:
    rows = book_rows(ROWS)
    strategies = []

    def prepare() -> Any:
        strategies.append(module("book_compiled").BookCross("ema"))
        return ring_replay(BOOK_CONFIG, strategies[-1], rows)

    def run(prepared: Any) -> int:
        start, assembly = prepared
        start()
        return int(assembly.venue.fill_count)

    events = Contender("book events", run, ROWS, prepare)
    interleave([events])
    note(
        "order book events: two books, queue and latency model, compiled strategy at each",
        "more than 12 M/s (hftbacktest, ROIVector; see bench-peers)",
        f"{events.items_per_s / 1e6:.1f} M/s ({events.cpu_ns_per_item:.0f} ns, "
        f"{events.outcome} fills in {ROWS:,})",
        events.items_per_s > PER_S_MIN,
    )
    assert strategies[-1].update_count == pytest.approx(ROWS - SNAPSHOT_ROWS, abs=2)
    assert isinstance(events.outcome, int)
    assert events.outcome > ROWS / 1000
