"""Bars through the whole pipeline, against the C event loop and against a bare Python callback."""

from collections import deque
from typing import Any

from benchmarks.bars import bar_events, bar_prices, ema_bars
from benchmarks.native import event_loop
from benchmarks.ours import EmaCross, run_mmats
from benchmarks.ratio import Contender, interleave, machine_facts, ratio, table
from benchmarks.reference import Outcome

BARS = 100_000
BARS_FEW, BARS_MANY = 20_000, 400_000


class _Bar:
    """What the strategy reads, and nothing else."""

    __slots__ = ("close", "symbol")

    def __init__(self, close: float) -> None:
        self.close = close
        self.symbol = "BTCUSDT"


def _callback(bars: list[_Bar]) -> None:
    """The strategy's method called from C for each bar, its answers thrown away."""
    strategy = EmaCross()
    strategy.initialize({})
    on_bar: Any = strategy.on_market_data
    deque(map(on_bar, bars), maxlen=0)


def test_pipeline_over_bare_callback() -> None:
    bars = ema_bars(BARS)
    prices, events = bar_prices(bars), bar_events(bars)
    objects = [_Bar(close) for close in prices["close"].tolist()]
    loop = Contender("C event loop", lambda _: event_loop(prices), BARS)
    callback = Contender("bare Python callback", lambda _: _callback(objects), BARS)
    pipeline = Contender("pipeline, Python strategy", lambda _: run_mmats(events)[:2], BARS)
    interleave([loop, callback, pipeline])
    print("\n", machine_facts())
    print(table([loop, callback, pipeline], callback))
    assert isinstance(loop.outcome, Outcome)
    assert pipeline.outcome[0] == loop.outcome.orders  # type: ignore[index]


def test_cost_per_bar_does_not_grow() -> None:
    few, many = bar_events(ema_bars(BARS_FEW)), bar_events(ema_bars(BARS_MANY))
    short = Contender("pipeline, few bars", lambda _: run_mmats(few), BARS_FEW)
    long = Contender("pipeline, many bars", lambda _: run_mmats(many), BARS_MANY)
    interleave([short, long])
    print()
    print(table([short, long], short))
    assert ratio(long, short) < 1.5
