"""A market of one order book, and a strategy that answers some of its ticks with an order."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import DELTA_DTYPE, EVENT_DTYPE, REPORT_DTYPE, EventFlag, EventKind, ReportKind
from mmats.model import Action, Strategy, TradeSignal

BID_TICKS, ASK_TICKS = 100_000, 100_002
DEPTH = 20
LOTS = 1000
ANSWERED_LOTS = 777  # the size of the best bid that the strategy answers
SIZE = 0.5  # of each order; less than any level holds
SYMBOL = "AAABBB"
VENUE = "bench"

CONFIG: dict[str, Any] = {
    "name": "bench",
    "account": {"currency": "BBB", "balances": ["1000000 BBB"], "pegs": {}},
    "instruments": [
        {
            "symbol": SYMBOL,
            "venue": "SIM",
            "market": "test",
            "base": "AAA",
            "quote": "BBB",
            "tick_size": "0.01",
            "lot_size": "0.001",
            "quantity_min": "0.001",
            "notional_min": "0",
            "settlement": "margin",
            "price_basis": "trade",
            "leverage": 10,
        }
    ],
    "feeds": [
        {"symbol": f"{SYMBOL}.SIM", "source": "tail", "path": "none", "kind": "delta"},
        {"symbol": f"{SYMBOL}.SIM", "source": "tail", "path": "none", "kind": "quote"},
    ],
    "strategies": [
        {"name": "answer", "source": "benchmarks.engine_market:Answering", "symbols": [SYMBOL]}
    ],
    "risk": {"message_rate_max": "none", "order_notional_max": "100000 BBB"},
    "engine": {"venue": VENUE},
}


class Watching(Strategy):
    """Hears bars of a minute and decides nothing."""

    name = "watch"

    def initialize(self, config: Mapping[str, Any]) -> None:
        """There is nothing to set."""

    def on_market_data(self, data: object) -> None:
        """Look."""


class Answering(Strategy):
    """Turns its position, long and flat, whenever the best bid has a certain size."""

    name = "answer"

    def __init__(self) -> None:
        """Start flat."""
        self.is_long = False

    def initialize(self, config: Mapping[str, Any]) -> None:
        """There is nothing to set."""

    def on_market_data(self, data: object) -> None:
        """Bars decide nothing."""

    def on_order_book(self, symbol: str, book: Any) -> TradeSignal | None:
        """Look at the top of the book."""
        if book.best_bid[1] != ANSWERED_LOTS:
            return None
        self.is_long = not self.is_long
        return TradeSignal(Action.BUY if self.is_long else Action.SELL, symbol, SIZE)


def snapshot(ts_ns: int) -> NDArray[np.void]:
    """The whole book, DEPTH levels a side."""
    rows = np.zeros(2 * DEPTH, DELTA_DTYPE)
    rows["kind"] = EventKind.EVENT_DELTA
    rows["flags"] = EventFlag.DELTA_SNAPSHOT
    rows["flags"][DEPTH:] |= np.uint8(EventFlag.DELTA_ASK)
    rows["flags"][0] |= np.uint8(EventFlag.DELTA_CLEAR)
    rows["flags"][-1] |= np.uint8(EventFlag.DELTA_LAST)
    away = np.arange(DEPTH)
    rows["price_ticks"] = np.concatenate((BID_TICKS - away, ASK_TICKS + away))
    rows["size_lots"] = LOTS
    rows["first_sequence"] = rows["last_sequence"] = 1
    rows["ts_event_ns"] = rows["ts_recv_ns"] = ts_ns
    return rows.view(EVENT_DTYPE)


def ticks(answered: NDArray[np.bool_]) -> NDArray[np.void]:
    """Changes of the size at the best prices, each a message of its own, without times."""
    rows = np.zeros(len(answered), DELTA_DTYPE)
    rows["kind"] = EventKind.EVENT_DELTA
    # After a bid that is answered comes another one: it is to be answered once.
    is_ask = (np.arange(len(answered)) % 2 == 1) & ~answered & ~np.roll(answered, 1)
    rows["flags"] = np.where(
        is_ask, EventFlag.DELTA_LAST | EventFlag.DELTA_ASK, EventFlag.DELTA_LAST
    )
    rows["price_ticks"] = np.where(is_ask, ASK_TICKS, BID_TICKS)
    rows["size_lots"] = np.where(answered, ANSWERED_LOTS, LOTS + np.arange(len(answered)))
    rows["first_sequence"] = rows["last_sequence"] = 2 + np.arange(len(answered))
    return rows.view(EVENT_DTYPE)


def dated(row: NDArray[np.void]) -> NDArray[np.void]:
    """The same rows, of now."""
    row["ts_event_ns"] = row["ts_recv_ns"] = time.time_ns()
    return row


def fill(request: Any, trade_id: int) -> NDArray[np.void]:
    """The report that fills a whole request."""
    report = np.zeros(1, REPORT_DTYPE)
    report["kind"] = ReportKind.REPORT_FILLED
    report["order_id"], report["trade_id"] = request["order_id"], trade_id
    report["ts_event_ns"] = time.time_ns()
    report["last_lots"] = request["quantity_lots"]
    report["last_ticks"] = ASK_TICKS if request["side"] > 0 else BID_TICKS
    report["touch_ticks"] = report["last_ticks"]
    report["mid_ticks_x2"] = BID_TICKS + ASK_TICKS
    return report
