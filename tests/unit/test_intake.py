"""Live events: what is refused, what that changes, and what reaches venue and pipeline."""

from typing import Any

import numpy as np
import pytest

from mmats._core import (
    DELTA_DTYPE,
    EVENT_DTYPE,
    BookState,
    EventFlag,
    EventKind,
    FeedProblem,
    Intake,
)
from mmats.model import TradeSignal
from tests.fakes.backtests import MINUTE_NS, OTHER, START_NS, SYMBOL, Script
from tests.fakes.live import TICKS, at, bar, batch, event, quote, trade, wire

DAY_NS = 86_400 * 10**9


def intake(**changes: Any) -> tuple[Intake, Any]:
    made = wire([Script()], (SYMBOL, OTHER))
    return Intake(made.pipeline, made.venue, **changes), made


GOOD = batch(bar(1), quote(1, 9_990, 10_010), trade(1, TICKS, trade_id=7))
REFUSED = [
    ("instrument", bar(2, instrument=2), (-1, 2, 2)),
    ("instrument", bar(2, instrument=2**32 - 1), (-1, 2**32 - 1, 2)),
    ("kind", event(EVENT_DTYPE, EventKind.EVENT_TIMER, at(2), 0, {}), (0, 5, 0)),
    ("kind", event(EVENT_DTYPE, 0, at(2), 0, {}), (0, 0, 0)),
    ("kind", event(EVENT_DTYPE, 255, at(2), 0, {}), (0, 255, 0)),
    ("price", bar(2, 0), (0, 0, 0)),
    ("price", bar(2, low_ticks=-1), (0, -1, 0)),
    ("price", quote(2, 0, 10), (0, 0, 0)),
    ("price", trade(2, -5), (0, -5, 0)),
    ("range", bar(2, high_ticks=9_999), (0, TICKS, 9_999)),
    ("range", bar(2, low_ticks=10_001, high_ticks=10_002), (0, TICKS, 10_001)),
    ("range", bar(2, open_ticks=9_000, low_ticks=9_500), (0, TICKS, 9_500)),
    ("crossed", quote(2, 10_011, 10_010), (0, 10_011, 10_010)),
    ("size", bar(2, volume_lots=-1), (0, -1, 0)),
    ("size", quote(2, 9_990, 10_010, ask_lots=-3), None),
    ("size", trade(2, TICKS, size_lots=-1), (0, -1, 0)),
    ("out_of_order", bar(0.5), (0, at(0.5), at(1))),
    ("out_of_order", event(EVENT_DTYPE, EventKind.EVENT_TRADE, 0, 1, {"a": 5}), (1, 0, 0)),
    ("out_of_order", bar(2, ts_recv_ns=-1), (0, at(2), at(1))),
    ("duplicate", bar(1), (0, at(1), at(1))),
    ("duplicate", bar(1, ts_recv_ns=at(3)), (0, at(1), at(1))),
    ("duplicate", quote(1, 9_990, 10_010), (0, at(1), at(1))),
    ("duplicate", trade(1, 10_001, trade_id=7), (0, at(1), at(1))),
    ("duplicate", trade(1, 10_001, trade_id=6), (0, at(1), at(1))),
    ("future", bar(1 + 7 * 1440 + 1), (0, at(1 + 7 * 1440 + 1), at(1 + 7 * 1440))),
    ("future", bar(2, ts_recv_ns=2**63 - 1), (0, 2**63 - 1, at(1 + 7 * 1440))),
    ("jump", bar(2, 13_001), (0, 13_001, TICKS)),
    ("jump", bar(2, low_ticks=6_000), (0, TICKS, TICKS)),
    ("jump", trade(2, 2**62), (0, 2**62, TICKS)),
    ("jump", quote(2, 1, 10_010), (0, 5_005, TICKS)),
]


@pytest.mark.parametrize(("problem", "bad", "told"), REFUSED)
def test_a_bad_event_is_refused_counted_and_told(problem: str, bad: Any, told: Any) -> None:
    taker, made = intake()
    assert taker.on_events(GOOD) == 3
    before = (made.pipeline.now_ns, made.pipeline.event_count, made.ledger.state_bytes())
    assert taker.on_events(bad) == 0
    assert (made.pipeline.now_ns, made.pipeline.event_count, made.ledger.state_bytes()) == before
    name = f"FEED_{problem.upper()}"
    instrument = -1 if problem == "instrument" else int(bad["instrument"][0])
    assert taker.refused == taker.refused_of(instrument) == {name: 1}
    (fault,) = taker.take_problems()
    assert (fault.problem, fault.ts_event_ns) == (FeedProblem[name], bad["ts_event_ns"][0])
    if told is not None:
        assert (fault.instrument, fault.observed, fault.limit) == told
    assert taker.take_problems() == []
    # What follows is judged by the good ones.
    assert taker.on_events(batch(bar(2), quote(2, 9_990, 10_010), trade(2, TICKS))) == 3


@pytest.mark.parametrize(
    "good",
    [
        bar(1, 10_001),  # another bar of the same moment: a correction
        quote(1, 9_990, 10_011),
        trade(1, TICKS, trade_id=8),
        trade(1, TICKS),  # no id: two trades may be equal
        quote(2, 10_010, 10_010),
        bar(2, 13_000),
        bar(1 + 7 * 1440),
        bar(1, instrument=1),
        bar(2, 5, instrument=1),  # the first price of an instrument is taken
        bar(2, volume_lots=0),
    ],
)
def test_what_is_unusual_but_possible_is_played(good: Any) -> None:
    taker, made = intake()
    taker.on_events(GOOD)
    assert taker.on_events(good) == 1
    assert taker.refused == {}
    assert made.pipeline.event_count == taker.event_count == 4


