"""Fill conditions on bars, each with figures worked out by hand."""

from typing import Any

import pytest

from tests.fakes.venue_market import (
    BID_BARS,
    BUY,
    ENTRY,
    FOK,
    HIGH_FIRST,
    IOC,
    LIMIT,
    LOW_FIRST,
    MARKET,
    MID_BARS,
    MINUTE,
    NEAREST,
    OWN_SPREAD,
    PROTECT,
    REDUCE_ONLY,
    SECOND,
    SELL,
    STOP,
    STOP_LIMIT,
    TAKE_PROFIT,
    TARGET,
    TRAILING,
    WORST,
    bars,
    fills,
    on_fill,
    send,
    story,
    venue,
    words,
)

FLAT = (1000, 1000, 1000, 1000)
SPREAD = {"spread_ticks": 4}


def started(**settings: Any) -> Any:
    """A venue that has seen one flat bar at 1000 which closed at minute 1."""
    at = venue(**settings)
    at.feed(bars([FLAT]))
    return at


def test_market_order_waits_for_the_next_open_and_pays_half_the_spread_and_slippage() -> None:
    at = started(cost={**SPREAD, "slippage_model": 1, "slippage_value": 3})
    send(at, MINUTE, 0, BUY, 5)
    send(at, MINUTE, 1, SELL, 5)
    at.feed(bars([(1010, 1020, 1000, 1015)], first=2))
    buy, sell = fills(at.reports())
    assert (buy["last_ticks"], buy["touch_ticks"], buy["mid_ticks_x2"]) == (1015, 1012, 2020)
    assert (sell["last_ticks"], sell["touch_ticks"]) == (1005, 1008)
    assert buy["ts_event_ns"] == MINUTE


def test_market_on_close_fills_at_the_close_that_it_arrives_with() -> None:
    at = started(cost=SPREAD, fill={"market_on_close": 1})
    send(at, MINUTE, 0, BUY, 5)
    assert words(at.reports()) == [(0, "accepted"), (0, "filled", 5, 1002)]


def test_odd_spread_is_rounded_against_us_on_the_ask() -> None:
    at = started(cost={"spread_ticks": 3})
    send(at, MINUTE, 0, BUY, 1)
    send(at, MINUTE, 1, SELL, 1)
    assert story(at, bars([FLAT], first=2)) == [(0, "filled", 1, 1002), (1, "filled", 1, 999)]


def test_bid_bars_with_their_own_spread_put_all_of_it_on_the_ask() -> None:
    at = started(cost={"spread_ticks": 100})
    send(at, MINUTE, 0, BUY, 1)
    send(at, MINUTE, 1, SELL, 1)
    event = bars([FLAT], first=2, flags=BID_BARS | OWN_SPREAD, spread=7)
    assert story(at, event) == [(0, "filled", 1, 1007), (1, "filled", 1, 1000)]


def test_spread_is_the_larger_of_ticks_and_share_of_the_price() -> None:
    at = started(cost={"spread_ticks": 2, "spread_ppm": 5001})
    send(at, MINUTE, 0, BUY, 1)
    # 1000 * 5001 / 1e6 = 5.001 -> 6 ticks: bid 997, ask 1003
    assert story(at, bars([FLAT], first=2)) == [(0, "filled", 1, 1003)]


@pytest.mark.parametrize(("low", "filled"), [(990, False), (989, True)])
def test_a_touch_does_not_fill_a_resting_buy(low: int, filled: bool) -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 5, LIMIT, price_ticks=990)
    expected = [(0, "filled", 5, 990)] if filled else []
    assert story(at, bars([(1000, 1005, low, 1000)], first=2)) == expected


@pytest.mark.parametrize(("high", "filled"), [(1010, False), (1011, True)])
def test_a_touch_does_not_fill_a_resting_sell(high: int, filled: bool) -> None:
    at = started()
    send(at, MINUTE, 0, SELL, 5, LIMIT, price_ticks=1010)
    expected = [(0, "filled", 5, 1010)] if filled else []
    assert story(at, bars([(1000, high, 995, 1000)], first=2)) == expected


@pytest.mark.parametrize(("low", "filled"), [(986, False), (985, True)])
def test_on_bid_bars_a_resting_buy_needs_the_ask_below_its_price(low: int, filled: bool) -> None:
    at = venue(cost=SPREAD)
    at.feed(bars([FLAT], flags=BID_BARS))
    send(at, MINUTE, 0, BUY, 5, LIMIT, price_ticks=990)
    event = bars([(1000, 1005, low, 1000)], first=2, flags=BID_BARS)
    assert story(at, event) == ([(0, "filled", 5, 990)] if filled else [])


