"""The EMA cross in backtrader."""

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pandas as pd

from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome

NAME = "backtrader"
LACKS = "no risk gate; averages in the strategy, since its own are seeded otherwise"

CASH = 1e9


class _EmaCross(bt.Strategy):  # type: ignore[misc]
    def __init__(self) -> None:
        self.fast = self.slow = 0.0
        self.seen = 0
        self.held = 0.0
        self.filled = 0

    def next(self) -> None:
        close = self.data.close[0]
        if self.seen == 0:
            self.fast = self.slow = close
        self.fast += 2 / (FAST_PERIOD + 1) * (close - self.fast)
        self.slow += 2 / (SLOW_PERIOD + 1) * (close - self.slow)
        self.seen += 1
        if self.seen <= WARM_UP_BARS or self.fast == self.slow:
            return
        wanted = SIZE if self.fast > self.slow else -SIZE
        if wanted != self.held:
            order = self.buy if wanted > 0 else self.sell
            order(size=abs(wanted - self.held))
            self.held = wanted

    def notify_order(self, order: Any) -> None:
        self.filled += order.status == bt.Order.Completed


def prepare(bars: Any) -> Callable[[], Outcome]:
    """A Cerebro without observers that fills at the close of the deciding bar."""
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: bars[name] for name in names})
    frame.index = pd.to_datetime(bars["ts_event_ns"])
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(_EmaCross)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=FEE_RATE)
    cerebro.broker.set_coc(True)

    def run() -> Outcome:
        (strategy,) = cerebro.run()
        return Outcome(strategy.filled, cerebro.broker.getvalue() - CASH)

    return run
