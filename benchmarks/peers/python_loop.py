"""The reference rules in plain Python over a list."""

from collections.abc import Callable
from typing import Any

from benchmarks.reference import Outcome, ema_cross

NAME = "Python loop"
LACKS = "averages and position only: no orders, no risk, no records"


def prepare(bars: Any) -> Callable[[], Outcome]:
    """The closes as a list of floats."""
    closes = bars["close"].tolist()
    return lambda: ema_cross(closes)
