"""The execution port, and what a real venue's reports may look like."""

from typing import Any

import numpy as np
import pytest

from mmats._core import (
    REPORT_DTYPE,
    ExecutionPort,
    OrderState,
    Reason,
    RecordKind,
    ReportKind,
    ReportsFull,
    VenueReason,
)
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script
from tests.fakes.execution import CANCEL, MODIFY, SUBMIT, Floor, ids
from tests.fakes.live import TICKS, bar

CANCELED, REJECTED = ReportKind.REPORT_CANCELED, ReportKind.REPORT_REJECTED
REFUSED, UPDATED = ReportKind.REPORT_CANCEL_REJECTED, ReportKind.REPORT_UPDATED


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.bar()
    return floor


def test_requests_leave_once_in_order_with_all_that_an_order_says(floor: Floor) -> None:
    first = floor.buy(1000)
    second = floor.order(-1, 500, price_ticks=TICKS + 100)
    assert floor.port.waiting == 2
    one = floor.port.take_requests(1)
    assert [int(row["order_id"]) for row in one] == [first]
    (row,) = floor.requests()
    assert (row["order_id"], row["kind"], row["side"], row["type"]) == (second, SUBMIT, -1, 2)
    assert (row["quantity_lots"], row["price_ticks"]) == (500, TICKS + 100)
    assert floor.port.waiting == 0
    assert floor.requests() == []
    assert floor.port.request_count == floor.port.taken_count == 2


def test_the_life_of_an_order(floor: Floor) -> None:
    order = floor.buy(1000)
    assert floor.state(order) == OrderState.STATE_SUBMITTED
    floor.accept(order)
    assert floor.state(order) == OrderState.STATE_ACCEPTED
    floor.fill(order, 400, 600)
    assert floor.state(order) == OrderState.STATE_PARTIALLY_FILLED
    floor.fill(order, 600, 0)
    assert floor.state(order) is None
    assert floor.position() == 1000
    floor.assert_nothing_open()


def test_a_fill_before_its_acceptance(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.fill(order, 400, 600)
    floor.accept(order)
    assert floor.state(order) == OrderState.STATE_PARTIALLY_FILLED
    floor.fill(order, 600, 0)
    floor.accept(order)
    assert floor.position() == 1000
    assert floor.orders.stale_report_count == 1
    floor.assert_nothing_open()


def test_a_fill_after_the_cancel_is_booked_as_late(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.accept(order)
    assert floor.controls.cancel_order(order, floor.now)
    floor.report(CANCELED, order)
    floor.fill(order, 300, 0)
    assert floor.position() == 300
    assert floor.orders.late_fill_count == 1
    assert len(floor.records(RecordKind.RECORD_LATE_FILL)) == 1
    floor.assert_nothing_open()


def test_a_fill_while_the_cancel_is_under_way(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.controls.cancel_order(order, floor.now)
    floor.fill(order, 300, 700)
    assert floor.state(order) == OrderState.STATE_PENDING_CANCEL
    assert floor.gate.open_lots(0) == (700, 0)
    floor.report(CANCELED, order)
    assert floor.position() == 300
    floor.assert_nothing_open()


def test_more_is_filled_than_was_ordered(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.fill(order, 1300, 0)
    assert floor.position() == 1300
    floor.fill(order, 100, 0)
    assert floor.position() == 1400
    assert floor.orders.late_fill_count == 1
    floor.assert_nothing_open()


def test_a_fill_counts_once_however_often_it_comes(floor: Floor) -> None:
    order = floor.buy(1000)
    for _ in range(3):
        floor.fill(order, 400, 600, trade=77)
    assert floor.position() == 400
    assert floor.port.duplicate_count == 2
    floor.fill(order, 600, 0, trade=78)
    floor.fill(order, 600, 0, trade=78)  # after the end, too
    assert floor.position() == 1000
    assert floor.port.trade_count == 2


def test_the_last_fills_are_remembered(floor: Floor) -> None:
    order = floor.buy(5000)
    for _ in range(1025):
        floor.fill(order, 1, 1)
    assert floor.port.duplicate_count == 0
    floor.fill(order, 1, 1, trade=2)
    assert floor.port.duplicate_count == 1
    floor.fill(order, 1, 1, trade=1)  # 1025 fills ago: the port has forgotten it
    assert floor.port.trade_count == 1026
    assert floor.position() == 1025  # but the venue has not filled more than that
    assert floor.orders.stale_report_count == 1


def test_the_same_trade_id_at_two_instruments() -> None:
    floor = Floor(symbols=("AAABBB", "CCCBBB"))
    floor.bar()
    floor.intake.on_events(bar(1, TICKS, 1))
    one = floor.buy(1000)
    two, *_ = floor.controls.submit_manual(floor.now, 0, 1, 1, 1000)
    floor.fill(one, 1000, 0, trade=5)
    floor.fill(two, 1000, 0, trade=5)
    assert (floor.position(0, 0), floor.position(0, 1)) == (1000, 1000)


def test_fills_in_any_order(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.fill(order, 300, 400)
    floor.fill(order, 300, 700)
    assert floor.gate.open_lots(0)[0] >= 400
    floor.fill(order, 400, 0)
    assert floor.position() == 1000
    floor.assert_nothing_open()


def test_a_refused_change_of_a_stop_closes_the_position() -> None:
    script = Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)})
    floor = Floor(script)
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    floor.fill(entry, 400, 600)
    (stop,) = ids(floor.requests(), SUBMIT)
    floor.accept(stop)
    floor.fill(entry, 600, 0)
    assert floor.sent() == [(MODIFY, 1000)]
    floor.report(REFUSED, stop, reason=VenueReason.VENUE_QUANTITY)
    assert ids(floor.requests(), CANCEL) == [stop]
    floor.report(CANCELED, stop)
    (close,) = floor.requests()
    assert (close["side"], close["quantity_lots"]) == (-1, 1000)
    floor.fill(int(close["order_id"]), 1000, 0)
    assert floor.position() == 0
    floor.assert_nothing_open()


def test_a_stop_that_is_rejected_and_a_closing_order_that_is_too() -> None:
    script = Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)})
    floor = Floor(script)
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    floor.fill(entry, 1000, 0)
    (stop,) = ids(floor.requests(), SUBMIT)
    floor.report(REJECTED, stop)
    (close,) = ids(floor.requests(), SUBMIT)
    floor.report(REJECTED, close)
    assert floor.controls.step(floor.now) == 0  # not at once
    floor.now += 2 * 10**9
    assert floor.controls.step(floor.now) == 1
    (again,) = ids(floor.requests(), SUBMIT)
    floor.fill(again, 1000, 0)
    floor.controls.step(floor.now)
    assert floor.position() == 0
    assert floor.orders.pending_closing_count == 0


