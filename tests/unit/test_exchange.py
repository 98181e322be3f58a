"""The simulated venue behind packed requests: once per order id, told again to whoever asks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmats._core import REPORT_DTYPE, Exchange, ReportKind
from tests.fakes.venue_market import (
    BUY,
    KINDS,
    LIMIT,
    MARKET,
    MINUTE,
    SECOND,
    SELL,
    STOP,
    bars,
    order_id,
    quote,
    venue,
    words,
)
from tests.fakes.venue_requests import CANCEL, MODIFY, QUERY, SUBMIT, request

ORDER = order_id(1)


def said(exchange: Exchange, now: int = 100 * SECOND) -> list[tuple[Any, ...]]:
    return words(dicts(exchange.take_reports(now)))


def dicts(reports: NDArray[Any]) -> list[dict[str, Any]]:
    return [dict(zip(REPORT_DTYPE.names or (), row, strict=True)) for row in reports.tolist()]


def quoted(**settings: Any) -> Exchange:
    """A venue where 99 is bid and 101 asked since second 1."""
    exchange = Exchange(venue(**settings))
    exchange.on_events(quote(SECOND, 99, 101))
    return exchange


def test_a_market_order_fills_at_the_touch() -> None:
    exchange = quoted()
    exchange.on_requests(request(SUBMIT, ORDER, quantity_lots=5), 2 * SECOND)
    assert said(exchange) == [(1, "accepted"), (1, "filled", 5, 101)]
    assert (exchange.submit_count, exchange.fill_count, exchange.open_orders()) == (1, 1, [])


def test_trade_ids_can_begin_beyond_those_of_an_earlier_process() -> None:
    exchange = Exchange(venue(), trade_id_base=1000)
    exchange.on_events(quote(SECOND, 99, 101))
    exchange.on_requests(request(SUBMIT, ORDER), 2 * SECOND)
    assert exchange.take_reports(2 * SECOND)["trade_id"].tolist() == [0, 1001]


def test_cancel_and_modify_reach_a_resting_order() -> None:
    exchange = quoted()
    exchange.on_requests(request(SUBMIT, ORDER, type=LIMIT, price_ticks=90), 2 * SECOND)
    exchange.on_requests(request(MODIFY, ORDER, quantity_lots=3), 3 * SECOND)
    assert exchange.open_orders() == [ORDER]
    exchange.on_requests(request(CANCEL, ORDER), 4 * SECOND)
    assert said(exchange) == [(1, "accepted"), (1, "updated"), (1, "canceled")]
    assert exchange.open_orders() == []


def test_an_order_id_is_executed_once_and_its_second_submit_is_answered() -> None:
    exchange = quoted()
    exchange.on_requests(request(SUBMIT, ORDER), 2 * SECOND)
    said(exchange)
    exchange.on_requests(request(SUBMIT, ORDER), 3 * SECOND)
    assert said(exchange) == [(1, "filled", 1, 101)]
    assert (exchange.fill_count, exchange.duplicate_count, exchange.submit_count) == (1, 1, 1)


def test_a_query_tells_all_fills_again_with_their_ids_and_then_the_state() -> None:
    exchange = Exchange(venue())
    exchange.on_events(quote(SECOND, 99, 101, 10, 2))
    exchange.on_requests(request(SUBMIT, ORDER, quantity_lots=5, type=LIMIT, price_ticks=101), 2)
    exchange.on_events(quote(3 * SECOND, 99, 101, 10, 1))
    first = [
        row for row in dicts(exchange.take_reports(3 * SECOND)) if KINDS[row["kind"]] == "filled"
    ]
    exchange.on_requests(request(QUERY, ORDER), 4 * SECOND)
    again = dicts(exchange.take_reports(4 * SECOND))
    assert words(again) == [(1, "filled", 2, 101), (1, "filled", 1, 101), (1, "accepted")]
    assert [row["trade_id"] for row in again[:2]] == [row["trade_id"] for row in first]
    assert again[2]["leaves_lots"] == 2
    assert {row["ts_recv_ns"] for row in again} == {4 * SECOND}
    assert exchange.fill_count == 2


@pytest.mark.parametrize(
    ("before", "state"),
    [
        (request(CANCEL, ORDER), "canceled"),
        (request(MODIFY, ORDER, quantity_lots=1), "accepted"),
    ],
)
def test_a_query_tells_the_last_state(before: NDArray[Any], state: str) -> None:
    exchange = quoted()
    fields = {"type": LIMIT, "price_ticks": 90, "quantity_lots": 4}
    exchange.on_requests(request(SUBMIT, ORDER, **fields), 2 * SECOND)
    exchange.on_requests(before, 3 * SECOND)
    said(exchange)
    exchange.on_requests(request(QUERY, ORDER), 4 * SECOND)
    assert said(exchange) == [(1, state)]


def test_a_refused_cancel_does_not_change_what_a_query_tells() -> None:
    exchange = quoted()
    exchange.on_requests(request(SUBMIT, ORDER), 2 * SECOND)
    exchange.on_requests(request(CANCEL, ORDER), 3 * SECOND)
    assert said(exchange)[-1] == (1, "cancel_rejected", "unknown_order")
    exchange.on_requests(request(QUERY, ORDER), 4 * SECOND)
    assert said(exchange) == [(1, "filled", 1, 101)]


def test_what_never_came_is_not_found() -> None:
    exchange = quoted()
    exchange.on_requests(request(QUERY, ORDER), 2 * SECOND)
    (answer,) = exchange.take_reports(2 * SECOND)
    assert (answer["order_id"], answer["kind"], answer["ts_recv_ns"]) == (
        ORDER,
        ReportKind.REPORT_NOT_FOUND,
        2 * SECOND,
    )


def test_an_order_on_its_way_is_not_lost_and_not_accepted_yet() -> None:
    exchange = Exchange(venue())  # knows no price: the order waits for the first bar
    exchange.on_requests(request(SUBMIT, ORDER), SECOND)
    exchange.on_requests(request(QUERY, ORDER), 2 * SECOND)
    assert said(exchange) == []
    assert exchange.open_orders() == [ORDER]
    exchange.on_events(bars([(100, 100, 100, 100)]))
    assert said(exchange) == [(1, "accepted"), (1, "filled", 1, 100)]


def test_reports_arrive_when_their_latency_has_passed() -> None:
    exchange = quoted(fill={"order_latency_ns": SECOND})
    exchange.on_requests(request(SUBMIT, ORDER), 2 * SECOND)
    exchange.on_events(quote(3 * SECOND, 99, 101))
    assert said(exchange, 4 * SECOND - 1) == []
    assert said(exchange, 4 * SECOND) == [(1, "accepted"), (1, "filled", 1, 101)]


def test_cancel_all_ends_what_is_open() -> None:
    exchange = quoted()
    for slot in (1, 2):
        exchange.on_requests(request(SUBMIT, order_id(slot), type=LIMIT, price_ticks=90), SECOND)
    said(exchange)
    assert exchange.cancel_all(2 * SECOND) == 2
    assert said(exchange) == [(1, "canceled"), (2, "canceled")]
    assert exchange.cancel_all(3 * SECOND) == 0


@pytest.mark.parametrize("side", [BUY, SELL])
def test_flatten_closes_every_position_with_ids_of_its_own(side: int) -> None:
    exchange = quoted(strategy_count=2)
    for slot, strategy in ((4095, 0), (2, 1)):
        fields = {"side": side, "strategy": strategy, "quantity_lots": 3}
        exchange.on_requests(request(SUBMIT, order_id(slot), **fields), 2 * SECOND)
    said(exchange)
    assert exchange.open_positions() == 2
    ids = exchange.flatten(3 * SECOND)
    assert exchange.open_positions() == 0
    assert len(set(ids)) == 2
    assert min(ids) > order_id(0, 2**40)
    assert [exchange.venue.position_lots(k, 0) for k in (0, 1)] == [0, 0]
    assert exchange.flatten(4 * SECOND) == []


def test_orders_of_a_flatten_that_are_on_their_way_do_not_share_a_slot() -> None:
    exchange = Exchange(venue(strategy_count=2))
    exchange.on_events(bars([(100, 100, 100, 100)]))
    for strategy in (0, 1):
        exchange.on_requests(request(SUBMIT, order_id(strategy + 1), strategy=strategy), MINUTE)
    exchange.on_events(bars([(100, 100, 100, 100)], first=2))
    exchange.flatten(2 * MINUTE)
    exchange.on_events(bars([(100, 100, 100, 100)], first=3))
    assert [exchange.venue.position_lots(k, 0) for k in (0, 1)] == [0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        request(SUBMIT, ORDER, instrument=7),
        request(SUBMIT, ORDER, instrument=-1),
        request(SUBMIT, ORDER, strategy=7),
        request(QUERY, 0),
        request(CANCEL, -5),
    ],
)
def test_a_bad_request_is_refused_and_none_of_its_message_executed(wrong: NDArray[Any]) -> None:
    exchange = quoted()
    good = request(SUBMIT, order_id(2))
    with pytest.raises(ValueError, match="request 1"):
        exchange.on_requests(np.concatenate([good, wrong]), 2 * SECOND)
    assert (exchange.submit_count, said(exchange)) == (0, [])


def test_an_unknown_kind_and_torn_bytes_are_refused() -> None:
    exchange = quoted()
    unknown = request(SUBMIT, ORDER)
    unknown["kind"] = 9
    with pytest.raises(ValueError, match="no kind 9"):
        exchange.on_requests(unknown, SECOND)
    with pytest.raises(ValueError, match="whole number of requests"):
        exchange.on_requests(np.zeros(90, "u1"), SECOND)
    with pytest.raises(ValueError, match="whole number of events"):
        exchange.on_events(np.zeros(65, "u1"))
    foreign = quote(SECOND, 1, 2)
    foreign["instrument"] = 3
    with pytest.raises(ValueError, match="instrument 3"):
        exchange.on_events(foreign)


def test_too_much_in_flight_is_refused_with_a_report() -> None:
    exchange = Exchange(venue())
    many = np.concatenate([request(SUBMIT, order_id(1, k + 1)) for k in range(8193)])
    exchange.on_requests(many, SECOND)
    assert said(exchange) == [(1, "rejected", "full")]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "cancel", "bar"]),
        st.integers(1, 5),
        st.sampled_from([BUY, SELL]),
        st.sampled_from([MARKET, LIMIT, STOP]),
        st.integers(90, 110),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(ACTIONS, st.sampled_from([0, 20 * SECOND]))
def test_it_says_exactly_what_the_venue_itself_says(
    actions: list[tuple[str, int, int, int, int]], latency: int
) -> None:
    """Fills are answered with an order of the other side, in the middle of a bar's path."""
    fill = {"order_latency_ns": latency, "order_jitter_ns": latency // 2, "seed": 5}
    plain, exchange = venue(fill=fill), Exchange(venue(fill=fill))
    told: list[Any] = []
    heard: list[Any] = []
    now, sequence, bar = 0, 0, 1

    def submit(direct: bool, number: int, at: int, **fields: int) -> None:
        if direct:
            plain.submit_order(at, order_id=number, **fields)
        else:
            exchange.on_requests(request(SUBMIT, number, **fields), at)

    def drain(direct: bool, at: int) -> None:
        reports = plain.reports(at) if direct else dicts(exchange.take_reports(at))
        for report in reports:
            (told if direct else heard).append(report)
            if KINDS[report["kind"]] == "filled" and report["order_id"] < 2**40:
                stop = {"side": SELL, "type": STOP, "trigger_ticks": report["last_ticks"] - 1}
                submit(
                    direct,
                    report["order_id"] + 2**40,
                    report["ts_recv_ns"],
                    **stop,
                    quantity_lots=1,
                )

    for what, slot, side, kind, price in actions:
        if what == "bar":
            rows = bars([(price, price + 3, price - 3, price)], first=bar)
            now, bar = bar * MINUTE, bar + 1
            for event in (rows,):
                drain(True, now)
                plain.feed(event, lambda: drain(True, now))  # noqa: B023
                exchange.on_events(event, lambda at: drain(False, at))
        elif what == "submit":
            sequence += 1
            fields = {"side": side, "type": kind, "quantity_lots": 1}
            fields |= {"price_ticks": price} if kind == LIMIT else {}
            fields |= {"trigger_ticks": price} if kind == STOP else {}
            for direct in (True, False):
                submit(direct, order_id(slot, sequence), now, **fields)
        else:
            plain.cancel_order(now, order_id(slot, max(sequence, 1)))
            exchange.on_requests(request(CANCEL, order_id(slot, max(sequence, 1))), now)
        for direct in (True, False):
            drain(direct, now)
    assert heard == told
