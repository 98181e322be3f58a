"""The objects that strategies see and make."""

import math
from collections.abc import Mapping

import pytest

from mmats._core import (
    AccountState,
    Action,
    CompiledStrategy,
    Indicators,
    MarketData,
    Position,
    SignalError,
    TradeResult,
    TradeSignal,
)
from mmats.ports.strategy import IStrategy
from tests.fakes.backtests import SYMBOL, Script, play


def test_an_action_may_be_named_or_numbered():
    for given in (Action.BUY, "BUY", 1):
        assert TradeSignal(given, "X", 1).action is Action.BUY
    assert TradeSignal("SELL", "X").action is Action.SELL
    assert TradeSignal(Action.HOLD, "X").action is Action.HOLD


@pytest.mark.parametrize("action", ["buy", "", 2, -2, None, 1.0, [], 10**30])
def test_other_actions_are_refused(action):
    with pytest.raises((SignalError, OverflowError)):
        TradeSignal(action, "X")


def test_defaults_of_a_signal():
    signal = TradeSignal("BUY", "X", 2)
    assert (signal.id, signal.symbol, signal.size, signal.confidence) == (0, "X", 2, 1.0)
    assert (signal.order_type, signal.time_in_force) == ("market", "GTC")
    assert (signal.post_only, signal.reduce_only, signal.expire_ns) == (False, False, 0)
    assert signal.stop_loss is signal.take_profit is signal.price is None
    assert signal.trigger is signal.trail is None


def test_a_signal_says_what_it_was_given():
    signal = TradeSignal(
        "SELL", "X", 1.5, 10, 5, 0.5, order_type="stop_limit", price=8, trigger=9,
        time_in_force="GTD", expire_ns=77, post_only=True, reduce_only=True,
    )  # fmt: skip
    assert (signal.size, signal.stop_loss, signal.take_profit) == (1.5, 10, 5)
    assert signal.confidence == 0.5
    assert (signal.order_type, signal.price, signal.trigger) == ("stop_limit", 8, 9)
    assert (signal.time_in_force, signal.expire_ns) == ("GTD", 77)
    assert signal.post_only
    assert signal.reduce_only
    assert repr(signal).startswith("TradeSignal(SELL X size=1.5 stop_limit")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"order_type": "limit"}, "a limit order needs a price"),
        ({"order_type": "stop"}, "a stop order needs a trigger"),
        ({"order_type": "stop_limit", "price": 1}, "needs a trigger"),
        ({"order_type": "stop_limit", "trigger": 1}, "needs a price"),
        ({"order_type": "take_profit"}, "needs a trigger"),
        ({"order_type": "trailing_stop"}, "needs a trail"),
        ({"order_type": "Market"}, "known are market, limit"),
        ({"time_in_force": "GTX"}, "known are GTC, IOC"),
        ({"time_in_force": "GTD"}, "a GTD order needs expire_ns"),
        ({"confidence": 0.0}, "above 0 and at most 1"),
        ({"confidence": 1.01}, "above 0 and at most 1"),
        ({"confidence": math.nan}, "above 0 and at most 1"),
    ],
)
def test_an_impossible_signal_is_refused_where_it_is_built(fields, said):
    with pytest.raises(SignalError, match=said):
        TradeSignal("BUY", "X", 1, **fields)


@pytest.mark.parametrize("order_type", ["market", "limit", "stop", "stop_limit", "take_profit",
                                        "trailing_stop"])  # fmt: skip
@pytest.mark.parametrize("tif", ["GTC", "IOC", "FOK", "GTD", "DAY"])
def test_every_order_type_and_time_in_force_can_be_said(order_type, tif):
    signal = TradeSignal("BUY", "X", 1, price=5, trigger=4, trail=1, order_type="".join(order_type),
                         time_in_force="".join(tif), expire_ns=9)  # fmt: skip
    assert (signal.order_type, signal.time_in_force) == (order_type, tif)


def test_names_need_not_be_the_same_object():
    made = "".join(["mar", "ket"])
    assert TradeSignal("BU" + "Y"[:], "X", 1, order_type=made).order_type == "market"


def test_types_are_checked():
    with pytest.raises(TypeError):
        TradeSignal("BUY", None)
    with pytest.raises(TypeError):
        TradeSignal("BUY", 5)
    with pytest.raises(TypeError):
        TradeSignal("BUY", "X", confidence="high")
    with pytest.raises(AttributeError):
        TradeSignal("BUY", "X").size = 5
    with pytest.raises(AttributeError):
        MarketData(0, "X", 1, 1, 1, 1, 1).close = 5


