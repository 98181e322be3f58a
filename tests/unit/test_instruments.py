"""The built-in instruments, and overrides on top of them."""

import re
from decimal import Decimal
from typing import Any

import pytest

from mmats.config import builtin_instruments, load_config
from mmats.config.table import builtin_table
from mmats.model.errors import ConfigError
from mmats.model.instrument import Instrument, PriceBasis, Settlement

FEEDS = [{"symbol": "BTCUSDT"}, {"symbol": "EURUSD.OANDA"}]


def resolve(*rows: dict[str, Any], feeds: list[dict[str, Any]] | None = None) -> list[Instrument]:
    strategies = [{"name": "s", "source": "s.py", "symbols": [(feeds or FEEDS)[0]["symbol"]]}]
    data = {"instruments": list(rows), "feeds": feeds or FEEDS, "strategies": strategies}
    return load_config(data).resolve_instruments()


def test_every_built_in_instrument_is_usable():
    instruments = builtin_instruments()
    assert {i.venue for i in instruments.values()} == {"BINANCE", "COINBASE", "OANDA", "FXCM"}
    for key, instrument in instruments.items():
        assert key == instrument.id
        assert instrument.symbol == instrument.base + instrument.quote
        assert instrument.tick_size > 0
        assert instrument.lot_units > 0
        assert instrument.quantity_min <= instrument.quantity_max
        assert any(year in instrument.source for year in ("2018", "2021", "2026"))
        numerator, denominator = instrument.money_per_ticklot
        assert numerator < 2**63
        assert denominator < 2**63


def test_every_venue_has_costs_with_a_source():
    table = builtin_table()
    venues = {i.venue for i in table.instruments.values()}
    assert table.costs.keys() == venues
    assert all(isinstance(costs.source, str) for costs in table.costs.values())


def test_known_rules():
    table = builtin_instruments()
    btc = table["BTCUSDT.BINANCE"]
    assert (btc.tick_size, btc.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert btc.notional_min == 5
    assert btc.settlement is Settlement.SPOT
    assert btc.money_per_ticklot == (10, 1)
    euro = table["EURUSD.OANDA"]
    assert (euro.leverage, euro.settlement) == (30, Settlement.MARGIN)
    assert euro.price_basis is PriceBasis.BID
    assert table["XAUUSD.OANDA"].leverage == 20
    assert table["AUDUSD.OANDA"].leverage == 20


def test_an_override_changes_what_it_names_and_nothing_else():
    before = builtin_instruments()["BTCUSDT.BINANCE"]
    after = resolve({"symbol": "BTCUSDT", "venue": "BINANCE", "notional_min": "10"})[0]
    assert after.notional_min == 10
    assert after.tick_size == before.tick_size
    assert after.source.endswith("changed by the configuration")


def test_a_new_instrument_needs_its_rules_and_gets_defaults():
    row = {
        "symbol": "BTCEUR",
        "venue": "KRAKEN",
        "market": "crypto",
        "base": "BTC",
        "quote": "EUR",
        "tick_size": "0.1",
        "lot_size": "0.00000001",
        "stale_after": "1h",
    }
    feeds = [{"symbol": "BTCEUR.KRAKEN"}]
    instrument = resolve(row, feeds=feeds)[0]
    assert instrument.quantity_min == Decimal("0.00000001")
    assert instrument.quantity_max == 10_000
    assert instrument.notional_min == 0
    assert instrument.stale_after_ns == 3600 * 10**9


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"symbol": "BTCUSDT", "venue": "BINANC"}, "did you mean BTCUSDT.BINANCE?"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "tick_size": "0"}, "greater than zero"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "tick_size": 0.01}, "a decimal in quotes"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "tick_size": "NaN"}, "a decimal in quotes"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "tick_size": "-1"}, "zero or more"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "lot_size": "1e-9"}, "finer than 0.00000001"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "quantity_max": "0"}, "than quantity_max"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "leverage": 3}, "does not fit settlement spot"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "leverage": -1}, "a whole number >= 0"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "settlement": "margin"}, "does not fit"),
        ({"symbol": "BTCUSDT", "venue": "BINANCE", "stale_after": "0s"}, "longer than zero"),
    ],
)
def test_a_bad_instrument_is_refused(row, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        resolve(row)


def test_an_instrument_declared_twice_is_refused():
    row = {"symbol": "BTCUSDT", "venue": "BINANCE"}
    with pytest.raises(ConfigError, match="declared twice"):
        resolve(row, row)


def test_a_lot_finer_than_the_money_unit_has_no_units():
    instrument = Instrument(
        symbol="AB", venue="V", market="m", base="A", quote="B",
        tick_size=Decimal(1), lot_size=Decimal("1e-9"), quantity_min=Decimal(1),
        quantity_max=Decimal(1), notional_min=Decimal(0),
    )  # fmt: skip
    with pytest.raises(ValueError, match="finer than 1e-8"):
        _ = instrument.lot_units
