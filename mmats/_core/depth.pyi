"""A displayed book less what we have already taken from it; used from compiled code only."""

from typing import final

from mmats._core.book import OrderBook

@final
class Depth:
    """One instrument's book at the venue."""

    @property
    def book(self) -> OrderBook: ...
