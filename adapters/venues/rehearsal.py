"""The rehearsal venue: the simulated venue as a process of its own, with faults on its line.

It reads no clock of its own for trading: its time is the latest that requests and events have
told. It works on arrays; whoever owns a socket brings them and takes them away.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.venues.book import VenueBook
from adapters.venues.faults import FaultPlan, FaultyLine
from adapters.venues.marks import Marks
from mmats._core import (
    REPORT_DTYPE,
    Exchange,
    OrderFlag,
    ReportKind,
    RequestKind,
    SimulatedVenue,
    VenueReason,
)

Mail = list[tuple[bytes, NDArray[Any]]]
"""Reports and the peer that they go to."""

OWN_ORDERS_FROM = 1 << 62


class RehearsalVenue:
    """Executes requests of one customer, and answers the watchdog apart from it.

    The customer is the peer that spoke last of orders, or said hello by a message without
    requests: a restarted engine takes the place of the one that died. Requests with order id 0
    are about everything at the venue, from any peer: CANCEL all orders, QUERY their number,
    SUBMIT with REDUCE_ONLY to flatten. Each is answered with one ACCEPTED of order 0, with the
    request's `ts_ns` as `trade_id`, `last_lots` = how many it acted on, `leaves_lots` = how many
    orders (after SUBMIT: positions) are open now; faults spare these answers.

    Parameters
    ----------
    exchange
        The venue.
    marks
        Event arrays of each instrument that has prices here, in time order; prices follow the
        time of the requests. None are needed where `on_events` is fed.
    plan
        What goes wrong with reports to the customer.
    book
        Where requests and fills are kept.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        marks: Sequence[Iterable[NDArray[Any]]] = (),
        plan: FaultPlan | None = None,
        book: VenueBook | None = None,
    ) -> None:
        self._exchange = exchange
        self._line = FaultyLine(plan or FaultPlan())
        self._book = book or VenueBook(None)
        self._customer: bytes | None = None
        self._answers: Mail = []
        self._now_ns = 0
        self._refused_messages = self._undelivered = 0
        self._marks = [Marks(chunks) for chunks in marks]
        for mark in self._marks:
            self.on_events(mark.first())

    def on_requests(self, peer: bytes, requests: NDArray[Any], monotonic_ns: int) -> None:
        """Execute a message of a peer; one that no engine sends is counted and left out."""
        is_admin = requests["order_id"] == 0
        if not is_admin.any():
            self._customer = peer
        if not len(requests):
            return
        self._book.requests(peer, requests)
        self._advance(int(requests["ts_ns"].max()))
        try:
            if is_admin.any():
                self._administer(peer, requests, monotonic_ns)
            else:
                self._exchange.on_requests(self._accepted(requests, monotonic_ns), self._now_ns)
        except ValueError as error:
            self._refused_messages += 1
            self._book.note(f"refused: {error}")
        self._collect(monotonic_ns)

    def on_events(self, events: NDArray[Any], monotonic_ns: int = 0) -> None:
        """Let market data move the venue; sorted by time."""
        if len(events):
            self._now_ns = max(self._now_ns, int(events["ts_event_ns"][-1]))
            self._exchange.on_events(events)
            self._collect(monotonic_ns)

    def take(self, monotonic_ns: int) -> Mail:
        """Take what leaves now."""
        mail, self._answers = self._answers, []
        due = self._line.take(monotonic_ns)
        if due is not None and self._customer is not None:
            mail.append((self._customer, due))
        elif due is not None:
            self._undelivered += len(due)
        return mail

    @property
    def customer(self) -> bytes | None:
        """The peer whose orders these are; None before the first one."""
        return self._customer

    def next_ns(self) -> int | None:
        """Monotonic time at which `take` has something although nothing happens; or None."""
        return self._line.next_ns()

    def counters(self) -> dict[str, int]:
        """Counts of submits, fills, open orders, faults and of what should not be, by name."""
        exchange = self._exchange
        return {
            "submits": exchange.submit_count,
            "fills": exchange.fill_count,
            "duplicate_submits": exchange.duplicate_count,
            "open_orders": len(exchange.open_orders()),
            "refused_messages": self._refused_messages,
            "undelivered": self._undelivered,
            **self._line.counters,
        }

    def close(self) -> None:
        """Close the book."""
        self._book.close()

    def _advance(self, ts_ns: int) -> None:
        self._now_ns = max(self._now_ns, ts_ns)
        for mark in self._marks:
            for quotes in mark.until(self._now_ns):
                self._exchange.on_events(quotes)

    def _accepted(self, requests: NDArray[Any], monotonic_ns: int) -> NDArray[Any]:
        """Leave out the cancels that a fault refuses, and say so."""
        keep = np.ones(len(requests), dtype=bool)
        for row in np.flatnonzero(requests["kind"] == RequestKind.REQUEST_CANCEL):
            keep[row] = not self._line.refuses_cancel()
            if not keep[row]:
                self._line.put(
                    _report(
                        ReportKind.REPORT_CANCEL_REJECTED,
                        self._now_ns,
                        order_id=requests["order_id"][row],
                        reason=VenueReason.VENUE_FULL,
                    ),
                    monotonic_ns,
                )
        return requests[keep]

    def _administer(self, peer: bytes, requests: NDArray[Any], monotonic_ns: int) -> None:
        for request in requests:
            kind = request["kind"]
            is_closing = request["flags"] & OrderFlag.FLAG_REDUCE_ONLY
            if request["order_id"] != 0:
                raise ValueError("orders and requests about everything in one message")
            done, left = 0, len(self._exchange.open_orders())
            if kind == RequestKind.REQUEST_CANCEL:
                done = self._exchange.cancel_all(self._now_ns)
                self._collect(monotonic_ns)
                left = len(self._exchange.open_orders())
            elif kind == RequestKind.REQUEST_SUBMIT and is_closing:
                done = len(self._exchange.flatten(self._now_ns))
                left = self._exchange.open_positions()
            elif kind != RequestKind.REQUEST_QUERY:
                raise ValueError(f"there is no request of kind {kind} about everything")
            answer = _report(
                ReportKind.REPORT_ACCEPTED,
                self._now_ns,
                trade_id=request["ts_ns"],
                last_lots=done,
                leaves_lots=left,
            )
            self._answers.append((peer, answer))

    def _collect(self, monotonic_ns: int) -> None:
        reports = self._exchange.take_reports(self._now_ns)
        if len(reports):
            self._book.reports(reports)
            # What the venue did on the watchdog's word is no order of the customer's.
            reports = reports[reports["order_id"] < OWN_ORDERS_FROM]
        if len(reports):
            self._line.put(reports, monotonic_ns)


def open_rehearsal(
    venue: SimulatedVenue,
    *,
    marks: Sequence[Iterable[NDArray[Any]]] = (),
    faults: Mapping[str, Any] | None = None,
    book: Path | None = None,
) -> RehearsalVenue:
    """Return a rehearsal venue around a simulated one; `faults` are fields of `FaultPlan`."""
    # Trade ids of an earlier process must not come again: microseconds since 1970 are far apart.
    exchange = Exchange(venue, trade_id_base=time.time_ns() // 1000)
    return RehearsalVenue(
        exchange, marks=marks, plan=FaultPlan(**(faults or {})), book=VenueBook(book)
    )


def _report(kind: ReportKind, ts_ns: int, **fields: int) -> NDArray[Any]:
    report: NDArray[Any] = np.zeros(1, dtype=REPORT_DTYPE)
    report["kind"], report["ts_event_ns"], report["ts_recv_ns"] = kind, ts_ns, ts_ns
    for name, value in fields.items():
        report[name] = value
    return report
