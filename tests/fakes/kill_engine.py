"""Tiny engines for the kill campaign: one that is right, and some that are wrong.

usage: python -m tests.fakes.kill_engine HOME VARIANT

right: the intent is in the journal before the order leaves; after a crash it asks.
resend: the same, but after a crash it sends open orders again, under new ids.
late: the order leaves first, and is written down when the venue answers.
told: it tells of a fill before the journal has it, and writes it down a moment later.
forgets: it begins every run with an empty head.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zmq

from adapters.bus.sockets import SocketOptions, open_bound
from adapters.bus.venue_link import VenueLink
from mmats._core import REQUEST_DTYPE, ReportKind, RequestKind
from mmats.model.profile import Profile

ASK_AFTER_S = 0.05
ORDER_EVERY_S = 0.004
START_NS = 1_704_067_260 * 10**9
ENDS = {
    ReportKind.REPORT_REJECTED: "rejected",
    ReportKind.REPORT_CANCELED: "canceled",
    ReportKind.REPORT_NOT_FOUND: "rejected",
}


class Engine:
    """Sends a market order now and then, and books what comes back."""

    def __init__(self, home: Path, variant: str) -> None:
        self.profile = Profile.of("dev", home)
        self.variant = variant
        self.file = (self.profile.root / "journal.jsonl").open("a+b", buffering=0)
        self.size, self.hash, self.sequence = 0, "", 0
        self.open: dict[int, float] = {}  # order id -> when to ask
        self.trades: set[int] = set()
        self.untold: list[dict[str, Any]] = []
        self.recover()
        self.context: zmq.Context[Any] = zmq.Context()
        endpoint = self.profile.endpoint("private")
        self.publisher = open_bound(self.context, zmq.PUB, endpoint, SocketOptions())
        self.link = VenueLink(self.profile, name="rehearsal")

    def recover(self) -> None:
        self.file.seek(0)
        for line in self.file.read().splitlines():
            row = orjson.loads(line)
            self.size, self.hash = row["seq"], row["hash"]
            self.sequence = max(self.sequence, row.get("order_id", 0) >> 12)
            if row["kind"] == "submitted":
                self.open[row["order_id"]] = 0.0
            elif row["kind"] in ("filled", "rejected", "canceled"):
                self.open.pop(row["order_id"], None)
                self.trades.add(row.get("trade_id", 0))
        head = [0, ""] if self.variant == "forgets" else [self.size, self.hash]
        recovered = {"head": head, "image": ""}
        self.append("run.started", entry="note", data={"recovered": recovered})

    def append(self, kind: str, *, entry: str = "record", **fields: Any) -> dict[str, Any]:
        row = {"entry": entry, "kind": kind, "ts_ns": time.time_ns(), **fields}
        self.hash = hashlib.sha256(self.hash.encode() + orjson.dumps(row)).hexdigest()
        self.size += 1
        row |= {"seq": self.size, "hash": self.hash}
        self.file.write(orjson.dumps(row) + b"\n")
        return row

    def tell(self, row: dict[str, Any]) -> None:
        names = ("ts_ns", "order_id", "signal_id", "trade_id")
        event = {name: row[name] for name in names if name in row}
        self.publish("event", "order", {"what": row["kind"].upper(), **event})

    def publish(self, kind: str, key: str, value: dict[str, Any]) -> None:
        message = {"run": str(os.getpid()), "kind": kind, "key": key, "value": value}
        self.publisher.socket.send(orjson.dumps(message))

    def submit(self, signal: int | None = None) -> None:
        self.sequence += 1
        order = self.sequence << 12 | self.sequence % 4096
        fields = {"order_id": order, "signal_id": signal or self.sequence, "role": "entry"}
        if self.variant != "late":
            self.tell(self.append("submitted", **fields))
        self.open[order] = time.monotonic() + ASK_AFTER_S
        self.request(RequestKind.REQUEST_SUBMIT, order)

    def request(self, kind: RequestKind, order: int) -> None:
        request = np.zeros(1, REQUEST_DTYPE)
        request["kind"], request["order_id"], request["ts_ns"] = kind, order, START_NS
        for name in ("side", "type", "tif", "role", "quantity_lots"):
            request[name] = 1
        request["quantity_lots"] = 1000
        self.link.send(request)

    def take(self, report: Any) -> None:
        order, trade = int(report["order_id"]), int(report["trade_id"])
        if order not in self.open or (trade and trade in self.trades):
            return
        kind = ReportKind(report["kind"])
        if self.variant == "late" and kind is ReportKind.REPORT_ACCEPTED:
            self.append("submitted", order_id=order, signal_id=order >> 12, role="entry")
        elif kind is ReportKind.REPORT_FILLED:
            self.trades.add(trade)
            self.open.pop(order)
            self.book("filled", order, trade)
        elif kind in ENDS:
            self.open.pop(order)
            self.book(ENDS[kind], order, 0)

    def book(self, kind: str, order: int, trade: int) -> None:
        fields = {"order_id": order, "trade_id": trade, "signal_id": order >> 12}
        if self.variant != "told":
            self.tell(self.append(kind, **fields))
            return
        self.untold.append({"kind": kind, "ts_ns": time.time_ns(), **fields})
        self.tell(self.untold[-1])
        if len(self.untold) == 20:
            for row in self.untold:
                self.append(**row)
            self.untold.clear()

    def recovered(self) -> None:
        """Deal with what was open, and say that it trades."""
        while self.open and not self.link.send(np.zeros(0, REQUEST_DTYPE)):
            pass
        for order in list(self.open):
            if self.variant == "resend":
                del self.open[order]
                self.submit(signal=order >> 12)
            else:
                self.request(RequestKind.REQUEST_QUERY, order)
                self.open[order] = time.monotonic() + ASK_AFTER_S
        ready = self.profile.run_dir / "engine.ready"
        ready.write_text(f"{os.getpid()} run\n")

    def trade(self) -> None:
        due = beat = time.monotonic()
        while True:
            for report in self.link.receive(1):
                self.take(report)
            now = time.monotonic()
            for order in [order for order, ask in self.open.items() if ask <= now]:
                self.request(RequestKind.REQUEST_QUERY, order)
                self.open[order] = now + ASK_AFTER_S
            if now >= due and not (self.profile.run_dir / "rest").exists():
                due = now + ORDER_EVERY_S
                self.submit()
            if now >= beat:
                beat = now + 0.02
                self.publish("heartbeat", "", {"head": [self.size, self.hash]})


if __name__ == "__main__":
    engine = Engine(Path(sys.argv[1]), sys.argv[2])
    engine.recovered()
    engine.trade()
