"""A replay of arrays in memory through the pipeline, wired as `mmats.backtest.run` does."""

from collections.abc import Callable, Mapping
from typing import Any

from mmats._core import Replay, RingJournal
from mmats.config import load_config
from mmats.engine.assembly import assemble
from mmats.engine.simulation import simulated_venue

RING_RECORDS = 32_768


def ring_replay(
    config: Mapping[str, Any], strategy: Any, events: Any
) -> tuple[Callable[[], None], Any]:
    """Return a run and its assembly; the journal is a ring that a reader empties on the way.

    Raises
    ------
    JournalFull
        More than `RING_RECORDS` records within 65,536 events.
    """
    checked = load_config(config)
    journal = RingJournal(RING_RECORDS)
    assembly = assemble(
        checked,
        [(checked.strategies[0], strategy)],
        lambda *parts: simulated_venue(checked, *parts),
        journal=journal,
    )
    fill = checked.fill
    replay = Replay(assembly.pipeline, assembly.venue, fill.feed_latency.ns, 0, 1)
    replay.add_source(0, [events])

    def run() -> None:
        replay.run(lambda events, ts_ns: journal.take())

    return run, assembly
