"""The EMA cross in hftbacktest, which knows books and trades but no bars."""

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

from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome

NAME = "hftbacktest"
LACKS = "no bars: a close is 4 book events, fills are a tick off it; no risk gate, no valuation"

EVENTS_PER_BAR = 4
TICK = 0.01
NEXT_FEED = 2
LEVEL_SIZE = 1000.0


@njit  # type: ignore[untyped-decorator]
def _ema_cross(hbt: Any) -> tuple[int, float]:
    fast = slow = held = 0.0
    seen = events = orders = 0
    while hbt.wait_next_feed(False, 10**18) == NEXT_FEED:
        events += 1
        if events % EVENTS_PER_BAR:
            continue
        depth = hbt.depth(0)
        close = (depth.best_bid + depth.best_ask) / 2
        if seen == 0:
            fast = slow = close
        fast += 2 / (FAST_PERIOD + 1) * (close - fast)
        slow += 2 / (SLOW_PERIOD + 1) * (close - slow)
        seen += 1
        if seen <= WARM_UP_BARS or fast == slow:
            continue
        wanted = SIZE if fast > slow else -SIZE
        if wanted != held:
            hbt.clear_inactive_orders(0)
            if wanted > 0:
                hbt.submit_buy_order(0, orders, depth.best_ask, wanted - held, GTC, MARKET, False)
            else:
                hbt.submit_sell_order(0, orders, depth.best_bid, held - wanted, GTC, MARKET, False)
            held = wanted
            orders += 1
    state = hbt.state_values(0)
    return state.num_trades, state.balance + state.position * close - state.fee


def _book_events(bars: Any) -> Any:
    """Per bar: the old levels go, a bid a tick below and an ask a tick above the close come."""
    ticks = np.rint(bars["close"] / TICK).astype(np.int64)
    before = np.concatenate((ticks[:1], ticks[:-1]))
    sides = (BUY_EVENT, SELL_EVENT, BUY_EVENT, SELL_EVENT)
    prices = (before - 1, before + 1, ticks - 1, ticks + 1)
    events = np.zeros((len(bars), EVENTS_PER_BAR), event_dtype)
    for k, (side, price) in enumerate(zip(sides, prices, strict=True)):
        events["ev"][:, k] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
        events["px"][:, k] = price * TICK
        events["qty"][:, k] = 0.0 if k < EVENTS_PER_BAR // 2 else LEVEL_SIZE
        events["exch_ts"][:, k] = events["local_ts"][:, k] = bars["ts_event_ns"] + k
    return events.reshape(-1)


def prepare(bars: Any) -> Callable[[], Outcome]:
    """A backtest on book events, without latency and without a queue."""
    events = _book_events(bars)
    asset = (
        BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE_RATE, FEE_RATE)
        .tick_size(TICK)
        .lot_size(0.001)
        .roi_lb(float(bars["close"].min()) - 1)
        .roi_ub(float(bars["close"].max()) + 1)
    )
    hbt = ROIVectorMarketDepthBacktest([asset])

    def run() -> Outcome:
        # hftbacktest holds the address of the events and no reference: they must outlive the run.
        assert len(events) == EVENTS_PER_BAR * len(bars)
        orders, pnl = _ema_cross(hbt)
        hbt.close()
        return Outcome(int(orders), float(pnl))

    return run
