"""Life of an order at the simulated venue: checks, latency, ends, changes, reduce-only."""

from typing import Any

import pytest

from mmats._core.matching import SimulatedVenue
from tests.fakes.venue_market import (
    BUY,
    DAY,
    DAY_ORDER,
    GTD,
    IOC,
    LIMIT,
    MARKET,
    MINUTE,
    POST_ONLY,
    QUOTE,
    REDUCE_ONLY,
    SECOND,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING,
    bars,
    fills,
    on_fill,
    order_id,
    quote,
    send,
    story,
    timer,
    venue,
    words,
)

FLAT = (1000, 1000, 1000, 1000)


def quoted(**settings: Any) -> Any:
    at = venue(**settings)
    at.feed(quote(SECOND, 998, 1002))
    return at


@pytest.mark.parametrize(
    ("lots", "kind", "fields", "why"),
    [
        (0, MARKET, {}, "quantity"),
        (1, MARKET, {}, "quantity"),
        (101, MARKET, {}, "quantity"),
        (5, LIMIT, {}, "price"),
        (5, LIMIT, {"price_ticks": -1}, "price"),
        (5, STOP, {}, "price"),
        (5, STOP_LIMIT, {"price_ticks": 900}, "price"),
        (5, STOP_LIMIT, {"trigger_ticks": 900}, "price"),
        (5, TRAILING, {}, "price"),
        (5, 7, {}, "price"),
        (5, LIMIT, {"price_ticks": 1199}, "notional_min"),
        (5, LIMIT, {"price_ticks": 1199, "flags": POST_ONLY}, "notional_min"),
        (5, MARKET, {}, "notional_min"),
        (6, LIMIT, {"price_ticks": 1002, "flags": POST_ONLY}, "post_only"),
        (2**62, LIMIT, {"price_ticks": 2**62}, "quantity"),
    ],
)
def test_refusals(lots: int, kind: int, fields: dict[str, int], why: str) -> None:
    at = quoted(quantity_min_lots=2, quantity_max_lots=100, notional_min=6000)
    send(at, SECOND, 0, BUY, lots, kind, **fields)
    assert words(at.reports()) == [(0, "rejected", why)]


@pytest.mark.parametrize(("lots", "price"), [(5, 1200), (6, 1000)])
def test_the_smallest_notional_is_accepted(lots: int, price: int) -> None:
    at = quoted(notional_min=6000)
    send(at, SECOND, 0, SELL, lots, LIMIT, price_ticks=price + 5)
    assert words(at.reports()) == [(0, "accepted")]


def test_a_slot_in_use_takes_no_second_order() -> None:
    at = quoted()
    send(at, SECOND, 7, BUY, 5, LIMIT, price_ticks=900)
    send(at, SECOND, 7, BUY, 5, LIMIT, price_ticks=900, sequence=2)
    assert words(at.reports()) == [(7, "accepted"), (7, "rejected", "full")]


@pytest.mark.parametrize("fields", [{"instrument": 1}, {"strategy": 1}, {"order_id": 0}])
def test_orders_to_nowhere_are_errors(fields: dict[str, int]) -> None:
    at = quoted()
    with pytest.raises((IndexError, ValueError), match="order"):
        at.submit_order(SECOND, **{"order_id": 4096, "quantity_lots": 1, **fields})


def test_unknown_fields_are_errors() -> None:
    with pytest.raises(TypeError, match="lots"):
        quoted().submit_order(SECOND, order_id=4096, lots=1)
    with pytest.raises(ValueError, match="spread_tick"):
        venue(cost={"spread_tick": 1})
    with pytest.raises(ValueError, match="latency"):
        venue(fill={"order_latency_ns": -1})
    with pytest.raises(ValueError, match="PathRule"):
        venue(fill={"path": 0})
    with pytest.raises(ValueError, match="2 instruments"):
        SimulatedVenue([{}, {}], [{}])


