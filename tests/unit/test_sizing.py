"""Sizes from risk: never more than the budget, and Kelly against the formula in fractions."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmats._core import Ledger, Sizing
from mmats._core.sizing import risk_lots, risk_share
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, bars, play

UNIT = 10**8
MONEY = st.integers(10**6, 10**15)  # from a hundredth of the currency


def rated_ledger(money_num: int, money_den: int, rate_ticks: int) -> Ledger:
    """Instrument 0 is quoted in currency 1, which is worth `rate_ticks` / 100 of the account's."""
    ledger = Ledger(3, 2, 1, 0)
    ledger.declare_instrument(
        index=0, base_currency=2, quote_currency=1, settlement=2, money_num=money_num,
        money_den=money_den, lot_units=UNIT, margin_ppm=100_000,
    )  # fmt: skip
    ledger.declare_instrument(
        index=1, base_currency=1, quote_currency=0, settlement=2, money_num=UNIT // 100,
        lot_units=UNIT, margin_ppm=100_000,
    )  # fmt: skip
    ledger.set_rate(1, 3, 1)
    ledger.mark_price(1, rate_ticks)
    return ledger


@given(
    st.integers(1, 10**8), st.integers(1, 1000), st.integers(1, 10**6), MONEY,
    st.integers(1, 10**6),
)  # fmt: skip
@example(num=94362113, den=89, rate=29494, budget=9_223_372_040_837, distance=29495)
def test_the_stop_never_costs_more_than_the_budget(
    num: int, den: int, rate: int, budget: int, distance: int
) -> None:
    lots = risk_lots(rated_ledger(num, den, rate), 0, budget, distance)
    loss_of_one = Fraction(distance * num, den) * Fraction(rate, 100)
    assert lots * loss_of_one <= budget
    # A million lots are priced at once, or one where that is too much for 64 bits; the price is
    # rounded up by at most one unit of each currency.
    fits = loss_of_one * 10**6 < 2**60
    slack = (Fraction(rate, 100) + 2) / (10**6 if fits else 1)
    assert (lots + 1) * (loss_of_one + slack) > budget


@pytest.mark.parametrize(("budget", "distance"), [(0, 5), (-1, 5), (5, 0), (5, -1), (5, 2**62)])
def test_what_cannot_be_computed_is_no_lot(budget: int, distance: int) -> None:
    assert risk_lots(rated_ledger(1, 1, 100), 0, budget, distance) == 0


def test_without_a_rate_there_is_no_lot() -> None:
    ledger = Ledger(3, 1, 1, 0)
    ledger.declare_instrument(
        index=0, base_currency=2, quote_currency=1, settlement=2, money_num=1, lot_units=1
    )
    assert risk_lots(ledger, 0, UNIT, 10) == 0
    with pytest.raises(IndexError, match="no instrument 1"):
        risk_lots(ledger, 1, UNIT, 10)


def kelly(wins: int, losses: int, won: int, lost: int, **changes: int) -> int:
    sizing = {
        "mode": int(Sizing.SIZING_KELLY), "risk_ppm": 10_000, "kelly_fraction_ppm": 1_000_000,
        "kelly_cap_ppm": 1_000_000, "kelly_trades_min": 1, **changes,
    }  # fmt: skip
    return risk_share(wins, losses, won, lost, **sizing)


@given(st.integers(1, 10**4), st.integers(1, 10**4), MONEY, MONEY)
def test_kelly_is_the_formula_rounded_down(wins: int, losses: int, won: int, lost: int) -> None:
    p = Fraction(wins, wins + losses)
    exact = p - (1 - p) * Fraction(lost, losses) / Fraction(won, wins)
    share = Fraction(kelly(wins, losses, won, lost), 10**6)
    assert 0 <= share <= max(exact, Fraction(0))
    assert share > exact - Fraction(2, 10**6)


def test_kelly_by_hand() -> None:
    # 60 wins of 2 and 40 losses of 1: 0.6 - 0.4 / 2 = 40 %.
    assert kelly(60, 40, 120, 40) == 400_000
    assert kelly(60, 40, 120, 40, kelly_fraction_ppm=500_000) == 200_000
    assert [kelly(60, 40, 120, 40, kelly_cap_ppm=cap) for cap in (399_999, 400_000, 400_001)] == [
        399_999, 400_000, 400_000,
    ]  # fmt: skip
    assert kelly(5, 0, 10, 0) == 1_000_000
    assert [kelly(0, 5, 0, 10), kelly(5, 5, 10, 10)] == [0, 0]


def test_kelly_before_it_knows_enough() -> None:
    assert [kelly(60, 40, 120, 40, kelly_trades_min=n) for n in (100, 101)] == [400_000, 10_000]
    assert kelly(0, 0, 0, 0, kelly_trades_min=0) == 10_000
    assert kelly(0, 0, 0, 0, kelly_cap_ppm=9_999) == 9_999
    assert kelly(60, 40, 120, 40, mode=int(Sizing.SIZING_FIXED_FRACTIONAL)) == 10_000


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": 0}, {"mode": 4}, {"risk_ppm": -1}, {"kelly_cap_ppm": 10**6 + 1},
        {"kelly_trades_min": -1}, {"risk": 1},
    ],
)  # fmt: skip
def test_bad_sizing_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must|no such|no Sizing"):
        kelly(1, 1, 1, 1, **changes)


def sized(answers: Any, closes: Any, **table: Any) -> Any:
    script, report = play(answers, bars(closes), table=table)
    fills = [r for r in report.result.records if r["kind"] == 6]
    reasons = [result.reason for _, result in script.results if result.status == "DENIED"]
    return [int(r["lots"]) for r in fills], reasons


def entry(**fields: Any) -> Any:
    return TradeSignal(fields.pop("action", "BUY"), SYMBOL, **fields)


def test_fixed_fractional_risks_its_share() -> None:
    # 1 % of 10,000 over a distance of 10 is 10 units; half the confidence is half of it.
    table = {"sizing": "fixed_fractional", "risk_per_trade": "1%"}
    # (A lot's loss is rounded up, so the last lot may be missing.)
    for confidence, most in ((1.0, 10_000), (0.5, 5_000)):
        answers = {0: entry(stop_loss=90, confidence=confidence)}
        (lots,), denied = sized(answers, [100.0] * 4, **table)
        assert most - 1 <= lots <= most
        assert not denied


def test_turning_round_closes_and_opens_the_sized_quantity() -> None:
    table = {"sizing": "fixed_fractional", "risk_per_trade": "1%"}
    answers = {0: entry(stop_loss=90), 2: entry(action="SELL", stop_loss=110)}
    lots, _ = sized(answers, [100.0] * 6, **table)
    assert lots[1] == 2 * lots[0]


def test_sizing_needs_a_stop_on_the_losing_side() -> None:
    table = {"sizing": "fixed_fractional"}
    for fields, why in (
        ({}, "SIZE_UNKNOWN"),
        ({"stop_loss": 100}, "STOP_LOSS_SIDE"),
        ({"stop_loss": 101}, "STOP_LOSS_SIDE"),
    ):
        assert sized({0: entry(**fields)}, [100.0] * 4, **table) == ([], [why])
    far = {"sizing": "fixed_fractional", "risk_per_trade": "0.0001%"}
    assert sized({0: entry(stop_loss=1)}, [100.0] * 4, **far) == ([], ["QUANTITY_ZERO"])
