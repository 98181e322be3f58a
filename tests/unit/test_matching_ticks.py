"""Fill conditions on quotes and on trades, each with figures worked out by hand."""

from typing import Any

import pytest

from tests.fakes.venue_market import (
    BUY,
    FOK,
    IOC,
    LIMIT,
    MARKET,
    POST_ONLY,
    QUOTE,
    SECOND,
    SELL,
    STOP,
    TAKE_PROFIT,
    TRAILING,
    bars,
    fills,
    quote,
    send,
    story,
    trade,
    venue,
    words,
)


def quoted(bid_lots: int = 0, ask_lots: int = 0, **settings: Any) -> Any:
    at = venue(**settings)
    at.feed(quote(SECOND, 998, 1002, bid_lots, ask_lots))
    return at


def test_a_market_order_takes_the_touch_at_once() -> None:
    at = quoted(cost={"slippage_model": 1, "slippage_value": 1})
    send(at, SECOND, 0, BUY, 5)
    send(at, SECOND, 1, SELL, 5)
    buy, sell = fills(at.reports())
    assert (buy["last_ticks"], buy["touch_ticks"], buy["mid_ticks_x2"]) == (1003, 1002, 2000)
    assert (sell["last_ticks"], sell["touch_ticks"]) == (997, 998)


def test_displayed_size_is_used_once_until_it_changes() -> None:
    at = quoted(ask_lots=10)
    send(at, SECOND, 0, BUY, 7)
    send(at, SECOND, 1, BUY, 7)
    assert story(at) == [(0, "filled", 7, 1002), (1, "filled", 3, 1002)]
    assert story(at, quote(2 * SECOND, 997, 1002, 50, 10)) == []
    assert story(at, quote(3 * SECOND, 997, 1002, 50, 3)) == [(1, "filled", 3, 1002)]
    assert story(at, quote(4 * SECOND, 997, 1003, 50, 3)) == [(1, "filled", 1, 1003)]


def test_ioc_ends_with_what_is_displayed_and_fok_needs_all_of_it() -> None:
    at = quoted(ask_lots=10)
    send(at, SECOND, 0, BUY, 11, tif=FOK)
    send(at, SECOND, 1, BUY, 11, tif=IOC)
    assert story(at) == [(0, "canceled", "fok"), (1, "filled", 10, 1002), (1, "canceled", "ioc")]


def test_a_resting_buy_fills_at_its_price_when_the_ask_comes_to_it() -> None:
    at = quoted()
    send(at, SECOND, 0, BUY, 8, LIMIT, price_ticks=1000)
    assert story(at, quote(2 * SECOND, 998, 1001)) == []
    at.feed(quote(3 * SECOND, 998, 1000, 1, 5))
    (fill,) = fills(at.reports())
    assert (fill["last_lots"], fill["last_ticks"], fill["liquidity"]) == (5, 1000, 1)
    assert story(at, quote(4 * SECOND, 990, 999, 1, 5)) == [(0, "filled", 3, 1000)]


def test_a_marketable_limit_takes_the_touch_then_rests() -> None:
    at = quoted(ask_lots=4)
    send(at, SECOND, 0, BUY, 10, LIMIT, price_ticks=1005)
    assert words(at.reports()) == [(0, "accepted"), (0, "filled", 4, 1002)]
    assert story(at, quote(2 * SECOND, 1000, 1006)) == []
    assert story(at, quote(3 * SECOND, 1000, 1004)) == [(0, "filled", 6, 1005)]


