"""Fill conditions on an L2 book: levels, queue position, what was taken, stale books."""

from typing import Any

import pytest

from tests.fakes.venue_market import (
    ASK,
    BUY,
    BY_BUYER,
    BY_SELLER,
    FOK,
    IOC,
    LIMIT,
    SECOND,
    SELL,
    STOP,
    fills,
    level,
    send,
    snapshot,
    story,
    trade,
    venue,
    words,
)

BIDS = {1000: 10, 999: 20, 998: 30}
ASKS = {1002: 5, 1003: 6, 1005: 7}


def opened(**settings: Any) -> Any:
    at = venue(**settings)
    at.feed(snapshot(SECOND, BIDS, ASKS))
    return at


def test_a_market_order_walks_the_levels() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 13)
    hit = fills(at.reports())
    assert [(fill["last_lots"], fill["last_ticks"]) for fill in hit] == [
        (5, 1002),
        (6, 1003),
        (2, 1005),
    ]
    assert {fill["touch_ticks"] for fill in hit} == {1002}
    assert [fill["leaves_lots"] for fill in hit] == [8, 2, 0]


def test_what_was_taken_of_a_level_stays_taken_until_its_size_changes() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 3)
    send(at, SECOND, 1, BUY, 3)
    assert story(at) == [(0, "filled", 3, 1002), (1, "filled", 2, 1002), (1, "filled", 1, 1003)]
    at.feed(level(2 * SECOND, ASK, 1002, 5))
    send(at, 2 * SECOND, 2, BUY, 1)
    assert story(at) == [(2, "filled", 1, 1003)]
    at.feed(level(3 * SECOND, ASK, 1002, 4))
    send(at, 3 * SECOND, 3, BUY, 1)
    assert story(at) == [(3, "filled", 1, 1002)]


def test_the_rest_of_a_market_order_waits_for_new_levels() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 20)
    assert [word[2:] for word in story(at)] == [(5, 1002), (6, 1003), (7, 1005)]
    assert story(at, level(2 * SECOND, 0, 997, 1)) == []
    assert story(at, level(3 * SECOND, ASK, 1004, 9)) == [(0, "filled", 2, 1004)]


def test_ioc_and_fok_look_at_all_levels_within_their_limit() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 12, LIMIT, price_ticks=1003, tif=FOK)
    send(at, SECOND, 1, BUY, 12, LIMIT, price_ticks=1003, tif=IOC)
    assert story(at) == [
        (0, "canceled", "fok"),
        (1, "filled", 5, 1002),
        (1, "filled", 6, 1003),
        (1, "canceled", "ioc"),
    ]


def test_a_resting_order_waits_behind_the_displayed_size() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    assert story(at, trade(2 * SECOND, 1000, 6, BY_SELLER)) == []
    assert story(at, trade(3 * SECOND, 1000, 99, BY_BUYER)) == []
    assert story(at, trade(4 * SECOND, 1000, 7, BY_SELLER)) == [(0, "filled", 3, 1000)]
    assert story(at, trade(5 * SECOND, 1000, 7, BY_SELLER)) == [(0, "filled", 2, 1000)]


def test_a_shrinking_level_shortens_the_queue_and_a_growing_one_does_not_lengthen_it() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    at.feed(level(2 * SECOND, 0, 1000, 4))
    at.feed(level(3 * SECOND, 0, 1000, 50))
    assert story(at, trade(4 * SECOND, 1000, 6, BY_SELLER)) == [(0, "filled", 2, 1000)]


def test_a_deleted_level_leaves_nobody_ahead() -> None:
    at = opened()
    send(at, SECOND, 0, SELL, 5, LIMIT, price_ticks=1003)
    at.feed(level(2 * SECOND, ASK, 1003, 0))
    assert story(at, trade(3 * SECOND, 1003, 2, BY_BUYER)) == [(0, "filled", 2, 1003)]


def test_two_orders_at_one_price_share_a_trade_in_time_order() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    send(at, SECOND, 1, BUY, 5, LIMIT, price_ticks=1000)
    # 18 lots: 10 ahead of both, 5 to the first, 3 to the second
    assert story(at, trade(2 * SECOND, 1000, 18, BY_SELLER)) == [
        (0, "filled", 5, 1000),
        (1, "filled", 3, 1000),
    ]