@pytest.mark.parametrize(("high", "filled"), [(1012, False), (1013, True)])
def test_on_mid_bars_a_resting_sell_needs_the_bid_above_its_price(high: int, filled: bool) -> None:
    at = venue(cost=SPREAD, bar_flags=MID_BARS)
    at.feed(bars([FLAT]))
    send(at, MINUTE, 0, SELL, 5, LIMIT, price_ticks=1010)
    event = bars([(1000, high, 995, 1000)], first=2)
    assert story(at, event) == ([(0, "filled", 5, 1010)] if filled else [])


def test_a_resting_limit_is_never_improved_by_a_gap() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 5, LIMIT, price_ticks=990)
    at.feed(bars([(950, 960, 940, 950)], first=2))
    (fill,) = fills(at.reports())
    assert (fill["last_ticks"], fill["liquidity"], fill["touch_ticks"]) == (990, 1, 990)
    assert fill["mid_ticks_x2"] == 2 * 990


def test_a_marketable_limit_takes_at_the_next_open_but_never_beyond_its_price() -> None:
    cost = {**SPREAD, "slippage_model": 1, "slippage_value": 5}
    at = started(cost=cost)
    send(at, MINUTE, 0, BUY, 1, LIMIT, price_ticks=1005)
    send(at, MINUTE, 1, BUY, 1, LIMIT, price_ticks=1050)
    at.feed(bars([FLAT], first=2))
    first, second = fills(at.reports())
    assert (first["last_ticks"], first["liquidity"]) == (1005, 2)
    assert second["last_ticks"] == 1007


def test_a_marketable_limit_that_the_open_left_behind_rests() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 1, LIMIT, price_ticks=1000)
    events = bars([(1010, 1020, 1000, 1010), (1010, 1010, 999, 1000)], first=2)
    assert story(at, events[:1]) == []
    assert story(at, events[1:]) == [(0, "filled", 1, 1000)]


def test_ioc_and_fok_limits_end_at_the_open() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 1, LIMIT, price_ticks=999, tif=IOC)
    send(at, MINUTE, 1, BUY, 1, LIMIT, price_ticks=999, tif=FOK)
    assert story(at, bars([(1000, 1000, 900, 900)], first=2)) == [
        (0, "canceled", "ioc"),
        (1, "canceled", "fok"),
    ]


def test_a_stop_fills_at_its_trigger_less_slippage_when_touched() -> None:
    at = started(cost={**SPREAD, "slippage_model": 1, "slippage_value": 2})
    send(at, MINUTE, 0, SELL, 5, STOP, trigger_ticks=988)
    # the bid is 2 below the path: it touches 988 where the path is at 990
    assert story(at, bars([(1000, 1001, 991, 1000)], first=2)) == []
    assert story(at, bars([(1000, 1001, 990, 1000)], first=3)) == [
        (0, "triggered"),
        (0, "filled", 5, 986),
    ]


def test_a_buy_stop_looks_at_the_ask() -> None:
    at = started(cost=SPREAD)
    send(at, MINUTE, 0, BUY, 5, STOP, trigger_ticks=1012)
    assert story(at, bars([(1000, 1009, 995, 1000)], first=2)) == []
    assert story(at, bars([(1000, 1010, 995, 1000)], first=3)) == [
        (0, "triggered"),
        (0, "filled", 5, 1012),
    ]


def test_a_stop_that_the_open_gaps_through_fills_at_the_open() -> None:
    at = started(cost={"slippage_model": 1, "slippage_value": 2})
    send(at, MINUTE, 0, SELL, 5, STOP, trigger_ticks=990)
    assert story(at, bars([(950, 999, 940, 990)], first=2)) == [
        (0, "triggered"),
        (0, "filled", 5, 948),
    ]


@pytest.mark.parametrize(("high", "filled"), [(1010, False), (1011, True)])
def test_a_target_needs_the_price_through_and_fills_at_its_trigger(high: int, filled: bool) -> None:
    at = started(cost={"slippage_model": 1, "slippage_value": 2})
    send(at, MINUTE, 0, SELL, 5, TAKE_PROFIT, trigger_ticks=1010)
    expected = [(0, "triggered"), (0, "filled", 5, 1008)] if filled else []
    assert story(at, bars([(1000, high, 1000, 1000)], first=2)) == expected


def test_a_target_gets_no_more_than_its_trigger_from_a_gap() -> None:
    at = started()
    send(at, MINUTE, 0, SELL, 5, TAKE_PROFIT, trigger_ticks=1010)
    assert story(at, bars([(1100, 1100, 1100, 1100)], first=2)) == [
        (0, "triggered"),
        (0, "filled", 5, 1010),
    ]


