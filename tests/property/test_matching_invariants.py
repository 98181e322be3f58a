"""What must hold for any orders on any data at the simulated venue."""

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmats._core.matching import SimulatedVenue
from tests.fakes.oracles_matching import OneBar, price_in_one_bar
from tests.fakes.venue_market import (
    ASK,
    BUY,
    BY_SELLER,
    ENTRY,
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    MINUTE,
    NEAREST,
    PROTECT,
    REDUCE_ONLY,
    SECOND,
    SELL,
    STOP,
    STOP_LIMIT,
    TAKE_PROFIT,
    TARGET,
    TRAILING,
    WORST,
    bars,
    fills,
    level,
    on_fill,
    quote,
    send,
    snapshot,
    trade,
    venue,
)

prices = st.integers(960, 1040)


@st.composite
def bar_rows(draw: st.DrawFn) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = []
    for _ in range(draw(st.integers(2, 8))):
        low, a, b, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
        start, end = (a, b) if draw(st.booleans()) else (b, a)
        rows.append((start, high, low, end, draw(st.integers(0, 60))))
    return rows


orders = st.lists(
    st.fixed_dictionaries(
        {
            "side": st.sampled_from([BUY, SELL]),
            "kind": st.sampled_from([MARKET, LIMIT, STOP, STOP_LIMIT, TAKE_PROFIT, TRAILING]),
            "lots": st.integers(1, 20),
            "price_ticks": prices,
            "trigger_ticks": prices,
            "trail_ticks": st.integers(1, 20),
            "tif": st.sampled_from([GTC, IOC, FOK]),
            "flags": st.sampled_from([0, 0, REDUCE_ONLY]),
            "strategy": st.integers(0, 1),
            "after": st.integers(0, 7),
        }
    ),
    min_size=1,
    max_size=12,
)


def submit(at: SimulatedVenue, now: int, slot: int, order: dict[str, int]) -> None:
    fields = {name: order[name] for name in ("price_ticks", "tif", "flags", "strategy")}
    if order["kind"] not in (MARKET, LIMIT):
        fields["trigger_ticks"] = order["trigger_ticks"]
    if order["kind"] == TRAILING:
        fields |= {"trail_ticks": order["trail_ticks"], "trigger_ticks": 0}
    send(at, now, slot, order["side"], order["lots"], order["kind"], **fields)


def check_reports(
    sent: list[tuple[int, dict[str, int]]], reports: list[dict[str, Any]], latency: int
) -> dict[int, int]:
    """The rules of one order's life; returns the positions by strategy."""
    leaves = {slot: order["lots"] for slot, (_, order) in enumerate(sent)}
    positions: dict[int, int] = defaultdict(int)
    ended: set[int] = set()
    last_trade, last_recv = 0, 0
    for report in reports:
        slot = report["order_id"] & 4095
        now, order = sent[slot]
        assert slot not in ended
        assert report["ts_event_ns"] >= now + latency
        assert report["ts_recv_ns"] >= max(report["ts_event_ns"] + latency, last_recv)
        last_recv = report["ts_recv_ns"]
        if report["kind"] == 4:
            assert report["trade_id"] == last_trade + 1
            last_trade += 1
            leaves[slot] -= report["last_lots"]
            assert report["last_lots"] > 0
            side, price = order["side"], report["last_ticks"]
            if order["kind"] in (LIMIT, STOP_LIMIT):
                assert side * price <= side * order["price_ticks"]
            before = positions[order["strategy"]]
            if order["flags"] & REDUCE_ONLY:
                assert before * side < 0
                assert report["last_lots"] <= abs(before)
            positions[order["strategy"]] += side * report["last_lots"]
            assert side * (price - report["touch_ticks"]) >= 0 or report["liquidity"] == 1
        assert report["kind"] == 2 or report["leaves_lots"] == leaves[slot] >= 0
        if report["kind"] in (2, 5, 6) or leaves[slot] == 0:
            ended.add(slot)
    for slot, (_, order) in enumerate(sent):
        if order["tif"] == FOK and not order["flags"]:
            assert leaves[slot] in (0, order["lots"])
    return positions


