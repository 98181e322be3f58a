"""Round trips: from flat to flat, with every unit of money accounted for."""

import math

import numpy as np
import pytest

from mmats._core.types import OrderRole
from mmats.backtest.report import Report
from mmats.backtest.trades import round_trips
from tests.fakes.run_results import DAY_NS, HOUR_NS, START_NS, Fill, run_result

K = 1_000  # ticks; one lot of BTCUSDT at one tick is 1e-7 USDT


def at(hour: int) -> int:
    return START_NS + hour * HOUR_NS


def rates(value: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"USDT": (np.array([START_NS]), np.array([value]))}


def test_scaling_in_and_out_is_one_trade() -> None:
    fills = [
        Fill(1, 100, 3_500 * K, at(1), fee=10),
        Fill(1, 300, 3_600 * K, at(2), fee=20),
        Fill(-1, 200, 3_700 * K, at(3), fee=30),
        Fill(-1, 200, 3_800 * K, at(5), fee=40, role=int(OrderRole.ROLE_STOP)),
    ]
    trades = Report(run_result(fills, rates=rates(0.9))).trades
    assert len(trades) == 1
    trade = trades.iloc[0]
    assert (trade["side"], trade["fills"], trade["exit_reason"]) == ("LONG", 4, "stop")
    assert trade["quantity"] == pytest.approx(0.004)
    assert trade["entry_price"] == pytest.approx(35_750.0)
    assert trade["exit_price"] == pytest.approx(37_500.0)
    assert trade["gross_pnl"] == pytest.approx(0.004 * 1_750)
    assert trade["commission"] == pytest.approx(100e-8)
    assert trade["pnl"] == pytest.approx(7.0 - 100e-8)
    assert trade["duration_s"] == 4 * 3_600
    assert trade["return_pct"] == pytest.approx(100 * trade["pnl"] / (143.0 * 0.9))
    assert not trade["open"]


def test_a_turn_closes_one_trade_and_opens_the_next() -> None:
    fills = [
        Fill(1, 100, 3_500 * K, at(1), fee=7),
        Fill(-1, 300, 3_600 * K, at(2), fee=100, spread_cost=10, slippage_cost=5),
        Fill(1, 200, 3_550 * K, at(3), fee=11),
    ]
    result = run_result(fills)
    first, second = round_trips(result.fills)
    assert (first["side"], second["side"]) == (1, -1)
    assert (first["exit_lots"], second["entry_lots"]) == (100, 200)
    assert first["fee"] == 7 + 33
    assert second["fee"] == 67 + 11
    assert (first["spread_cost"], second["spread_cost"]) == (3, 7)
    assert first["realized"] == 100 * 100 * K * 10
    assert second["realized"] == 200 * 50 * K * 10
    assert second["opened_ns"] == first["closed_ns"] == at(2)


def test_an_open_trade_says_so() -> None:
    trades = Report(run_result([Fill(-1, 5, 106_000, at(1), instrument=1)], days=1)).trades
    trade = trades.iloc[0]
    assert trade["open"]
    assert (trade["side"], trade["exit_reason"]) == ("SHORT", "")
    assert math.isnan(trade["exit_price"])
    assert np.isnat(np.datetime64(trade["closed"].to_datetime64()))
    assert trade["duration_s"] == 23 * 3_600
    assert math.isnan(trade["return_pct"])  # no rate for USD in this run


def test_cells_do_not_mix() -> None:
    fills = [
        Fill(1, 10, 3_500 * K, at(1), strategy=0),
        Fill(-1, 10, 3_500 * K, at(2), strategy=1),
        Fill(1, 10, 106_000, at(3), strategy=0, instrument=1),
        Fill(-1, 10, 3_600 * K, at(4), strategy=0),
        Fill(1, 10, 3_600 * K, at(5), strategy=1),
    ]
    trades = Report(run_result(fills)).trades
    assert list(trades["strategy"]) == ["trend", "reversion", "trend"]
    assert list(trades["symbol"]) == ["BTCUSDT", "BTCUSDT", "EURUSD"]
    assert list(trades["open"]) == [False, False, True]
    assert list(trades["trade_id"]) == [1, 2, 3]
    assert trades["gross_pnl"].tolist() == pytest.approx([0.1, -0.1, 0.0])


def test_a_fee_in_the_bought_coin_shortens_the_position() -> None:
    # 100 lots bought, 1 lot taken as fee and pooled as dust: flat after selling 99.
    result = run_result([Fill(1, 100, 3_500 * K, at(1)), Fill(-1, 99, 3_600 * K, at(2))])
    records = result.records.copy()
    records["observed"][records["trade_id"] == 1] = 99
    records["observed"][records["trade_id"] == 2] = 0
    trips = round_trips(run_result(records=records).fills)
    assert len(trips) == 1
    assert (trips["entry_lots"][0], trips["exit_lots"][0]) == (100, 99)
    assert not trips["is_open"][0]


def test_no_fills_no_trades() -> None:
    assert len(round_trips(run_result().fills)) == 0
    assert Report(run_result()).trades.empty


def test_sums_over_trades_are_the_ledger_exactly() -> None:
    random = np.random.default_rng(11)
    fills = [
        Fill(
            side=int(random.choice([-1, 1])),
            lots=int(random.integers(1, 500)),
            price_ticks=int(random.integers(3_000 * K, 4_000 * K)),
            ts_ns=START_NS + int(offset),
            strategy=int(random.integers(2)),
            instrument=int(random.integers(2)),
            fee=int(random.integers(0, 10**6)),
            spread_cost=int(random.integers(0, 10**5)),
            slippage_cost=int(random.integers(-(10**4), 10**5)),
        )
        for offset in np.sort(random.integers(0, DAY_NS, 2_000))
    ]
    rows = run_result(fills).fills
    trips = round_trips(rows)
    assert len(trips) > 50
    for name in ("realized", "fee", "spread_cost", "slippage_cost"):
        assert trips[name].sum() == rows[name].sum()
    assert trips["entry_lots"].sum() + trips["exit_lots"].sum() == rows["lots"].sum()
