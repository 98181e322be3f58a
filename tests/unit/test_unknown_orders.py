"""Orders that nobody answers for: asked for, never sent again, and blocking until it is known."""

from typing import Any

import pytest

from mmats._core import OrderState, Reason, RecordKind, ReportKind, SimulatedVenue, VenueReason
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script
from tests.fakes.execution import CANCEL, MODIFY, QUERY, SUBMIT, Floor, ids
from tests.fakes.live import TICKS, wire

UNKNOWN = OrderState.STATE_UNKNOWN
CANCELED, NOT_FOUND = ReportKind.REPORT_CANCELED, ReportKind.REPORT_NOT_FOUND


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.bar()
    return floor


def unknown(floor: Floor, **fields: Any) -> int:
    """An order that has just become unknown; its question has been taken."""
    order = floor.buy(1000, **fields)
    floor.requests()
    assert floor.after(5) == 1
    assert ids(floor.requests(), QUERY) == [order]
    return order


def test_an_order_is_unknown_after_the_time_for_an_answer(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.requests()
    assert floor.after(4.9) == 0
    assert floor.state(order) == OrderState.STATE_SUBMITTED
    assert floor.after(0.1) == 1
    assert floor.state(order) == UNKNOWN
    assert floor.sent() == [(QUERY, 0)]
    assert floor.kinds()[-1] == "UNKNOWN"
    assert floor.gate.open_lots(0) == (1000, 0)
    assert floor.gate.reserved > 0


def test_an_order_that_was_answered_is_left_alone(floor: Floor) -> None:
    accepted, filling, canceled = floor.buy(10), floor.buy(10), floor.buy(10)
    floor.accept(accepted)
    floor.fill(filling, 5, 5)
    floor.controls.cancel_order(canceled, floor.now)
    floor.report(CANCELED, canceled)
    floor.requests()
    assert floor.after(100) == 0


def test_questions_come_at_growing_intervals(floor: Floor) -> None:
    order = unknown(floor)
    asked = [second for second in range(1, 110) if floor.after(1)]
    assert asked == [2, 6, 14, 30, 60, 90]
    assert ids(floor.requests(), QUERY) == [order] * 6


def test_it_blocks_new_risk_of_its_strategy_in_its_instrument_only() -> None:
    floor = Floor(Script(), Script(), symbols=("AAABBB", "CCCBBB"))
    floor.bar()
    floor.bar(TICKS, 1)
    floor.hold(500)
    order = unknown(floor)

    def ask(strategy: int, instrument: int, side: int, lots: int) -> Any:
        return floor.controls.preview_manual(floor.now, strategy, instrument, side, lots)[0]

    assert ask(0, 0, 1, 10) == Reason.REASON_ORDER_UNKNOWN
    assert ask(0, 0, -1, 500) == Reason.REASON_OK  # closes what is there
    assert ask(0, 1, 1, 10) == ask(1, 0, 1, 10) == Reason.REASON_OK
    floor.accept(order)
    assert ask(0, 0, 1, 10) == Reason.REASON_OK


def test_a_question_finds_it_open(floor: Floor) -> None:
    order = unknown(floor)
    floor.fill(order, 300, 700)
    assert floor.state(order) == UNKNOWN  # a fill does not say that the rest is still there
    floor.accept(order, leaves=700)
    assert floor.state(order) == OrderState.STATE_PARTIALLY_FILLED
    assert floor.gate.open_lots(0) == (700, 0)
    assert floor.after(100) == 0


def test_a_question_finds_fills_that_were_lost(floor: Floor) -> None:
    order = unknown(floor)
    floor.fill(order, 600, 400, trade=1)
    floor.fill(order, 600, 400, trade=1)
    floor.fill(order, 400, 0, trade=2)
    assert floor.position() == 1000
    floor.assert_nothing_open()


@pytest.mark.parametrize(
    ("kind", "record"), [(CANCELED, "CANCELED"), (ReportKind.REPORT_REJECTED, "REJECTED"),
                         (ReportKind.REPORT_EXPIRED, "EXPIRED")],
)  # fmt: skip
def test_a_question_finds_that_it_ended(floor: Floor, kind: ReportKind, record: str) -> None:
    order = unknown(floor)
    floor.report(kind, order)
    assert floor.kinds()[-1] == record
    floor.assert_nothing_open()


def test_not_found_counts_after_several_answers_over_a_while(floor: Floor) -> None:
    order = unknown(floor)
    for wait in (0, 2, 4, 8):
        floor.after(wait)
        floor.report(NOT_FOUND, order)
    assert floor.state(order) == UNKNOWN  # four answers in 14 s
    floor.after(16)
    floor.report(NOT_FOUND, order)
    assert floor.state(order) is None
    assert floor.kinds()[-1] == "NOT_FOUND"
    (record,) = floor.records(RecordKind.RECORD_NOT_FOUND)
    assert record["reason"] == VenueReason.VENUE_NOT_FOUND
    floor.assert_nothing_open()
    assert ids(floor.requests(), SUBMIT) == []
    floor.fill(order, 1000, 0)  # it was only late
    assert floor.position() == 1000
    assert floor.orders.late_fill_count == 1


def test_one_question_is_one_answer(floor: Floor) -> None:
    floor.orders.set_inquiry(
        reply_timeout_ns=10**9, query_wait_ns=10**9, query_wait_max_ns=10**9, not_found_min=3,
        not_found_after_ns=0,
    )  # fmt: skip
    order = unknown(floor)
    for _ in range(5):
        floor.report(NOT_FOUND, order)
    assert floor.state(order) == UNKNOWN
    for _ in range(2):
        floor.after(1)
        floor.report(NOT_FOUND, order)
    assert floor.state(order) is None


def test_a_cancel_without_an_answer(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.accept(order)
    floor.controls.cancel_order(order, floor.now)
    floor.requests()
    assert floor.after(5) == 1
    assert floor.state(order) == UNKNOWN
    assert not floor.controls.cancel_order(order, floor.now)
    floor.requests()
    floor.accept(order, leaves=1000)  # it never heard of the cancel
    assert floor.state(order) == OrderState.STATE_PENDING_CANCEL
    assert ids(floor.requests(), CANCEL) == [order]
    floor.report(CANCELED, order)
    floor.assert_nothing_open()


def test_an_unknown_order_can_be_canceled(floor: Floor) -> None:
    order = unknown(floor)
    assert floor.controls.cancel_order(order, floor.now)
    assert floor.state(order) == UNKNOWN
    assert ids(floor.requests(), CANCEL) == [order]
    floor.report(CANCELED, order)
    floor.assert_nothing_open()


def test_a_cancel_of_an_order_that_the_venue_does_not_know_is_a_question(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.accept(order)
    floor.controls.cancel_order(order, floor.now)
    floor.requests()
    floor.report(ReportKind.REPORT_CANCEL_REJECTED, order, reason=VenueReason.VENUE_UNKNOWN_ORDER)
    assert floor.state(order) == UNKNOWN
    assert ids(floor.requests(), QUERY) == [order]
    floor.fill(order, 1000, 0)
    floor.assert_nothing_open()


def test_a_stop_is_adjusted_when_it_has_been_found() -> None:
    floor = Floor(Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)}))
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    floor.fill(entry, 400, 600)
    (stop,) = ids(floor.requests(), SUBMIT)
    floor.after(5)
    assert floor.state(stop) == UNKNOWN
    floor.requests()
    floor.fill(entry, 600, 0)
    assert floor.requests() == []
    floor.accept(stop, leaves=400)
    assert floor.sent() == [(MODIFY, 1000)]
    assert floor.after(5) == 1  # and a change without an answer is a question again
    assert floor.state(stop) == UNKNOWN


