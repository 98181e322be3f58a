"""Journals keep every record in order, and never lose one."""

from typing import Any

import numpy as np
import pytest

from mmats._core import JournalFull, MemoryJournal, Replay, RingJournal
from mmats._core.frames import RECORD_DTYPE
from mmats.backtest.sources import open_feed
from mmats.config import load_config
from mmats.engine.assembly import assemble
from mmats.engine.simulation import simulated_venue
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script, bars, config


def replay(journal: Any, signals: int = 3, each: Any = None) -> None:
    """Run a strategy that buys on each of the first bars, into a journal of ours."""
    checked = load_config(config())
    script = Script({k: TradeSignal("BUY", SYMBOL, 1) for k in range(signals)}, each)
    built = assemble(
        checked, [(checked.strategies[0], script)],
        lambda catalogue, ledger, count: simulated_venue(checked, catalogue, ledger, count),
        journal,
    )  # fmt: skip
    runner = Replay(built.pipeline, built.venue)
    data = {SYMBOL: bars([100.0] * (signals + 3))}
    runner.add_source(0, open_feed(checked, checked.feeds[0], 0, data))
    runner.run()


def test_an_empty_journal_is_an_empty_array() -> None:
    journal = MemoryJournal()
    assert journal.record_count == 0
    assert journal.to_array().dtype == RECORD_DTYPE
    assert len(journal.to_array()) == 0


def test_ring_and_memory_keep_and_hash_the_same() -> None:
    memory, ring = MemoryJournal(), RingJournal(64)
    replay(memory)
    taken: list[Any] = []
    replay(ring, each=lambda script, data: taken.append(ring.take()))
    taken.append(ring.take())
    rows = np.concatenate(taken)
    assert ring.record_count == memory.record_count == len(rows) > 8
    assert rows.tobytes() == memory.to_array().tobytes()
    assert ring.state_hash == memory.state_hash != MemoryJournal().state_hash
    assert len(ring.take()) == 0


def test_the_hash_depends_on_every_record() -> None:
    one, two = MemoryJournal(), MemoryJournal()
    replay(one, 3)
    replay(two, 4)
    assert one.state_hash != two.state_hash


def test_a_full_ring_stops_the_run() -> None:
    with pytest.raises(JournalFull, match="4 records wait"):
        replay(RingJournal(4))
    for capacity in (0, -1):
        with pytest.raises(ValueError, match="at least one record"):
            RingJournal(capacity)


def test_records_are_read_only_and_hold_the_journal() -> None:
    journal = MemoryJournal()
    replay(journal)
    rows = journal.to_array()
    assert len(rows) == journal.record_count
    with pytest.raises(ValueError, match="read-only"):
        rows["lots"] = 0


def test_a_journal_that_is_being_read_does_not_move() -> None:
    journal = MemoryJournal()
    replay(journal, 3)
    rows = journal.to_array()
    with pytest.raises(BufferError, match="being read"):
        replay(journal, 1000)
    kept = len(rows)
    del rows
    replay(journal, 1000)
    assert journal.record_count > kept
