"""`mmats.backtest.run` as notebooks use it: what goes in, what comes out, what is refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmats.backtest import Report, run
from mmats.config import load_config
from mmats.model import TradeSignal
from mmats.model.errors import ConfigError, DataError, StrategyError
from tests.fakes.backtests import (
    MINUTE_NS,
    OTHER,
    START_NS,
    SYMBOL,
    Script,
    bars,
    config,
    instrument,
    play,
)

FREE = config()["costs"]
RISKLESS = config()["risk"]


def buy(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **more)


def sell(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("SELL", SYMBOL, size, **more)


def only(report: Report) -> Any:
    (fill,) = report.fills.itertuples()
    return fill


# -- what goes in ----------------------------------------------------------------------------------


def test_a_mapping_a_file_and_a_checked_configuration_are_the_same(tmp_path: Path):
    path = tmp_path / "run.toml"
    path.write_text(
        """
        [account]
        currency = "USDT"
        balances = ["1000 USDT"]
        [[feeds]]
        symbol = "BTCUSDT.BINANCE"
        source = "memory"
        [[strategies]]
        name = "script"
        source = "tests.fakes.backtests:Script"
        symbols = ["BTCUSDT"]
        """
    )
    data = {"BTCUSDT": bars([100.0, 101.0, 102.0])}
    facts = {
        "account": {"currency": "USDT", "balances": ["1000 USDT"]},
        "feeds": [{"symbol": "BTCUSDT.BINANCE", "source": "memory"}],
        "strategies": [
            {"name": "script", "source": "tests.fakes.backtests:Script", "symbols": ["BTCUSDT"]}
        ],
    }
    signal = TradeSignal("BUY", "BTCUSDT", 0.1)
    hashes = {
        run(source, data, strategies={"script": Script({1: signal})}).result.state_hash
        for source in (path, str(path), facts, load_config(path))
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("name", [SYMBOL, f"{SYMBOL}.SIM"])
def test_data_is_named_by_either_symbol(name):
    script = Script()
    run(config(), {name: bars([1.0, 2.0])}, strategies={"script": script})
    assert len(script.seen) == 2


def test_times_that_are_opens_become_closes():
    setup = config()
    setup["feeds"][0]["stamp"] = "open"
    script = Script()
    frame = bars([1.0, 2.0])
    run(setup, {SYMBOL: frame}, strategies={"script": script})
    assert [ts for _, ts, _ in script.seen] == [START_NS + k * MINUTE_NS for k in (2, 3)]


def test_parameters_reach_the_strategy():
    script, _ = play(None, [1.0], table={"params": {"fast": 3, "names": ["a"]}})
    assert script.params == {"fast": 3, "names": ["a"]}


def test_a_strategy_that_is_not_given_is_loaded():
    report = run(config(), {SYMBOL: bars([1.0, 2.0])})
    assert report.result.run["events"] == 2


def test_the_data_given_is_not_changed():
    frame = bars([1.0, 2.0, 3.0])
    before = frame.copy(deep=True)
    play({0: buy()}, frame)
    pd.testing.assert_frame_equal(frame, before)


# -- what is refused -------------------------------------------------------------------------------


def test_no_data_no_strategy_no_money():
    with pytest.raises(ConfigError, match=f"no data was given for {SYMBOL}.SIM"):
        run(config())
    with pytest.raises(ConfigError, match="no strategy is enabled"):
        play(None, [1.0], table={"enabled": False})
    with pytest.raises(ConfigError, match="no money"):
        play(None, [1.0], account={"currency": "BBB", "balances": ["0 BBB"], "pegs": {}})


class Unready(Script):
    """Can't begin."""

    def initialize(self, config):
        raise KeyError("fast")


def test_a_strategy_that_raises_in_initialize():
    with pytest.raises(StrategyError, match=r"strategies\[script\]: initialize raised KeyError"):
        run(config(), {SYMBOL: bars([1.0])}, strategies={"script": Unready()})


def test_an_unknown_indicator_of_a_strategy_is_named():
    script = Script()
    script.indicators = ("emma:10",)
    with pytest.raises(ConfigError, match="emma"):
        run(config(), {SYMBOL: bars([1.0])}, strategies={"script": script})


def test_bad_rows_are_named():
    frame = bars([1.0, 2.0, 3.0])
    frame.iloc[2, 3] = math.nan
    with pytest.raises(DataError, match=f"{SYMBOL}.SIM, row 2, column close"):
        play(None, frame)


