"""The built-in table of instruments and costs, and the overrides of a configuration on top."""

import functools
import tomllib
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
from msgspec import UNSET

from mmats.config.decode import Problem, closest, decode_table, raise_problems
from mmats.config.schema import Costs, CostsRootTable, CostsTable, InstrumentTable
from mmats.config.units import Percent, QuoteAmount, SignedPercent, Slippage, Spread, YearlyRate
from mmats.model.instrument import Instrument, PriceBasis, Settlement

REQUIRED = ("market", "base", "quote", "tick_size", "lot_size")
CHANGED = "; changed by the configuration"  # follows a built-in source that no longer says it all
LOTS_WITHOUT_MAXIMUM = 10**12  # quantity_max of an instrument that declares none, in lots
ASSUMED_COSTS = Costs(
    maker=SignedPercent(1_000),
    taker=SignedPercent(1_000),
    fixed=QuoteAmount(Decimal(0)),
    per_unit=QuoteAmount(Decimal(0)),
    minimum=QuoteAmount(Decimal(0)),
    fee_asset="quote",
    spread=Spread(0, 100),
    slippage=Slippage("ppm", 100),
    volume_share=Percent(100_000),
    swap_long=YearlyRate(0),
    swap_short=YearlyRate(0),
    source="assumption: no cost is known for this venue",
)
"""What a venue costs that neither the file nor the built-in table knows."""


class Table(msgspec.Struct, frozen=True):
    """The built-in table: instruments by id, costs by venue."""

    instruments: dict[str, InstrumentTable]
    costs: dict[str, CostsTable]


@functools.cache
def builtin_table() -> Table:
    """Return the built-in table as it is in `instruments.toml`."""
    text = resources.files("mmats.config").joinpath("instruments.toml").read_text("utf-8")
    problems: list[Problem] = []
    instruments: dict[str, InstrumentTable] = {}
    costs: dict[str, CostsTable] = {}
    for venue, entry in tomllib.loads(text).items():
        rows = entry.pop("instruments")
        costs[venue] = decode_table(CostsTable, entry.pop("costs"), f"{venue}.costs", problems)
        for symbol, row in rows.items():
            data = {"symbol": symbol, "venue": venue} | entry | row
            instruments[f"{symbol}.{venue}"] = decode_table(
                InstrumentTable, data, f"{venue}.{symbol}", problems
            )
    raise_problems(problems, "instruments.toml")
    return Table(instruments, costs)


def builtin_instruments() -> dict[str, Instrument]:
    """Return every built-in instrument by id (`BTCUSDT.BINANCE`)."""
    return merge_instruments((), [])


@functools.cache
def _builtin_instruments() -> dict[str, Instrument]:
    return {key: _build(table) for key, table in builtin_table().instruments.items()}


def merge_instruments(
    overrides: tuple[InstrumentTable, ...], problems: list[Problem]
) -> dict[str, Instrument]:
    """Return all instruments by id, built-in ones with the overrides of a file on top."""
    tables = builtin_table().instruments
    instruments = dict(_builtin_instruments())
    seen: set[str] = set()
    for override in overrides:
        key = f"{override.symbol}.{override.venue}"
        where = f"instruments[{key}]"
        if key in seen:
            problems.append(Problem(where, "declared twice", "keep one [[instruments]] entry"))
        seen.add(key)
        merged = overlay(tables[key], override) if key in tables else override
        missing = [name for name in REQUIRED if getattr(merged, name) is UNSET]
        if missing:
            problems.append(
                Problem(
                    where,
                    f"is not in the built-in table and lacks {', '.join(missing)}",
                    closest(key, tables) or "give the missing keys",
                )
            )
            continue
        instruments[key] = _build(merged)
    for key in seen & instruments.keys():
        problems.extend(_check_instrument(instruments[key]))
    return instruments


def merge_costs(file: CostsRootTable, venues: list[str]) -> dict[str, Costs]:
    """Fill the costs of each venue: file venue > file [costs] > built-in venue > assumption."""
    builtin = builtin_table().costs
    result = {}
    for venue in venues:
        values = msgspec.structs.asdict(ASSUMED_COSTS)
        values |= _given(builtin.get(venue, CostsTable()), Costs.__struct_fields__)
        changes = _given(file, Costs.__struct_fields__)
        changes |= _given(file.venues.get(venue, CostsTable()), Costs.__struct_fields__)
        if changes:
            changes.setdefault("source", values["source"] + CHANGED)
        result[venue] = Costs(**values | changes)
    return result


def overlay(below: InstrumentTable, above: InstrumentTable) -> InstrumentTable:
    """Return `below` with every key that `above` gives."""
    given = _given(above, InstrumentTable.__struct_fields__)
    if "source" not in given:
        given["source"] = f"{below.source}{CHANGED}"
    return msgspec.structs.replace(below, **given)


def _given(table: msgspec.Struct, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(table, name) for name in names}
    return {name: value for name, value in values.items() if value is not UNSET}


def _build(table: InstrumentTable) -> Instrument:
    """Return the instrument of a complete table; the required keys have been checked."""
    values = _given(table, InstrumentTable.__struct_fields__)
    lot_size: Decimal = values["lot_size"]
    values.setdefault("quantity_min", lot_size)
    values.setdefault("quantity_max", lot_size * LOTS_WITHOUT_MAXIMUM)
    values.setdefault("notional_min", Decimal(0))
    values.setdefault("source", "configuration")
    values["settlement"] = Settlement(values.get("settlement", "spot"))
    values["price_basis"] = PriceBasis(values.get("price_basis", "trade"))
    if stale_after := values.pop("stale_after", None):
        values["stale_after_ns"] = stale_after.ns
    return Instrument(**values)


def _check_instrument(instrument: Instrument) -> list[Problem]:
    where = f"instruments[{instrument.id}]"
    problems = [
        Problem(f"{where}.{name}", "must be greater than zero")
        for name in ("tick_size", "lot_size", "multiplier")
        if getattr(instrument, name) <= 0
    ]
    if instrument.lot_size * 10**8 % 1:
        problems.append(Problem(f"{where}.lot_size", "is finer than 0.00000001"))
    if instrument.quantity_min > instrument.quantity_max:
        problems.append(Problem(f"{where}.quantity_min", "is greater than quantity_max"))
    if (instrument.settlement is Settlement.MARGIN) != (instrument.leverage > 0):
        problems.append(
            Problem(
                f"{where}.leverage",
                f"{instrument.leverage} does not fit settlement {instrument.settlement.value}",
                "margin needs a leverage of 1 or more, spot needs 0",
            )
        )
    if instrument.stale_after_ns <= 0:
        problems.append(Problem(f"{where}.stale_after", "must be longer than zero"))
    return problems
