"""Live events in any batches, with rubbish between them, do what a replay of the good ones does."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmats._core import EVENT_DTYPE, Intake, Replay
from mmats.model import TradeSignal
from tests.fakes.backtests import Script
from tests.fakes.live import TICKS, at, bar, batch, event, quote, wire

SYMBOLS = ("AAABBB", "CCCBBB", "DDDBBB")
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

minutes = st.lists(st.integers(1, 30), min_size=1, max_size=20, unique=True).map(sorted)
price = st.integers(9_000, 11_000)
signals = st.dictionaries(
    st.integers(0, 40),
    st.builds(
        TradeSignal,
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(SYMBOLS),
        st.sampled_from([0.5, 1.0, 3.0]),
        stop_loss=st.none() | st.sampled_from([85.0, 115.0]),
    ),
    max_size=12,
)


@st.composite
def bars_of(draw: Any, instrument: int) -> list[Any]:
    rows = []
    for minute in draw(minutes):
        prices = [draw(price) for _ in range(4)]
        top, bottom = max(prices), min(prices)
        named = {"open_ticks": prices[1], "high_ticks": top, "low_ticks": bottom}
        rows.append(bar(minute, prices[0], instrument, **named))
    return rows


@st.composite
def quotes_of(draw: Any, instrument: int) -> list[Any]:
    rows = []
    for minute in draw(minutes):
        bid = draw(price)
        rows.append(quote(minute + 0.5, bid, bid + draw(st.integers(0, 20)), instrument))
    return rows


sources = st.tuples(bars_of(0), bars_of(1), st.one_of(bars_of(2), quotes_of(2)))


def run_replay(rows: tuple[list[Any], ...], answers: Any) -> Any:
    made = wire([Script(answers)], SYMBOLS)
    replay = Replay(made.pipeline, made.venue)
    for instrument, source in enumerate(rows):
        replay.add_source(instrument, [batch(*source)])
    replay.run()
    return made


def in_order(rows: tuple[list[Any], ...]) -> list[Any]:
    """All events by time; those of one moment in the order of the sources."""
    return sorted((row for source in rows for row in source), key=lambda row: row["ts_event_ns"][0])


def run_intake(batches: list[Any], answers: Any) -> tuple[Any, Intake]:
    made = wire([Script(answers)], SYMBOLS)
    taker = Intake(made.pipeline, made.venue)
    for events in batches:
        taker.on_events(events)
    return made, taker


def assert_same(one: Any, other: Any) -> None:
    assert one.ledger.state_bytes() == other.ledger.state_bytes()
    assert one.journal.record_count == other.journal.record_count
    assert one.journal.state_hash == other.journal.state_hash
    assert one.pipeline.now_ns == other.pipeline.now_ns


def split(draw: Any, events: list[Any]) -> list[Any]:
    """Cut between moments, never within one."""
    batches: list[list[Any]] = [[]]
    for row in events:
        if batches[-1] and batches[-1][-1]["ts_event_ns"][0] != row["ts_event_ns"][0] \
                and draw(st.booleans()):  # fmt: skip
            batches.append([])
        batches[-1].append(row)
    return [batch(*rows) for rows in batches]


@SETTINGS
@given(sources, signals, st.data())
def test_batches_do_what_a_replay_does(rows: Any, answers: Any, data: st.DataObject) -> None:
    replayed = run_replay(rows, answers)
    live, taker = run_intake(split(data.draw, in_order(rows)), answers)
    assert taker.refused == {}
    assert_same(live, replayed)
    assert live.pipeline.event_count == replayed.pipeline.event_count


def rubbish(kind: str, last: Any, number: int) -> Any:
    """One bad event of a kind, made from the last good one of its instrument."""
    minute = (int(last["ts_event_ns"][0]) - at(0)) / (at(1) - at(0))
    instrument = int(last["instrument"][0])
    if kind == "duplicate":
        return last.copy()
    if kind == "out_of_order":
        out = last.copy()
        out["ts_event_ns"] -= 1
        return out
    if kind == "jump":  # two neighbors never agree
        return bar(minute, TICKS * 10 ** (2 + number % 3), instrument)
    return {
        "instrument": bar(minute, instrument=3 + number),
        "kind": event(EVENT_DTYPE, 5 + number % 250, at(minute), instrument, {}),
        "price": bar(minute, -number, instrument),
        "range": bar(minute, instrument=instrument, high_ticks=TICKS - 1),
        "crossed": quote(minute, TICKS + 1, TICKS, instrument),
        "size": quote(minute, TICKS, TICKS, instrument, bid_lots=-1),
        "future": bar(minute + 8 * 1440 + number, instrument=instrument),
    }[kind]


KINDS = ["duplicate", "out_of_order", "jump", "instrument", "kind", "price", "range", "crossed",
         "size", "future"]  # fmt: skip


@SETTINGS
@given(sources, signals, st.data())
def test_rubbish_between_good_events_changes_nothing(
    rows: Any, answers: Any, data: st.DataObject
) -> None:
    good = in_order(rows)
    mixed, expected = [], 0
    for row in good:
        mixed.append(row)
        for kind in data.draw(st.lists(st.sampled_from(KINDS), max_size=2)):
            expected += 1
            bad = rubbish(kind, row, expected)
            mixed.append(bad)
    clean, _ = run_intake([batch(*good)], answers)
    dirty, taker = run_intake([batch(*mixed)], answers)
    assert taker.refused_count == expected
    assert_same(dirty, clean)
    assert np.all(np.array([fault.instrument for fault in taker.take_problems()]) < 3)
