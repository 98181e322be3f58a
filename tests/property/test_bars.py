"""Bars equal the obvious dictionary of buckets, however the events are cut into batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmats._core.bars import BarBuilder
from mmats._core.frames import BAR_DTYPE, TRADE_DTYPE
from mmats._core.types import EventKind
from tests.fakes.oracles_bars import WEEK_NS, bars_of_trades

FIELDS = ["ts_event_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots"]
intervals = st.sampled_from([1, 7, 60, 3600, WEEK_NS, 2 * WEEK_NS])


@st.composite
def trade_lists(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    interval_ns = draw(intervals)
    start_ns = draw(st.integers(-3 * interval_ns, 10**18))
    gaps = draw(st.lists(st.sampled_from([0, 1, interval_ns // 3, interval_ns, 2 * interval_ns])))
    trades = []
    ts_ns = start_ns
    for gap_ns in gaps:
        ts_ns += gap_ns
        trades.append((ts_ns, draw(st.integers(-50, 50)), draw(st.integers(0, 10**6))))
    return interval_ns, trades


def trade_array(trades: list[tuple[int, int, int]]) -> np.ndarray:
    events = np.zeros(len(trades), dtype=TRADE_DTYPE)
    events["kind"] = EventKind.EVENT_TRADE
    for k, (ts_ns, price, lots) in enumerate(trades):
        events[k]["ts_event_ns"] = ts_ns
        events[k]["ts_recv_ns"] = ts_ns + 5
        events[k]["price_ticks"] = price
        events[k]["size_lots"] = lots
    return events


def rows(bars: np.ndarray) -> list[tuple[int, ...]]:
    assert bars.dtype == BAR_DTYPE
    assert (bars["kind"] == EventKind.EVENT_BAR).all()
    return [tuple(int(bar[field]) for field in FIELDS) for bar in bars]


@given(trade_lists(), st.integers(0, 50))
def test_trades_make_the_bars_of_the_oracle(
    case: tuple[int, list[tuple[int, int, int]]], cut: int
) -> None:
    interval_ns, trades = case
    events = trade_array(trades)
    builder = BarBuilder(interval_ns)
    first = builder.aggregate(events[:cut])
    last = builder.aggregate(events[cut:], until_ns=2 * 10**18)
    assert rows(first) + rows(last) == bars_of_trades(trades, interval_ns)
    assert builder.late_count == 0


@given(trade_lists(), st.sampled_from([2, 3, 60]))
def test_bars_of_bars_are_the_bars_of_the_trades(
    case: tuple[int, list[tuple[int, int, int]]], factor: int
) -> None:
    interval_ns, trades = case
    if interval_ns % WEEK_NS == 0:
        factor = 1
    events = trade_array(trades)
    small = BarBuilder(interval_ns).aggregate(events, until_ns=2 * 10**18)
    large = BarBuilder(interval_ns * factor).aggregate(small, until_ns=2 * 10**18)
    assert rows(large) == bars_of_trades(trades, interval_ns * factor)


@given(trade_lists())
def test_a_bar_arrives_with_the_event_that_closed_it(
    case: tuple[int, list[tuple[int, int, int]]],
) -> None:
    interval_ns, trades = case
    bars = BarBuilder(interval_ns).aggregate(trade_array(trades))
    for bar in bars:
        closing_ns = min(ts for ts, _, _ in trades if ts >= bar["ts_event_ns"])
        assert bar["ts_recv_ns"] == closing_ns + 5