def test_a_stop_that_never_arrived_closes_the_position() -> None:
    floor = Floor(Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)}))
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    floor.fill(entry, 1000, 0)
    (stop,) = ids(floor.requests(), SUBMIT)
    for wait in (5, 10, 30, 30):
        floor.after(wait)
        floor.report(NOT_FOUND, stop)
    (close,) = [r for r in floor.requests() if r["kind"] == SUBMIT]
    assert (close["side"], close["quantity_lots"]) == (-1, 1000)


def test_after_a_restart_everything_open_is_asked_for_at_once(floor: Floor) -> None:
    waiting, resting = floor.buy(1000), floor.order(1, 500, price_ticks=TICKS - 100)
    floor.accept(resting)
    ended = floor.buy(10)
    floor.fill(ended, 10, 0)
    assert floor.port.drop_requests() == 3  # nobody knows whether they left
    assert floor.orders.mark_open_unknown(floor.now) == 2
    assert ids(floor.requests(), QUERY) == [waiting, resting]
    assert floor.gate.unknown_order_count == 2
    floor.accept(resting, leaves=500)
    for wait in (0, 10, 30):
        floor.after(wait)
        floor.report(NOT_FOUND, waiting)
    assert floor.state(resting) == OrderState.STATE_ACCEPTED
    assert floor.state(waiting) is None
    assert floor.orders.mark_open_unknown(floor.now) == 1
    assert SUBMIT not in [kind for kind, _ in floor.sent()]


def test_questions_wait_where_the_port_is_busy() -> None:
    floor = Floor(room=16)
    floor.bar()
    orders = [floor.buy(10) for _ in range(6)]
    assert floor.after(5) == 0
    assert [floor.state(order) for order in orders] == [UNKNOWN] * 6
    floor.requests()
    assert floor.after(0) == 4
    floor.requests()
    assert floor.after(0) == 2


def test_a_simulated_venue_is_not_asked() -> None:
    wired = wire([Script()])
    assert isinstance(wired.venue, SimulatedVenue)
    with pytest.raises(ValueError, match="can't be asked"):
        wired.pipeline.orders.mark_open_unknown(1)


@pytest.mark.parametrize("wrong", [{"reply_timeout_ns": 0}, {"query_wait_max_ns": 1},
                                   {"not_found_min": 0}, {"not_found_after_ns": -1}])  # fmt: skip
def test_settings_that_make_no_sense(floor: Floor, wrong: dict[str, int]) -> None:
    good = {"reply_timeout_ns": 9, "query_wait_ns": 9, "query_wait_max_ns": 9, "not_found_min": 1,
            "not_found_after_ns": 0}  # fmt: skip
    with pytest.raises(ValueError, match="inquiry"):
        floor.orders.set_inquiry(**{**good, **wrong})
