"""Fees, slippage and carry of simulated fills, with figures worked out by hand."""

from typing import Any

import pytest

from mmats._core.costs import slippage_ticks
from mmats._core.ledger import Ledger
from mmats._core.matching import SimulatedVenue
from tests.fakes.venue_market import (
    ACCOUNT_FEE,
    BASE_FEE,
    BUY,
    DAY,
    LIMIT,
    QUOTE_FEE,
    RECEIVED_FEE,
    SECOND,
    SELL,
    THIRD_FEE,
    bars,
    fills,
    quote,
    send,
    venue,
)

BASE, QUOTE = 1, 2
COIN: dict[str, Any] = {
    # tick 0.01, lot 0.00001, money in 1e-8: one tick-lot is 10 units, one lot 1000 units of base
    "money_num": 10,
    "money_den": 1,
    "lot_units": 1000,
    "base_currency": BASE,
    "quote_currency": QUOTE,
}


def fee_of(
    cost: dict[str, int], side: int, lots: int, price: int, maker: bool = False
) -> tuple[int, int]:
    at = venue(cost=cost, **COIN)
    at.feed(quote(SECOND, price, price + 1) if side == SELL else quote(SECOND, price - 1, price))
    if maker:
        send(at, SECOND, 0, side, lots, LIMIT, price_ticks=price - side)
        at.feed(quote(2 * SECOND, price - side, price - side))
    else:
        send(at, SECOND, 0, side, lots)
    (fill,) = fills(at.reports())
    return fill["fee"], fill["fee_currency"]


@pytest.mark.parametrize(
    ("cost", "fee"),
    [
        ({"taker_ppm": 1000}, 308_649),  # 308,648,050 * 0.1 % = 308,648.05
        ({"taker_ppm": 1000, "fee_fixed": 11}, 308_660),
        ({"taker_ppm": 1000, "fee_per_lot": 100}, 309_149),
        ({"taker_ppm": 1000, "fee_min": 400_000}, 400_000),
        ({"fee_fixed": 5}, 5),
        ({}, 0),
    ],
)
def test_taker_fees_are_rounded_up(cost: dict[str, int], fee: int) -> None:
    # 5 lots at 6,172,961 ticks of 10 units: 308,648,050
    assert fee_of(cost, BUY, 5, 6_172_961) == (fee, QUOTE)


def test_a_part_of_a_unit_is_charged_in_full() -> None:
    # 1 lot at 12,345 ticks = 123,450 units; 7 ppm = 0.86415
    assert fee_of({"taker_ppm": 7}, BUY, 1, 12_345) == (1, QUOTE)


def test_makers_pay_their_own_rate_and_a_rebate_is_rounded_toward_zero() -> None:
    # 1 lot at 12,344 = 123,440 units; -20 ppm = -2.4688
    assert fee_of({"taker_ppm": 1000, "maker_ppm": -20}, BUY, 1, 12_345, maker=True) == (-2, QUOTE)


def test_binance_takes_the_fee_of_a_buy_in_the_bought_asset() -> None:
    # 1000 lots at 5,000,000 ticks = 5e10 units; 0.1 % = 5e7 of quote = 1000 units of base
    received = {"taker_ppm": 1000, "fee_asset": RECEIVED_FEE}
    assert fee_of(received, BUY, 1000, 5_000_000) == (1000, BASE)
    assert fee_of(received, SELL, 1000, 5_000_000) == (50_000_000, QUOTE)
    assert fee_of({**received, "fee_asset": BASE_FEE}, SELL, 1000, 5_000_000) == (1000, BASE)
    # A share of what is bought, whatever the price: 3 lots = 3,000 units * 0.1 % = 3 units
    assert fee_of(received, BUY, 3, 7_777_777) == (3, BASE)
    # With a minimum the fee is an amount of quote first: 233,334 at 7,777,777 = 3.0000086 units
    assert fee_of({**received, "fee_min": 1}, BUY, 3, 7_777_777) == (4, BASE)


