"""The C reference event loop."""

from collections.abc import Callable
from typing import Any

from benchmarks.native import event_loop
from benchmarks.reference import Outcome

NAME = "C event loop"
LACKS = "a program for this one strategy; floats, no order life cycle"


def prepare(bars: Any) -> Callable[[], Outcome]:
    """Ready to run at once."""
    return lambda: event_loop(bars)


__all__ = ["LACKS", "NAME", "prepare"]
