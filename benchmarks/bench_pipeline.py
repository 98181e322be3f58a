"""Bars and orders through the whole pipeline, against a C event loop and a bare callback."""

from collections import deque
from collections.abc import Callable
from typing import Any

import mmats.backtest
from benchmarks.bars import bar_events, bar_prices, ema_bars
from benchmarks.budget import note
from benchmarks.compiled import module
from benchmarks.native import event_loop
from benchmarks.ours import CONFIG, EmaCross, outcome, run_mmats
from benchmarks.ratio import Contender, interleave, ratio
from benchmarks.reference import Outcome
from benchmarks.wiring import RING_RECORDS, ring_replay
from mmats.model import Action, MarketData, Strategy, TradeResult, TradeSignal

BARS = 200_000
COUNT_FEW, COUNT_MANY = 10_000, 1_000_000
REPEATS_FEW = 20
ORDERS = 100_000
BUSY: dict[str, Any] = {
    **CONFIG,
    "risk": {name: limit for name, limit in CONFIG["risk"].items() if name != "message_rate_max"},
}


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


class EveryBar(Strategy):
    """Sends a signal at every bar, or builds none and only counts."""

    name = "ema"

    def __init__(self, is_trading: bool) -> None:
        self.is_trading = is_trading
        self.seen = self.heard = 0
        self.journal: Any = None

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        """Buy and sell in turn."""
        self.seen += 1
        if self.seen % (RING_RECORDS // 8) == 0:
            self.journal.take()
        if not self.is_trading:
            return None
        return TradeSignal(Action.BUY if self.seen & 1 else Action.SELL, data.symbol, 0.1)

    def on_signal_result(self, signal: TradeSignal | None, result: TradeResult) -> None:
        """Count what was filled."""
        self.heard += 1


def _busy(events: Any, is_trading: bool = True) -> Callable[[], tuple[Callable[[], None], Any]]:
    def prepare() -> tuple[Callable[[], None], Any]:
        strategy = EveryBar(is_trading)
        run, assembly = ring_replay(BUSY, strategy, events)
        strategy.journal = assembly.journal
        return run, strategy

    return prepare


def _ring(strategy: Callable[[], Any], events: Any) -> Callable[[], tuple[Callable[[], None], Any]]:
    return lambda: ring_replay(CONFIG, strategy(), events)


def _run(prepared: Any) -> Any:
    prepared[0]()
    return prepared[1]


def test_python_strategy() -> None:
    bars = ema_bars(BARS)
    events = bar_events(bars)
    objects = [_Bar(close) for close in bar_prices(bars)["close"].tolist()]
    callback = Contender("bare Python callback", lambda _: _callback(objects), BARS)
    python = Contender("pipeline, Python strategy", _run, BARS, _ring(EmaCross, events))
    interleave([callback, python])
    over = ratio(python, callback)
    note(
        "bars through the whole pipeline, Python EMA cross",
        "at least 5 M/s (200 ns)",
        f"{python.items_per_s / 1e6:.2f} M/s ({python.cpu_ns_per_item:.0f} ns)",
        python.items_per_s >= 5e6,
    )
    note(
        "the same over an identical bare Python callback",
        "at most 1.4 times",
        f"{over:.2f} times ({callback.cpu_ns_per_item:.0f} ns)",
        over <= 1.4,
    )
    assert over < 10


def test_compiled_strategy() -> None:
    bars = ema_bars(BARS)
    prices, events = bar_prices(bars), bar_events(bars)
    strategy = module("ema_compiled").EmaCompiled
    loop = Contender("C event loop", lambda _: event_loop(prices), BARS)
    ours = Contender(
        "pipeline, compiled strategy", _run, BARS, _ring(lambda: strategy("ema"), events)
    )
    interleave([loop, ours])
    over = ratio(ours, loop)
    note(
        "bars, compiled EMA cross",
        "at least 50 M/s (20 ns)",
        f"{ours.items_per_s / 1e6:.1f} M/s ({ours.cpu_ns_per_item:.1f} ns)",
        ours.items_per_s >= 50e6,
    )
    note(
        "the same over the C event loop",
        "at most 2.5 times",
        f"{over:.1f} times ({loop.cpu_ns_per_item:.1f} ns)",
        over <= 2.5,
    )
    assert over < 40


def test_engines_agree() -> None:
    """Orders and result of the C loop, the Python and the compiled strategy are the same."""
    bars = ema_bars(BARS)
    events = bar_events(bars)
    expected = event_loop(bar_prices(bars))
    orders, pnl, _ = run_mmats(events)
    compiled = module("ema_compiled").EmaCompiled("ema")
    report = mmats.backtest.run(CONFIG, {"BTCUSDT": events}, strategies={"ema": compiled})
    for found in (Outcome(orders, pnl), outcome(report)):
        assert found.orders == expected.orders
        # Fees are rounded up to 1e-8 an order.
        assert abs(found.pnl - expected.pnl) < 1e-6 + 2e-8 * expected.orders


def test_signal_to_fill() -> None:
    events = bar_events(ema_bars(ORDERS))
    quiet = Contender("no signals", _run, ORDERS, _busy(events, is_trading=False))
    trading = Contender("a signal a bar", _run, ORDERS, _busy(events))
    interleave([quiet, trading])
    cost_ns = trading.cpu_ns_per_item - quiet.cpu_ns_per_item
    note(
        "signal from Python to gate, acceptance, fill and result, with objects and journal ring",
        "at most 250 ns",
        f"{cost_ns:.0f} ns",
        cost_ns <= 250,
    )
    assert trading.outcome.heard == ORDERS  # type: ignore[attr-defined]


def _growth(what: str, make: Callable[[Any], Callable[[], Any]]) -> None:
    few_events = bar_events(ema_bars(COUNT_FEW))
    many_events = bar_events(ema_bars(COUNT_MANY))
    few = Contender(
        "few",
        lambda runs: [_run(prepared) for prepared in runs],  # type: ignore[attr-defined]
        COUNT_FEW * REPEATS_FEW,
        lambda: [make(few_events)() for _ in range(REPEATS_FEW)],
    )
    many = Contender("many", _run, COUNT_MANY, make(many_events))
    interleave([few, many])
    growth = ratio(many, few)
    note(
        f"cost per {what} at 1 M over that at 10 k",
        "at most 1.05 times",
        f"{growth:.2f} times ({few.cpu_ns_per_item:.1f} to {many.cpu_ns_per_item:.1f} ns)",
        growth <= 1.05,
    )
    assert growth < 2


def test_cost_per_bar_does_not_grow() -> None:
    strategy = module("ema_compiled").EmaCompiled
    _growth("bar", lambda events: _ring(lambda: strategy("ema"), events))


def test_cost_per_order_does_not_grow() -> None:
    _growth("order", _busy)
