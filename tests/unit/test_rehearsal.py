"""The rehearsal venue: a customer, the watchdog beside it, prices, faults and the book."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from adapters.venues.access import VenueAccess
from adapters.venues.book import VenueBook
from adapters.venues.faults import Fault, FaultPlan
from adapters.venues.marks import Marks, quotes_of
from adapters.venues.rehearsal import RehearsalVenue, open_rehearsal
from mmats._core import REPORT_DTYPE, REQUEST_DTYPE, Exchange
from mmats.model.errors import MmatsError
from tests.fakes.venue_market import (
    LIMIT,
    MINUTE,
    SECOND,
    SELL,
    bars,
    order_id,
    quote,
    snapshot,
    trade,
    venue,
    words,
)
from tests.fakes.venue_requests import CANCEL, MODIFY, QUERY, SUBMIT, request

ENGINE, NEXT_ENGINE, WATCHDOG = b"engine", b"engine again", b"watchdog"
HELLO = np.zeros(0, REQUEST_DTYPE)
ORDER = order_id(1)


def rehearsal(**settings: Any) -> RehearsalVenue:
    """A venue whose price is 100, then 90 from minute 2 on."""
    rows = [(100, 100, 100, 100), (90, 90, 90, 90)]
    return RehearsalVenue(Exchange(venue()), marks=[[bars(rows)]], **settings)


def mail(at: RehearsalVenue, now: int = 0) -> list[tuple[bytes, list[Any]]]:
    names = REPORT_DTYPE.names or ()
    return [
        (peer, words([dict(zip(names, row, strict=True)) for row in reports.tolist()]))
        for peer, reports in at.take(now)
    ]


def ask(at: RehearsalVenue, message: Any, peer: bytes = ENGINE) -> list[tuple[bytes, list[Any]]]:
    at.on_requests(peer, message, 0)
    return mail(at)


def test_a_market_order_fills_at_once_at_the_last_known_price() -> None:
    at = rehearsal()
    assert ask(at, request(SUBMIT, ORDER, ts_ns=MINUTE)) == [
        (ENGINE, [(1, "accepted"), (1, "filled", 1, 101)])
    ]
    assert at.counters()["submits"] == at.counters()["fills"] == 1


def test_prices_follow_the_time_of_the_requests() -> None:
    at = rehearsal()
    ask(at, request(SUBMIT, ORDER, ts_ns=MINUTE, type=LIMIT, price_ticks=95))
    assert ask(at, request(QUERY, order_id(2), ts_ns=2 * MINUTE)) == [
        (ENGINE, [(1, "filled", 1, 95), (2, "not_found", "unknown_order")])
    ]


def test_given_events_move_the_venue_too() -> None:
    at = RehearsalVenue(Exchange(venue()))
    at.on_events(quote(SECOND, 99, 101))
    ask(at, request(SUBMIT, ORDER, ts_ns=SECOND, type=LIMIT, price_ticks=98))
    at.on_events(quote(2 * SECOND, 97, 98))
    assert mail(at) == [(ENGINE, [(1, "filled", 1, 98)])]


def test_a_restarted_engine_takes_the_place_of_the_dead_one() -> None:
    at = rehearsal()
    ask(at, request(SUBMIT, ORDER, type=LIMIT, price_ticks=95, ts_ns=MINUTE))
    assert ask(at, HELLO, NEXT_ENGINE) == []
    assert at.customer == NEXT_ENGINE
    at.on_events(quote(3 * MINUTE, 94, 95))
    assert mail(at) == [(NEXT_ENGINE, [(1, "filled", 1, 95)])]


def test_what_nobody_is_there_to_hear_is_counted() -> None:
    exchange = Exchange(venue())
    exchange.on_events(quote(SECOND, 99, 101))
    exchange.on_requests(request(SUBMIT, ORDER), SECOND)
    at = RehearsalVenue(exchange)
    at.on_events(quote(2 * SECOND, 99, 101))
    assert mail(at) == []
    assert at.counters()["undelivered"] == 2


def test_a_lost_report_is_told_again_to_who_asks() -> None:
    at = rehearsal(plan=FaultPlan(script={1: Fault.LOSE}))
    assert ask(at, request(SUBMIT, ORDER, ts_ns=MINUTE)) == []
    assert ask(at, request(QUERY, ORDER, ts_ns=MINUTE)) == [(ENGINE, [(1, "filled", 1, 101)])]


def test_a_refused_cancel_leaves_the_order() -> None:
    at = rehearsal(plan=FaultPlan(reject_cancels=1.0))
    ask(at, request(SUBMIT, ORDER, type=LIMIT, price_ticks=95, ts_ns=MINUTE))
    assert ask(at, request(CANCEL, ORDER)) == [(ENGINE, [(1, "cancel_rejected", "full")])]
    assert at.counters()["open_orders"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        request(SUBMIT, ORDER, instrument=9),
        request(MODIFY, 0),
        request(SUBMIT, 0),
        np.concatenate([request(QUERY, 0), request(QUERY, ORDER)]),
    ],
)
def test_a_message_that_no_engine_sends_is_counted_and_left_out(wrong: Any, tmp_path: Path) -> None:
    at = rehearsal(book=VenueBook(tmp_path / "book"))
    ask(at, wrong)
    at.close()
    assert at.counters()["refused_messages"] == 1
    assert at.counters()["submits"] == 0
    last = orjson.loads((tmp_path / "book").read_bytes().splitlines()[-1])
    assert last["text"].startswith("refused: ")


def test_the_book_has_every_request_every_fill_once_and_every_end(tmp_path: Path) -> None:
    at = rehearsal(book=VenueBook(tmp_path / "book"), plan=FaultPlan(lose=1.0))
    ask(at, request(SUBMIT, ORDER, ts_ns=MINUTE))
    ask(at, request(QUERY, ORDER, ts_ns=MINUTE))
    ask(at, request(SUBMIT, order_id(2), type=LIMIT, price_ticks=50, ts_ns=MINUTE))
    ask(at, request(CANCEL, order_id(2)))
    at.close()
    rows = [orjson.loads(line) for line in (tmp_path / "book").read_bytes().splitlines()]
    assert [(row["what"], row["kind"], row["order_id"] & 4095) for row in rows] == [
        ("request", "submit", 1),
        ("fill", "filled", 1),
        ("request", "query", 1),
        ("request", "submit", 2),
        ("request", "cancel", 2),
        ("end", "canceled", 2),
    ]
    assert rows[1]["trade_id"] == 1
    assert rows[0]["quantity_lots"] == 1


def test_trade_ids_of_two_processes_differ() -> None:
    ids = []
    for _ in range(2):
        at = open_rehearsal(venue(), marks=[[bars([(100, 100, 100, 100)])]])
        at.on_requests(ENGINE, request(SUBMIT, ORDER, ts_ns=MINUTE), 0)
        ((_, reports),) = at.take(0)
        ids.append(int(reports["trade_id"].max()))
    assert ids[0] != ids[1]


class Line:
    """A link to a venue in this process; a silent one never answers."""

    def __init__(self, at: RehearsalVenue, *, there: bool = True, silent: bool = False) -> None:
        self.at, self.there, self.silent = at, there, silent

    def send(self, requests: Any) -> bool:
        if self.there:
            self.at.on_requests(WATCHDOG, requests, 0)
        return self.there

    def receive(self, timeout_ms: int) -> Any:
        for peer, reports in self.at.take(0):
            if peer == WATCHDOG and not self.silent:
                return reports
        return np.zeros(0, REPORT_DTYPE)

    def close(self) -> None:
        self.there = False


def test_the_watchdog_cancels_and_flattens_beside_the_engine() -> None:
    at = rehearsal(plan=FaultPlan(lose=1.0))
    for slot in (1, 2):
        ask(at, request(SUBMIT, order_id(slot), type=LIMIT, price_ticks=50, ts_ns=MINUTE))
    ask(at, request(SUBMIT, order_id(3), side=SELL, quantity_lots=7, ts_ns=MINUTE))
    access = VenueAccess(Line(at))
    assert access.open_orders() == 2
    assert access.cancel_all() == 2
    assert access.open_orders() == 0
    assert access.flatten() == 0
    assert at.customer == ENGINE
    assert at.counters()["fills"] == 2


def test_orders_that_the_watchdog_made_are_not_told_to_the_engine() -> None:
    at = rehearsal()
    ask(at, request(SUBMIT, ORDER, ts_ns=MINUTE))
    at.on_requests(WATCHDOG, request(SUBMIT, 0, flags=2), 0)
    assert [peer for peer, _ in mail(at)] == [WATCHDOG]


@pytest.mark.parametrize(
    ("line", "text"),
    [({"there": False}, "can't be reached"), ({"silent": True}, "does not answer")],
)
def test_no_answer_is_an_error_in_time(line: dict[str, bool], text: str) -> None:
    access = VenueAccess(Line(rehearsal(), **line), timeout_ms=20)
    with pytest.raises(MmatsError, match=text):
        access.open_orders()


def test_marks_are_quotes_of_whatever_tells_a_price() -> None:
    given = [bars([(1, 9, 1, 5)]), trade(2 * MINUTE, 7, 1), quote(3 * MINUTE, 8, 11)]
    found = np.concatenate([quotes_of(events) for events in given])
    assert found["bid_ticks"].tolist() == [5, 7, 8]
    assert found["ask_ticks"].tolist() == [6, 8, 11]
    assert found["ts_event_ns"].tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert len(quotes_of(snapshot(MINUTE, {1: 1}, {2: 1}))) == 0


def test_marks_are_taken_up_to_a_time_across_chunks() -> None:
    flat = (5, 5, 5, 5)
    marks = Marks([bars([flat] * 2), bars([flat] * 2, first=3)])
    assert marks.first()["ts_event_ns"].tolist() == [MINUTE]

    def taken(until: int) -> list[int]:
        return [ts // MINUTE for rows in marks.until(until) for ts in rows["ts_event_ns"].tolist()]

    assert taken(0) == []
    assert taken(3 * MINUTE) == [1, 2, 3]
    assert taken(9 * MINUTE) == [4]
    assert taken(9 * MINUTE) == []
