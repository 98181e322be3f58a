"""The C event loop against the bare strategy, in C and in Python: the floor under every budget."""

from benchmarks.bars import bar_prices, ema_bars
from benchmarks.native import closes_loop, event_loop
from benchmarks.ratio import Contender, interleave, ratio
from benchmarks.reference import ema_cross

BARS = 200_000


def test_event_loop_over_bare_strategy() -> None:
    bars = bar_prices(ema_bars(BARS))
    closes = bars["close"].copy()
    listed = closes.tolist()
    bare = Contender("C, averages and position only", lambda _: closes_loop(closes), BARS)
    loop = Contender("C event loop", lambda _: event_loop(bars), BARS)
    python = Contender("Python, averages and position only", lambda _: ema_cross(listed), BARS)
    interleave([bare, loop, python])
    assert bare.outcome == python.outcome
    assert ratio(python, loop) > 1
