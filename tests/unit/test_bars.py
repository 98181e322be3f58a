"""Buckets, quotes, spreads and refusals of the bar builder."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mmats._core.bars import BarBuilder
from mmats._core.frames import BAR_DTYPE, DELTA_DTYPE, QUOTE_DTYPE, TRADE_DTYPE
from mmats._core.types import EventFlag, EventKind

MINUTE_NS = 60 * 10**9
WEEK_NS = 7 * 24 * 60 * MINUTE_NS


def trades(*rows: tuple[int, int, int]) -> np.ndarray:
    events = np.zeros(len(rows), dtype=TRADE_DTYPE)
    events["kind"] = EventKind.EVENT_TRADE
    for event, (ts_ns, price, lots) in zip(events, rows, strict=True):
        event["ts_event_ns"], event["price_ticks"], event["size_lots"] = ts_ns, price, lots
        event["ts_recv_ns"] = ts_ns + 1000
    return events


def quotes(*rows: tuple[int, int, int]) -> np.ndarray:
    events = np.zeros(len(rows), dtype=QUOTE_DTYPE)
    events["kind"] = EventKind.EVENT_QUOTE
    for event, (ts_ns, bid, ask) in zip(events, rows, strict=True):
        event["ts_event_ns"], event["bid_ticks"], event["ask_ticks"] = ts_ns, bid, ask
    return events


def bar_events(*rows: tuple[int, int, int, int, int, int, int | None]) -> np.ndarray:
    events = np.zeros(len(rows), dtype=BAR_DTYPE)
    events["kind"] = EventKind.EVENT_BAR
    fields = ("ts_event_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
    for event, row in zip(events, rows, strict=True):
        for field, value in zip(fields, row[:6], strict=True):
            event[field] = value
        event["ts_recv_ns"] = row[0] + 1000
        if row[6] is not None:
            event["spread_ticks"] = row[6]
            event["flags"] = EventFlag.BAR_BID | EventFlag.BAR_SPREAD
    return events


def test_a_trade_at_the_end_of_a_bucket_opens_the_next() -> None:
    bars = BarBuilder(MINUTE_NS).aggregate(
        trades((0, 10, 1), (MINUTE_NS - 1, 12, 2), (MINUTE_NS, 11, 4)), until_ns=2 * MINUTE_NS
    )
    assert bars["ts_event_ns"].tolist() == [MINUTE_NS, 2 * MINUTE_NS]
    assert bars["close_ticks"].tolist() == [12, 11]
    assert bars["volume_lots"].tolist() == [3, 4]
    assert bars["ts_recv_ns"].tolist() == [MINUTE_NS + 1000, 2 * MINUTE_NS]


def test_a_bar_at_the_end_of_a_bucket_closes_it_at_once() -> None:
    builder = BarBuilder(2 * MINUTE_NS)
    bars = builder.aggregate(
        bar_events(
            (MINUTE_NS, 10, 15, 9, 11, 5, 3),
            (2 * MINUTE_NS, 11, 13, 8, 12, 6, None),
            (3 * MINUTE_NS, 12, 12, 12, 12, 7, None),
        )
    )
    assert bars[0].item()[4:6] == (2 * MINUTE_NS, 2 * MINUTE_NS + 1000)
    assert bars[0].item()[6:] == (10, 15, 8, 12, 11)
    assert bars[0]["spread_ticks"] == 3
    assert bars[0]["flags"] == EventFlag.BAR_BID | EventFlag.BAR_SPREAD
    assert len(bars) == 1


def test_one_bar_can_close_the_bucket_before_and_its_own() -> None:
    builder = BarBuilder(2 * MINUTE_NS)
    assert len(builder.aggregate(bar_events((MINUTE_NS, 1, 1, 1, 1, 1, None)))) == 0
    bars = builder.aggregate(bar_events((6 * MINUTE_NS, 2, 2, 2, 2, 2, None)))
    assert bars["ts_event_ns"].tolist() == [2 * MINUTE_NS, 6 * MINUTE_NS]
    assert bars["ts_recv_ns"].tolist() == [6 * MINUTE_NS + 1000] * 2


def test_spread_without_its_flag_does_not_reach_the_bar() -> None:
    events = bar_events((MINUTE_NS, 1, 1, 1, 1, 1, None))
    events["spread_ticks"] = 9
    bars = BarBuilder(MINUTE_NS).aggregate(events)
    assert (bars[0]["spread_ticks"], bars[0]["flags"]) == (0, 0)


def test_quotes_show_the_bid_or_the_mid_rounded_down_and_the_widest_spread() -> None:
    events = quotes((0, 100, 103), (1, 101, 102), (2, 99, 98), (3, -5, 0))
    bid = BarBuilder(MINUTE_NS, "bid").aggregate(events, until_ns=MINUTE_NS)[0]
    mid = BarBuilder(MINUTE_NS, "mid").aggregate(events, until_ns=MINUTE_NS)[0]
    assert bid.item()[6:] == (100, 101, -5, -5, 0)
    assert mid.item()[6:] == (101, 101, -3, -3, 0)
    assert (bid["spread_ticks"], mid["spread_ticks"]) == (5, 5)
    assert bid["flags"] == EventFlag.BAR_BID | EventFlag.BAR_SPREAD
    assert mid["flags"] == EventFlag.BAR_MID | EventFlag.BAR_SPREAD


def test_a_spread_beyond_its_field_stays_at_the_largest() -> None:
    bar = BarBuilder(MINUTE_NS, "bid").aggregate(quotes((0, 1, 70_001)), until_ns=MINUTE_NS)[0]
    assert bar["spread_ticks"] == 65_535


def test_weeks_start_on_monday() -> None:
    thursday = int(datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()) * 10**9
    bars = BarBuilder(WEEK_NS).aggregate(trades((thursday, 5, 1)), until_ns=thursday + WEEK_NS)
    end = datetime.fromtimestamp(int(bars[0]["ts_event_ns"]) / 10**9, tz=UTC)
    assert end == datetime(2024, 3, 4, tzinfo=UTC)
    assert end.weekday() == 0


def test_the_current_bar_stays_open_until_its_end() -> None:
    builder = BarBuilder(MINUTE_NS)
    assert len(builder.aggregate(trades((0, 5, 1)), until_ns=MINUTE_NS - 1)) == 0
    assert len(builder.aggregate(trades((MINUTE_NS - 1, 6, 1)), until_ns=MINUTE_NS)) == 1
    assert builder.closed_until_ns == MINUTE_NS


def test_an_event_of_a_closed_bucket_is_refused_and_counted() -> None:
    builder = BarBuilder(MINUTE_NS)
    builder.aggregate(trades((5, 5, 1)), until_ns=MINUTE_NS)
    assert len(builder.aggregate(trades((6, 99, 1)), until_ns=MINUTE_NS)) == 0
    assert builder.late_count == 1
    builder.aggregate(trades((10 * MINUTE_NS, 5, 1)))
    builder.aggregate(trades((9 * MINUTE_NS, 5, 1)))
    assert builder.late_count == 2
    builder.reset()
    assert builder.late_count == 0
    assert len(builder.aggregate(trades((6, 5, 1)), until_ns=MINUTE_NS)) == 1


def test_a_batch_longer_than_one_step_loses_nothing() -> None:
    count = 150_000
    events = np.zeros(count, dtype=TRADE_DTYPE)
    events["kind"] = EventKind.EVENT_TRADE
    events["ts_event_ns"] = np.arange(count)
    events["price_ticks"] = np.arange(count)
    events["size_lots"] = 1
    bars = BarBuilder(1).aggregate(events, until_ns=count)
    assert (bars["close_ticks"] == np.arange(count)).all()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (trades((5, 1, 1), (4, 1, 1)), "event 1 is before event 0"),
        (quotes((0, 1, 2)), "neither trades nor bars"),
        (np.zeros(1, dtype=DELTA_DTYPE), "array of bars, quotes or trades"),
        (np.zeros(2), "array of bars, quotes or trades"),
    ],
)
def test_events_that_make_no_bars_are_refused(events: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BarBuilder(MINUTE_NS).aggregate(events)


def test_several_instruments_are_refused() -> None:
    events = trades((0, 1, 1), (1, 1, 1))
    events["instrument"][1] = 1
    with pytest.raises(ValueError, match="several instruments"):
        BarBuilder(MINUTE_NS).aggregate(events)
    builder = BarBuilder(MINUTE_NS)
    builder.aggregate(events[:1])
    with pytest.raises(ValueError, match="several instruments"):
        builder.aggregate(events[1:])


def test_bars_and_ticks_together_are_refused() -> None:
    events = trades((0, 1, 1), (1, 1, 1))
    events["kind"][1] = EventKind.EVENT_BAR
    with pytest.raises(ValueError, match="bars and ticks"):
        BarBuilder(MINUTE_NS).aggregate(events)


def test_volume_beyond_64_bits_is_an_error() -> None:
    with pytest.raises(OverflowError):
        BarBuilder(MINUTE_NS).aggregate(trades((0, 1, 2**62), (1, 1, 2**62)))


@pytest.mark.parametrize("interval_ns", [0, -1, 367 * 24 * 60 * MINUTE_NS])
def test_a_bad_interval_is_refused(interval_ns: int) -> None:
    with pytest.raises(ValueError, match="interval"):
        BarBuilder(interval_ns)


def test_a_bad_basis_is_refused() -> None:
    with pytest.raises(ValueError, match="trade, bid, mid"):
        BarBuilder(MINUTE_NS, "ask")  # type: ignore[arg-type]
