"""Fills whose reports were lost: nothing ends before they are booked."""

import pytest

from mmats._core import OrderState, RecordKind, ReportKind, VenueReason
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script
from tests.fakes.execution import CANCEL, MODIFY, QUERY, SUBMIT, Floor, ids
from tests.fakes.live import TICKS, wire

UNKNOWN = OrderState.STATE_UNKNOWN
ACCEPTED, UPDATED = ReportKind.REPORT_ACCEPTED, ReportKind.REPORT_UPDATED
CANCELED, EXPIRED = ReportKind.REPORT_CANCELED, ReportKind.REPORT_EXPIRED
NOT_FOUND = ReportKind.REPORT_NOT_FOUND


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.bar()
    return floor


def working(floor: Floor, lots: int = 1000) -> int:
    """An order at the venue; its request has been taken."""
    order = floor.order(1, lots, price_ticks=TICKS - 100)
    floor.accept(order, leaves=lots)
    floor.requests()
    return order


@pytest.mark.parametrize("end", [CANCELED, EXPIRED])
def test_an_end_that_counts_more_than_was_booked_is_a_question(
    floor: Floor, end: ReportKind
) -> None:
    order = working(floor)
    floor.report(end, order, cum_lots=400)
    assert floor.state(order) == UNKNOWN
    assert ids(floor.requests(), QUERY) == [order]
    assert floor.gate.open_lots(0) == (1000, 0)
    floor.fill(order, 400, 600)
    assert floor.state(order) == UNKNOWN
    floor.report(end, order)
    assert floor.kinds()[-1] == end.name.removeprefix("REPORT_")
    assert floor.position() == 400
    floor.assert_nothing_open()


def test_the_last_fill_ends_nothing_while_others_are_missing(floor: Floor) -> None:
    order = working(floor)
    floor.fill(order, 600, 0, trade=2, cum=1000)
    assert (floor.position(), floor.state(order)) == (600, UNKNOWN)
    assert ids(floor.requests(), QUERY) == [order]
    assert floor.gate.open_lots(0) == (400, 0)
    floor.fill(order, 100, 900, trade=3, cum=100)
    assert floor.state(order) == UNKNOWN
    floor.fill(order, 300, 600, trade=4, cum=400)  # the last of the missing: nothing follows
    assert floor.position() == 1000
    floor.assert_nothing_open()
    assert floor.orders.late_fill_count == 0


def test_a_fill_in_the_middle_that_was_lost(floor: Floor) -> None:
    order = working(floor)
    floor.fill(order, 200, 500, trade=2, cum=500)
    assert floor.state(order) == UNKNOWN
    assert floor.gate.open_lots(0) == (800, 0)
    floor.fill(order, 300, 700, trade=1, cum=300)
    floor.accept(order, leaves=500)
    assert floor.state(order) == OrderState.STATE_PARTIALLY_FILLED
    assert floor.gate.open_lots(0) == (500, 0)


def test_an_open_order_that_is_smaller_by_missing_fills_does_not_shrink(floor: Floor) -> None:
    order = working(floor)
    floor.orders.query_open(floor.now)
    floor.requests()
    floor.report(ACCEPTED, order, leaves_lots=700, cum_lots=300)
    assert floor.state(order) == UNKNOWN
    assert floor.gate.open_lots(0) == (1000, 0)
    assert ids(floor.requests(), QUERY) == [order]
    floor.report(ACCEPTED, order, leaves_lots=700, cum_lots=300)
    assert floor.state(order) == UNKNOWN
    floor.fill(order, 300, 700)
    floor.accept(order, leaves=700)
    assert floor.gate.open_lots(0) == (700, 0)
    assert floor.gate.unknown_order_count == 0


def test_fills_that_never_come_keep_the_order_and_are_an_incident(floor: Floor) -> None:
    order = working(floor)
    floor.report(CANCELED, order, cum_lots=400)
    for wait in (2, 4, 8, 16, 30, 30, 30):
        floor.report(CANCELED, order, cum_lots=400)
        floor.report(NOT_FOUND, order)
        assert floor.after(wait) == 1
    assert floor.state(order) == UNKNOWN
    assert floor.gate.open_lots(0) == (1000, 0)
    reasons = [int(record["reason"]) for record in floor.records(RecordKind.RECORD_UNKNOWN)]
    assert reasons == [0, VenueReason.VENUE_FILLS_MISSING]
    floor.fill(order, 400, 600)
    floor.report(CANCELED, order)
    floor.assert_nothing_open()


def test_missing_fills_restart_the_questions(floor: Floor) -> None:
    order = working(floor)
    floor.orders.mark_open_unknown(floor.now)
    for _ in range(8):
        floor.after(30)
    floor.requests()
    floor.report(CANCELED, order, cum_lots=400)
    assert floor.after(2) == 1