# -- costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "fee"),
    [
        ({"taker": "0.1%"}, 0.2),
        ({"fixed": "0.35 quote"}, 0.35),
        ({"per_unit": "0.05 quote"}, 0.1),
        ({"taker": "0.1%", "fixed": "0.35 quote", "per_unit": "0.05 quote"}, 0.65),
        ({"taker": "0.1%", "minimum": "1 quote"}, 1.0),
        ({"taker": "0.1%", "fee_asset": "quote"}, 0.2),
    ],
)
def test_commissions(costs, fee):
    """2 AAA at 100 BBB."""
    script, report = play({0: buy(2)}, [100.0, 100.0], costs=FREE | costs)
    assert script.results[0][1].commission == pytest.approx(fee)
    assert report.costs["commission"] == pytest.approx(fee)
    assert report.result.final_units == 10_000 * 10**8 - round(fee * 1e8)


@pytest.mark.parametrize(
    ("costs", "price", "spread", "slippage"),
    [
        ({"spread": "4 ticks"}, 100.02, 0.04, 0.0),
        ({"spread": "0.1%"}, 100.05, 0.1, 0.0),
        ({"slippage": "3 ticks"}, 100.03, 0.0, 0.06),
        ({"slippage": "0.02%"}, 100.02, 0.0, 0.04),
        ({"spread": "4 ticks", "slippage": "1 ticks"}, 100.03, 0.04, 0.02),
    ],
)
def test_spread_and_slippage(costs, price, spread, slippage):
    """2 AAA at 100 BBB, bought; a spread costs half on the way in."""
    _, report = play({0: buy(2)}, [100.0, 100.0], costs=FREE | costs)
    assert only(report).price == pytest.approx(price)
    assert report.costs["spread"] == pytest.approx(spread)
    assert report.costs["slippage"] == pytest.approx(slippage)


def test_maker_and_taker_rates():
    costs = FREE | {"maker": "-0.01%", "taker": "0.1%"}
    frame = bars([100.0, 100.0, 98.0, 98.0])
    script, _ = play({0: [buy(1), buy(1, order_type="limit", price=99.0)]}, frame, costs=costs)
    assert [round(result.commission, 8) for _, result in script.results] == [0.1, -0.0099]


def test_swap_is_paid_for_each_day_end():
    """3.65 % a year on 1,000 BBB is 0.1 BBB a day; two day ends lie in the run."""
    frame = bars(np.full(2 * 1440 + 60, 100.0), start="2024-01-01 12:00")
    costs = FREE | {"swap_long": "-3.65%/year"}
    _, report = play({0: buy(10)}, frame, costs=costs)
    assert report.result.carry_units == -2 * 10**7
    assert report.costs["carry"] == pytest.approx(0.2)
    assert report.result.final_units == 10_000 * 10**8 - 2 * 10**7


# -- sizing and limits -----------------------------------------------------------------------------


@pytest.mark.parametrize(("confidence", "quantity"), [(1.0, 50.0), (0.5, 25.0), (0.333333, 16.665)])
def test_fixed_fractional_size_comes_from_stop_and_equity(confidence, quantity):
    """1 % of 10,000 is 100; a stop 2 away makes 50. The share is whole millionths: 3333."""
    table = {"sizing": "fixed_fractional", "risk_per_trade": "1%"}
    _, report = play({0: buy(None, stop_loss=98.0, confidence=confidence)}, [100.0, 100.0],
                     table=table)  # fmt: skip
    assert only(report).quantity == pytest.approx(quantity)


def test_a_stopped_trade_loses_what_was_risked():
    table = {"sizing": "fixed_fractional", "risk_per_trade": "1%"}
    _, report = play({0: buy(None, stop_loss=98.0)}, [100.0, 99.0, 97.0], table=table)
    assert report.to_dict()["metrics"]["net_profit"] == -100.0


def test_sized_signals_need_a_stop():
    script, _ = play({0: buy(5)}, [100.0], table={"sizing": "fixed_fractional"})
    assert script.results[0][1].reason == "SIZE_UNKNOWN"


