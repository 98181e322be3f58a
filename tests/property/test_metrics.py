"""Statistics against slow, obvious oracles, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmats.backtest.metrics import (
    RETURN_NOISE,
    curve_metrics,
    daily_returns,
    drawdowns,
    exposure_fraction,
    trade_metrics,
    underwater_longest_ns,
)
from tests.fakes import oracles_metrics as oracle

HOUR_NS = 3_600 * 10**9
START_NS = 1_698_796_800 * 10**9
INITIAL = 150 * 10**8

curves = st.lists(
    st.tuples(st.integers(1, 40), st.integers(INITIAL // 2, INITIAL * 2)), min_size=1, max_size=40
)
results = st.lists(st.integers(-(10**10), 10**10), max_size=60)


def unpack(curve: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    steps = np.cumsum([0] + [hours for hours, _ in curve[1:]])
    times = START_NS + HOUR_NS * steps.astype(np.int64)
    return times, np.array([value for _, value in curve], dtype=np.int64)


@given(curves)
def test_drawdown(curve: list[tuple[int, int]]) -> None:
    times, equity = unpack(curve)
    exact = oracle.max_drawdown(equity.tolist(), INITIAL)
    assert drawdowns(equity, INITIAL).max() == pytest.approx(float(exact), abs=1e-15)
    assert underwater_longest_ns(times, equity, INITIAL) == oracle.underwater_longest_ns(
        times.tolist(), equity.tolist(), INITIAL
    )


@given(curves)
def test_daily_returns_and_ratios(curve: list[tuple[int, int]]) -> None:
    times, equity = unpack(curve)
    expected = oracle.daily_returns(times.tolist(), equity.tolist(), INITIAL)
    returns = daily_returns(times, equity, INITIAL)
    assert returns.tolist() == pytest.approx(expected)
    assert np.prod(1 + returns) == pytest.approx(equity[-1] / INITIAL)
    found = curve_metrics(times, equity, INITIAL)
    if found["sharpe"] is not None and np.std(returns) > 1e3 * RETURN_NOISE:
        assert found["sharpe"] == pytest.approx(oracle.sharpe(expected))
    if found["sortino"] is not None and min(expected) < -1e3 * RETURN_NOISE:
        assert found["sortino"] == pytest.approx(oracle.sortino(expected))


@given(curves, st.integers(2, 50))
def test_more_capital_scales_money_and_no_ratio(
    curve: list[tuple[int, int]], times_as: int
) -> None:
    times, equity = unpack(curve)
    small = curve_metrics(times, equity, INITIAL)
    large = curve_metrics(times, equity * times_as, INITIAL * times_as)
    for key, value in small.items():
        if value is None:
            assert large[key] is None
        elif key in ("net_profit", "max_drawdown_money"):
            assert large[key] == pytest.approx(value * times_as)
        else:
            assert large[key] == pytest.approx(value)


@given(results)
def test_trade_statistics(pnl: list[int]) -> None:
    found = trade_metrics(np.array(pnl, dtype=np.int64))
    wins, losses = [p for p in pnl if p > 0], [p for p in pnl if p < 0]
    assert found["trades"] == len(pnl)
    assert found["win_rate"] == (len(wins) / len(pnl) if pnl else None)
    assert found["profit_factor"] == (sum(wins) / -sum(losses) if losses else None)
    assert found["win_streak"] == oracle.longest_run([p > 0 for p in pnl])
    assert found["loss_streak"] == oracle.longest_run([p < 0 for p in pnl])
    assert found["avg_trade"] == (
        pytest.approx(sum(pnl) / len(pnl) / 1e8, abs=1e-8) if pnl else None
    )
    if losses:
        average_win = sum(wins) / len(wins) if wins else 0.0
        average_loss = -sum(losses) / len(losses)
        by_rates = len(wins) / len(pnl) * average_win / average_loss - len(losses) / len(pnl)
        assert found["expectancy"] == pytest.approx(by_rates, rel=1e-12, abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12),
    st.integers(0, 20),
    st.integers(21, 60),
)
def test_exposure(spans: list[tuple[int, int]], start: int, end: int) -> None:
    intervals = [(begin, begin + length) for begin, length in spans]
    opened = np.array([begin for begin, _ in intervals], dtype=np.int64)
    closed = np.array([until for _, until in intervals], dtype=np.int64)
    found = exposure_fraction(opened, closed, start, end)
    assert found == pytest.approx(float(oracle.exposure(intervals, start, end)))