@settings(max_examples=150, deadline=None)
@given(
    rows=bar_rows(),
    orders=orders,
    share=st.sampled_from([0, 500_000]),
    latency=st.sampled_from([0, 7 * SECOND]),
    path=st.integers(1, 4),
    close=st.integers(0, 1),
    spread=st.integers(0, 5),
    slip=st.integers(0, 3),
    flags=st.sampled_from([0, 1, 2]),
)
def test_any_orders_on_any_bars(
    rows: list[tuple[int, ...]],
    orders: list[dict[str, int]],
    share: int,
    latency: int,
    path: int,
    close: int,
    spread: int,
    slip: int,
    flags: int,
) -> None:
    at = venue(
        cost={
            "volume_share_ppm": share,
            "spread_ticks": spread,
            "slippage_model": 1,
            "slippage_value": slip,
        },
        fill={"path": path, "market_on_close": close, "order_latency_ns": latency},
        strategy_count=2,
    )
    sent: list[tuple[int, dict[str, int]]] = []
    for k, event in enumerate(bars(rows, flags=flags)):
        at.feed(event.reshape(1))
        for order in (order for order in orders if order["after"] == k):
            submit(at, (k + 1) * MINUTE, len(sent), order)
            sent.append(((k + 1) * MINUTE, order))
    reports = at.reports()
    positions = check_reports(sent, reports, latency)
    assert [at.position_lots(k, 0) for k in (0, 1)] == [positions[0], positions[1]]
    if share:
        taken: dict[int, int] = defaultdict(int)
        for fill in fills(reports):
            # a fill at a bar's end may belong to this bar (its close) or to the next (its open)
            if fill["ts_event_ns"] % MINUTE:
                taken[fill["ts_event_ns"] // MINUTE] += fill["last_lots"]
        assert all(lots <= rows[k][4] // 2 for k, lots in taken.items())
        assert sum(fill["last_lots"] for fill in fills(reports)) <= sum(r[4] // 2 for r in rows)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from([LIMIT, STOP, TAKE_PROFIT]),
    side=st.sampled_from([BUY, SELL]),
    away=st.integers(6, 40),
    low=st.integers(0, 50),
    high=st.integers(0, 50),
    start=st.integers(-30, 30),
    flags=st.sampled_from([0, 1, 2]),
    spread=st.integers(0, 5),
    slip=st.integers(0, 3),
    path=st.integers(1, 4),
)
def test_one_order_in_one_bar_does_what_the_table_says(
    kind: int,
    side: int,
    away: int,
    low: int,
    high: int,
    start: int,
    flags: int,
    spread: int,
    slip: int,
    path: int,
) -> None:
    # far enough from the last close of 1000 to rest: limits and targets wait on opposite sides
    level_ticks = 1000 - side * away if kind != STOP else 1000 + side * away
    row = (1000 + start, 1000 + max(high, start), 1000 - max(low, -start), 1000)
    at = venue(
        cost={"spread_ticks": spread, "slippage_model": 1, "slippage_value": slip},
        fill={"path": path},
    )
    at.feed(bars([(1000, 1000, 1000, 1000)], flags=flags))
    name = "price_ticks" if kind == LIMIT else "trigger_ticks"
    send(at, MINUTE, 0, side, 3, kind, **{name: level_ticks})
    at.feed(bars([row], first=2, flags=flags))
    bar = OneBar(row[0], row[1], row[2], flags, spread, slip)
    expected = price_in_one_bar(bar, kind, side, level_ticks)
    got = [fill["last_ticks"] for fill in fills(at.reports())]
    assert got == ([] if expected is None else [expected])


@settings(max_examples=100, deadline=None)
@given(
    orders=orders,
    quotes=st.lists(
        st.tuples(prices, st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
        min_size=2,
        max_size=8,
    ),
)
def test_displayed_quotes_are_not_used_twice(
    orders: list[dict[str, int]], quotes: list[tuple[int, int, int, int]]
) -> None:
    at = venue(strategy_count=2)
    sent: list[tuple[int, dict[str, int]]] = []
    shown: dict[int, tuple[int, int]] = {}
    used = {BUY: 0, SELL: 0}
    everything: list[dict[str, Any]] = []
    for k, (bid, spread, bid_lots, ask_lots) in enumerate(quotes):
        now = (k + 1) * SECOND
        at.feed(quote(now, bid, bid + spread, bid_lots, ask_lots))
        for order in (order for order in orders if order["after"] == k):
            submit(at, now, len(sent), order)
            sent.append((now, order))
        for side, at_side in ((BUY, (bid + spread, ask_lots)), (SELL, (bid, bid_lots))):
            if shown.get(side) != at_side:
                shown[side], used[side] = at_side, 0
        reports = at.reports()
        everything += reports
        for fill in fills(reports):
            used[sent[fill["order_id"] & 4095][1]["side"]] += fill["last_lots"]
        assert used[BUY] <= shown[BUY][1]
        assert used[SELL] <= shown[SELL][1]
    check_reports(sent, everything, 0)


@settings(max_examples=100, deadline=None)
@given(
    orders=orders,
    steps=st.lists(
        st.tuples(st.sampled_from(["bid", "ask", "trade"]), st.integers(1, 12), st.integers(0, 9)),
        min_size=1,
        max_size=20,
    ),
)
def test_an_l2_book_gives_no_more_than_it_shows_and_trades(
    orders: list[dict[str, int]], steps: list[tuple[str, int, int]]
) -> None:
    at = venue(strategy_count=2)
    bids = {1000 - k: 5 for k in range(1, 13)}
    asks = {1000 + k: 5 for k in range(1, 13)}
    at.feed(snapshot(SECOND, bids, asks))
    offered = sum(bids.values()) + sum(asks.values())
    sent: list[tuple[int, dict[str, int]]] = []
    for k, (what, away, lots) in enumerate(steps):
        now = (k + 2) * SECOND
        if what == "trade":
            at.feed(trade(now, 1000 - away, lots, BY_SELLER))
        elif what == "bid":
            at.feed(level(now, 0, 1000 - away, lots))
        else:
            at.feed(level(now, ASK, 1000 + away, lots))
        offered += lots
        for order in (order for order in orders if order["after"] == k):
            submit(at, now, len(sent), order)
            sent.append((now, order))
    reports = at.reports()
    check_reports(sent, reports, 0)
    assert sum(fill["last_lots"] for fill in fills(reports)) <= offered


def bracketed(rule: int, rows: list[tuple[int, ...]], side: int, stop: int, target: int) -> int:
    """Result in ticks of one bracketed lot; an open position is valued at the last close."""
    at = venue(fill={"path": rule}, cost={"spread_ticks": 2})
    seen: list[dict[str, Any]] = []
    legs = {1: 2, 2: 1}

    def answer(report: dict[str, Any]) -> None:
        slot, now = report["order_id"] & 4095, report["ts_recv_ns"]
        if slot == 0:
            send(
                at,
                now,
                1,
                -side,
                1,
                STOP,
                trigger_ticks=rows[1][0] - side * stop,
                role=PROTECT,
                flags=REDUCE_ONLY,
            )
            send(
                at,
                now,
                2,
                -side,
                1,
                LIMIT,
                price_ticks=rows[1][0] + side * target,
                role=TARGET,
                flags=REDUCE_ONLY,
            )
        else:
            at.cancel_order(now, 1 << 12 | legs[slot])

    drain = on_fill(at, seen, answer)
    events = bars(rows)
    at.feed(events[:1], drain)
    send(at, MINUTE, 0, side, 1, MARKET, role=ENTRY)
    at.feed(events[1:], drain)
    sides = {0: side, 1: -side, 2: -side}
    cash = -sum(sides[fill["order_id"] & 4095] * int(fill["last_ticks"]) for fill in fills(seen))
    return cash + at.position_lots(0, 0) * rows[-1][3]


@settings(max_examples=200, deadline=None)
@given(
    rows=bar_rows(),
    side=st.sampled_from([BUY, SELL]),
    stop=st.integers(3, 30),
    target=st.integers(3, 30),
)
def test_the_worst_path_is_never_better_than_another_for_a_bracketed_position(
    rows: list[tuple[int, ...]], side: int, stop: int, target: int
) -> None:
    worst = bracketed(WORST, rows, side, stop, target)
    assert worst <= min(bracketed(rule, rows, side, stop, target) for rule in (NEAREST, 3, 4))


@settings(max_examples=30, deadline=None)
@given(rows=bar_rows(), orders=orders, seed=st.integers(0, 2**64 - 1))
def test_a_run_is_a_function_of_its_inputs_and_seed(
    rows: list[tuple[int, ...]], orders: list[dict[str, int]], seed: int
) -> None:
    def run() -> list[dict[str, Any]]:
        at = venue(
            fill={"order_latency_ns": SECOND, "order_jitter_ns": 20 * SECOND, "seed": seed},
            strategy_count=2,
        )
        events = bars(rows)
        at.feed(events[:1])
        for slot, order in enumerate(orders):
            submit(at, MINUTE, slot, order)
        at.feed(np.ascontiguousarray(events[1:]))
        return at.reports()

    assert run() == run()