@pytest.mark.parametrize(
    ("risk", "signal", "reason"),
    [
        ({"order_notional_max": "150 BBB"}, buy(2), "NOTIONAL_MAX"),
        ({"order_notional_min": "150 BBB"}, buy(1), "NOTIONAL_MIN"),
        ({"gross_exposure_max": "1%"}, buy(2), "GROSS_EXPOSURE"),
        ({"stop_loss_required": True}, buy(1), "STOP_LOSS_MISSING"),
        ({"trading_state": "halted"}, buy(1), "HALTED"),
        ({"trading_state": "reducing"}, buy(1), "REDUCING"),
        ({"price_collar": "5%"}, buy(1, order_type="limit", price=90.0), "PRICE_COLLAR"),
        ({"symbols": {SYMBOL: {"order_quantity_max": "1.5"}}}, buy(2), "QUANTITY_MAX"),
        ({"symbols": {SYMBOL: {"position_quantity_max": "1.5"}}}, buy(2), "POSITION_MAX"),
        ({"markets": {"test": {"exposure_max": "1%"}}}, buy(2), "MARKET_EXPOSURE"),
        ({"strategies": {"script": {"exposure_max": "1%"}}}, buy(2), "STRATEGY_EXPOSURE"),
        ({"strategies": {"script": {"order_notional_max": "150 BBB"}}}, buy(2), "NOTIONAL_MAX"),
    ],
)
def test_every_limit_of_the_configuration_reaches_the_gate(risk, signal, reason):
    script, report = play({0: signal}, [100.0, 100.0], risk=RISKLESS | risk)
    assert [(r.status, r.reason) for _, r in script.results] == [("DENIED", reason)]
    assert report.denial_counts == {reason: 1}


def test_the_message_rate_is_one_of_simulated_time():
    risk = RISKLESS | {"message_rate_max": "2/m"}
    script, _ = play({0: [buy(), buy(), buy()], 1: buy(), 2: buy()}, [100.0] * 4, risk=risk)
    told = sorted((r.signal_id, r.status, r.reason) for _, r in script.results)
    assert told == [
        (1, "FILLED", ""), (2, "FILLED", ""), (3, "DENIED", "MESSAGE_RATE"), (4, "FILLED", ""),
        (5, "FILLED", ""),
    ]  # fmt: skip


def test_a_daily_loss_denies_until_the_next_day():
    frame = bars([*([100.0] * 100), *([80.0] * 1400)], start="2024-01-01 00:00")
    risk = RISKLESS | {"daily_loss_max": "1%"}
    script, _ = play({0: buy(10), 200: buy(1), 1450: buy(1)}, frame, risk=risk)
    assert [(r.status, r.reason) for _, r in script.results] == [
        ("FILLED", ""), ("DENIED", "DAILY_LOSS"), ("FILLED", ""),
    ]  # fmt: skip


# -- currencies ------------------------------------------------------------------------------------


def euro_setup(**account: Any) -> dict[str, Any]:
    """AAA trades for USD on a spot market; EURUSD values the dollar in euros."""
    setup = config(symbols=(SYMBOL, OTHER))
    setup["account"] = {"currency": "EUR", "balances": ["1000 EUR"], "pegs": {}, **account}
    setup["instruments"] = [
        {**instrument(), "symbol": "AAAUSD", "quote": "USD", "settlement": "spot", "leverage": 0},
        {**instrument(), "symbol": "EURUSD", "base": "EUR", "quote": "USD", "tick_size": "0.0001"},
    ]
    for feed, symbol in zip(setup["feeds"], ("AAAUSD", "EURUSD"), strict=True):
        feed["symbol"] = f"{symbol}.SIM"
    setup["strategies"][0]["symbols"] = ["AAAUSD"]
    return setup


def test_a_foreign_spot_market_on_a_euro_account():
    """Buy 2 AAA for 200 USD at 1.25, sell at 110 and 1.10: 160 EUR out, 200 EUR back."""
    script = Script({
        1: TradeSignal("BUY", "AAAUSD", 2), 3: TradeSignal("SELL", "AAAUSD", 2),
    })  # fmt: skip
    frames = {
        "AAAUSD": bars([100.0, 100.0, 100.0, 110.0, 110.0]),
        "EURUSD": bars([1.25, 1.25, 1.25, 1.10, 1.10]),
    }
    setup = euro_setup(auto_convert=True, conversion_cost="0%")
    report = run(setup, frames, strategies={"script": script})
    assert script.statuses == ["FILLED", "FILLED"]
    assert report.to_dict()["account"]["final_equity"] == pytest.approx(1000 - 160 + 200)


