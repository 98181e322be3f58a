"""A wired pipeline at an execution port, whose venue is the test itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmats._core import (
    REPORT_DTYPE,
    Controls,
    ExecutionPort,
    Intake,
    MemoryJournal,
    RecordKind,
    ReportKind,
    RequestKind,
    open_orders,
)
from mmats.config import load_config
from mmats.engine.assembly import assemble
from tests.fakes.backtests import START_NS, Script, config
from tests.fakes.live import TICKS, bar

SECOND = 10**9
SUBMIT, CANCEL, MODIFY, QUERY = (int(kind) for kind in RequestKind)


class Floor:
    """`scripts` at an execution port (or no venue at all); the test answers for the venue.

    `now` is the time of what happens next; bars are of instrument 0 unless told otherwise.
    """

    def __init__(
        self, *scripts: Any, has_venue: bool = True, room: int = 256, **changes: Any
    ) -> None:
        scripts = scripts or (Script(),)
        checked = load_config(config(*[f"s{k}" for k in range(len(scripts))], **changes))
        wired = assemble(
            checked,
            list(zip(checked.strategies, scripts, strict=True)),
            lambda catalogue, ledger, count: (
                ExecutionPort(len(catalogue.currencies), request_capacity=room)
                if has_venue
                else None
            ),
            MemoryJournal(),
        )
        self.port: Any = wired.venue
        self.pipeline = wired.pipeline
        self.orders = wired.pipeline.orders
        self.gate = wired.gate
        self.ledger = wired.ledger
        self.journal = wired.journal
        self.controls = Controls(self.pipeline)
        self.intake = Intake(self.pipeline)
        self.now = START_NS
        self.trades = 0
        self.filled: dict[int, int] = {}  # order id: lots that its fills add up to
        self.told: set[tuple[int, int]] = set()  # order and trade ids
        self.minute = 0

    def bar(self, close: int = TICKS, instrument: int = 0) -> None:
        """Let one more minute close at a price."""
        self.minute += 1
        self.intake.on_events(bar(self.minute, close, instrument))
        self.now = max(self.now, self.pipeline.now_ns)

    def requests(self) -> list[Any]:
        """Take all requests that wait."""
        return list(self.port.take_requests(10_000))

    def sent(self) -> list[tuple[int, int]]:
        """Take them as (kind, lots)."""
        return [(int(r["kind"]), int(r["quantity_lots"])) for r in self.requests()]

    def report(self, kind: ReportKind, order_id: int, **fields: int) -> int:
        """Hand one report over and let the pipeline take it; 1 = the port accepted it."""
        rows = np.zeros(1, REPORT_DTYPE)
        fields = {"cum_lots": self.filled.get(order_id, 0), **fields}
        for name, value in {"kind": int(kind), "order_id": order_id, **fields}.items():
            rows[name] = value
        accepted: int = self.port.give_reports(rows)
        self.intake.on_reports(self.now)
        return accepted

    def accept(self, order_id: int, leaves: int = 0) -> None:
        self.report(ReportKind.REPORT_ACCEPTED, order_id, leaves_lots=leaves)

    def fill(
        self, order_id: int, lots: int, leaves: int, price: int = TICKS, trade: int = 0,
        cum: int = 0,
    ) -> int:  # fmt: skip
        """A fill with a new trade id and the sum of the fills, unless they are given."""
        self.trades += 1
        trade = trade or self.trades
        if (order_id, trade) not in self.told:
            self.told.add((order_id, trade))
            self.filled[order_id] = self.filled.get(order_id, 0) + lots
        return self.report(
            ReportKind.REPORT_FILLED, order_id, last_lots=lots, leaves_lots=leaves,
            last_ticks=price, trade_id=trade, liquidity=2,
            cum_lots=cum or self.filled[order_id],
        )  # fmt: skip

    def after(self, seconds: float) -> int:
        """Let time go by, then ask for what is unanswered; returns how many questions left."""
        self.now += int(seconds * SECOND)
        return self.pipeline.resolve(self.now)

    def buy(self, lots: int = 1000, **fields: Any) -> int:
        """Buy by hand for strategy 0; returns the order's id, taken by the venue."""
        return self.order(1, lots, **fields)

    def order(self, side: int, lots: int, **fields: Any) -> int:
        order_id, reason, _, _ = self.controls.submit_manual(self.now, 0, 0, side, lots, **fields)
        assert order_id, reason
        return order_id

    def hold(self, lots: int = 1000, **fields: Any) -> int:
        """Buy, and be filled at once; requests are taken."""
        order_id = self.buy(lots, **fields)
        self.accept(order_id)
        self.fill(order_id, lots, 0)
        return order_id

    def position(self, strategy: int = 0, instrument: int = 0) -> int:
        return self.ledger.cell(strategy, instrument).lots

    def state(self, order_id: int) -> int | None:
        """State of an open order; None where it has ended."""
        rows = open_orders(self.orders)
        found = rows[rows["order_id"] == order_id]
        return int(found["state"][0]) if len(found) else None

    def kinds(self) -> list[str]:
        """Kinds of all records so far."""
        names = {int(kind): kind.name.removeprefix("RECORD_") for kind in RecordKind}
        return [names[int(kind)] for kind in self.records()["kind"]]

    def records(self, *kinds: RecordKind) -> Any:
        """A copy of the records, of some kinds or all."""
        rows = self.journal.to_array().copy()
        return rows[np.isin(rows["kind"], [int(kind) for kind in kinds])] if kinds else rows

    def assert_nothing_open(self) -> None:
        gate = self.gate
        assert (gate.reserved, gate.open_order_count, gate.open_lots(0)) == (0, 0, (0, 0))
        assert gate.unknown_order_count == 0


def ids(requests: Sequence[Any], kind: int) -> list[int]:
    """Order ids of the requests of one kind."""
    return [int(request["order_id"]) for request in requests if request["kind"] == kind]
