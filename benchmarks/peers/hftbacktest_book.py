"""The EMA cross of benchmarks/book_compiled.pyx in hftbacktest, at every book update."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

from benchmarks.reference import FEE_RATE, Outcome

NAME = "hftbacktest, ROIVector, L2"
LACKS = "no risk gate, no valuation, no journal; the strategy is compiled by numba beforehand"

TICK, LOT = 0.01, 0.001
FAST_ALPHA, SLOW_ALPHA, WARM_UP_UPDATES = 2 / 101, 2 / 201, 200
SIZE = 0.1
IS_ASK = 1
SNAPSHOT_ROWS = 206
ORDER_LATENCY_NS = 1_000_000
NEXT_FEED = 2


@njit  # type: ignore[untyped-decorator]
def _cross(hbt: Any) -> int:
    fast = slow = held = 0.0
    seen = events = orders = 0
    while hbt.wait_next_feed(False, 10**18) == NEXT_FEED:
        events += 1
        if events < SNAPSHOT_ROWS:
            continue
        depth = hbt.depth(0)
        mid = 0.5 * (depth.best_bid_tick + depth.best_ask_tick)
        if seen == 0:
            fast = slow = mid
        fast += FAST_ALPHA * (mid - fast)
        slow += SLOW_ALPHA * (mid - slow)
        seen += 1
        if seen <= WARM_UP_UPDATES or fast == slow:
            continue
        wanted = SIZE if fast > slow else -SIZE
        if wanted != held:
            hbt.clear_inactive_orders(0)
            size = abs(wanted - held)
            if wanted > 0:
                hbt.submit_buy_order(0, orders, depth.best_ask, size, GTC, MARKET, False)
            else:
                hbt.submit_sell_order(0, orders, depth.best_bid, size, GTC, MARKET, False)
            held = wanted
            orders += 1
    return orders


def _events(rows: Any) -> Any:
    out = np.zeros(len(rows), event_dtype)
    side = np.where(rows["flags"] & IS_ASK, SELL_EVENT, BUY_EVENT)
    out["ev"] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
    out["px"] = rows["price_ticks"] * TICK
    out["qty"] = rows["size_lots"] * LOT
    out["exch_ts"] = out["local_ts"] = rows["ts_event_ns"]
    return out


def prepare(rows: Any) -> Callable[[], Outcome]:
    """A backtest with order latency and a queue model."""
    events = _events(rows)
    prices = rows["price_ticks"] * TICK
    asset = (
        BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(ORDER_LATENCY_NS, ORDER_LATENCY_NS)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE_RATE, FEE_RATE)
        .tick_size(TICK)
        .lot_size(LOT)
        .roi_lb(float(prices.min()) - 1)
        .roi_ub(float(prices.max()) + 1)
    )
    hbt = ROIVectorMarketDepthBacktest([asset])

    def run() -> Outcome:
        # hftbacktest holds the address of the events and no reference: they must outlive the run.
        assert len(events) == len(rows)
        orders = _cross(hbt)
        hbt.close()
        return Outcome(int(orders), 0.0)

    return run
