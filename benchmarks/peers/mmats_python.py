"""The EMA cross through the whole pipeline of this project, with the strategy in Python."""

from collections.abc import Callable
from typing import Any

import mmats.backtest
from benchmarks.bars import bar_events, bar_ticks
from benchmarks.ours import CONFIG, SYMBOL, outcome
from benchmarks.reference import Outcome

NAME = "mmats, Python strategy"
LACKS = "(reading the configuration and wiring the pipeline are in the time)"


def prepare(bars: Any) -> Callable[[], Callable[[], Outcome]]:
    """The bars as events; what the report says is read after the run."""
    data = {SYMBOL: bar_events(bar_ticks(bars))}

    def run() -> Callable[[], Outcome]:
        report = mmats.backtest.run(CONFIG, data)
        return lambda: outcome(report)

    return run
