"""Order types, brackets that grow or turn, and fees in a third asset, through the pipeline."""

from typing import Any

from mmats.backtest import run
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script, bars, config, play


def buy(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **more)


def sell(size: Any = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("SELL", SYMBOL, size, **more)


def told(script: Script) -> list[tuple[int, str, float, float]]:
    return [(r.signal_id, r.status, r.quantity, r.fill_price) for _, r in script.results]


def test_the_stop_of_a_position_that_grows_covers_all_of_it():
    """It stays the order of the signal that opened the position."""
    script, report = play(
        {0: buy(1, stop_loss=95), 1: buy(2, stop_loss=96)}, [100.0, 100.0, 100.0, 94.0, 94.0]
    )
    assert told(script) == [
        (1, "FILLED", 1.0, 100.0), (2, "FILLED", 2.0, 100.0), (1, "FILLED", 3.0, 96.0),
    ]  # fmt: skip
    assert report.order_counts["submitted"] == 3


def test_a_position_that_is_reduced_keeps_a_smaller_stop():
    script, _ = play({0: buy(3, stop_loss=95), 1: sell(2)}, [100.0, 100.0, 100.0, 94.0])
    assert told(script)[-1] == (1, "FILLED", 1.0, 95.0)


def test_a_turn_drops_the_old_bracket_and_opens_its_own():
    script, report = play(
        {
            0: buy(1, stop_loss=95, take_profit=110),
            1: sell(2, stop_loss=105, take_profit=90),
        },
        [100.0, 100.0, 100.0, 106.0, 94.0],
    )
    assert told(script) == [
        (1, "FILLED", 1.0, 100.0), (2, "FILLED", 2.0, 100.0), (2, "FILLED", 1.0, 105.0),
    ]  # fmt: skip
    assert report.orders["state"].tolist() == [
        "FILLED", "CANCELED", "CANCELED", "FILLED", "FILLED", "CANCELED",
    ]  # fmt: skip
    assert [script.account.position(SYMBOL)] == [0.0]


def test_a_trailing_stop_follows_the_best_price():
    script, _ = play(
        {0: buy(1), 1: sell(1, order_type="trailing_stop", trail=2.0, reduce_only=True)},
        [100.0, 101.0, 105.0, 104.0, 102.5, 100.0],
    )
    assert told(script)[1] == (2, "FILLED", 1.0, 103.0)


def test_stop_stop_limit_and_take_profit_entries():
    script, _ = play(
        {
            0: [
                buy(1, order_type="stop", trigger=102.0),
                buy(1, order_type="stop_limit", trigger=102.0, price=101.5),
                sell(1, order_type="take_profit", trigger=104.0),
            ]
        },
        [100.0, 101.0, 103.0, 101.0, 105.0, 106.0],
    )
    assert told(script) == [
        (1, "FILLED", 1.0, 102.0), (2, "FILLED", 1.0, 101.5), (3, "FILLED", 1.0, 104.0),
    ]  # fmt: skip


def test_a_day_order_expires_at_midnight():
    order = buy(1, order_type="limit", price=99.5, time_in_force="DAY")
    script, report = play({0: order}, [100.0] * 1500)
    assert script.statuses == ["EXPIRED"]
    assert str(report.orders["updated"][0]) == "2024-01-02 00:00:00+00:00"


def test_a_reduce_only_signal_never_turns_the_position():
    script, _ = play({0: buy(1), 1: sell(5, reduce_only=True)}, [100.0] * 4)
    assert told(script)[1] == (2, "FILLED", 1.0, 100.0)
    assert script.account.position(SYMBOL) == 0.0


def test_fees_in_a_third_asset_are_paid_from_it():
    setup = config(costs=config()["costs"] | {"taker": "0.1%", "fee_asset": "BNB"})
    setup["account"] |= {"balances": ["10000 BBB", "1 BNB"], "pegs": {"BNB": "BBB"}}
    script = Script({0: buy(2)})
    report = run(setup, {SYMBOL: bars([100.0, 100.0])}, strategies={"script": script})
    assert script.results[0][1].commission == 0.2
    facts = report.to_dict()["account"]
    assert (facts["initial"], facts["final_equity"]) == (10_001.0, 10_000.8)
    assert facts["unallocated"] == 0.0