def test_conversion_costs_are_told():
    script = Script({1: TradeSignal("BUY", "AAAUSD", 2)})
    frames = {"AAAUSD": bars([100.0] * 4), "EURUSD": bars([1.25] * 4)}
    setup = euro_setup(auto_convert=True, conversion_cost="1%")
    report = run(setup, frames, strategies={"script": script})
    assert report.costs["conversion"] == pytest.approx(1.6, rel=0.02)  # 1 % of 160 EUR
    facts = report.to_dict()["account"]
    assert facts["final_equity"] == pytest.approx(1000 - report.costs["conversion"])
    assert facts["unallocated"] == pytest.approx(-report.costs["conversion"])


def test_without_conversion_there_is_nothing_to_buy_with():
    script = Script({1: TradeSignal("BUY", "AAAUSD", 2)})
    frames = {"AAAUSD": bars([100.0] * 4), "EURUSD": bars([1.25] * 4)}
    run(euro_setup(auto_convert=False), frames, strategies={"script": script})
    assert script.results[0][1].reason == "BUYING_POWER"


def test_spot_can_not_be_sold_short():
    script = Script({1: TradeSignal("SELL", "AAAUSD", 2)})
    frames = {"AAAUSD": bars([100.0] * 4), "EURUSD": bars([1.25] * 4)}
    run(euro_setup(), frames, strategies={"script": script})
    assert script.results[0][1].reason == "ASSET_SHORT"


def test_before_its_rate_is_known_nothing_is_entered():
    script = Script({1: TradeSignal("BUY", "AAAUSD", 2), 3: TradeSignal("BUY", "AAAUSD", 2)})
    frames = {"AAAUSD": bars([100.0] * 5),
              "EURUSD": bars([1.25] * 3, start="2024-01-01 00:02")}  # fmt: skip
    run(euro_setup(), frames, strategies={"script": script})
    assert script.results[0][1].reason == "VALUATION_UNKNOWN"
    assert script.statuses[1] == "FILLED"


# -- what comes out --------------------------------------------------------------------------------


def test_the_state_hash_tells_runs_apart():
    def state(*closes: float, size: float = 1.0) -> str:
        return str(play({0: buy(size)}, list(closes))[1].result.state_hash)

    assert state(100.0, 101.0) == state(100.0, 101.0)
    assert len({state(100.0, 101.0), state(100.0, 101.0, 101.0), state(100.0, 101.0, size=2)}) == 3


def test_facts_about_the_run():
    _, report = play(None, [100.0, 101.0, 102.0])
    facts = report.result.run
    assert (facts["events"], facts["seed"]) == (3, 1)
    assert (facts["start"], facts["end"]) == ("2024-01-01T00:01:00Z", "2024-01-01T00:03:00Z")
    assert len(facts["config_hash"]) == 64
    assert len(facts["data_hash"]) == 16


def test_notes_say_what_was_assumed():
    setup = config()
    setup["instruments"] = [instrument(price_basis="bid")]
    report = run(setup, {SYMBOL: bars([100.0])}, strategies={"script": Script()})
    assert any("bid prices" in note for note in report.result.notes)


def test_money_is_conserved_over_many_random_orders():
    rng = np.random.default_rng(12)
    closes = np.round(100 + np.cumsum(rng.normal(0, 0.4, 3000)), 2)
    answers = {
        k: TradeSignal("BUY" if side else "SELL", SYMBOL, round(float(size), 3),
                       stop_loss=round(float(closes[k]) * (0.98 if side else 1.02), 2))
        for k, side, size in zip(
            range(0, 3000, 3), rng.random(1000) > 0.5, rng.uniform(0.1, 3, 1000), strict=True)
    }  # fmt: skip
    costs = FREE | {"taker": "0.02%", "maker": "0.01%", "spread": "3 ticks", "slippage": "1 ticks"}
    _, report = play(answers, closes, costs=costs, fill={"market": "next_open"})
    result = report.result
    fills = result.fills
    assert len(fills) > 500
    signed = fills["lots"] * fills["side"]
    tick_lot = 1000  # 0.01 x 0.001 in 1e-8
    flow = -int((signed * fills["price_ticks"]).sum()) * tick_lot
    open_value = int(signed.sum()) * round(closes[-1] * 100) * tick_lot
    fees = int(fills["fee"].sum())
    assert result.final_units - result.initial_units == flow + open_value - fees
    assert result.cells_pnl[-1].sum() == result.final_units - result.initial_units