def test_a_stop_limit_takes_within_its_limit_at_the_trigger() -> None:
    at = started(cost={"slippage_model": 1, "slippage_value": 9})
    send(at, MINUTE, 0, BUY, 5, STOP_LIMIT, trigger_ticks=1010, price_ticks=1012)
    assert story(at, bars([(1000, 1020, 1000, 1000)], first=2)) == [
        (0, "triggered"),
        (0, "filled", 5, 1012),
    ]


def test_a_stop_limit_that_is_gapped_over_rests_at_its_limit() -> None:
    at = started(fill={"path": HIGH_FIRST})
    send(at, MINUTE, 0, BUY, 5, STOP_LIMIT, trigger_ticks=1010, price_ticks=1012)
    assert story(at, bars([(1030, 1040, 1020, 1030)], first=2)) == [(0, "triggered")]
    assert story(at, bars([(1030, 1040, 1011, 1030)], first=3)) == [(0, "filled", 5, 1012)]


def test_a_trailing_stop_follows_the_path_and_is_tested_before_it_is_raised() -> None:
    at = started(fill={"path": HIGH_FIRST})
    send(at, MINUTE, 0, SELL, 5, TRAILING, trail_ticks=10)  # 990 at the close of 1000
    assert story(at, bars([(1000, 1030, 1021, 1025)], first=2)) == []  # raised to 1020
    # open 1024 tests 1020 only; the high of 1050 raises to 1040, which the low meets
    assert story(at, bars([(1024, 1050, 1030, 1035)], first=3)) == [
        (0, "triggered"),
        (0, "filled", 5, 1040),
    ]


def test_a_trailing_stop_of_a_short_follows_the_ask_down() -> None:
    at = started(cost=SPREAD, fill={"path": LOW_FIRST})
    send(at, MINUTE, 0, BUY, 5, TRAILING, trail_ticks=10)  # ask 1002: 1012
    # the low of 970 has an ask of 972: the trigger follows to 982, where the path is at 980
    assert story(at, bars([(1000, 1000, 970, 979)], first=2))[1:] == [(0, "filled", 5, 982)]
    send(at, 2 * MINUTE, 1, BUY, 5, TRAILING, trail_ticks=10)  # ask 981: 991
    assert story(at, bars([(979, 988, 979, 988)], first=3)) == []
    assert story(at, bars([(988, 989, 980, 985)], first=4)) == [
        (1, "triggered"),
        (1, "filled", 5, 991),
    ]


@pytest.mark.parametrize(("early_ns", "said"), [(0, "filled"), (1, "canceled")])
def test_a_cancel_wins_only_when_it_arrives_before_the_price(early_ns: int, said: str) -> None:
    at = started(fill={"path": LOW_FIRST, "order_latency_ns": 10 * SECOND - early_ns})
    number = send(at, MINUTE - 10 * SECOND + early_ns, 0, BUY, 5, LIMIT, price_ticks=991)
    at.cancel_order(MINUTE, number)
    # 990 is half way to the low of 980: 10 s into the bar
    first = story(at, bars([(1000, 1000, 980, 1000)], first=2))[0]
    assert first[:2] == (0, said)


def test_a_trailing_stop_gapped_through_fills_at_the_open() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 5, TRAILING, trail_ticks=10)  # 1010
    assert story(at, bars([(1025, 1030, 1020, 1025)], first=2)) == [
        (0, "triggered"),
        (0, "filled", 5, 1025),
    ]


@pytest.mark.parametrize(
    ("rule", "exit_lots", "exit_ticks"),
    [(WORST, -5, 990), (NEAREST, -5, 1010), (HIGH_FIRST, -5, 1010), (LOW_FIRST, -5, 990)],
)
def test_path_rule_decides_which_side_of_a_bracket_is_met(
    rule: int, exit_lots: int, exit_ticks: int
) -> None:
    at = started(fill={"path": rule})
    seen: list[dict[str, Any]] = []

    def attach(report: dict[str, Any]) -> None:
        if report["order_id"] & 4095 == 0:
            now = report["ts_recv_ns"]
            protect = {"flags": REDUCE_ONLY}
            send(at, now, 1, SELL, 5, STOP, trigger_ticks=990, role=PROTECT, **protect)
            send(at, now, 2, SELL, 5, LIMIT, price_ticks=1010, role=TARGET, **protect)

    send(at, MINUTE, 0, BUY, 5, role=ENTRY)
    at.feed(bars([(1000, 1015, 980, 1000)], first=2), on_fill(at, seen, attach))
    entry, leave = fills(seen)
    assert entry["last_ticks"] == 1000
    assert leave["last_ticks"] == exit_ticks
    assert at.position_lots(0, 0) == 0


