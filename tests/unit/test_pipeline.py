"""What strategies are told and what becomes of what they say, through the whole pipeline."""

import gc
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmats._core import IndicatorSet
from mmats.backtest import run
from mmats.model import MarketData, Strategy, TradeSignal
from mmats.model.errors import StrategyError
from tests.fakes.backtests import MINUTE_NS, OTHER, START_NS, SYMBOL, Script, bars, config, play

CLOSES = [100.0, 101.0, 102.0, 103.0, 102.0, 101.0]


def buy(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **more)


def sell(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("SELL", SYMBOL, size, **more)


# -- what a strategy sees --------------------------------------------------------------------------


def test_bars_arrive_once_in_order_with_prices_of_the_data():
    seen = []

    def each(_: Script, data: MarketData) -> None:
        seen.append((data.timestamp, data.open, data.high, data.low, data.close, data.volume))

    play(None, CLOSES, each)
    frame = bars(CLOSES)
    rows = frame[["open", "high", "low", "close", "volume"]].itertuples(index=False)
    assert seen == [(START_NS + (k + 1) * MINUTE_NS, *row) for k, row in enumerate(rows)]


@pytest.mark.parametrize("what", ["data", "indicators", "list"])
def test_what_a_strategy_keeps_never_changes(what):
    kept: list[Any] = []
    then: list[Any] = []

    def each(_: Script, data: MarketData) -> None:
        if what == "list" and len(kept) % 2:  # every other bar is not kept and may be reused
            kept.append(None)
            then.append(None)
            return
        kept.append(data.indicators if what == "indicators" else data)
        values = dict(data.indicators.items())
        then.append(values if what == "indicators" else (data.timestamp, data.close, values))

    play(None, [100.0 + k % 7 for k in range(40)], each, table={"indicators": ["sma:3", "ema:5"]})
    now = [
        item if item is None
        else dict(item.items()) if what == "indicators"
        else (item.timestamp, item.close, dict(item.indicators.items()))
        for item in kept
    ]  # fmt: skip
    assert len(now) == 40
    np.testing.assert_equal(now, then)


def test_what_is_not_kept_is_handed_out_again():
    addresses = set()
    play(None, [100.0] * 50, lambda _, data: addresses.add(id(data)))
    assert len(addresses) == 1


def test_a_kept_signal_and_a_kept_result_do_not_change():
    script, _ = play({k: [buy(1 + k), sell(1 + k)] for k in range(5)}, CLOSES)
    quantities = [(signal.id, signal.size, result.quantity) for signal, result in script.results]
    assert quantities == [(n + 1, 1 + n // 2, 1.0 + n // 2) for n in range(10)]


def test_indicators_are_those_of_the_indicator_set():
    rng = np.random.default_rng(5)
    closes = np.round(100 + np.cumsum(rng.normal(0, 0.5, 300)), 2)
    frame = bars(closes)
    specs = ["ema:10", "rsi:14", "atr:14", "bbands:20:2", "macd:12:26:9", "vwap"]
    seen: list[dict[str, float]] = []
    ready: list[bool] = []

    def each(_: Script, data: MarketData) -> None:
        seen.append(dict(data.indicators.items()))
        ready.append(data.ready)

    play(None, frame, each, table={"indicators": specs})
    expected = IndicatorSet(specs).compute(frame.to_numpy(), frame.index.as_unit("ns").asi8)
    np.testing.assert_array_equal([list(row.values()) for row in seen], expected)
    assert list(seen[0]) == list(IndicatorSet(specs).names)
    first = ready.index(True)
    assert all(ready[first:])
    assert not any(math.isnan(value) for value in seen[first].values())
    assert any(math.isnan(value) for value in seen[first - 1].values())


def test_an_indicator_that_is_not_declared_disables_with_the_names_that_are():
    _, report = play(
        {0: lambda data: data.indicators["ema:11"]}, CLOSES, table={"indicators": ["ema:10"]}
    )
    (error,) = report.result.strategy_errors
    assert "'ema:11' is not declared; declared are ema:10" in error["traceback"]


@pytest.mark.parametrize(("timeframe", "minutes"), [("15m", 15), ("1h", 60), ("1d", 1440)])
def test_timeframes_are_those_of_pandas(timeframe, minutes):
    rng = np.random.default_rng(minutes)
    frame = bars(np.round(100 + np.cumsum(rng.normal(0, 0.1, 3 * 1440)), 2))
    frame["volume"] = np.arange(len(frame)) % 13
    frame = frame[rng.random(len(frame)) > 0.2]  # gaps, also across the ends of buckets
    frame = frame[(frame.index < "2024-01-02 03:00") | (frame.index > "2024-01-02 09:30")]
    seen = []

    def each(_: Script, data: MarketData) -> None:
        seen.append((data.timestamp, data.open, data.high, data.low, data.close, data.volume))

    play(None, frame, each, table={"timeframe": timeframe})
    grouped = frame.resample(f"{minutes}min", closed="right", label="right").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    expected = [
        (int(time.value), *row)
        for time, row in zip(grouped.index.as_unit("ns"), grouped.to_numpy(), strict=True)
        if not np.isnan(row[0])
    ]
    # The last bucket is open when the data ends, unless its last minute is there.
    if frame.index[-1] != grouped.index[-1]:
        expected.pop()
    assert seen == expected


def test_two_strategies_with_timeframes_and_indicators_of_their_own():
    rng = np.random.default_rng(1)
    frame = bars(np.round(100 + np.cumsum(rng.normal(0, 0.1, 600)), 2))
    values: dict[str, list[dict[str, float]]] = {"a": [], "b": [], "c": []}
    scripts = {
        name: Script(None, lambda _, data, n=name: values[n].append(dict(data.indicators.items())))
        for name in values
    }
    setup = config("a", "b", "c")
    setup["strategies"][0] |= {"timeframe": "5m", "indicators": ["sma:3"]}
    setup["strategies"][1] |= {"timeframe": "15m", "indicators": ["sma:3"]}
    setup["strategies"][2] |= {"timeframe": "5m", "indicators": ["ema:4"]}
    run(setup, {SYMBOL: frame}, strategies=scripts)
    for name, minutes in (("a", 5), ("b", 15)):
        close = frame["close"].resample(f"{minutes}min", closed="right", label="right").last()
        expected = close.rolling(3).mean().to_numpy()
        np.testing.assert_allclose(
            [row["sma:3"] for row in values[name]], expected[: len(values[name])], rtol=1e-12
        )
    # Strategies on the same bars share them, and see all that was declared on them.
    assert [set(row) for row in values["c"]] == [{"sma:3", "ema:4"}] * 120
    assert len(values["b"]) == 40


# -- what a strategy says --------------------------------------------------------------------------


def test_several_strategies_on_one_symbol_have_positions_of_their_own():
    first = Script({0: buy(2), 3: lambda _: sell(first.account.position(SYMBOL))})
    second = Script({1: sell(1)})
    report = run(
        config("first", "second"), {SYMBOL: bars(CLOSES)},
        strategies={"first": first, "second": second},
    )  # fmt: skip
    trades = report.trades
    assert trades["strategy"].tolist() == ["first", "second"]
    assert trades["quantity"].tolist() == [2.0, 1.0]
    assert trades["pnl"].tolist() == [6.0, 0.0]
    assert report.by_strategy["first"]["net_profit"] == 6.0
    assert report.by_strategy["second"]["net_profit"] == 0.0  # short from 101 to 101
    assert {result.signal_id for _, result in first.results} == {1, 3}
    assert {result.signal_id for _, result in second.results} == {2}


def test_a_list_of_signals_for_several_symbols():
    other = TradeSignal("SELL", f"{OTHER}.SIM", 3)
    script = Script({1: [buy(1), other]})
    frames = {SYMBOL: bars(CLOSES), OTHER: bars([50.0, 50.5, 49.0])}
    report = run(config(symbols=(SYMBOL, OTHER)), frames, strategies={"script": script})
    assert [(f.symbol, f.side, f.quantity, f.price) for f in report.fills.itertuples()] == [
        (SYMBOL, "BUY", 1.0, 100.0),
        (OTHER, "SELL", 3.0, 50.0),
    ]
    assert [signal.symbol for signal, _ in script.results] == [SYMBOL, f"{OTHER}.SIM"]


def test_symbols_arrive_merged_by_time_first_feed_first():
    script = Script()
    frames = {
        SYMBOL: bars([1.0, 2.0, 3.0]),
        OTHER: bars([5.0, 6.0, 7.0], start="2024-01-01 00:01"),
    }
    run(config(symbols=(SYMBOL, OTHER)), frames, strategies={"script": script})
    minutes = [(symbol, (ts - START_NS) // MINUTE_NS) for symbol, ts, _ in script.seen]
    assert minutes == [(SYMBOL, 1), (SYMBOL, 2), (OTHER, 2), (SYMBOL, 3), (OTHER, 3), (OTHER, 4)]


@pytest.mark.parametrize("hold", [TradeSignal("HOLD", SYMBOL), [], (), None])
def test_hold_does_nothing(hold):
    script, report = play({1: hold}, CLOSES)
    assert report.order_counts["signals"] == 0
    assert script.results == []
    assert report.result.strategy_errors == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (TradeSignal("BUY", "NONE", 1), "signal for 'NONE'; symbols of this run are AAABBB"),
        (buy(float("nan")), "size is not a finite number above 0"),
        (buy(float("inf")), "size is not a finite number above 0"),
        (buy(-1), "size is not a finite number above 0"),
        (buy(0), "size is not a finite number above 0"),
        (buy(1e30), "too large"),
        (buy("much"), "is no number"),
        (buy(1, stop_loss=float("nan")), "a price is not a finite number above 0"),
        (buy(1, take_profit=-3), "a price is not a finite number above 0"),
        (buy(1, order_type="limit", price=0), "a price is not a finite number above 0"),
        (5, "returned int; return a TradeSignal, a list of them, or None"),
        ("BUY", "returned str"),
        ([buy(), 7], "a list of signals holds int"),
        (lambda _: TradeSignal("LONG", SYMBOL), "action is 'LONG'"),
        (lambda _: buy(order_type="iceberg"), "order_type is 'iceberg'; known are market"),
        (lambda _: buy(order_type="limit"), "needs a price"),
        (lambda _: buy(confidence=0), "confidence is 0.0"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_answer_disables_with_its_traceback_and_others_go_on(answer, said):
    bad, good = Script({1: answer}), Script({2: buy(), 4: sell()})
    report = run(config("bad", "good"), {SYMBOL: bars(CLOSES)},
                 strategies={"bad": bad, "good": good})  # fmt: skip
    (error,) = report.result.strategy_errors
    assert (error["strategy"], error["where"]) == ("bad", "on_market_data")
    assert error["ts_ns"] == START_NS + 2 * MINUTE_NS
    assert said in error["traceback"]
    assert len(bad.seen) == 2
    assert len(good.seen) == len(CLOSES)
    assert good.statuses == ["FILLED", "FILLED"]


def test_a_failing_strategy_can_stop_the_run():
    with pytest.raises(
        StrategyError,
        match=r"'script' failed in on_market_data: ZeroDivisionError: division by zero",
    ):
        play({1: lambda _: 1 / 0}, CLOSES, table={"on_error": "stop"})


class Listener(Script):
    """Raises when it is told a result."""

    def on_signal_result(self, signal, result):
        super().on_signal_result(signal, result)
        raise RuntimeError("deaf")


def test_a_strategy_that_raises_in_on_signal_result_hears_no_more():
    listener = Listener({0: [buy(), buy(order_type="limit", price=50.0)]})
    good = Script({2: buy()})
    report = run(config("bad", "good"), {SYMBOL: bars(CLOSES)},
                 strategies={"bad": listener, "good": good})  # fmt: skip
    (error,) = report.result.strategy_errors
    assert (error["strategy"], error["where"]) == ("bad", "on_signal_result")
    assert "RuntimeError: deaf" in error["traceback"]
    assert len(listener.results) == 1
    assert len(listener.seen) == 1
    assert good.statuses == ["FILLED"]


def test_a_disabled_strategy_loses_its_entries_but_keeps_its_stop():
    script, report = play(
        {
            0: [buy(stop_loss=98.0), buy(order_type="limit", price=50.0)],
            1: lambda _: 1 / 0,
        },
        [100.0, 101.0, 99.0, 97.0, 96.0],
    )
    orders = report.orders
    assert orders["role"].tolist() == ["ENTRY", "ENTRY", "STOP"]
    assert orders["state"].tolist() == ["FILLED", "CANCELED", "FILLED"]
    assert report.trades["exit_reason"].tolist() == ["stop"]
    assert script.statuses == ["FILLED"]  # what came after the error it was not told


def test_a_stop_on_the_wrong_side_is_denied():
    script, report = play({0: [buy(stop_loss=101.0), sell(stop_loss=99.0)]}, CLOSES)
    assert [(r.status, r.reason) for _, r in script.results] == [("DENIED", "STOP_LOSS_SIDE")] * 2
    assert report.denial_counts == {"STOP_LOSS_SIDE": 2}
    assert report.order_counts["submitted"] == 0


def test_a_target_on_the_wrong_side_and_a_missing_size_are_denied():
    script, _ = play({0: [buy(take_profit=99.0), buy(None), sell(None, reduce_only=True)]}, CLOSES)
    assert [result.reason for _, result in script.results] == [
        "TAKE_PROFIT_SIDE", "SIZE_UNKNOWN", "NOTHING_TO_REDUCE",
    ]  # fmt: skip


def test_quantities_go_down_to_the_lot():
    script, _ = play({0: buy(1.0019999), 1: buy(0.0004)}, CLOSES)
    assert script.results[0][1].quantity == 1.001
    assert (script.statuses[1], script.results[1][1].reason) == ("DENIED", "QUANTITY_ZERO")


# -- results ---------------------------------------------------------------------------------------


def results(script: Script) -> list[tuple[Any, ...]]:
    return [(s.id if s else None, r.status, r.quantity, r.fill_price, r.pnl)
            for s, r in script.results]  # fmt: skip


def test_results_of_a_bracket_that_reaches_its_target():
    script, report = play({0: buy(2, stop_loss=98.0, take_profit=103.0)},
                          [100.0, 101.0, 104.0, 97.0, 110.0])  # fmt: skip
    assert results(script) == [(1, "FILLED", 2.0, 100.0, 0.0), (1, "FILLED", 2.0, 103.0, 6.0)]
    assert report.orders["state"].tolist() == ["FILLED", "CANCELED", "FILLED"]


def test_results_of_a_bracket_that_is_stopped_out():
    script, report = play({0: sell(2, stop_loss=102.0, take_profit=90.0)},
                          [100.0, 101.0, 104.0, 89.0])  # fmt: skip
    assert results(script) == [(1, "FILLED", 2.0, 100.0, 0.0), (1, "FILLED", 2.0, 102.0, -4.0)]
    assert report.trades["exit_reason"].tolist() == ["stop"]


def test_results_of_a_denial_a_rejection_an_expiry_and_a_cancel():
    script, _ = play(
        {
            0: [
                buy(1000),
                buy(order_type="limit", price=101.0, post_only=True),
                buy(order_type="limit", price=90.0, time_in_force="GTD",
                    expire_ns=START_NS + 3 * MINUTE_NS),
                buy(order_type="limit", price=95.0, time_in_force="IOC"),
            ]
        },
        CLOSES,
    )  # fmt: skip
    by_signal = {signal.id: (r.status, r.reason) for signal, r in script.results}
    assert by_signal == {
        1: ("DENIED", "BUYING_POWER"),
        2: ("REJECTED", ""),
        3: ("EXPIRED", ""),
        4: ("CANCELED", ""),
    }
    assert all(result.fill_price == 0.0 for _, result in script.results)


def test_results_of_partial_fills():
    script, report = play({0: buy(5.0)}, bars([100.0] * 6, volume=[40.0, 20.0, 10.0, 30.0, 5, 5]),
                          fill={"market": "next_open"},
                          costs=config()["costs"] | {"volume_share": "10%"})  # fmt: skip
    assert [(r.status, r.quantity) for _, r in script.results] == [
        ("PARTIALLY_FILLED", 2.0), ("PARTIALLY_FILLED", 1.0), ("FILLED", 2.0),
    ]  # fmt: skip
    assert {signal.id for signal, _ in script.results} == {1}
    assert report.order_counts["filled"] == 1


def test_partial_fills_of_a_target_still_name_their_signal():
    script, _ = play({0: buy(5.0, take_profit=101.0)},
                     bars([100.0, 100.0, 102.0, 102.0, 102.0],
                          volume=[100.0, 100.0, 20.0, 20.0, 20.0],
                          open=[100.0, 100.0, 100.0, 101.5, 101.5],
                          low=[100.0, 100.0, 100.0, 101.5, 101.5]),
                     fill={"market": "next_open"},
                     costs=config()["costs"] | {"volume_share": "10%"})  # fmt: skip
    assert script.statuses[0] == "FILLED"
    assert sum(result.quantity for _, result in script.results[1:]) == 5.0
    assert len(script.results) == 4
    assert all(signal is not None and signal.id == 1 for signal, _ in script.results)


def test_the_commission_of_a_result_is_the_fee():
    script, report = play({0: buy(2)}, CLOSES, costs=config()["costs"] | {"taker": "0.1%"})
    assert script.results[0][1].commission == pytest.approx(0.2)
    assert report.costs["commission"] == 0.2


# -- the account -----------------------------------------------------------------------------------


def test_the_account_at_each_step():
    """Margin market, leverage 10: buy 2 at 100, sell 1 at 102, sell the rest at 103."""
    steps = []

    def each(script: Script, _: MarketData) -> None:
        account = script.account
        place = account.positions.get(SYMBOL)
        steps.append(
            (
                round(account.equity, 8),
                round(account.balance, 8),
                round(account.margin_used, 8),
                account.position(SYMBOL),
                None if place is None else (place.quantity, place.average_price,
                                            place.unrealized_pnl),
            )
        )  # fmt: skip

    play({0: buy(2), 2: sell(1), 3: sell(1)}, CLOSES, each)
    assert [step[0] for step in steps] == [10000, 10002, 10004, 10005, 10005, 10005]
    assert [step[3] for step in steps] == [0, 2, 2, 1, 0, 0]
    assert [step[4] for step in steps] == [
        None, (2.0, 100.0, 2.0), (2.0, 100.0, 4.0), (1.0, 100.0, 3.0), None, None,
    ]  # fmt: skip
    assert steps[0][2] == steps[4][2] == 0
    assert steps[1][2] == pytest.approx(20, abs=0.3)  # a tenth of the notional
    assert steps[3][2] == pytest.approx(10, abs=0.4)
    assert [step[1] for step in steps] == [10000, 10000, 10000, 10002, 10005, 10005]


def test_an_unknown_symbol_is_named():
    _, report = play({0: lambda _: None}, CLOSES, lambda s, _: s.account.position("NONE"))
    assert "'NONE' is not a symbol of this run" in report.result.strategy_errors[0]["traceback"]


def test_equity_samples_show_their_own_time():
    _, report = play({0: buy(1), 4: sell(1)}, CLOSES)
    times = [int(time.value) for time in report.equity.index.as_unit("ns")]
    assert times == [START_NS + k * MINUTE_NS for k in range(1, 7)]
    assert report.equity["equity"].tolist() == [10000, 10001, 10002, 10003, 10002, 10002]


def test_equity_samples_count_what_happened_until_their_time():
    """Fills inside the bar after a sample do not belong to the sample."""
    _, report = play({0: buy(10)}, [100.0, 100.0, 100.0], fill={"market": "next_open"},
                     costs=config()["costs"] | {"taker": "1%"},
                     backtest={"equity_interval": "1m"})  # fmt: skip
    assert report.equity["equity"].tolist() == [10000, 9990, 9990]


def test_result_by_cell_is_kept_by_the_hour_and_sums_to_the_account():
    rng = np.random.default_rng(3)
    closes = np.round(100 + np.cumsum(rng.normal(0, 0.1, 300)), 2)
    _, report = play({0: buy(2), 200: sell(3)}, closes, costs=config()["costs"] | {"taker": "0.1%"})
    result = report.result
    assert (np.diff(result.cells_ts_ns)[1:-1] == 60 * MINUTE_NS).all()
    assert result.cells_pnl[-1].sum() == result.final_units - result.initial_units
    assert report.unallocated == 0


def test_a_signal_object_may_be_sent_again():
    same = buy(1)
    script, _ = play({0: same, 1: same, 2: same}, CLOSES)
    assert script.statuses == ["FILLED"] * 3


# -- strategies that answer nothing ----------------------------------------------------------------


class Plain:
    """The contract without the base class."""

    name = "plain"
    supported_symbols = ()

    def __init__(self) -> None:
        self.count = 0

    def initialize(self, config: Any) -> None:
        pass

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        self.count += 1
        return TradeSignal("BUY", data.symbol, 1) if self.count == 1 else None

    def on_signal_result(self, signal: Any, result: Any) -> None:
        pass


def test_nothing_has_to_be_inherited():
    plain = Plain()
    report = run(config(), {SYMBOL: bars(CLOSES)}, strategies={"script": plain})
    assert plain.count == len(CLOSES)
    assert report.order_counts["filled"] == 1


class Silent(Strategy):
    """Does not listen to results."""

    def on_market_data(self, data: MarketData) -> TradeSignal:
        return TradeSignal("BUY", data.symbol, 0.01)


def test_a_strategy_need_not_listen():
    report = run(config(), {SYMBOL: bars(CLOSES)}, strategies={"script": Silent()})
    assert report.order_counts["filled"] == len(CLOSES)


def test_signals_are_counted_by_strategy():
    assert pd.Series(play({0: buy(), 1: sell()}, CLOSES)[1].order_counts)["signals"] == 2


def test_the_account_can_be_asked_after_the_run() -> None:
    script, _ = play({1: TradeSignal("BUY", SYMBOL, 1.5)}, CLOSES)
    accounts = [play({1: TradeSignal("BUY", SYMBOL, 2.5)}, CLOSES)[0].account for _ in range(20)]
    gc.collect()
    assert script.account.position(SYMBOL) == 1.5
    assert {account.position(SYMBOL) for account in accounts} == {2.5}
    assert script.account.positions[SYMBOL].quantity == 1.5
