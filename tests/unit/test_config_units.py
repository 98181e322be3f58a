"""Values with units: exact, and refused in words where the unit is wrong."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmats.config import units
from mmats.config.units import (
    Duration,
    Instant,
    Limit,
    Money,
    Percent,
    QuoteAmount,
    Rate,
    SignedPercent,
    Slippage,
    Spread,
    YearlyRate,
)

ALL = (
    Duration,
    Instant,
    Limit,
    Money,
    Percent,
    QuoteAmount,
    Rate,
    SignedPercent,
    Slippage,
    Spread,
    YearlyRate,
)


@pytest.mark.parametrize(
    ("kind", "text", "value", "canonical"),
    [
        (Percent, "2%", Percent(20_000), "2%"),
        (Percent, " 0.0001 % ", Percent(1), "0.0001%"),
        (Percent, "200%", Percent(2_000_000), "200%"),
        (SignedPercent, "-0.01%", SignedPercent(-100), "-0.01%"),
        (YearlyRate, "-1.5%/year", YearlyRate(-15_000), "-1.5%/year"),
        (Money, "50 EUR", Money(Decimal(50), "EUR"), "50 EUR"),
        (Money, "0.00000001 BTC", Money(Decimal("0.00000001"), "BTC"), "0.00000001 BTC"),
        (Limit, "5%", Limit(50_000, None), "5%"),
        (Limit, "10 EUR", Limit(None, Money(Decimal(10), "EUR")), "10 EUR"),
        (QuoteAmount, "0.350 quote", QuoteAmount(Decimal("0.35")), "0.35 quote"),
        (Duration, "250ms", Duration(250_000_000), "250ms"),
        (Duration, "60m", Duration(3600 * 10**9), "1h"),
        (Duration, "72h", Duration(72 * 3600 * 10**9), "3d"),
        (Duration, "0s", Duration(0), "0s"),
        (Duration, "7ns", Duration(7), "7ns"),
        (Rate, "10/s", Rate(10, 10**9), "10/s"),
        (Rate, "5/10s", Rate(5, 10**10), "5/10s"),
        (Rate, "7/7d", Rate(7, 7 * 86_400 * 10**9), "7/w"),
        (Rate, "100/5m", Rate(100, 300 * 10**9), "100/5m"),
        (Spread, "1 tick", Spread(1, 0), "1 ticks"),
        (Spread, "0.8 pips", Spread(8, 0), "8 ticks"),
        (Spread, "0.01%", Spread(0, 100), "0.01%"),
        (Slippage, "none", Slippage("none", 0), "none"),
        (Slippage, "2 ticks", Slippage("ticks", 2), "2 ticks"),
        (Slippage, "0.02%", Slippage("ppm", 200), "0.02%"),
        (Slippage, "volume 0.1", Slippage("volume", 100_000), "volume 0.1"),
        (Instant, "2023-11-01", Instant(1_698_796_800 * 10**9), "2023-11-01"),
        (Instant, "2023-11-01T09:30:00Z", Instant(1_698_831_000 * 10**9), "2023-11-01T09:30:00Z"),
        (
            Instant,
            "2023-11-01T10:30:00.5+01:00",
            Instant(1_698_831_000_500_000_000),
            "2023-11-01T09:30:00.5Z",
        ),
    ],
)
def test_text_is_parsed_exactly_and_written_in_one_form(kind, text, value, canonical):
    parsed = kind.parse(text)
    assert parsed == value
    assert str(parsed) == canonical
    assert kind.parse(canonical) == value


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("value", [5, 0.5, None, [], "", "5", "x", "5 %%", "nan%", "inf EUR"])
def test_a_wrong_unit_says_what_was_expected_with_an_example(kind: Any, value: Any):
    with pytest.raises(ValueError, match="expected") as caught:
        kind.parse(value)
    assert '"' in kind.expected
    assert kind.expected in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Percent, "-1%", "must not be negative"),
        (Percent, "0.00001%", "finer than 0.0001%"),
        (Money, "-1 EUR", "must not be negative"),
        (Money, "0.000000001 BTC", "finer than 0.00000001"),
        (QuoteAmount, "-1 quote", "must not be negative"),
        (QuoteAmount, "0.000000001 quote", "finer than 0.00000001"),
        (Slippage, "volume -1", "expected slippage"),
        (Spread, "0.5 ticks", "not a whole number of ticks"),
        (Spread, "-1 ticks", "not a whole number of ticks"),
        (Rate, "0/s", "expected a rate"),
        (Rate, "1/0s", "expected a rate"),
        (Instant, "2023-11-01T09:30:00", "has no time zone"),
        (Instant, "9999-12-31T23:59:59-14:00", "not between the years 1970 and 2200"),
        (Instant, "0001-01-01T00:00:00+14:00", "not between the years 1970 and 2200"),
        (Instant, "1969-12-31", "not between the years 1970 and 2200"),
        (Duration, "36526d", "longer than a century"),
        (Duration, "9" * 5000 + "w", "expected a duration"),
        (Rate, "1/36526d", "longer than a century"),
        (Money, "10000000000.00000001 EUR", "more than 10000000000"),
        (Money, "3." + "9" * 33 + " EUR", "expected an amount"),
        (QuoteAmount, "10000000001 quote", "more than 10000000000"),
        (Percent, "3." + "9" * 33 + "%", "expected a percentage"),
        (Percent, "100000001%", "more than 100000000%"),
        (SignedPercent, "-100000001%", "more than 100000000%"),
        (Slippage, "volume 1000001", "expected slippage"),
    ],
)
def test_a_value_out_of_range_is_refused(kind, text, said):
    with pytest.raises(ValueError, match=said):
        kind.parse(text)


def test_toml_dates_are_moments_in_utc():
    assert Instant.parse(date(2023, 11, 1)) == Instant.parse("2023-11-01")
    assert Instant.parse(datetime(2023, 11, 1, tzinfo=UTC)) == Instant.parse("2023-11-01")


@given(st.integers(0, 10**9))
def test_every_share_survives_a_round_trip(ppm):
    assert Percent.parse(str(Percent(ppm))) == Percent(ppm)
    assert SignedPercent.parse(str(SignedPercent(-ppm))) == SignedPercent(-ppm)


@given(st.integers(0, 10**18))
def test_every_duration_survives_a_round_trip(ns):
    assert Duration.parse(str(Duration(ns))) == Duration(ns)


@given(st.decimals(0, 10**9, places=8))
def test_every_amount_survives_a_round_trip(amount):
    money = Money.parse(f"{units.plain(amount)} EUR")
    assert money.amount == amount
    assert money.units == amount * 10**8
    assert Money.parse(str(money)) == money
