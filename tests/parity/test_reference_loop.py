"""The reference rules give the same trades in Python, in C and in two independent engines."""

import math
import warnings
from typing import Any

import pytest

from benchmarks.bars import bar_events, bar_prices, bar_ticks, ema_bars, quotes
from benchmarks.native import closes_loop, event_loop
from benchmarks.ours import run_mmats
from benchmarks.peers import backtesting_ema, backtrader_ema
from benchmarks.reference import SIZE, WARM_UP_BARS, ema_cross

BARS = 3_000


@pytest.fixture(scope="module")
def bars() -> Any:
    return ema_bars(BARS, seed=7)


def test_bars_are_well_formed(bars: Any) -> None:
    assert (bars["low_ticks"] > 0).all()
    assert (bars["low_ticks"] <= bars["open_ticks"]).all()
    assert (bars["low_ticks"] <= bars["close_ticks"]).all()
    assert (bars["high_ticks"] >= bars["open_ticks"]).all()
    assert (bars["high_ticks"] >= bars["close_ticks"]).all()
    assert (bars["ts_event_ns"][1:] > bars["ts_event_ns"][:-1]).all()


def test_the_seed_decides_the_bars(bars: Any) -> None:
    assert (ema_bars(BARS, seed=7) == bars).all()
    assert (ema_bars(BARS, seed=8) != bars).any()


def test_bars_as_events_keep_their_values(bars: Any) -> None:
    events = bar_events(bars, instrument=3)
    assert (events["close_ticks"] == bars["close_ticks"]).all()
    assert (events["ts_event_ns"] == bars["ts_event_ns"]).all()
    assert (events["instrument"] == 3).all()
    assert (bar_ticks(bar_prices(bars)) == bars).all()


def test_quotes_never_cross() -> None:
    made = quotes(1_000)
    assert (made["bid_ticks"] < made["ask_ticks"]).all()
    assert (made["ts_event_ns"][1:] > made["ts_event_ns"][:-1]).all()


def test_rules_on_a_market_that_turns_once() -> None:
    closes = [100.0 + k for k in range(WARM_UP_BARS + 10)] + [120.0 - k for k in range(30)]
    outcome = ema_cross(closes)
    assert outcome.orders == 2
    # Long at bar 20 (price 120), turned at the first bar whose fast average is below the slow one.
    turn = next(k for k in range(30, 60) if _fast_below_slow(closes[: k + 1]))
    first = SIZE * (closes[turn] - closes[WARM_UP_BARS])
    second = SIZE * (closes[turn] - closes[-1])
    fees = 1e-4 * SIZE * (closes[WARM_UP_BARS] + 2 * closes[turn])
    assert outcome.pnl == pytest.approx(first + second - fees, abs=1e-9)


def _fast_below_slow(closes: list[float]) -> bool:
    averages = []
    for period in (10, 20):
        weight = 2 / (period + 1)
        terms = [weight * (1 - weight) ** k * close for k, close in enumerate(reversed(closes))]
        averages.append(sum(terms) + (1 - weight) ** len(closes) * closes[0])
    return averages[0] < averages[1]


def test_c_gives_the_same_as_python(bars: Any) -> None:
    prices = bar_prices(bars)
    expected = ema_cross(prices["close"].tolist())
    assert expected.orders > 50
    assert closes_loop(prices["close"]) == expected
    loop = event_loop(prices)
    assert loop.orders == expected.orders
    assert loop.pnl == pytest.approx(expected.pnl, abs=1e-6)


@pytest.mark.parametrize("engine", [backtesting_ema, backtrader_ema], ids=lambda e: e.NAME)
def test_independent_engines_agree(engine: Any, bars: Any) -> None:
    prices = bar_prices(bars)
    expected = ema_cross(prices["close"].tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = engine.prepare(prices)()
    assert outcome.orders == expected.orders
    assert math.isclose(outcome.pnl, expected.pnl, abs_tol=0.005)


def test_the_whole_pipeline_agrees_to_the_cent(bars: Any) -> None:
    expected = ema_cross(bar_prices(bars)["close"].tolist())
    orders, pnl, _ = run_mmats(bar_events(bars))
    assert orders == expected.orders
    assert math.isclose(pnl, expected.pnl, abs_tol=0.005)


def test_an_empty_run_is_refused(bars: Any) -> None:
    with pytest.raises(ValueError, match="no bars"):
        event_loop(bar_prices(bars[:0]))
    with pytest.raises(TypeError, match="are needed"):
        event_loop(bars)