def test_cancel_ends_a_resting_order_once() -> None:
    at = quoted()
    number = send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=900)
    at.cancel_order(SECOND, number)
    at.cancel_order(SECOND, number)
    assert words(at.reports()) == [
        (0, "accepted"),
        (0, "canceled"),
        (0, "cancel_rejected", "unknown_order"),
    ]
    assert story(at, quote(2 * SECOND, 800, 801)) == []


def test_latency_delays_the_order_and_its_reports() -> None:
    at = quoted(fill={"order_latency_ns": SECOND})
    send(at, SECOND, 0, BUY, 5)
    assert at.reports() == []
    at.feed(quote(2 * SECOND - 1, 1000, 1010))
    assert at.reports() == []
    at.feed(quote(2 * SECOND, 1090, 1100))
    accepted, fill = at.reports()
    # it arrives at 2 s and meets the quote that stood before that moment's quote
    assert (accepted["ts_event_ns"], accepted["ts_recv_ns"]) == (2 * SECOND, 3 * SECOND)
    assert (fill["last_ticks"], fill["ts_event_ns"]) == (1010, 2 * SECOND)


def test_reports_are_handed_out_when_they_reach_us() -> None:
    at = quoted(fill={"order_latency_ns": SECOND})
    send(at, SECOND, 0, BUY, 5)
    at.feed(quote(2 * SECOND, 998, 1002))
    assert at.reports(3 * SECOND - 1) == []
    assert len(at.reports(3 * SECOND)) == 2


def test_a_timer_or_another_market_delivers_what_is_due() -> None:
    at = SimulatedVenue([{}, {}], fill={"order_latency_ns": SECOND})
    at.declare_source(0, QUOTE)
    at.feed(quote(SECOND, 998, 1002))
    send(at, SECOND, 0, BUY, 5)
    at.feed(timer(2 * SECOND))
    assert words(at.reports()) == [(0, "accepted"), (0, "filled", 5, 1002)]
    send(at, 2 * SECOND, 1, SELL, 5)
    at.feed(bars([FLAT], instrument=1))
    assert words(at.reports()) == [(1, "accepted"), (1, "filled", 5, 998)]


def test_messages_are_delivered_in_order_and_jitter_is_seeded() -> None:
    def run(seed: int) -> list[tuple[int, int, int]]:
        fill = {"order_latency_ns": SECOND, "order_jitter_ns": SECOND, "seed": seed}
        at = quoted(fill=fill)
        for slot in range(20):
            send(at, SECOND + slot, slot, BUY, 1, LIMIT, price_ticks=900)
        at.feed(quote(10 * SECOND, 998, 1002))
        return [
            (report["order_id"], report["ts_event_ns"], report["ts_recv_ns"])
            for report in at.reports()
        ]

    first = run(7)
    assert first == run(7)
    assert first != run(8)
    assert [row[0] & 4095 for row in first] == list(range(20))
    assert first == sorted(first, key=lambda row: row[2])
    for slot, (_, event_ns, recv_ns) in enumerate(first):
        assert 2 * SECOND + slot <= event_ns <= 3 * SECOND + slot
        assert event_ns + SECOND <= recv_ns <= 5 * SECOND + slot


def test_too_much_in_flight_is_refused_and_nothing_is_sent() -> None:
    at = quoted(fill={"order_latency_ns": SECOND})
    number = order_id(0)
    sent = [at.cancel_order(SECOND, number) for _ in range(8193)]
    assert sent == [True] * 8192 + [False]
    at.feed(quote(3 * SECOND, 998, 1002))
    assert len(at.reports()) == 8192
    assert at.cancel_order(3 * SECOND, number)


def test_nothing_happens_while_nobody_reads_the_reports_and_it_shows() -> None:
    at = quoted()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=900)
    while at.cancel_order(SECOND, order_id(1)):
        pass
    at.feed(quote(2 * SECOND, 890, 895))
    assert at.cut_count == 1
    assert len(at.reports()) == 16384 - 64
    assert story(at, quote(3 * SECOND, 889, 895)) == [(0, "filled", 5, 900)]