def test_post_only_that_would_take_is_rejected() -> None:
    at = quoted()
    send(at, SECOND, 0, BUY, 5, LIMIT, price_ticks=1002, flags=POST_ONLY)
    send(at, SECOND, 1, BUY, 5, LIMIT, price_ticks=1001, flags=POST_ONLY)
    assert words(at.reports()) == [(0, "rejected", "post_only"), (1, "accepted")]


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "idle", "hit", "price"),
    [
        (STOP, SELL, 990, (991, 995), (990, 995), 990),
        (STOP, BUY, 1010, (1000, 1009), (1000, 1012), 1012),
        (TAKE_PROFIT, SELL, 1010, (1010, 1012), (1011, 1013), 1011),
        (TAKE_PROFIT, BUY, 990, (985, 990), (985, 989), 989),
    ],
)
def test_triggers_look_at_the_side_they_trade_on(
    kind: int, side: int, trigger: int, idle: tuple[int, int], hit: tuple[int, int], price: int
) -> None:
    at = quoted()
    send(at, SECOND, 0, side, 5, kind, trigger_ticks=trigger)
    assert story(at, quote(2 * SECOND, *idle)) == []
    assert story(at, quote(3 * SECOND, *hit)) == [(0, "triggered"), (0, "filled", 5, price)]


def test_a_trailing_stop_follows_the_bid() -> None:
    at = quoted()
    send(at, SECOND, 0, SELL, 5, TRAILING, trail_ticks=10)
    said = [
        story(at, quote((2 + k) * SECOND, bid, bid + 1))
        for k, bid in enumerate((1010, 1001, 1020, 1011, 1009))
    ]
    assert said == [[], [], [], [], [(0, "triggered"), (0, "filled", 5, 1009)]]


def test_a_market_order_without_a_quote_waits_for_one() -> None:
    at = venue()
    at.declare_source(0, QUOTE)
    send(at, SECOND, 0, BUY, 5)
    assert words(at.reports()) == [(0, "accepted")]
    assert story(at, quote(2 * SECOND, 998, 1002)) == [(0, "filled", 5, 1002)]


def test_finer_data_takes_over_and_coarser_data_is_ignored() -> None:
    at = venue()
    at.feed(bars([(1000, 1000, 1000, 1000)]))
    at.feed(quote(60 * SECOND, 998, 1002))
    send(at, 60 * SECOND, 0, BUY, 5, LIMIT, price_ticks=990)
    assert story(at, bars([(1000, 1000, 900, 900)], first=2)) == []
    assert story(at, quote(121 * SECOND, 980, 985)) == [(0, "filled", 5, 990)]


def traded(**settings: Any) -> Any:
    at = venue(**settings)
    at.feed(trade(SECOND, 1000, 10))
    return at


def test_a_market_order_on_trades_waits_for_the_next_one_and_pays_half_the_spread() -> None:
    at = traded(cost={"spread_ticks": 4})
    send(at, SECOND, 0, BUY, 50)
    assert words(at.reports()) == [(0, "accepted")]
    assert story(at, trade(2 * SECOND, 1010, 1)) == [(0, "filled", 50, 1012)]


def test_with_a_volume_share_market_orders_on_trades_share_its_size() -> None:
    at = traded(cost={"volume_share_ppm": 500_000})
    send(at, SECOND, 0, BUY, 4, MARKET)
    send(at, SECOND, 1, BUY, 4, MARKET)
    assert story(at, trade(2 * SECOND, 1010, 10)) == [
        (0, "filled", 4, 1010),
        (1, "filled", 1, 1010),
    ]


def test_a_trade_through_a_resting_order_fills_it_up_to_the_size_of_the_trade() -> None:
    at = traded()
    send(at, SECOND, 0, BUY, 8, LIMIT, price_ticks=990)
    send(at, SECOND, 1, BUY, 8, LIMIT, price_ticks=995)
    send(at, SECOND, 2, BUY, 8, LIMIT, price_ticks=995)
    assert story(at, trade(2 * SECOND, 995, 100)) == []
    # price first, then time: 995 (slot 1), 995 (slot 2), 990
    assert story(at, trade(3 * SECOND, 989, 12)) == [(1, "filled", 8, 995), (2, "filled", 4, 995)]
    assert story(at, trade(4 * SECOND, 989, 12)) == [(2, "filled", 4, 995), (0, "filled", 8, 990)]
