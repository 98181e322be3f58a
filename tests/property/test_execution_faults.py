"""Orders at a venue behind a bad line: what always holds, and what holds when the line is good."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmats._core import RecordKind, ReportKind, open_orders
from tests.fakes.execution import SUBMIT, Floor, ids
from tests.fakes.live import TICKS
from tests.fakes.scripted_venue import ScriptedVenue, as_array

PROTECTIVE = {2, 3}  # their size follows the position; they can't make it larger


class Session:
    """A floor, its venue, and what has been seen of both."""

    def __init__(self, seed: int, loss: float) -> None:
        self.random = Random(seed)
        self.floor = Floor(room=4096)
        self.floor.bar()
        self.venue = ScriptedVenue(self.random, loss)
        self.submitted: set[int] = set()
        self.booked: dict[int, int] = {}  # trade id -> signed lots

    def act(self) -> None:
        floor, random = self.floor, self.random
        choice = random.randrange(10)
        if choice < 3:
            self._order()
        elif choice == 3:
            wanted = floor.controls.preview_cancel()
            if wanted:
                floor.controls.cancel_order(random.choice(wanted), floor.now)
        elif choice == 4 and random.random() < 0.2:
            floor.controls.flatten(floor.now)
        elif choice == 5 and random.random() < 0.1:
            floor.port.drop_requests()
            floor.orders.mark_open_unknown(floor.now)
        elif choice == 6 and random.random() < 0.3:
            floor.orders.query_open(floor.now)
        else:
            floor.after(random.choice((0, 0.5, 2, 6, 20)))
        floor.controls.step(floor.now)

    def _order(self) -> None:
        side = self.random.choice((1, -1))
        fields: dict[str, Any] = {"price_ticks": TICKS - side * self.random.randint(0, 5)}
        if self.random.random() < 0.5:
            fields["stop_loss_ticks"] = TICKS - side * 500
            fields["take_profit_ticks"] = TICKS + side * 500
        self.floor.controls.submit_manual(
            self.floor.now, 0, 0, side, self.random.randint(1, 50), **fields
        )

    def carry(self) -> None:
        """Requests to the venue, trades there, and reports back."""
        requests = self.floor.requests()
        for order_id in ids(requests, SUBMIT):
            assert order_id not in self.submitted
            self.submitted.add(order_id)
        for request in requests:
            self.venue.take(request)
        for _ in range(self.random.randint(0, 2)):
            self.venue.trade()
        self.hand_over(self.venue.deliver())

    def hand_over(self, reports: Any) -> None:
        for report in reports:
            if report["kind"] == ReportKind.REPORT_FILLED:
                order = self.venue.orders[int(report["order_id"])]
                self.booked[int(report["trade_id"])] = order.side * int(report["last_lots"])
        assert self.floor.port.give_reports(reports) == len(reports)
        self.floor.intake.on_reports(self.floor.now)

    def check(self) -> None:
        floor = self.floor
        assert floor.position() == sum(self.booked.values())
        ours = {int(row["order_id"]): row for row in open_orders(floor.orders)}
        assert len(ours) == floor.gate.open_order_count
        for order in self.venue.open():
            assert order.order_id in ours, "open at the venue, and forgotten here"
            row = ours[order.order_id]
            if order.role not in PROTECTIVE:
                assert row["quantity_lots"] - row["filled_lots"] >= order.leaves
        buy, sell = floor.gate.open_lots(0)
        counted = [o for o in self.venue.open() if o.role not in PROTECTIVE]
        assert buy >= sum(o.leaves for o in counted if o.side > 0)
        assert sell >= sum(o.leaves for o in counted if o.side < 0)
        assert floor.gate.unknown_order_count == sum(row["state"] == 4 for row in ours.values())

    def settle(self) -> None:
        """What is on the line is lost, and the line is repaired: every question is answered."""
        floor, venue = self.floor, self.venue
        venue.loss = 0.0
        venue.line.clear()
        floor.orders.query_open(floor.now)
        for _ in range(12):
            for request in floor.requests():
                assert request["kind"] != SUBMIT or int(request["order_id"]) not in self.submitted
                self.submitted.add(int(request["order_id"]))
                venue.take(request)
            self.hand_over(as_array(venue.line))
            venue.line.clear()
            floor.after(20)


def play(seed: int, steps: int, loss: float) -> Session:
    session = Session(seed, loss)
    for _ in range(steps):
        session.act()
        session.carry()
        session.check()
    session.settle()
    session.check()
    floor, venue = session.floor, session.venue
    assert floor.gate.unknown_order_count == 0
    assert floor.position() == venue.position
    assert {int(i) for i in open_orders(floor.orders)["order_id"]} == {
        order.order_id for order in venue.open()
    }
    return session


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from((0.0, 0.05, 0.2, 0.5)))
def test_a_bad_line_loses_no_position_and_forgets_no_order(seed: int, loss: float) -> None:
    play(seed, 40, loss)


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_the_bad_line_does_all_that_it_is_meant_to(loss: float) -> None:
    """Across some seeds, everything that the rules are about happens."""
    seen: set[int] = set()
    duplicates = late = 0
    for seed in range(25):
        floor = play(seed, 60, loss).floor
        seen |= {int(kind) for kind in floor.records()["kind"]}
        duplicates += floor.port.duplicate_count
        late += floor.orders.late_fill_count
    expected = {
        RecordKind.RECORD_UNKNOWN, RecordKind.RECORD_NOT_FOUND, RecordKind.RECORD_REJECTED,
        RecordKind.RECORD_CANCELED, RecordKind.RECORD_DENIED,
    }  # fmt: skip
    assert expected <= seen
    assert duplicates > 0
    assert late == 0  # no order ends before its fills are booked