def test_gtd_expires_before_it_could_trade_at_that_time() -> None:
    at = quoted()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=990, tif=GTD, ts_expire_ns=3 * SECOND)
    send(at, SECOND, 1, BUY, 5, LIMIT, price_ticks=991, tif=GTD, ts_expire_ns=3 * SECOND + 1)
    assert story(at, quote(3 * SECOND, 980, 985)) == [(0, "expired"), (1, "filled", 5, 991)]


def test_gtd_ends_on_the_path_of_a_bar() -> None:
    at = venue(fill={"path": 4})
    at.feed(bars([FLAT]))
    # the low of 980 is met at 1/3 of the bar; 990 is passed half way, at 10 s
    for slot, seconds in ((0, 10), (1, 11)):
        send(
            at,
            MINUTE,
            slot,
            BUY,
            5,
            LIMIT,
            price_ticks=991,
            tif=GTD,
            ts_expire_ns=MINUTE + seconds * SECOND,
        )
    assert story(at, bars([(1000, 1000, 980, 1000)], first=2)) == [
        (0, "expired"),
        (1, "filled", 5, 991),
    ]


def test_day_orders_end_with_the_day_of_the_instrument() -> None:
    at = quoted()
    at.declare_day_end(0, 2 * SECOND)
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=900, tif=DAY_ORDER)
    send(at, SECOND, 1, BUY, 5, LIMIT, price_ticks=900)
    assert story(at, quote(2 * SECOND - 1, 998, 1002)) == []
    assert story(at, quote(2 * SECOND, 998, 1002)) == [(0, "expired")]
    send(at, 2 * SECOND, 2, BUY, 5, LIMIT, price_ticks=900, tif=DAY_ORDER)
    assert story(at, quote(DAY + 2 * SECOND - 1, 998, 1002)) == []
    assert story(at, quote(DAY + 2 * SECOND, 998, 1002)) == [(2, "expired")]


def test_a_day_order_can_trade_in_a_daily_bar() -> None:
    at = venue(bar_interval_ns=DAY)
    at.feed(bars([FLAT], interval=DAY))
    for slot, price in ((0, 990), (1, 900)):
        send(at, DAY, slot, BUY, 5, LIMIT, price_ticks=price, tif=DAY_ORDER)
    assert story(at, bars([(1000, 1000, 980, 1000)], first=2, interval=DAY)) == [
        (0, "filled", 5, 990),
        (1, "expired"),
    ]


def test_reduce_only_is_clamped_to_the_position_and_ends_with_it() -> None:
    at = quoted(strategy_count=2)
    send(at, SECOND, 0, BUY, 3)
    send(at, SECOND, 1, SELL, 9, flags=REDUCE_ONLY, strategy=1)
    send(at, SECOND, 2, SELL, 9, flags=REDUCE_ONLY)
    send(at, SECOND, 3, BUY, 9, flags=REDUCE_ONLY)
    assert story(at) == [
        (0, "filled", 3, 1002),
        (1, "canceled", "reduce_only"),
        (2, "filled", 3, 998),
        (2, "canceled", "reduce_only"),
        (3, "canceled", "reduce_only"),
    ]
    assert (at.position_lots(0, 0), at.position_lots(1, 0)) == (0, 0)


def test_a_resting_reduce_only_order_ends_when_it_is_hit_without_a_position() -> None:
    at = quoted()
    send(at, SECOND, 0, SELL, 5, LIMIT, price_ticks=1010, flags=REDUCE_ONLY)
    assert story(at, quote(2 * SECOND, 1011, 1012)) == [(0, "canceled", "reduce_only")]