def test_sequences_of_quotes_do_not_repeat_at_one_time() -> None:
    taker, _ = intake()
    first = quote(1, 9_990, 10_010, sequence=5)
    assert taker.on_events(batch(first, quote(1, 9_991, 10_010, sequence=4))) == 1
    assert taker.on_events(quote(1, 9_991, 10_010, sequence=6)) == 1
    assert taker.refused == {"FEED_DUPLICATE": 1}


def test_a_new_price_level_is_taken_at_the_third_in_a_row() -> None:
    taker, made = intake()
    taker.on_events(bar(1))
    assert [taker.on_events(bar(k, 20_000 + k)) for k in (2, 3, 4)] == [0, 0, 1]
    assert made.ledger.holding(0).mark_ticks == 20_004
    assert taker.on_events(bar(5, 20_000)) == 1
    assert taker.refused == {"FEED_JUMP": 2}


@pytest.mark.parametrize(
    "rows",
    [
        [bar(2, 20_000), bar(3, 40_000), bar(4, 20_000), bar(5, 40_000)],  # they don't agree
        [bar(2, 20_000), bar(3, 20_000), bar(4), bar(5, 20_000), bar(6, 20_000)],  # not in a row
        [bar(2, 20_000), bar(2, 20_000), bar(2, 20_000)],  # one event sent three times
        [bar(4, 20_000), bar(3, 20_000), bar(3.5, 20_000)],  # going back in time
    ],
)
def test_a_price_level_that_is_not_confirmed_is_not_taken(rows: list[Any]) -> None:
    taker, made = intake()
    taker.on_events(bar(1))
    taker.on_events(batch(*rows))
    assert made.ledger.holding(0).mark_ticks == TICKS


def test_a_restored_mark_is_the_first_price() -> None:
    taker, made = intake()
    made.ledger.mark_price(0, TICKS, START_NS)
    assert taker.on_events(bar(1, 20_000)) == 0
    assert taker.refused_of(0) == {"FEED_JUMP": 1}


def test_a_timer_moves_what_is_too_far_ahead() -> None:
    taker, made = intake(future_ns_max=MINUTE_NS)
    taker.on_timer(at(10))
    assert made.pipeline.now_ns == at(10)
    assert taker.on_events(batch(bar(11), bar(12.5))) == 1
    taker.on_timer(at(11.5))
    assert taker.on_events(bar(12.5)) == 1
    assert taker.refused == {"FEED_FUTURE": 1}


def test_time_never_goes_back() -> None:
    taker, made = intake()
    taker.on_timer(at(10))
    assert taker.on_events(batch(bar(9), bar(8, instrument=1))) == 2
    taker.on_timer(at(5))
    taker.on_reports(at(4))
    assert made.pipeline.now_ns == at(10)
    assert made.ledger.holding(0).marked_ns == at(10)


def test_problems_beyond_the_list_are_counted() -> None:
    taker, _ = intake()
    taker.on_events(batch(*[bar(1, -k) for k in range(300)]))
    assert (taker.refused_count, taker.unkept_count) == (300, 44)
    assert [fault.observed for fault in taker.take_problems()] == [-k for k in range(256)]
    taker.on_events(bar(1, -7))
    assert [fault.observed for fault in taker.take_problems()] == [-7]


@pytest.mark.parametrize(
    "settings",
    [{"price_jump_ppm": 0}, {"future_ns_max": 0}, {"future_ns_max": 367 * DAY_NS}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        intake(**settings)


def test_what_is_no_event_array_is_refused() -> None:
    taker, _ = intake()
    for wrong in (np.zeros(3), GOOD[::2], GOOD.reshape(3, 1)):
        with pytest.raises(ValueError, match="64-byte event records"):
            taker.on_events(wrong)
    with pytest.raises(IndexError, match="no instrument 2 of 2"):
        taker.refused_of(2)
    assert taker.on_events(GOOD[:0]) == 0


def test_a_refused_row_makes_an_order_book_stale() -> None:
    taker, made = intake()
    book = made.pipeline.add_book(0)

    def row(price: int, sequence: int, flags: int) -> Any:
        fields = {"price_ticks": price, "size_lots": 5, "first_sequence": sequence,
                  "last_sequence": sequence, "flags": flags}  # fmt: skip
        return event(DELTA_DTYPE, EventKind.EVENT_DELTA, at(1), 0, fields)

    first = EventFlag.DELTA_SNAPSHOT | EventFlag.DELTA_CLEAR
    last = EventFlag.DELTA_SNAPSHOT | EventFlag.DELTA_ASK | EventFlag.DELTA_LAST
    taker.on_events(batch(row(99, 1, first), row(101, 1, last)))
    assert book.state == BookState.BOOK_LIVE
    taker.on_events(row(101, 1, last))
    assert taker.refused == {"FEED_DUPLICATE": 1}
    assert book.state == BookState.BOOK_LIVE
    taker.on_events(row(0, 2, EventFlag.DELTA_LAST))
    assert book.state == BookState.BOOK_STALE_INVALID
    taker.on_events(bar(2, 0))  # any other kind says nothing about the book
    assert taker.refused_of(0) == {"FEED_DUPLICATE": 1, "FEED_PRICE": 2}


def test_without_a_venue_the_pipeline_still_hears() -> None:
    script = Script({0: TradeSignal("BUY", SYMBOL, 1)})
    made = wire([script], (SYMBOL, OTHER))
    taker = Intake(made.pipeline)
    assert taker.on_events(batch(bar(1), bar(1, instrument=1))) == 2
    taker.on_timer(at(2))
    assert len(script.seen) == 2
    taker.on_reports(at(3))  # the venue took the order and never heard of a market
    assert script.results == []