def test_a_trade_through_our_price_leaves_no_queue() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    assert story(at, trade(2 * SECOND, 999, 3, BY_SELLER)) == [(0, "filled", 3, 1000)]
    assert story(at, trade(3 * SECOND, 1000, 1, BY_SELLER)) == [(0, "filled", 1, 1000)]


def test_an_ask_that_comes_down_to_us_fills_us_up_to_its_size() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1001)
    assert story(at, level(2 * SECOND, ASK, 1001, 3)) == [(0, "filled", 3, 1001)]
    assert story(at, level(3 * SECOND, 0, 997, 1)) == []


def test_without_the_queue_model_any_trade_at_our_price_fills() -> None:
    at = opened(fill={"queue": 0})
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    assert story(at, trade(2 * SECOND, 1000, 2, BY_SELLER)) == [(0, "filled", 2, 1000)]


def test_a_modification_to_less_keeps_the_place_and_to_more_loses_it() -> None:
    at = opened()
    for slot in (0, 1):
        send(at, SECOND, slot, BUY, 5, LIMIT, price_ticks=1000)
    at.feed(level(2 * SECOND, 0, 1000, 2))
    at.feed(level(3 * SECOND, 0, 1000, 40))
    assert at.modify_order(3 * SECOND, 1 << 12 | 0, quantity_lots=4)
    assert at.modify_order(3 * SECOND, 1 << 12 | 1, quantity_lots=6)
    assert story(at) == [(0, "updated"), (1, "updated")]
    assert story(at, trade(4 * SECOND, 1000, 30, BY_SELLER)) == [(0, "filled", 4, 1000)]
    assert story(at, trade(5 * SECOND, 1000, 13, BY_SELLER)) == [(1, "filled", 3, 1000)]


def test_a_stop_walks_the_book() -> None:
    at = opened()
    send(at, SECOND, 0, SELL, 25, STOP, trigger_ticks=999)
    assert story(at, level(2 * SECOND, 0, 1000, 0)) == [
        (0, "triggered"),
        (0, "filled", 20, 999),
        (0, "filled", 5, 998),
    ]


def test_nothing_fills_on_a_stale_book_and_orders_wait_for_the_snapshot() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1000)
    at.declare_feed_broken(0)
    send(at, 2 * SECOND, 1, BUY, 1)
    send(at, 2 * SECOND, 2, BUY, 2, LIMIT, price_ticks=999)
    assert story(at, trade(3 * SECOND, 990, 50, BY_SELLER)) == []
    assert story(at, snapshot(4 * SECOND, {1000: 3, 999: 7}, ASKS)) == [(1, "filled", 1, 1002)]
    # the queue ahead of slot 0 is now 3, that of slot 2 was measured at 7
    assert story(at, trade(5 * SECOND, 1000, 4, BY_SELLER)) == [(0, "filled", 1, 1000)]
    # 12 lots: 4 go to slot 0, 7 to those ahead of slot 2
    assert story(at, trade(6 * SECOND, 999, 12, BY_SELLER)) == [
        (0, "filled", 4, 1000),
        (2, "filled", 1, 999),
    ]


def test_a_message_in_parts_is_matched_only_when_it_is_whole() -> None:
    at = opened()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1001)
    part = level(2 * SECOND, ASK, 1001, 3)
    part["flags"] = ASK
    assert story(at, part) == []
    assert story(at, level(2 * SECOND, ASK, 1002, 0)) == [(0, "filled", 3, 1001)]


@pytest.mark.parametrize("slippage", [0, 2])
def test_slippage_comes_on_top_of_each_level(slippage: int) -> None:
    at = opened(cost={"slippage_model": 1, "slippage_value": slippage})
    send(at, SECOND, 0, SELL, 12)
    assert words(at.reports())[1:] == [
        (0, "filled", 10, 1000 - slippage),
        (0, "filled", 2, 999 - slippage),
    ]