def test_a_full_port_denies_new_risk_and_takes_cancels() -> None:
    floor = Floor(room=16)
    floor.bar()
    orders = [floor.buy(10, price_ticks=TICKS - k) for k in range(8)]
    assert floor.controls.submit_manual(floor.now, 0, 0, 1, 10)[:2] == (0, Reason.REASON_PORT_FULL)
    assert floor.kinds()[-1] == "DENIED"
    assert floor.controls.cancel_all(floor.now) == 8
    assert floor.port.waiting == 16
    for order in orders:
        floor.report(CANCELED, order)
    floor.assert_nothing_open()


BAD: list[dict[str, Any]] = [
    {"kind": 0}, {"kind": 10}, {"kind": -1}, {"last_lots": 0}, {"last_lots": -5},
    {"last_ticks": 0}, {"last_ticks": -1}, {"leaves_lots": -1}, {"trade_id": 0},
    {"fee_currency": 99}, {"fee_currency": -1}, {"last_lots": 2**62}, {"last_ticks": 2**62},
    {"leaves_lots": 2**62}, {"fee": 2**62}, {"liquidity": 3}, {"ts_event_ns": -1}, {"reason": -1},
    {"order_id": 0}, {"order_id": -(2**62)}, {"touch_ticks": -1}, {"mid_ticks_x2": 2**62},
    {"cum_lots": -1}, {"cum_lots": 2**62}, {"cum_lots": 4},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD)
def test_what_no_venue_may_say_is_counted_and_refused(floor: Floor, change: dict[str, Any]) -> None:
    order = floor.buy(1000)
    good = {"kind": 4, "order_id": order, "trade_id": 1, "last_lots": 5, "last_ticks": TICKS,
            "cum_lots": 5}  # fmt: skip
    fields: dict[str, Any] = {**good, **change}
    assert floor.report(fields.pop("kind"), fields.pop("order_id"), **fields) == 0
    assert floor.port.refused_count == 1
    assert floor.position() == 0


def test_reports_for_orders_that_are_not_ours(floor: Floor) -> None:
    order = floor.buy(1000)
    assert floor.fill(order + 4096, 5, 0) == 0
    assert floor.fill(order + 1, 5, 0) == 0
    assert floor.port.foreign_count == 2
    assert floor.position() == 0


def test_more_reports_than_there_is_room_for_change_nothing() -> None:
    port = ExecutionPort(1, report_capacity=4)
    with pytest.raises(ReportsFull, match="no room for 5"):
        port.give_reports(np.zeros(5, REPORT_DTYPE))
    assert port.refused_count == 0
    with pytest.raises(ValueError, match="REPORT_DTYPE"):
        port.give_reports(np.zeros(5, "i8"))
    with pytest.raises(ValueError, match="can't take"):
        port.take_requests(-1)


def test_reports_are_dated_when_the_pipeline_takes_them(floor: Floor) -> None:
    order = floor.buy(1000)
    floor.report(ReportKind.REPORT_ACCEPTED, order, ts_recv_ns=2**62, ts_event_ns=7)
    (record,) = floor.records(RecordKind.RECORD_ACCEPTED)
    assert (record["ts_ns"], record["ts_event_ns"]) == (floor.now, 7)


def test_reports_of_every_kind_in_any_state_break_nothing(floor: Floor) -> None:
    for first in range(1, 10):
        for second in range(1, 10):
            order = floor.buy(10)
            for kind in (first, second):
                fields = {"last_lots": 5, "last_ticks": TICKS, "trade_id": order * 10 + second}
                is_filled = 4 in (first, kind)
                fields["cum_lots"] = 5 if is_filled else 0
                floor.report(ReportKind(kind), order, **fields)
            floor.requests()
    assert floor.port.refused_count == 0


def test_an_entry_that_fills_on_while_its_position_is_closed_is_closed_once() -> None:
    """Each of two stops is rejected: the second closing order leaves out what the first closes."""
    floor = Floor(Script({0: TradeSignal("BUY", SYMBOL, 1, stop_loss=95)}))
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    for lots, leaves in ((400, 600), (600, 0)):
        floor.fill(entry, lots, leaves)
        (stop,) = ids(floor.requests(), SUBMIT)
        floor.report(REJECTED, stop)
        (close,) = floor.requests()
        assert close["quantity_lots"] == lots
