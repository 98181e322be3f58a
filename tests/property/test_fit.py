"""The smallest entry: against a slow search, by its properties, and in a simulated run."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmats.backtest import Report, run
from mmats.config import load_config
from mmats.config.marks import Price
from mmats.config.schema import Costs
from mmats.config.units import Money, Percent
from mmats.model import Action, MarketData, Strategy, TradeSignal
from mmats.model.instrument import Instrument
from mmats.risk.fit import Fit, Plan, fit

SYMBOL = "AAABBB"


def settings_of(draw: dict[str, Any]) -> dict[str, Any]:
    """A spot market in account currency; `draw` has its rules and costs."""
    return {
        "account": {"currency": "BBB", "balances": ["1000000 BBB"], "pegs": {}},
        "instruments": [
            {
                "symbol": SYMBOL,
                "venue": "SIM",
                "market": "test",
                "base": "AAA",
                "quote": "BBB",
                "tick_size": "0.01",
                "lot_size": draw["lot_size"],
                "notional_min": draw["notional_min"],
                "quantity_min": draw["quantity_min"],
            }
        ],
        "feeds": [{"symbol": SYMBOL, "source": "memory", "stamp": "close"}],
        "strategies": [{"name": "exits", "source": "x:Y", "symbols": [SYMBOL]}],
        "risk": {
            "daily_loss_max": "none",
            "drawdown_max": "none",
            "price_collar": "none",
            "order_notional_max": "none",
        },
        "costs": {
            "taker": draw["taker"],
            "maker": "0%",
            "fee_asset": draw["fee_asset"],
            "fixed": draw["fixed"],
            "per_unit": draw["per_unit"],
            "minimum": draw["minimum"],
            "spread": draw["spread"],
            "slippage": draw["slippage"],
            "volume_share": "none",
        },
    }


MARKETS = st.fixed_dictionaries(
    {
        "lot_size": st.sampled_from(["0.00001", "0.001", "0.1", "1"]),
        "notional_min": st.sampled_from(["0", "5", "10", "123.45"]),
        "taker": st.sampled_from(["0%", "0.1%", "0.26%", "1.2%"]),
        "fee_asset": st.sampled_from(["quote", "received", "base"]),
        "fixed": st.sampled_from(["0 quote", "0.35 quote"]),
        "per_unit": st.sampled_from(["0 quote", "0.02 quote"]),
        "minimum": st.sampled_from(["0 quote", "1 quote"]),
        "quantity_min": st.sampled_from(["0", "10"]),
        "spread": st.sampled_from(["0 ticks", "7 ticks", "0.05%"]),
        "slippage": st.sampled_from(["none", "2 ticks", "0.03%"]),
    }
)
PRICES = st.integers(1_000, 6_000_000)  # ticks
STOPS = st.integers(1_000, 500_000)  # ppm


def market_of(draw: dict[str, Any]) -> tuple[Instrument, Costs]:
    config = load_config(settings_of(draw))
    return config.instrument(SYMBOL), config.costs_of("SIM")


def smallest(market: tuple[Instrument, Costs], price_ticks: int, stop_ppm: int) -> Fit:
    capital = Money(Decimal(1_000_000), "BBB")
    plan = Plan(capital, stop=Percent(stop_ppm), risk=None)
    price = Price(Fraction(price_ticks, 100), ())
    return fit(*market, price, Price(Fraction(1), ()), plan)


@given(MARKETS, PRICES, STOPS, STOPS)
@settings(max_examples=150, deadline=None)
def test_a_bigger_stop_never_makes_the_smallest_entry_smaller(draw, price, one, other) -> None:
    market = market_of(draw)
    near, far = (smallest(market, price, stop) for stop in sorted((one, other)))
    if far.smallest is not None:
        assert near.smallest is not None
        assert near.smallest.lots <= far.smallest.lots


@given(MARKETS, PRICES, STOPS)
@settings(max_examples=150, deadline=None)
def test_the_smallest_entry_is_the_first_of_a_slow_search(draw, price, stop) -> None:
    found = smallest(market_of(draw), price, stop).smallest
    assert found is not None
    assert can_be_exited(draw, price, stop, found.lots)
    # Lots below are tried down to where the search is pointless.
    for lots in range(max(1, found.lots - 40), found.lots):
        assert not can_be_exited(draw, price, stop, lots)


def can_be_exited(draw: dict[str, Any], price: int, stop_ppm: int, lots: int) -> bool:
    """The rule as docs/fit.md says it, with exact fractions and a loop for each rounding."""
    lot, tick = Fraction(draw["lot_size"]), Fraction(1, 100)
    at_stop = max(1, int(Fraction(price) * (1 - Fraction(stop_ppm, 10**6))))
    bid = max(1, at_stop - spread_of(draw, at_stop) // 2)
    sold_at = max(1, bid - slippage_of(draw, bid))
    ask = price - spread_of(draw, price) // 2 + spread_of(draw, price)
    paid = ask + slippage_of(draw, ask)
    held = Fraction(lots)
    if draw["fee_asset"] in ("received", "base"):
        held -= broken_by_fee(draw, held, paid)
    if draw["fee_asset"] == "base" and held > 0:
        held -= broken_by_fee(draw, held, paid)
    least = max(lot, Fraction(draw["quantity_min"]))
    return held * lot >= least and held * lot * sold_at * tick >= Fraction(draw["notional_min"])


def broken_by_fee(draw: dict[str, Any], lots: Fraction, paid: int) -> Fraction:
    """Lots that the fee of a purchase takes a part of."""
    lot, unit, taker = Fraction(draw["lot_size"]), Fraction(1, 10**8), share(draw["taker"])
    fixed, per_unit, minimum = (amount(draw[name]) for name in ("fixed", "per_unit", "minimum"))
    if fixed or per_unit or minimum:
        price = paid * Fraction(1, 100)
        notional = up(lots * lot * price, unit)
        quote = up(notional * taker, unit) + lots * up(per_unit * lot, unit) + fixed
        fee = up(max(quote, minimum) / price, unit)
    else:
        fee = up(lots * lot * taker, unit)
    return up(fee, lot) / lot


def amount(text: str) -> Fraction:
    return Fraction(text.split()[0])


def share(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100


def up(value: Fraction, step: Fraction) -> Fraction:
    return -(-value // step) * step


def spread_of(draw: dict[str, Any], price: int) -> int:
    text = draw["spread"]
    return int(up(price * share(text), Fraction(1)) if "%" in text else int(text.split()[0]))


def slippage_of(draw: dict[str, Any], price: int) -> int:
    text = draw["slippage"]
    if text == "none":
        return 0
    return int(up(price * share(text), Fraction(1)) if "%" in text else int(text.split()[0]))


# -- through gate and venue ------------------------------------------------------------------------


class InAndOut(Strategy):
    """Buys at its second bar; sells all by a market order at its ninth where no stop did."""

    name = "exits"

    def __init__(self, size: Decimal, stop: Decimal | None) -> None:
        self.size, self.stop = size, stop

    def initialize(self, config: Any) -> None:
        self.bar = 0

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        self.bar += 1
        if self.bar == 2:
            return TradeSignal(Action.BUY, SYMBOL, float(self.size), stop_loss=self.stop)
        if self.bar == 9 and self.stop is None:
            return TradeSignal(Action.SELL, SYMBOL, reduce_only=True)
        return None


def traded(draw: dict[str, Any], price: int, stop_ppm: int, lots: int, by_stop: bool) -> Report:
    """A purchase at a price, and its exit after a fall to the stop."""
    at_stop = price * (10**6 - stop_ppm) // 10**6
    closes = [price / 100] * 5 + [at_stop / 100] * 8
    frame = pd.DataFrame(
        {
            "open": [closes[0], *closes[:-1]],
            "high": [max(pair) for pair in zip(closes, [closes[0], *closes[:-1]], strict=True)],
            "low": [min(pair) for pair in zip(closes, [closes[0], *closes[:-1]], strict=True)],
            "close": closes,
            "volume": 1e6,
        },
        index=pd.date_range("2024-01-01", periods=len(closes), freq="1min", tz="UTC"),
    )
    strategy = InAndOut(
        lots * Decimal(draw["lot_size"]), Decimal(at_stop) / 100 if by_stop else None
    )
    return run(settings_of(draw), {SYMBOL: frame}, strategies={"exits": strategy})


# A sale's fee in the sold coin comes out of what is left over; these exits leave nothing.
SOLD_WHOLE = MARKETS.filter(lambda draw: draw["fee_asset"] != "base")


@given(SOLD_WHOLE, PRICES, STOPS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_smallest_entry_passes_gate_and_venue_on_its_way_out(
    draw, price, stop, by_stop
) -> None:
    entry = smallest(market_of(draw), price, stop).smallest
    assert entry is not None
    report = traded(draw, price, stop, entry.lots, by_stop)
    facts = report.to_dict()
    assert facts["denials"] == {}
    fills = report.fills
    assert list(fills["side"]) == ["BUY", "SELL"]
    assert fills["position"].iloc[-1] == 0


BINANCE = {
    "lot_size": "0.00001", "notional_min": "5", "taker": "0.1%", "fee_asset": "received",
    "fixed": "0 quote", "per_unit": "0 quote", "minimum": "0 quote", "quantity_min": "0",
    "spread": "0.01%", "slippage": "0.01%",
}  # fmt: skip


@pytest.mark.parametrize(("lots", "exits"), [(14, 1), (13, 0)])
def test_one_lot_less_can_not_be_exited(lots: int, exits: int) -> None:
    # 40,000 and a stop of 2%: 13 lots leave 12, worth 4.70 where the venue wants 5.
    found = smallest(market_of(BINANCE), 4_000_000, 20_000).smallest
    assert found is not None
    assert found.lots == 14
    report = traded(BINANCE, 4_000_000, 20_000, lots, by_stop=False)
    assert list(report.fills["side"]).count("SELL") == exits
    assert report.to_dict()["denials"] == ({} if exits else {"NOTIONAL_MIN": 1})
