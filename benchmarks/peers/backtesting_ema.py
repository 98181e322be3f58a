"""The EMA cross in backtesting.py."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome

NAME = "backtesting.py"
LACKS = "one instrument; whole units (run at size 1); no risk gate; statistics are in the time"

CASH = 1e9  # far from any margin call


class _EmaCross(Strategy):  # type: ignore[misc]
    def init(self) -> None:
        self.fast = self.slow = float(self.data.Close[0])
        self.seen = 0
        self.held = 0
        self.sent = 0

    def next(self) -> None:
        closes = self.data.Close
        # The first call comes at the second bar.
        for index in range(self.seen, len(closes)):
            self._average(float(closes[index]))
        self.seen = len(closes)
        if self.seen <= WARM_UP_BARS or self.fast == self.slow:
            return
        wanted = 1 if self.fast > self.slow else -1
        if wanted != self.held:
            order = self.buy if wanted > 0 else self.sell
            order(size=abs(wanted - self.held))
            self.held = wanted
            self.sent += 1

    def _average(self, close: float) -> None:
        self.fast += 2 / (FAST_PERIOD + 1) * (close - self.fast)
        self.slow += 2 / (SLOW_PERIOD + 1) * (close - self.slow)


def prepare(bars: Any) -> Callable[[], Outcome]:
    """A data frame and a Backtest that fills at the close."""
    columns = {name: bars[name.lower()] for name in ("Open", "High", "Low", "Close", "Volume")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(bars["ts_event_ns"]))
    test = Backtest(frame, _EmaCross, cash=CASH, commission=FEE_RATE, trade_on_close=True)

    def run() -> Outcome:
        with open(os.devnull, "w") as silent, contextlib.redirect_stderr(silent):
            stats = test.run()
        strategy = stats["_strategy"]
        return Outcome(strategy.sent, (float(stats["Equity Final [$]"]) - CASH) * SIZE)

    return run
