"""A restored pipeline is the same as the one that the image was taken of, from then on."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmats._core import (
    REPORT_DTYPE,
    ImageError,
    Intake,
    PipelineFault,
    ReportKind,
    RequestKind,
    StateImage,
    read_image,
    seal_image,
)
from mmats.model import TradeSignal
from tests.fakes.backtests import Script
from tests.fakes.live import at, bar, batch, wire, wire_port

SYMBOLS = ("AAABBB", "CCCBBB")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def decide(_: Script, data: Any) -> TradeSignal | None:
    """What a strategy without memory does: its answer is a matter of the bar alone."""
    ticks = round(data.close * 100)
    side = "BUY" if ticks & 1 else "SELL"
    away = -5.0 if ticks & 1 else 5.0
    if ticks % 7 in (0, 1):
        return TradeSignal(side, data.symbol, 1.0, stop_loss=data.close + away,
                           take_profit=data.close - away)  # fmt: skip
    if ticks % 7 == 2:
        return TradeSignal(side, data.symbol, 0.5, price=data.close + away, order_type="limit")
    return TradeSignal(side, data.symbol, 2.0) if ticks % 7 == 3 else None


# -- a pipeline at a simulated venue ---------------------------------------------------------------

prices = st.lists(st.tuples(st.integers(0, 1), st.integers(9_500, 10_500)), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(prices, st.data())
def test_an_image_is_the_same_after_restoring_it(rows: Any, data: st.DataObject) -> None:
    made = wire([Script(each=decide), Script(each=decide)], SYMBOLS)
    taker = Intake(made.pipeline, made.venue)
    image = StateImage(made.pipeline)
    until = data.draw(st.integers(0, len(rows)))
    for minute, (instrument, close) in enumerate(rows[:until]):
        taker.on_events(bar(minute + 1, close, instrument))
    taken = image.to_bytes()
    fresh = wire([Script(each=decide), Script(each=decide)], SYMBOLS)
    other = StateImage(fresh.pipeline)
    other.restore(taken)
    assert other.to_bytes() == taken
    assert fresh.ledger.state_bytes() == made.ledger.state_bytes()
    assert fresh.journal.state_hash == made.journal.state_hash
    assert fresh.journal.record_count == made.journal.record_count
    assert fresh.gate.equity == made.gate.equity


# -- a pipeline at an execution port, which is answered by hand ------------------------------------


@dataclass
class Answers:
    """A venue that does whatever the test draws with the orders it has been sent."""

    leaves: dict[int, tuple[int, int]] = field(default_factory=dict)  # order: instrument, lots
    filled: dict[int, int] = field(default_factory=dict)
    trades: int = 0

    def take(self, requests: Any) -> None:
        for row in requests:
            order_id, lots = int(row["order_id"]), int(row["quantity_lots"])
            if row["kind"] == RequestKind.REQUEST_SUBMIT or (
                row["kind"] == RequestKind.REQUEST_MODIFY and order_id in self.leaves
            ):
                self.leaves[order_id] = (int(row["instrument"]), lots)

    def report(self, choice: int, kind: int, share: int, now_ns: int) -> Any:
        """One report of one order, or none."""
        out = np.zeros(1, REPORT_DTYPE)
        if not self.leaves:
            return out[:0]
        order_id = list(self.leaves)[choice % len(self.leaves)]
        instrument, lots = self.leaves[order_id]
        out["order_id"], out["kind"], out["ts_event_ns"] = order_id, kind, now_ns
        out["leaves_lots"] = lots
        if kind == ReportKind.REPORT_FILLED:
            last = max(1, lots * share // 3)
            self.trades += 1
            out["trade_id"], out["last_lots"], out["leaves_lots"] = self.trades, last, lots - last
            out["last_ticks"], out["liquidity"] = 10_000 + choice, 2
            self.filled[order_id] = self.filled.get(order_id, 0) + last
            self.leaves[order_id] = (instrument, lots - last)
        out["cum_lots"] = self.filled.get(order_id, 0)
        ended = (ReportKind.REPORT_REJECTED, ReportKind.REPORT_CANCELED, ReportKind.REPORT_EXPIRED)
        if kind in ended or self.leaves[order_id][1] == 0:
            del self.leaves[order_id]
        return out


KINDS = [
    ReportKind.REPORT_ACCEPTED,
    ReportKind.REPORT_FILLED,
    ReportKind.REPORT_FILLED,
    ReportKind.REPORT_REJECTED,
    ReportKind.REPORT_CANCELED,
    ReportKind.REPORT_EXPIRED,
    ReportKind.REPORT_TRIGGERED,
    ReportKind.REPORT_CANCEL_REJECTED,
]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("bar"), st.integers(0, 1), st.integers(9_500, 10_500), st.just(0)),
        st.tuples(st.just("report"), st.integers(0, 9), st.sampled_from(KINDS), st.integers(1, 3)),
        st.tuples(st.just("resolve"), st.integers(1, 9), st.just(0), st.just(0)),
        st.tuples(st.just("limits"), st.integers(1, 3), st.just(0), st.just(0)),
        st.tuples(st.just("quiet"), st.integers(0, 1), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=60,
)


@dataclass
class Engine:
    """One pipeline at a port, with its image."""

    made: Any
    taker: Intake
    image: StateImage

    @classmethod
    def start(cls) -> "Engine":
        made = wire_port([Script(each=decide), Script(each=decide)], SYMBOLS)
        return cls(made, Intake(made.pipeline), StateImage(made.pipeline, made.venue))

    def do(self, name: str, given: Any, now_ns: int) -> tuple[bytes, bytes]:
        """One step; returns the records and the requests that came of it."""
        made = self.made
        if name == "bar":
            self.taker.on_events(given)
        elif name == "report":
            made.venue.give_reports(given)
            self.taker.on_reports(now_ns)
        elif name == "resolve":
            made.pipeline.resolve(now_ns)
        elif name == "limits":
            made.gate.set_limits("global", trading_state=given)
        self.requests = made.venue.take_requests(1000)
        return made.journal.take_bytes(), self.requests.tobytes()


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
@given(steps, st.data())
def test_a_restored_pipeline_goes_on_as_the_first_would(drawn: Any, data: st.DataObject) -> None:
    first, answers, second = Engine.start(), Answers(), None
    cut = data.draw(st.integers(0, len(drawn)))
    minute = 1.0
    for number, (name, one, two, three) in enumerate(drawn):
        if number == cut:
            second = Engine.start()
            second.image.restore(first.image.to_bytes())
            assert second.image.to_bytes() == first.image.to_bytes()
        minute += one / 10 if name == "resolve" else 1 / 60
        now_ns = at(minute)
        given: Any = one
        if name == "bar":
            given = bar(minute, two, one)
        elif name == "report":
            given = answers.report(one, two, three, now_ns)
        came = first.do(name, given, now_ns)
        answers.take(first.requests)
        if second is not None:
            assert second.do(name, given, now_ns) == came
            assert second.image.to_bytes() == first.image.to_bytes()


# -- what is no image ------------------------------------------------------------------------------


def busy_image() -> bytes:
    engine, answers = Engine.start(), Answers()
    for k in range(120):
        engine.do("bar", bar(k + 1, 9_500 + 37 * k % 1000, k % 2), 0)
        answers.take(engine.requests)
        kind = KINDS[k % len(KINDS)]
        engine.do("report", answers.report(k, kind, 1 + k % 3, at(k + 1)), at(k + 1))
        answers.take(engine.requests)
    engine.made.pipeline.resolve(at(300))
    return engine.image.to_bytes()


IMAGE = busy_image()


def test_the_image_that_is_damaged_below_is_busy() -> None:
    image = read_image(IMAGE)[0]
    head = image["head"]
    assert head["order_count"] > head["ended_count"] > 5
    assert head["unknown_order_count"] > 0
    assert head["trade_count"] > 5
    assert np.any(image["brackets"]["side"] != 0)
    assert np.any(image["holdings"]["lots"] != 0)


def restored(data: bytes) -> Engine | None:
    """A pipeline with exactly that state, or none after a typed error that changed nothing."""
    engine = Engine.start()
    before = engine.image.to_bytes()
    try:
        engine.image.restore(data)
    except ImageError:
        assert engine.image.to_bytes() == before
        return None
    assert engine.image.to_bytes() == data
    return engine


place = st.integers(0, 3000) | st.integers(0, len(IMAGE) - 8)
damages = st.lists(st.tuples(place, st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)


def damage(places: list[tuple[int, bytes]]) -> bytes:
    out = bytearray(IMAGE)
    for start, value in places:
        out[start : start + len(value)] = value
    return bytes(out)


@settings(max_examples=500, deadline=None, suppress_health_check=SLOW)
@given(damages)
def test_a_damaged_image_is_refused(places: Any) -> None:
    data = damage(places)
    assert (restored(data) is None) == (data != IMAGE)


@settings(max_examples=500, deadline=None, suppress_health_check=SLOW)
@given(damages)
def test_an_image_with_a_right_checksum_is_refused_or_restored_as_it_is(places: Any) -> None:
    """As by somebody who knows how to compute the checksum; whatever it says, nothing crashes."""
    engine = restored(seal_image(np.frombuffer(damage(places), np.uint8)))
    if engine is not None:
        with contextlib.suppress(PipelineFault):
            engine.taker.on_events(batch(bar(400), bar(400, instrument=1)))
            engine.made.pipeline.resolve(at(500))


others = (
    st.binary(max_size=2000)
    | st.integers(0, len(IMAGE) - 1).map(lambda size: IMAGE[:size])
    | st.integers(1, 4096).map(lambda size: IMAGE + bytes(size))
)


@settings(max_examples=100, deadline=None)
@given(others)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert restored(data) is None