@pytest.mark.parametrize(
    ("action", "field", "value", "column", "rounded"),
    [
        ("BUY", {"order_type": "limit"}, 99.999, "limit_price", 99.99),  # passive: lower
        ("SELL", {"order_type": "limit"}, 100.001, "limit_price", 100.01),  # passive: higher
        ("BUY", {"order_type": "limit"}, 99.99, "limit_price", 99.99),
        ("BUY", {"order_type": "limit"}, 0.1 + 0.2, "limit_price", 0.3),
        ("BUY", {"order_type": "stop"}, 101.001, "trigger_price", 101.01),
        ("SELL", {"order_type": "stop"}, 98.999, "trigger_price", 98.99),
    ],
)
def test_prices_go_to_the_safe_side_of_the_grid(action, field, value, column, rounded):
    name = "price" if field["order_type"] == "limit" else "trigger"
    signal = TradeSignal(action, SYMBOL, 1, **field, **{name: value})
    _, report = play({0: signal}, [100.0, 100.0])
    assert report.orders[column].tolist() == [pytest.approx(rounded, abs=1e-12)]


def test_a_stop_loss_goes_toward_the_entry():
    """A stop between two ticks protects earlier, never later."""
    _, report = play({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=98.994)}, [100.0, 100.0])
    assert report.orders["trigger_price"].tolist()[1] == pytest.approx(99.0)
    _, report = play({0: TradeSignal("SELL", SYMBOL, 1, stop_loss=101.006)}, [100.0, 100.0])
    assert report.orders["trigger_price"].tolist()[1] == pytest.approx(101.0)


def test_indicators_are_a_read_only_mapping():
    values = Indicators({"ema:3": 0, "rsi:14": 1})
    assert isinstance(values, Mapping)
    assert list(values) == ["ema:3", "rsi:14"] == list(values.keys())
    assert len(values) == 2
    assert "ema:3" in values
    assert "ema:4" not in values
    assert math.isnan(values["ema:3"])
    assert values.get("ema:4") is None
    assert values.get("ema:4", 5) == 5
    assert math.isnan(values.get("ema:3", 5))
    assert [name for name, _ in values.items()] == list(values)
    assert len(values.values_list()) == 2
    with pytest.raises(KeyError, match="'ema:4' is not declared; declared are ema:3, rsi:14"):
        values["ema:4"]
    with pytest.raises(KeyError, match="declared are none"):
        Indicators({})["x"]
    with pytest.raises(TypeError):
        values["ema:3"] = 1.0


def test_a_name_is_found_by_its_text_not_its_object():
    """The cache by address must not mistake a new string at an old address."""
    slots = {f"ema:{k}": k for k in range(2, 60)}
    seen = {}

    def each(script: Script, data: MarketData) -> None:
        for k in range(2, 60):
            seen.setdefault(k, []).append(data.indicators["".join(["ema:", str(k)])])
        for k in range(2, 60):
            name = f"ema:{k}"
            assert data.indicators[name] == pytest.approx(seen[k][-1], nan_ok=True)

    _, report = play(None, [100.0 + k * k for k in range(70)], each,
                     table={"indicators": list(slots)})  # fmt: skip
    assert report.result.strategy_errors == []
    assert len({values[-1] for values in seen.values()}) == 58


def test_results_and_market_data_can_be_made_by_hand():
    result = TradeResult(7)
    assert (result.signal_id, result.status, result.order_id) == (7, "FILLED", 0)
    assert math.isnan(result.fill_price)
    assert "FILLED signal=7" in repr(result)
    data = MarketData(5, "X", 1.0, 2.0, 0.5, 1.5, 9.0)
    assert (data.timestamp, data.symbol, data.volume, dict(data.indicators)) == (5, "X", 9.0, {})
    assert repr(data) == "MarketData(X 5 o=1.0 h=2.0 l=0.5 c=1.5 v=9.0)"
    assert repr(Position("X", 2.0, 1.5, 0.1)) == "Position(X 2.0 @ 1.5)"


def test_the_account_is_made_by_the_engine():
    with pytest.raises(TypeError, match="made by the engine"):
        AccountState()


def test_a_compiled_strategy_has_a_name_and_no_place_yet():
    strategy = CompiledStrategy()
    assert (strategy.name, strategy.index) == ("CompiledStrategy", -1)
    assert CompiledStrategy("mine").name == "mine"
    assert strategy.initialize({}) is None


def test_scripts_keep_the_contract():
    assert isinstance(Script(), IStrategy)


@pytest.mark.parametrize("order_type", ["market", "stop", "take_profit", "trailing_stop"])
def test_post_only_is_for_orders_that_can_wait(order_type: str) -> None:
    with pytest.raises(SignalError, match="post_only"):
        TradeSignal(
            Action.BUY,
            "BTCUSDT",
            1.0,
            order_type=order_type,
            trigger=1.0,
            trail=1.0,
            post_only=True,
        )
