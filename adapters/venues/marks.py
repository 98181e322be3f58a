"""Prices of a venue that has no feed of its own: those of given events, as two-sided quotes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import (
    BAR_DTYPE,
    EVENT_DTYPE,
    QUOTE_DTYPE,
    TRADE_DTYPE,
    EventKind,
)

Events = NDArray[Any]


class Marks:
    """Turns one instrument's events into quotes one tick wide, up to the time that is asked for.

    A quote fills a market order at once, whatever kind of data it was made of.
    """

    def __init__(self, chunks: Iterable[Events]) -> None:
        self._chunks: Iterator[Events] = iter(chunks)
        self._quotes: Events = np.empty(0, dtype=QUOTE_DTYPE)
        self._next_chunk()

    def first(self) -> Events:
        """Return the first quote, without taking it."""
        return self._quotes[:1]

    def until(self, ts_ns: int) -> list[Events]:
        """Take the quotes up to and with a time."""
        taken = []
        while len(self._quotes):
            end = int(np.searchsorted(self._quotes["ts_event_ns"], ts_ns, side="right"))
            if end:
                taken.append(self._quotes[:end])
            if end < len(self._quotes):
                self._quotes = self._quotes[end:]
                break
            self._next_chunk()
        return taken

    def _next_chunk(self) -> None:
        self._quotes = self._quotes[:0]
        for chunk in self._chunks:
            self._quotes = quotes_of(chunk)
            if len(self._quotes):
                return


def quotes_of(events: Events) -> Events:
    """Return quotes of unknown size at the prices of bars (closes), trades and quotes."""
    events = events.view(EVENT_DTYPE)
    kinds = events["kind"]
    usable = np.isin(kinds, [EventKind.EVENT_BAR, EventKind.EVENT_QUOTE, EventKind.EVENT_TRADE])
    events, kinds = events[usable], kinds[usable]
    out: Events = np.zeros(len(events), dtype=QUOTE_DTYPE)
    for name in ("instrument", "ts_event_ns", "ts_recv_ns"):
        out[name] = events[name]
    out["kind"] = EventKind.EVENT_QUOTE
    is_bar = kinds == EventKind.EVENT_BAR
    is_quote = kinds == EventKind.EVENT_QUOTE
    out["bid_ticks"] = np.where(
        is_bar, events.view(BAR_DTYPE)["close_ticks"], events.view(TRADE_DTYPE)["price_ticks"]
    )
    out["bid_ticks"][is_quote] = events.view(QUOTE_DTYPE)["bid_ticks"][is_quote]
    out["ask_ticks"] = out["bid_ticks"] + 1
    out["ask_ticks"][is_quote] = events.view(QUOTE_DTYPE)["ask_ticks"][is_quote]
    return out