def test_modify_moves_price_quantity_and_trigger() -> None:
    at = quoted()
    limit = send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=900)
    stop = send(at, SECOND, 1, SELL, 5, STOP, trigger_ticks=900)
    at.modify_order(SECOND, limit, price_ticks=1002, quantity_lots=7)
    at.modify_order(SECOND, stop, trigger_ticks=950)
    assert story(at) == [(0, "updated"), (0, "filled", 7, 1002), (1, "updated")]
    assert story(at, quote(2 * SECOND, 950, 960)) == [(1, "triggered"), (1, "filled", 5, 950)]
    at.modify_order(2 * SECOND, stop, trigger_ticks=940)
    assert story(at) == [(1, "cancel_rejected", "unknown_order")]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"price_ticks": 1002}, "post_only"),
        ({"quantity_lots": 101}, "quantity"),
        ({"price_ticks": -5}, "price"),
    ],
)
def test_a_refused_modification_leaves_the_order_as_it_was(
    fields: dict[str, int], why: str
) -> None:
    at = quoted(quantity_max_lots=100)
    number = send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=900, flags=POST_ONLY)
    at.modify_order(SECOND, number, **fields)
    assert story(at) == [(0, "cancel_rejected", why)]
    assert story(at, quote(2 * SECOND, 890, 900)) == [(0, "filled", 5, 900)]


def test_a_cancel_that_arrives_after_the_fill_is_rejected() -> None:
    at = quoted(fill={"order_latency_ns": SECOND})
    number = send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=990)
    at.feed(quote(2 * SECOND, 998, 1002))
    at.cancel_order(2 * SECOND, number)
    assert story(at, quote(3 * SECOND - 1, 980, 985), quote(3 * SECOND, 980, 985)) == [
        (0, "filled", 5, 990),
        (0, "cancel_rejected", "unknown_order"),
    ]


def test_trade_ids_are_unique_and_rise() -> None:
    at = quoted()
    for slot in range(5):
        send(at, SECOND, slot, BUY, 1, tif=IOC)
    assert [fill["trade_id"] for fill in fills(at.reports())] == [1, 2, 3, 4, 5]
    assert at.fill_count == 5


def test_reports_of_two_markets_are_handed_out_in_the_order_in_which_they_reach_us() -> None:
    at = SimulatedVenue([{"bar_interval_ns": MINUTE}] * 2, fill={"path": 4})
    for instrument in (0, 1):
        at.feed(bars([FLAT], instrument=instrument))
        send(at, MINUTE, instrument, BUY, 5, LIMIT, price_ticks=991, instrument=instrument)
    at.reports()
    # the first market falls to 990 at 20 s, the second to 980 and is at 990 after 10 s
    at.feed(bars([(1000, 1000, 990, 1000)], first=2, instrument=0))
    at.feed(bars([(1000, 1000, 980, 1000)], first=2, instrument=1))
    hit = fills(at.reports())
    assert [(fill["order_id"] & 4095, fill["ts_recv_ns"]) for fill in hit] == [
        (1, MINUTE + 10 * SECOND),
        (0, MINUTE + 20 * SECOND),
    ]


def test_a_fill_whose_notional_does_not_fit_does_not_happen() -> None:
    at = venue()
    at.feed(bars([FLAT]))
    send(at, MINUTE, 0, BUY, 2**50)
    assert story(at, bars([(2**14, 2**14, 2**14, 2**14)], first=2)) == [(0, "canceled", "price")]
    assert at.position_lots(0, 0) == 0


def test_an_answer_in_the_middle_of_a_bar_has_latency_too() -> None:
    at = venue(fill={"path": 4, "order_latency_ns": SECOND})
    at.feed(bars([FLAT]))
    send(at, MINUTE, 0, BUY, 5, LIMIT, price_ticks=991)
    seen: list[dict[str, Any]] = []

    def answer(report: dict[str, Any]) -> None:
        if report["order_id"] & 4095 == 0:
            send(at, report["ts_recv_ns"], 1, SELL, 5)

    at.feed(bars([(1000, 1000, 980, 1000)], first=2), on_fill(at, seen, answer))
    entry, leave = fills(seen)
    # 990 at 10 s; told at 11 s; the answer arrives at 12 s where the path is at 988
    assert (entry["ts_event_ns"], entry["last_ticks"]) == (MINUTE + 10 * SECOND, 991)
    assert (leave["ts_event_ns"], leave["last_ticks"]) == (MINUTE + 12 * SECOND, 988)