def test_an_older_answer_takes_no_fill_back(floor: Floor) -> None:
    order = working(floor)
    floor.orders.mark_open_unknown(floor.now)
    floor.fill(order, 1000 - 300, 300)
    floor.report(ACCEPTED, order, leaves_lots=100, cum_lots=400)
    assert floor.state(order) == UNKNOWN  # it may be over by now
    floor.report(ACCEPTED, order, leaves_lots=1000, cum_lots=0)
    assert floor.gate.open_lots(0) == (300, 0)


def test_a_late_fill_that_counts_more_asks_for_the_rest(floor: Floor) -> None:
    order = working(floor)
    floor.report(CANCELED, order)
    floor.fill(order, 100, 700, cum=300)
    assert floor.orders.late_fill_count == 1
    assert ids(floor.requests(), QUERY) == [order]
    floor.fill(order, 200, 800, cum=200)
    assert floor.position() == 300


def test_a_venue_that_gives_a_fill_twice_by_other_ids_is_not_believed(floor: Floor) -> None:
    order = working(floor)
    floor.fill(order, 300, 700, trade=1, cum=300)
    floor.fill(order, 300, 700, trade=2, cum=300)
    assert floor.position() == 300


# -- questions that change nothing -------------------------------------------------------------


def test_open_orders_are_compared_without_noise(floor: Floor) -> None:
    resting, filling = working(floor), working(floor)
    floor.fill(filling, 300, 700)
    before = floor.kinds()
    assert floor.orders.query_open(floor.now) == 2
    assert ids(floor.requests(), QUERY) == [resting, filling]
    assert floor.gate.unknown_order_count == 0
    floor.accept(resting, leaves=1000)
    floor.accept(filling, leaves=700)
    assert floor.after(100) == 0
    assert floor.kinds() == before


def test_a_comparison_without_an_answer_makes_the_order_unknown(floor: Floor) -> None:
    order = working(floor)
    floor.orders.query_open(floor.now)
    floor.requests()
    floor.report(NOT_FOUND, order)  # no answer that counts yet
    assert floor.after(4.9) == 0
    assert floor.after(0.1) == 1
    assert floor.state(order) == UNKNOWN
    assert floor.orders.query_open(floor.now) == 0  # it is being asked about


def test_a_comparison_finds_what_was_lost(floor: Floor) -> None:
    smaller, ended = working(floor), working(floor)
    floor.orders.query_open(floor.now)
    floor.report(ACCEPTED, smaller, leaves_lots=600)
    floor.report(CANCELED, ended)
    assert floor.gate.open_lots(0) == (600, 0)
    assert floor.state(ended) is None


# -- changes and cancels that were lost --------------------------------------------------------


def protected(*fills: tuple[int, int]) -> tuple[Floor, int]:
    """A position with a stop, which the venue has not answered for yet."""
    floor = Floor(Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)}))
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    for lots, leaves in fills:
        floor.fill(entry, lots, leaves)
    (stop,) = set(ids(floor.requests(), SUBMIT))
    return floor, stop


def test_a_change_that_left_before_the_order_was_accepted_and_is_lost() -> None:
    floor, stop = protected((400, 600), (600, 0))
    floor.accept(stop, leaves=400)
    assert floor.after(4.9) == 0
    assert floor.after(0.1) == 1
    assert floor.state(stop) == UNKNOWN
    floor.requests()
    floor.accept(stop, leaves=400)
    assert floor.sent() == [(MODIFY, 1000)]
    floor.report(UPDATED, stop, leaves_lots=1000)
    assert floor.after(100) == 0


def test_of_two_changes_the_second_is_lost() -> None:
    floor, stop = protected((400, 600), (300, 300), (300, 0))
    floor.accept(stop, leaves=400)
    floor.report(UPDATED, stop, leaves_lots=700)
    assert floor.after(5) == 1
    floor.requests()
    floor.accept(stop, leaves=700)
    assert floor.sent() == [(MODIFY, 1000)]


def test_a_change_is_sent_again_where_nobody_knows_whether_it_arrived() -> None:
    """An answer tells no prices: the size may be right, and the price not."""
    floor, stop = protected((400, 600), (600, 0))
    floor.after(5)
    floor.requests()
    floor.accept(stop, leaves=1000)
    assert floor.sent() == [(MODIFY, 1000)]


def test_a_cancel_that_left_before_the_order_was_accepted_and_is_lost(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.controls.cancel_order(order, floor.now)
    floor.accept(order, leaves=1000)
    floor.requests()
    assert floor.after(5) == 1
    assert ids(floor.requests(), QUERY) == [order]
    floor.accept(order, leaves=1000)
    assert ids(floor.requests(), CANCEL) == [order]


def test_a_simulated_venue_is_not_compared() -> None:
    made = wire([Script()])
    with pytest.raises(ValueError, match="can't be asked"):
        made.pipeline.orders.query_open(1)
