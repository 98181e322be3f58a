"""The example strategies: what they do on given bars."""

from types import SimpleNamespace
from typing import Any

import pytest

from mmats.model import Action
from strategies.mean_reversion import MeanReversion
from strategies.rotation import HOUR_NS, Rotation
from strategies.trend import Trend


class Account:
    """Positions as the engine would hold them."""

    equity = 150.0

    def __init__(self) -> None:
        self.held: dict[str, float] = {}

    def position(self, symbol: str) -> float:
        return self.held.get(symbol, 0.0)


def start(cls: type, **params: Any) -> Any:
    strategy = cls()
    strategy.account = Account()
    strategy.initialize(params)
    return strategy


def bar(close: float, hour: float = 0, symbol: str = "BTCUSDT", **values: float) -> Any:
    names = {"fast": "ema:20", "slow": "ema:60", "atr": "atr:14", "average": "ema:50"}
    indicators = {names.get(name, name): value for name, value in values.items()}
    for side in ("upper", "middle", "lower"):
        if side in indicators:
            indicators[f"bbands:20:2.{side}"] = indicators.pop(side)
    return SimpleNamespace(
        timestamp=int(hour * HOUR_NS), symbol=symbol, close=close, indicators=indicators, ready=True
    )


@pytest.mark.parametrize("cls", [Trend, MeanReversion, Rotation])
def test_nothing_is_decided_before_the_indicators_are_ready(cls):
    strategy = start(cls)
    assert strategy.on_market_data(SimpleNamespace(ready=False)) is None
    assert all(":" in indicator for indicator in strategy.indicators)


def test_trend_buys_a_cross_up_with_a_stop_and_leaves_on_a_cross_down():
    trend = start(Trend)
    assert trend.on_market_data(bar(100, fast=9, slow=10, atr=2)) is None
    (entry,) = trend.on_market_data(bar(100, fast=11, slow=10, atr=2))
    assert (entry.action, entry.stop_loss, entry.reduce_only) == (Action.BUY, 94, False)
    assert trend.on_market_data(bar(101, fast=12, slow=10, atr=2)) is None
    trend.account.held["BTCUSDT"] = 0.1
    (leave,) = trend.on_market_data(bar(99, fast=9, slow=10, atr=2))
    assert (leave.action, leave.reduce_only) == (Action.SELL, True)


def test_trend_turns_around_where_it_may_sell_short():
    trend = start(Trend, allow_short=True, stop_atr=1)
    trend.on_market_data(bar(100, fast=11, slow=10, atr=2))
    trend.account.held["BTCUSDT"] = 0.1
    leave, entry = trend.on_market_data(bar(100, fast=9, slow=10, atr=2))
    assert leave.reduce_only
    assert (entry.action, entry.stop_loss, entry.reduce_only) == (Action.SELL, 102, False)


def test_trend_keeps_the_sides_of_each_symbol_apart():
    trend = start(Trend)
    trend.on_market_data(bar(100, fast=9, slow=10, atr=2))
    assert trend.on_market_data(bar(1, symbol="EURUSD", fast=2, slow=1, atr=1)) is None
    assert trend.on_market_data(bar(100, fast=11, slow=10, atr=2)) is not None


def test_mean_reversion_buys_under_the_band_and_sells_at_the_middle():
    reversion = start(MeanReversion)
    bands = {"upper": 110, "middle": 100, "lower": 90, "atr": 1}
    assert reversion.on_market_data(bar(95, **bands)) is None
    entry = reversion.on_market_data(bar(89, **bands))
    assert (entry.action, entry.stop_loss) == (Action.BUY, 85)
    reversion.account.held["BTCUSDT"] = 1
    assert reversion.on_market_data(bar(89, **bands)) is None
    leave = reversion.on_market_data(bar(100, **bands))
    assert (leave.action, leave.reduce_only) == (Action.SELL, True)


def test_mean_reversion_sells_short_only_where_it_may():
    bands = {"upper": 110, "middle": 100, "lower": 90, "atr": 1}
    assert start(MeanReversion).on_market_data(bar(111, **bands)) is None
    reversion = start(MeanReversion, allow_short=True)
    entry = reversion.on_market_data(bar(111, **bands))
    assert (entry.action, entry.stop_loss) == (Action.SELL, 115)
    reversion.account.held["BTCUSDT"] = -1
    leave = reversion.on_market_data(bar(99, **bands))
    assert (leave.action, leave.reduce_only) == (Action.BUY, True)


def test_mean_reversion_leaves_an_edge_below_the_costs_alone():
    reversion = start(MeanReversion, edge_min=0.01)
    bands = {"upper": 100.5, "middle": 100, "lower": 99.5, "atr": 1}
    assert reversion.on_market_data(bar(99.4, **bands)) is None


def test_rotation_moves_to_the_strongest_symbol_of_all_markets():
    rotation = start(Rotation)
    assert rotation.on_market_data(bar(100, hour=22, average=98, atr=1)) is None
    assert rotation.on_market_data(bar(1.1, 23, "EURUSD", average=1.09, atr=0.01)) is None
    (entry,) = rotation.on_market_data(bar(100, hour=24, average=98, atr=1))
    assert (entry.action, entry.symbol, entry.stop_loss) == (Action.BUY, "BTCUSDT", 96)
    rotation.account.held["BTCUSDT"] = 0.5
    rotation.on_market_data(bar(1.1, 47, "EURUSD", average=1.06, atr=0.01))
    leave, entry = rotation.on_market_data(bar(100, hour=48, average=99, atr=1))
    assert (leave.action, leave.symbol, leave.reduce_only) == (Action.SELL, "BTCUSDT", True)
    assert (entry.action, entry.symbol) == (Action.BUY, "EURUSD")
    assert entry.stop_loss == pytest.approx(1.06)


def test_rotation_leaves_a_closed_market_alone():
    rotation = start(Rotation)
    rotation.on_market_data(bar(1.1, 22, "EURUSD", average=1.0, atr=0.01))
    rotation.account.held["EURUSD"] = 100
    rotation.on_market_data(bar(100, hour=40, average=99, atr=1))
    signals = rotation.on_market_data(bar(100, hour=72, average=99, atr=1))
    assert [signal.symbol for signal in signals] == ["BTCUSDT"]


def test_rotation_buys_nothing_that_falls():
    rotation = start(Rotation)
    rotation.on_market_data(bar(100, hour=23, average=101, atr=1))
    assert rotation.on_market_data(bar(100, hour=24, average=101, atr=1)) == []