def test_worst_path_of_a_short_goes_up_first() -> None:
    at = started()
    send(at, MINUTE, 0, SELL, 5)
    send(at, MINUTE, 1, BUY, 5, STOP, trigger_ticks=1010, role=PROTECT)
    send(at, MINUTE, 2, BUY, 5, TAKE_PROFIT, trigger_ticks=990, role=TARGET)
    said = story(at, bars([(1000, 1020, 989, 1000)], first=2))
    assert said[0] == (0, "filled", 5, 1000)
    assert said[1:3] == [(1, "triggered"), (1, "filled", 5, 1010)]


def test_worst_path_of_a_waiting_buy_entry_goes_up_first_then_to_its_stop() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 5, STOP, trigger_ticks=1010, role=ENTRY)
    seen: list[dict[str, Any]] = []

    def attach(report: dict[str, Any]) -> None:
        if report["order_id"] & 4095 == 0:
            send(at, report["ts_recv_ns"], 1, SELL, 5, STOP, trigger_ticks=995, role=PROTECT)

    # the low is nearer, yet the high comes first: entry at 1010, then down to the stop
    at.feed(bars([(1000, 1030, 990, 1000)], first=2), on_fill(at, seen, attach))
    assert [fill["last_ticks"] for fill in fills(seen)] == [1010, 995]


def test_orders_on_one_leg_act_in_the_order_in_which_the_price_meets_them() -> None:
    at = started(fill={"path": LOW_FIRST})
    send(at, MINUTE, 0, BUY, 1, LIMIT, price_ticks=980)
    send(at, MINUTE, 1, BUY, 1, LIMIT, price_ticks=990)
    send(at, MINUTE, 2, SELL, 1, STOP, trigger_ticks=985)
    at.feed(bars([(1000, 1000, 970, 1000)], first=2))
    hit = fills(at.reports())
    assert [fill["order_id"] & 4095 for fill in hit] == [1, 2, 0]
    # 989 is reached after 11/30 of the first third of a minute
    assert hit[0]["ts_event_ns"] == MINUTE + -(-20 * SECOND * 11 // 30)
    assert hit[0]["ts_event_ns"] < hit[1]["ts_event_ns"] < hit[2]["ts_event_ns"]


def test_an_order_that_arrives_in_the_middle_of_a_bar_trades_where_the_path_is() -> None:
    at = started(fill={"path": HIGH_FIRST, "order_latency_ns": 10 * SECOND}, cost=SPREAD)
    send(at, MINUTE, 0, BUY, 1)
    send(at, MINUTE, 1, SELL, 1)
    at.feed(bars([(1000, 1031, 1000, 1010)], first=2))
    buy, sell = fills(at.reports())
    # half way up the first leg: 1015.5, so 1016 for the buyer and 1015 for the seller, +-2
    assert (buy["last_ticks"], sell["last_ticks"]) == (1018, 1013)
    assert buy["ts_event_ns"] == MINUTE + 10 * SECOND
    assert buy["ts_recv_ns"] == MINUTE + 20 * SECOND


def test_an_order_from_between_two_bars_does_not_see_the_open_before_it() -> None:
    at = started(fill={"path": LOW_FIRST})
    send(at, MINUTE + 50 * SECOND, 0, BUY, 1, MARKET)
    # the last leg runs from the high at 40 s to the close at 60 s: half way is 1025
    assert story(at, bars([(1000, 1050, 990, 1000)], first=2)) == [(0, "filled", 1, 1025)]


def test_volume_share_is_one_pool_and_the_rest_waits_for_the_next_bar() -> None:
    at = started(cost={"volume_share_ppm": 100_000})
    send(at, MINUTE, 0, BUY, 6)
    send(at, MINUTE, 1, BUY, 6)
    send(at, MINUTE, 2, BUY, 6, tif=IOC)
    send(at, MINUTE, 3, BUY, 6, tif=FOK)
    events = bars([(1000, 1000, 1000, 1000, 100), (1007, 1007, 1007, 1007, 100)], first=2)
    assert story(at, events[:1]) == [
        (0, "filled", 6, 1000),
        (1, "filled", 4, 1000),
        (2, "canceled", "ioc"),
        (3, "canceled", "fok"),
    ]
    assert story(at, events[1:]) == [(1, "filled", 2, 1007)]


def test_a_bar_outside_every_working_order_needs_no_step() -> None:
    at = started()
    send(at, MINUTE, 0, BUY, 5, LIMIT, price_ticks=900)
    send(at, MINUTE, 1, SELL, 5, LIMIT, price_ticks=1100)
    steps: list[int] = []
    at.feed(bars([(1000, 1099, 901, 1000)], first=2), lambda: steps.append(1))
    assert steps == []
