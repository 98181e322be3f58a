"""The EMA cross through the whole pipeline of this project, with the strategy in Cython."""

from collections.abc import Callable
from typing import Any

import mmats.backtest
from benchmarks.bars import bar_events, bar_ticks
from benchmarks.compiled import module
from benchmarks.ours import CONFIG, SYMBOL, outcome
from benchmarks.reference import Outcome

NAME = "mmats, compiled strategy"
LACKS = "(reading the configuration and wiring the pipeline are in the time)"


def prepare(bars: Any) -> Callable[[], Callable[[], Outcome]]:
    """The bars as events; what the report says is read after the run."""
    data = {SYMBOL: bar_events(bar_ticks(bars))}
    strategy = module("ema_compiled").EmaCompiled("ema")

    def run() -> Callable[[], Outcome]:
        report = mmats.backtest.run(CONFIG, data, strategies={"ema": strategy})
        return lambda: outcome(report)

    return run
