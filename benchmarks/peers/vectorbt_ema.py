"""The EMA cross in vectorbt: arrays in, arrays out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome

NAME = "vectorbt"
LACKS = "no events: no path-dependent strategy, no order life cycle, no risk gate"

CASH = 1e6


def prepare(bars: Any) -> Callable[[], Outcome]:
    """The closes as a series; the averages are part of the run."""
    closes = pd.Series(bars["close"])

    def run() -> Outcome:
        fast = closes.vbt.ewm_mean(FAST_PERIOD, minp=1, adjust=False).to_numpy()
        slow = closes.vbt.ewm_mean(SLOW_PERIOD, minp=1, adjust=False).to_numpy()
        target = np.where(fast > slow, SIZE, -SIZE)
        target[:WARM_UP_BARS] = np.nan
        same = np.concatenate(([False], target[1:] == target[:-1]))
        portfolio = vbt.Portfolio.from_orders(
            closes,
            size=np.where(same, np.nan, target),
            size_type="targetamount",
            fees=FEE_RATE,
            init_cash=CASH,
            freq="1min",
        )
        return Outcome(int(portfolio.orders.count()), float(portfolio.final_value()) - CASH)

    return run
