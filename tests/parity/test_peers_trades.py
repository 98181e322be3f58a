"""An EMA cross trades the same, fill by fill, as in backtesting.py and backtrader.

Identical rules: averages with alpha 2 / (period + 1), seeded with the first close; from bar 20 on
long above, short below; a market order turns the position. The averages are computed in the
strategy in all three, since backtrader seeds its own with a simple average, and backtesting.py has
none. Both ways to fill a market order are compared: at the close of the bar that decided, and at
the open of the next one. The fee is 0.01 % of the notional in all three.

backtesting.py knows whole units only: it trades 1 where the others trade 0.1, so its money is
divided by ten.
"""

import contextlib
import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import backtrader
import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest
from backtesting import Strategy as PeerStrategy

from benchmarks.bars import bar_events, bar_prices, ema_bars
from benchmarks.ours import CONFIG, SYMBOL
from benchmarks.reference import FEE_RATE, SIZE, ema_cross
from mmats.backtest import run

BARS = 5_000
CASH = 1e9
FILLS = ("close", "next_open")


class Fill(NamedTuple):
    """One execution; `bar` is the number of the bar in which it happened, from 0."""

    bar: int
    side: int
    quantity: float
    price: float


class Outcome(NamedTuple):
    """What an engine did and what it came to."""

    fills: list[Fill]
    net_profit: float


def averages(closes: Any) -> Any:
    """Both averages of every bar, shape (n, 2), by the recursion of the reference."""
    out = np.empty((len(closes), 2))
    for column, period in enumerate((10, 20)):
        alpha, value = 2 / (period + 1), closes[0]
        for row, close in enumerate(closes):
            value += alpha * (close - value)
            out[row, column] = value
    return out


def wanted_side(fast: float, slow: float, number: int) -> int:
    """Which way to stand after bar `number`; 0 = as before."""
    if number < 20 or fast == slow:
        return 0
    return 1 if fast > slow else -1


def ours(bars: Any, fill: str) -> Outcome:
    events = bar_events(bars)
    report = run({**CONFIG, "fill": {"market": fill}}, {SYMBOL: events})
    result = report.result
    fills = result.fills
    if fill == "close":
        at = np.searchsorted(events["ts_event_ns"], fills["ts_event_ns"])
    else:  # an open lies a bar before its close; it is the moment of the close before it
        at = np.searchsorted(events["ts_event_ns"], fills["ts_event_ns"], side="right")
    return Outcome(
        [
            Fill(int(bar), int(row["side"]), int(row["lots"]) / 1000, int(row["price_ticks"]) / 100)
            for bar, row in zip(at, fills, strict=True)
        ],
        report.to_dict()["metrics"]["net_profit"],
    )


def by_backtesting(bars: Any, fill: str) -> Outcome:
    prices = bar_prices(bars)
    lines = averages(prices["close"])
    sent: list[tuple[int, int]] = []

    class Cross(PeerStrategy):  # type: ignore[misc]
        def init(self) -> None:
            self.held = 0

        def next(self) -> None:
            number = len(self.data) - 1
            side = wanted_side(*lines[number], number)
            if side and side != self.held:
                (self.buy if side > 0 else self.sell)(size=abs(side - self.held))
                sent.append((number, abs(side - self.held) * side))
                self.held = side

    names = ("Open", "High", "Low", "Close", "Volume")
    frame = pd.DataFrame({name: prices[name.lower()] for name in names})
    frame.index = pd.to_datetime(prices["ts_event_ns"])
    test = Backtest(frame, Cross, cash=CASH, commission=FEE_RATE,
                    trade_on_close=fill == "close")  # fmt: skip
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = test.run()
    return Outcome(peer_fills(stats), (float(stats["Equity Final [$]"]) - CASH) * SIZE)


def peer_fills(stats: Any) -> list[Fill]:
    """The executions behind backtesting.py's trades: a turn closes one trade and opens another.

    What is open at the end is closed by it in its table of trades, or listed by its broker.
    """
    parts: dict[int, list[tuple[int, float]]] = {}
    broker = stats["_strategy"]._broker
    for trade in (*broker.closed_trades, *broker.trades):
        parts.setdefault(trade.entry_bar, []).append((trade.size, trade.entry_price))
        if trade.exit_bar is not None:
            parts.setdefault(trade.exit_bar, []).append((-trade.size, trade.exit_price))
    fills = []
    for bar in sorted(parts):
        quantity = sum(size for size, _ in parts[bar])
        (price,) = {price for _, price in parts[bar]}
        fills.append(Fill(bar, 1 if quantity > 0 else -1, abs(quantity) * SIZE, price))
    return fills


def by_backtrader(bars: Any, fill: str) -> Outcome:
    prices = bar_prices(bars)
    lines = averages(prices["close"])
    done: list[Fill] = []

    class Cross(backtrader.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.held = 0

        def next(self) -> None:
            number = len(self) - 1
            side = wanted_side(*lines[number], number)
            if side and side != self.held:
                (self.buy if side > 0 else self.sell)(size=SIZE * abs(side - self.held))
                self.held = side

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                bar = len(self) - 1 - (fill == "close")  # told on the bar after
                size = order.executed.size
                done.append(Fill(bar, 1 if size > 0 else -1, abs(size), order.executed.price))

    frame = pd.DataFrame({name: prices[name] for name in ("open", "high", "low", "close")})
    frame["volume"] = prices["volume"]
    frame.index = pd.to_datetime(prices["ts_event_ns"])
    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Cross)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=FEE_RATE)
    cerebro.broker.set_coc(fill == "close")
    cerebro.run()
    return Outcome(done, cerebro.broker.getvalue() - CASH)


PEERS: list[Callable[[Any, str], Outcome]] = [by_backtesting, by_backtrader]


@pytest.fixture(scope="module")
def bars() -> Any:
    return ema_bars(BARS, seed=11)


@pytest.fixture(scope="module", params=FILLS)
def pair(request: pytest.FixtureRequest, bars: Any) -> tuple[str, Outcome]:
    return request.param, ours(bars, request.param)


@pytest.mark.parametrize("peer", PEERS)
def test_fills_are_equal_one_by_one(
    peer: Callable[[Any, str], Outcome], pair: tuple[str, Outcome], bars: Any
) -> None:
    fill, mine = pair
    theirs = peer(bars, fill)
    assert len(mine.fills) > 150
    assert [(f.bar, f.side) for f in mine.fills] == [(f.bar, f.side) for f in theirs.fills]
    np.testing.assert_allclose(
        [f[2:] for f in mine.fills], [f[2:] for f in theirs.fills], rtol=1e-12
    )


@pytest.mark.parametrize("peer", PEERS)
def test_net_profit_is_equal_to_the_cent(
    peer: Callable[[Any, str], Outcome], pair: tuple[str, Outcome], bars: Any
) -> None:
    fill, mine = pair
    theirs = peer(bars, fill)
    assert abs(mine.net_profit) > 1
    assert mine.net_profit == pytest.approx(theirs.net_profit, abs=0.005)


def test_the_next_open_is_another_price(bars: Any) -> None:
    close, opened = (ours(bars, fill) for fill in FILLS)
    assert close.net_profit != opened.net_profit
    assert [f.bar + 1 for f in close.fills][: len(opened.fills)] == [f.bar for f in opened.fills]


def test_the_reference_agrees_at_the_close(bars: Any) -> None:
    expected = ema_cross(bar_prices(bars)["close"].tolist())
    mine = ours(bars, "close")
    assert len(mine.fills) == expected.orders
    assert mine.net_profit == pytest.approx(expected.pnl, abs=0.005)
