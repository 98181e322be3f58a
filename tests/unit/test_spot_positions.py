"""Spot with fees in the bought coin: what is not held can't be sold, whatever is in flight."""

from typing import Any

import pandas as pd
import pytest

from mmats.backtest import Report, run
from mmats.model import Action, MarketData, Strategy, TradeSignal

SYMBOL = "BTCUSDT"


class Exits(Strategy):
    """Buys once, then sends every exit it has been given, at its bar."""

    name = "exits"

    def __init__(self, plan: dict[int, list[TradeSignal]]) -> None:
        self.plan = plan

    def initialize(self, config: Any) -> None:
        self.bar = 0

    def on_market_data(self, data: MarketData) -> list[TradeSignal] | None:
        self.bar += 1
        return self.plan.get(self.bar)


def play(plan: dict[int, list[TradeSignal]], latency: str = "0ms") -> Report:
    closes = [40_000.0] * 10 + [37_000.0] * 6
    frame = pd.DataFrame(
        {
            "open": closes,
            "high": [c + 10 for c in closes],
            "low": [c - 10 for c in closes],
            "close": closes,
            "volume": 1000.0,
        },
        index=pd.date_range("2024-01-01", periods=16, freq="1min", tz="UTC"),
    )
    config = {
        "account": {"currency": "USDT", "balances": ["10000 USDT"], "pegs": {}},
        "feeds": [{"symbol": SYMBOL, "source": "memory"}],
        "strategies": [{"name": "exits", "source": "x:Y", "symbols": [SYMBOL]}],
        "fill": {"order_latency": latency},
    }
    return run(config, {SYMBOL: frame}, strategies={"exits": Exits(plan)})


def buy(size: float) -> TradeSignal:
    return TradeSignal(Action.BUY, SYMBOL, size)


def close(**more: Any) -> TradeSignal:
    return TradeSignal(Action.SELL, SYMBOL, reduce_only=True, **more)


@pytest.mark.parametrize("latency", ["0ms", "90s"])
@pytest.mark.parametrize(
    "plan",
    [
        {2: [buy(0.1)], 6: [close(order_type="stop", trigger=38_000.0)], 8: [close()]},
        {2: [buy(0.00101)], 8: [close(), close()]},
        {2: [buy(0.1)], 8: [close()], 9: [close()]},
    ],
    ids=["a stop left behind", "two exits at once", "two exits in a row"],
)
def test_exits_never_sell_more_than_is_held(
    plan: dict[int, list[TradeSignal]], latency: str
) -> None:
    fills = play(plan, latency).fills
    assert (fills["position"] >= 0).all()
    assert fills["position"].iloc[-1] == 0
    bought = fills.loc[fills["side"] == "BUY", "quantity"].sum()
    assert fills.loc[fills["side"] == "SELL", "quantity"].sum() < bought