@pytest.mark.parametrize("asset", [THIRD_FEE, ACCOUNT_FEE])
def test_without_a_rate_the_fee_is_charged_in_quote_currency(asset: int) -> None:
    cost = {"taker_ppm": 1000, "fee_asset": asset, "fee_currency": 3}
    assert fee_of(cost, BUY, 1000, 5_000_000) == (50_000_000, QUOTE)


@pytest.mark.parametrize(
    ("asset", "currency", "fee"),
    # 1.2 account units per unit of quote; the third asset is worth 600 account units
    [(ACCOUNT_FEE, 0, 60_000_000), (THIRD_FEE, 3, 100_000)],
)
def test_fees_in_another_asset_are_converted_at_the_ledgers_rates(
    asset: int, currency: int, fee: int
) -> None:
    ledger = Ledger(4, 2, 1, 0)
    for index, base, price in ((0, QUOTE, 12), (1, 3, 6000)):
        # one lot is one whole unit, a tick is a tenth of the account currency
        ledger.declare_instrument(
            index=index,
            base_currency=base,
            quote_currency=0,
            settlement=1,
            money_num=10_000_000,
            lot_units=100_000_000,
        )
        ledger.set_rate(base, 3, index)
        ledger.mark_price(index, price)
    at = venue(cost={"taker_ppm": 1000, "fee_asset": asset, "fee_currency": currency}, **COIN)
    at.use_ledger(ledger)
    at.feed(quote(SECOND, 4_999_999, 5_000_000))
    send(at, SECOND, 0, BUY, 1000)  # 0.5 of quote
    (fill,) = fills(at.reports())
    assert (fill["fee"], fill["fee_currency"]) == (fee, currency)


@pytest.mark.parametrize(
    ("model", "value", "lots", "volume", "ticks"),
    [
        (0, 50, 10, 100, 0),
        (1, 3, 10, 100, 3),
        (2, 100, 10, 100, 2),  # 12,345 * 100 ppm = 1.2345
        (3, 100_000, 10, 100, 13),  # 10 % of the volume: 1 % of 100,000 ppm = 12.345
        (3, 100_000, 100, 100, 1235),  # all of it: 10 % = 1234.5
        (3, 100_000, 500, 100, 1235),  # never more than all of it
        (3, 100_000, 10, 0, 1235),  # unknown volume
        (3, 100_000, 2**40, 2**62, 1),
    ],
)
def test_slippage_models(model: int, value: int, lots: int, volume: int, ticks: int) -> None:
    assert slippage_ticks(12_345, lots, volume, model=model, value=value) == ticks


def test_carry_is_due_for_positions_held_over_the_end_of_the_day() -> None:
    at = SimulatedVenue(
        [{"settlement": 2, "bar_interval_ns": DAY}],
        [{"swap_long_ppm_year": -36_500, "swap_short_ppm_year": 18_250}],
        strategy_count=2,
    )
    at.feed(bars([(1000, 1000, 1000, 1000)], interval=DAY))
    send(at, DAY, 0, BUY, 300, strategy=0)
    send(at, DAY, 1, SELL, 200, strategy=1)
    at.feed(bars([(1000, 1000, 1000, 1010)], first=2, interval=DAY))
    assert at.carries() == []
    at.feed(bars([(1010, 1010, 1010, 1010)], first=3, interval=DAY))
    due = sorted(at.carries(), key=lambda row: row["strategy"])
    # 300 * 1010 * -0.0365 / 365 = -30.3 -> -31; 200 * 1010 * 0.01825 / 365 = 10.1 -> 10
    assert [(row["amount"], row["lots"], row["ts_ns"]) for row in due] == [
        (-31, 300, 2 * DAY),
        (10, -200, 2 * DAY),
    ]
    # nothing for three days: three days' carry with the next event
    at.feed(bars([(1010, 1010, 1010, 1010)], first=6, interval=DAY))
    assert sorted(row["amount"] for row in at.carries()) == [-91, 30]
    assert at.carries() == []


def test_spot_positions_carry_nothing() -> None:
    at = venue(cost={"swap_long_ppm_year": 36_500, "fee_asset": QUOTE_FEE})
    at.feed(quote(SECOND, 998, 1002))
    send(at, SECOND, 0, BUY, 300)
    at.feed(quote(2 * DAY, 998, 1002))
    assert at.carries() == []
