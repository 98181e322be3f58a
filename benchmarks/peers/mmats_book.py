"""An EMA cross at every book update through the whole pipeline, with the strategy in Cython."""

from collections.abc import Callable
from typing import Any

from benchmarks.book_events import BOOK_CONFIG
from benchmarks.compiled import module
from benchmarks.reference import Outcome
from benchmarks.wiring import ring_replay

NAME = "mmats, compiled strategy, L2"
LACKS = "journal kept in a ring"


def prepare(rows: Any) -> Callable[[], Outcome]:
    """A wired pipeline with the updates as its source."""
    start, assembly = ring_replay(BOOK_CONFIG, module("book_compiled").BookCross("ema"), rows)

    def run() -> Outcome:
        start()
        return Outcome(assembly.pipeline.signal_counts["ema"], 0.0)

    return run
