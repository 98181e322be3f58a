"""The EMA cross that every engine here runs, written out: the measure of parity.

Rules: two exponential averages of the close, alpha 2 / (period + 1), each seeded with the first
close. From bar 20 on (counted from 0): fast above slow holds +0.1, fast below slow holds -0.1. The
first order is 0.1, every later one 0.2 and turns the position. An order fills at once, in full, at
the close of its bar; the fee is 1e-4 of its notional. The result is cash plus the position at the
last close.
"""

from collections.abc import Sequence
from typing import NamedTuple

FAST_PERIOD = 10
SLOW_PERIOD = 20
WARM_UP_BARS = 20
SIZE = 0.1
FEE_RATE = 1e-4


class Outcome(NamedTuple):
    """What two engines must agree on."""

    orders: int
    pnl: float  # quote currency, after fees


def ema_cross(closes: Sequence[float]) -> Outcome:
    """Run the rules over closing prices; `closes` must not be empty."""
    fast_alpha, slow_alpha = 2 / (FAST_PERIOD + 1), 2 / (SLOW_PERIOD + 1)
    fast = slow = closes[0]
    position = cash = 0.0
    orders = 0
    for index, close in enumerate(closes):
        fast += fast_alpha * (close - fast)
        slow += slow_alpha * (close - slow)
        if index < WARM_UP_BARS or fast == slow:
            continue
        wanted = SIZE if fast > slow else -SIZE
        if wanted != position:
            quantity = wanted - position
            cash -= quantity * close + abs(quantity) * close * FEE_RATE
            position = wanted
            orders += 1
    return Outcome(orders, cash + position * closes[-1])
