"""A venue in a few lines, at the end of a line that loses, repeats and mixes up what it carries."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from mmats._core import REPORT_DTYPE, ReportKind, VenueReason
from tests.fakes.execution import CANCEL, MODIFY, QUERY, SUBMIT
from tests.fakes.live import TICKS

REDUCE_ONLY = 2


@dataclass
class Order:
    """What the venue knows of one order; `end` is the report that ended it, 0 = it is open."""

    order_id: int
    side: int
    leaves: int
    role: int
    is_reduce_only: bool
    fills: list[dict[str, int]] = field(default_factory=list)
    end: int = 0

    @property
    def filled(self) -> int:
        return sum(fill["last_lots"] for fill in self.fills)


class ScriptedVenue:
    """Takes requests in order and answers; `random` decides about everything else.

    `line` holds the reports on their way. Requests are lost or arrive in order: what asks for an
    order never overtakes the order.
    """

    def __init__(self, random: Random, loss: float) -> None:
        self.random = random
        self.loss = loss
        self.orders: dict[int, Order] = {}
        self.line: list[dict[str, int]] = []
        self.position = 0
        self.trades = 0

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if not order.end]

    def take(self, request: Any) -> None:
        """One request arrives, or is lost."""
        if self.random.random() < self.loss:
            return
        order = self.orders.get(int(request["order_id"]))
        kind = int(request["kind"])
        if kind == SUBMIT:
            assert order is None, "an order was sent twice"
            self._submit(request)
        elif kind == QUERY:
            self._tell_all(order, int(request["order_id"]))
        elif order is None or order.end:
            self.tell(ReportKind.REPORT_CANCEL_REJECTED, int(request["order_id"]),
                      reason=VenueReason.VENUE_UNKNOWN_ORDER)  # fmt: skip
        elif kind == CANCEL:
            self.finish(order, ReportKind.REPORT_CANCELED)
        elif kind == MODIFY:
            if self.random.random() < 0.2:
                self.tell(ReportKind.REPORT_CANCEL_REJECTED, order.order_id)
                return
            order.leaves = int(request["quantity_lots"])
            self.tell(ReportKind.REPORT_UPDATED, order.order_id, leaves_lots=order.leaves)

    def _submit(self, request: Any) -> None:
        order = Order(
            int(request["order_id"]), int(request["side"]), int(request["quantity_lots"]),
            int(request["role"]), bool(request["flags"] & REDUCE_ONLY),
        )  # fmt: skip
        self.orders[order.order_id] = order
        if self.random.random() < 0.1:
            self.finish(order, ReportKind.REPORT_REJECTED)
        else:
            self.tell(ReportKind.REPORT_ACCEPTED, order.order_id, leaves_lots=order.leaves)

    def _tell_all(self, order: Order | None, order_id: int) -> None:
        if order is None:
            self.tell(ReportKind.REPORT_NOT_FOUND, order_id)
            return
        self.line += order.fills
        if not order.end:
            self.tell(ReportKind.REPORT_ACCEPTED, order_id, leaves_lots=order.leaves)
        elif order.end != ReportKind.REPORT_FILLED:
            self.tell(ReportKind(order.end), order_id)

    def tell(self, kind: ReportKind, order_id: int, **fields: int) -> dict[str, int]:
        order = self.orders.get(order_id)
        report = {"kind": int(kind), "order_id": order_id, **fields}
        report["cum_lots"] = order.filled if order else 0
        self.line.append(report)
        return report

    def finish(self, order: Order, kind: ReportKind) -> None:
        order.end = int(kind)
        self.tell(kind, order.order_id)

    def trade(self) -> None:
        """Some open order fills, in part or whole; one that only reduces turns nothing round."""
        if not self.open():
            return
        order = self.random.choice(self.open())
        lots = self.random.randint(1, order.leaves)
        if order.is_reduce_only:
            closable = -self.position * order.side
            if closable <= 0:
                self.finish(order, ReportKind.REPORT_CANCELED)
                return
            lots = min(lots, closable)
        order.leaves -= lots
        self.trades += 1
        self.position += order.side * lots
        report = self.tell(ReportKind.REPORT_FILLED, order.order_id, leaves_lots=order.leaves)
        report |= {"last_lots": lots, "last_ticks": TICKS, "trade_id": self.trades, "liquidity": 1}
        report["cum_lots"] += lots
        order.fills.append(report)
        if order.leaves == 0:
            order.end = int(ReportKind.REPORT_FILLED)

    def deliver(self) -> Any:
        """Take some of the reports off the line, some of them twice, some never, in any order."""
        count = self.random.randint(0, len(self.line))
        taken, self.line = self.line[:count], self.line[count:]
        out: list[dict[str, int]] = []
        for report in taken:
            chance = self.random.random()
            if chance < self.loss:
                continue
            out.append(report)
            if chance > 1 - self.loss:
                self.line.append(report)
        if self.loss and self.random.random() < 0.3:
            self.random.shuffle(out)
        return as_array(out)


def as_array(reports: list[dict[str, int]]) -> Any:
    """Reports as REPORT_DTYPE."""
    rows = np.zeros(len(reports), REPORT_DTYPE)
    for k, report in enumerate(reports):
        for name, value in report.items():
            rows[k][name] = value
    return rows
