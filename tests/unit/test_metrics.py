"""Statistics against cases small enough to compute by hand."""

import math

import numpy as np
import pytest

from mmats.backtest.metrics import (
    DAY_NS,
    annual_growth,
    curve_metrics,
    daily_returns,
    drawdowns,
    exposure_fraction,
    monthly_returns,
    trade_metrics,
    underwater_longest_ns,
)

UNIT = 10**8
START_NS = 1_698_796_800 * 10**9  # 2023-11-01T00:00Z


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def days(*counts: float) -> np.ndarray:
    return START_NS + (np.array(counts) * DAY_NS).astype(np.int64)


def test_daily_return_of_a_midnight_sample_belongs_to_the_day_it_closes() -> None:
    returns = daily_returns(days(0, 0.5, 1, 2), ints(100, 90, 110, 121) * UNIT, 100 * UNIT)
    assert returns == pytest.approx([0.10, 0.10])


def test_a_day_without_a_sample_has_no_return() -> None:
    returns = daily_returns(days(0, 1, 4), ints(100, 110, 99) * UNIT, 100 * UNIT)
    assert returns == pytest.approx([0.10, 0.0, 0.0, -0.10])


def test_returns_end_where_the_account_is_lost() -> None:
    returns = daily_returns(days(0, 1, 2, 3), ints(100, 0, 50, 60) * UNIT, 100 * UNIT)
    assert returns == pytest.approx([-1.0])


def test_ratios_of_three_known_days() -> None:
    # Returns +10 %, -10 %, +10 %: mean 1/30, sample deviation sqrt(4/300), downside 0.1/sqrt(3).
    found = curve_metrics(days(0, 1, 2, 3), ints(1000, 1100, 990, 1089) * UNIT, 1000 * UNIT)
    assert found["net_profit"] == 89.0
    assert found["total_return"] == pytest.approx(0.089)
    assert found["volatility"] == pytest.approx(math.sqrt(4 / 300 * 365))
    assert found["sharpe"] == pytest.approx((1 / 30) / math.sqrt(4 / 300) * math.sqrt(365))
    assert found["sortino"] == pytest.approx((1 / 30) / (0.1 / math.sqrt(3)) * math.sqrt(365))
    assert found["max_drawdown"] == pytest.approx(0.10)
    assert found["max_drawdown_money"] == 110.0
    assert found["recovery_factor"] == pytest.approx(89 / 110)
    growth = 1.089 ** (365 / 3) - 1
    assert found["cagr"] == pytest.approx(growth)
    assert found["calmar"] == pytest.approx(growth / 0.10)
    assert (found["best_day"], found["worst_day"]) == pytest.approx((0.10, -0.10))
    assert found["days"] == 3.0


def test_a_loss_from_the_start_is_a_drawdown_from_the_initial_capital() -> None:
    equity = ints(80, 90) * UNIT
    assert drawdowns(equity, 100 * UNIT) == pytest.approx([0.20, 0.10])
    assert underwater_longest_ns(days(0, 2), equity, 100 * UNIT) == 2 * DAY_NS


def test_drawdown_lasts_until_the_peak_is_reached_again() -> None:
    equity = ints(100, 120, 110, 115, 120, 119, 121) * UNIT
    assert underwater_longest_ns(days(0, 1, 2, 4, 7, 8, 9), equity, 100 * UNIT) == 6 * DAY_NS


def test_a_flat_curve_has_no_ratio() -> None:
    found = curve_metrics(days(0, 1, 2, 3), ints(100, 100, 100, 100) * UNIT, 100 * UNIT)
    assert found["volatility"] == 0.0
    assert [found[key] for key in ("sharpe", "sortino", "calmar", "recovery_factor")] == [None] * 4
    assert found["max_drawdown_duration_s"] == 0.0


def test_a_steady_gain_has_no_sharpe_from_rounding_noise() -> None:
    found = curve_metrics(days(0, 1, 2), ints(100, 110, 121) * UNIT, 100 * UNIT)
    assert found["sharpe"] is None
    assert found["sortino"] is None


def test_a_run_without_samples_has_no_figure() -> None:
    found = curve_metrics(ints(), ints(), 100 * UNIT)
    assert found["net_profit"] == 0.0
    assert found["max_drawdown"] == 0.0
    assert [found[key] for key in ("cagr", "volatility", "sharpe", "best_day")] == [None] * 4


@pytest.mark.parametrize(
    ("final", "span_ns", "expected"),
    [
        (121 * UNIT, 730 * DAY_NS, 0.10),
        (0, DAY_NS, -1.0),
        (-1, DAY_NS, None),
        (110 * UNIT, 0, None),
        (10**6 * UNIT, 60 * 10**9, None),  # growth without a finite number
    ],
)
def test_annual_growth(final: int, span_ns: int, expected: float | None) -> None:
    growth = annual_growth(100 * UNIT, final, span_ns)
    assert growth == (None if expected is None else pytest.approx(expected))


def test_monthly_returns_chain_to_the_total() -> None:
    times = days(0, 15, 30, 45, 61)
    months = monthly_returns(times, ints(100, 105, 110, 99, 121) * UNIT, 100 * UNIT)
    assert [(year, month) for year, month, _ in months] == [(2023, 11), (2023, 12)]
    assert [value for _, _, value in months] == pytest.approx([0.10, 0.10])


def test_trade_statistics_by_hand() -> None:
    found = trade_metrics(ints(3, 1, -2, -1, -1, 6, 0) * UNIT)
    assert found["trades"] == 7
    assert found["win_rate"] == pytest.approx(3 / 7)
    assert found["profit_factor"] == pytest.approx(10 / 4)
    assert found["avg_trade"] == pytest.approx(6 / 7, abs=1e-8)
    assert (found["avg_win"], found["avg_loss"]) == (3.33333333, -1.33333333)
    assert found["expectancy"] == pytest.approx((6 / 7) / (4 / 3))
    assert (found["best_trade"], found["worst_trade"]) == (6.0, -2.0)
    assert (found["win_streak"], found["loss_streak"]) == (2, 3)


def test_trades_needed_grows_with_the_square_of_noise_over_edge() -> None:
    # Mean 0.2, deviation 1.5 (in units): 6.1826 * (1.5 / 0.2)^2 = 347.8.
    noise = np.array([-1.5, 1.5] * 500) * math.sqrt(999 / 1000)
    pnl = np.rint((noise + 0.2) * UNIT).astype(np.int64)
    assert trade_metrics(pnl)["trades_needed"] == 348


def test_undefined_trade_statistics_are_none() -> None:
    nothing = trade_metrics(ints())
    assert nothing["trades"] == 0
    assert {nothing[key] for key in ("win_rate", "profit_factor", "avg_trade", "sqn")} == {None}
    winners = trade_metrics(ints(1, 2) * UNIT)
    assert winners["win_rate"] == 1.0
    assert (winners["profit_factor"], winners["expectancy"], winners["avg_loss"]) == (None,) * 3
    losers = trade_metrics(ints(-1, -2) * UNIT)
    assert losers["profit_factor"] == 0.0
    assert losers["trades_needed"] is None


def test_exposure_counts_overlapping_time_once() -> None:
    opened, closed = ints(10, 15, 50, 95), ints(20, 30, 60, 200)
    assert exposure_fraction(opened, closed, 0, 100) == pytest.approx(0.35)
    assert exposure_fraction(ints(), ints(), 0, 100) == 0.0
    assert exposure_fraction(opened, closed, 5, 5) is None
