"""A small market for tests of the simulated venue: events in short form, reports in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core.frames import BAR_DTYPE, DELTA_DTYPE, QUOTE_DTYPE, TRADE_DTYPE
from mmats._core.matching import SimulatedVenue

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

BUY, SELL = 1, -1
MARKET, LIMIT, STOP, STOP_LIMIT, TAKE_PROFIT, TRAILING = 1, 2, 3, 4, 5, 6
GTC, IOC, FOK, GTD, DAY_ORDER = 1, 2, 3, 4, 5
POST_ONLY, REDUCE_ONLY = 1, 2
ENTRY, PROTECT, TARGET = 1, 2, 3
BAR, QUOTE, TRADE, DELTA, TIMER = 1, 2, 3, 4, 5
BID_BARS, MID_BARS, OWN_SPREAD = 1, 2, 4
ASK, SNAPSHOT, CLEAR, LAST = 1, 2, 4, 8
BY_SELLER, BY_BUYER = 1, 0
QUOTE_FEE, BASE_FEE, RECEIVED_FEE, THIRD_FEE, ACCOUNT_FEE = 1, 2, 3, 4, 5
WORST, NEAREST, HIGH_FIRST, LOW_FIRST = 1, 2, 3, 4

KINDS = {
    1: "accepted",
    2: "rejected",
    3: "triggered",
    4: "filled",
    5: "canceled",
    6: "expired",
    7: "updated",
    8: "cancel_rejected",
    9: "not_found",
}
REASONS = {
    0: "",
    1: "post_only",
    2: "notional_min",
    3: "quantity",
    4: "fok",
    5: "ioc",
    6: "reduce_only",
    7: "unknown_order",
    8: "full",
    9: "price",
}

Events = NDArray[np.void]


def bars(
    rows: Sequence[tuple[int, ...]],
    *,
    first: int = 1,
    interval: int = MINUTE,
    flags: int = 0,
    spread: int = 0,
    instrument: int = 0,
) -> Events:
    """Rows of (open, high, low, close[, volume]); bar k closes at (first + k) * interval."""
    out = np.zeros(len(rows), BAR_DTYPE)
    for k, row in enumerate(rows):
        out[k]["ts_event_ns"] = (first + k) * interval
        out[k]["open_ticks"], out[k]["high_ticks"] = row[0], row[1]
        out[k]["low_ticks"], out[k]["close_ticks"] = row[2], row[3]
        out[k]["volume_lots"] = row[4] if len(row) > 4 else 1_000_000
    out["kind"], out["flags"], out["spread_ticks"] = BAR, flags, spread
    out["instrument"] = instrument
    return out


def quote(ts: int, bid: int, ask: int, bid_lots: int = 0, ask_lots: int = 0) -> Events:
    out = np.zeros(1, QUOTE_DTYPE)
    out["kind"], out["ts_event_ns"] = QUOTE, ts
    out["bid_ticks"], out["ask_ticks"] = bid, ask
    out["bid_lots"], out["ask_lots"] = bid_lots, ask_lots
    return out


def trade(ts: int, price: int, lots: int, flags: int = BY_SELLER) -> Events:
    out = np.zeros(1, TRADE_DTYPE)
    out["kind"], out["ts_event_ns"], out["flags"] = TRADE, ts, flags
    out["price_ticks"], out["size_lots"] = price, lots
    return out


def timer(ts: int) -> Events:
    out = np.zeros(1, TRADE_DTYPE)
    out["kind"], out["ts_event_ns"] = TIMER, ts
    return out


def snapshot(ts: int, bids: dict[int, int], asks: dict[int, int]) -> Events:
    """A whole book in one message, without sequence numbers."""
    rows = [(price, lots, 0) for price, lots in bids.items()]
    rows += [(price, lots, ASK) for price, lots in asks.items()]
    out = np.zeros(len(rows), DELTA_DTYPE)
    for k, (price, lots, side) in enumerate(rows):
        out[k]["price_ticks"], out[k]["size_lots"] = price, lots
        out[k]["flags"] = side | SNAPSHOT
    out["kind"], out["ts_event_ns"] = DELTA, ts
    out[0]["flags"] |= CLEAR
    out[-1]["flags"] |= LAST
    return out


def level(ts: int, side: int, price: int, lots: int) -> Events:
    """One level in a message of its own; `side` 0 = bid, ASK = ask."""
    out = np.zeros(1, DELTA_DTYPE)
    out["kind"], out["ts_event_ns"], out["flags"] = DELTA, ts, side | LAST
    out["price_ticks"], out["size_lots"] = price, lots
    return out


def venue(
    *,
    cost: Mapping[str, int] | None = None,
    fill: Mapping[str, int] | None = None,
    strategy_count: int = 1,
    **instrument: int,
) -> SimulatedVenue:
    """One instrument with one-minute bars, no costs and no latency unless said otherwise."""
    fields = {"bar_interval_ns": MINUTE, **instrument}
    return SimulatedVenue([fields], [cost or {}], fill, strategy_count=strategy_count)


def order_id(slot: int, sequence: int = 1) -> int:
    return sequence << 12 | slot


def send(
    at: SimulatedVenue, now: int, slot: int, side: int, lots: int, kind: int = MARKET, **fields: int
) -> int:
    """Submit and return the order's id."""
    number = order_id(slot, fields.pop("sequence", 1))
    sent = at.submit_order(now, order_id=number, side=side, quantity_lots=lots, type=kind, **fields)
    assert sent
    return number


def words(reports: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """(slot, what) or (slot, "filled", lots, price) or (slot, "rejected", why)."""
    out: list[tuple[Any, ...]] = []
    for report in reports:
        what = KINDS[report["kind"]]
        slot = report["order_id"] & 4095
        if what == "filled":
            out.append((slot, what, report["last_lots"], report["last_ticks"]))
        elif report["reason"]:
            out.append((slot, what, REASONS[report["reason"]]))
        else:
            out.append((slot, what))
    return out


def story(at: SimulatedVenue, *events: Events) -> list[tuple[Any, ...]]:
    """What the venue says to these events, in words, without the acknowledgements."""
    for event in events:
        at.feed(event)
    return [word for word in words(at.reports()) if word[1] != "accepted"]


def fills(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [report for report in reports if KINDS[report["kind"]] == "filled"]


def on_fill(
    at: SimulatedVenue, seen: list[dict[str, Any]], answer: Callable[[dict[str, Any]], object]
) -> Callable[[], None]:
    """A driver's drain: keep every report in `seen`, and answer fills at the time of the report."""

    def drain() -> None:
        for report in at.reports():
            seen.append(report)
            if KINDS[report["kind"]] == "filled":
                answer(report)

    return drain
