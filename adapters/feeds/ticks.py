"""Stored mantissas to event records in ticks and lots, exactly."""

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.checks import utc_text
from adapters.feeds.decimals import rescale
from mmats._core import BAR_DTYPE, DELTA_DTYPE, QUOTE_DTYPE, TRADE_DTYPE
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.data_format import Column, DataKind, ImportedTable, VolumeUnit

_EVENT_KIND = {DataKind.BAR: 1, DataKind.QUOTE: 2, DataKind.TRADE: 3, DataKind.DELTA: 4}
_DTYPE = {
    DataKind.BAR: BAR_DTYPE,
    DataKind.QUOTE: QUOTE_DTYPE,
    DataKind.TRADE: TRADE_DTYPE,
    DataKind.DELTA: DELTA_DTYPE,
}
_PRICES = {
    DataKind.BAR: ("open", "high", "low", "close"),
    DataKind.QUOTE: ("bid", "ask"),
    DataKind.TRADE: ("price",),
    DataKind.DELTA: ("price",),
}
_LOTS = {
    DataKind.BAR: {"volume": "volume_lots"},
    DataKind.QUOTE: {"bid_size": "bid_lots", "ask_size": "ask_lots"},
    DataKind.TRADE: {"size": "size_lots"},
    DataKind.DELTA: {"size": "size_lots"},
}
_SAME = {
    DataKind.BAR: (),
    DataKind.QUOTE: ("sequence",),
    DataKind.TRADE: ("trade_id",),
    DataKind.DELTA: ("first_sequence", "last_sequence"),
}
_SPREAD_TICKS_MAX = 2**16 - 1


def to_events(
    table: ImportedTable, instrument: Instrument, round_ticks: bool = False, file: str = ""
) -> NDArray[np.void]:
    """Return the rows as an array of the kind's event dtype, `instrument` index 0.

    A price that is no multiple of the tick size is a DataError unless `round_ticks` (nearest,
    halves up). Sizes are cut down to whole lots. A count of price changes stays a count.
    """
    kind, columns = table.kind, table.columns
    events = np.zeros(table.rows, dtype=_DTYPE[kind])
    events["kind"] = _EVENT_KIND[kind]
    events["ts_event_ns"] = columns["ts_event_ns"]
    events["ts_recv_ns"] = columns.get("ts_recv_ns", columns["ts_event_ns"])
    if "flags" in columns:
        events["flags"] = columns["flags"]
    for name in _PRICES[kind]:
        events[f"{name}_ticks"] = _ticks(table, name, instrument, round_ticks, file)
    for name, field in _LOTS[kind].items():
        events[field] = _lots(table, name, instrument)
    for name in _SAME[kind]:
        events[name] = columns[name]
    if kind is DataKind.BAR:
        events["spread_ticks"] = _spread_ticks(table, instrument, file)
    return events


def _units(values: Column, scale: int, step: Decimal) -> tuple[Column, int]:
    """Values and `step` as integers at one scale: value / step = first / second."""
    exponent = step.as_tuple().exponent
    if not isinstance(exponent, int) or step <= 0:
        raise DataError(f"an increment of {step} is not usable")
    finest = max(scale, -exponent, 0)
    return rescale(values, scale, finest), int(step.scaleb(finest))


def _ticks(
    table: ImportedTable, name: str, instrument: Instrument, round_ticks: bool, file: str
) -> Column:
    values, divisor = _units(table.columns[name], table.price_scale, instrument.tick_size)
    if round_ticks:
        return (values + divisor // 2) // divisor
    ticks, rest = np.divmod(values, divisor)
    if rest.any():
        index = int(np.argmax(rest != 0))
        price = Decimal(int(table.columns[name][index])).scaleb(-table.price_scale)
        raise DataError(
            f"{name} {price} at {utc_text(int(table.columns['ts_event_ns'][index]))} UTC is no "
            f"multiple of the tick size {instrument.tick_size} of {instrument.id}",
            file=file,
            column=name,
            hint="is it the right instrument? else ask for tick rounding",
        )
    return ticks


def _lots(table: ImportedTable, name: str, instrument: Instrument) -> Column:
    values = table.columns[name]
    if table.volume_unit is VolumeUnit.COUNT:
        return values // np.int64(10**table.size_scale)
    values, divisor = _units(values, table.size_scale, instrument.lot_size)
    return values // divisor


def _spread_ticks(table: ImportedTable, instrument: Instrument, file: str) -> Column:
    """Mean of the four ask minus bid differences of a bar, rounded up: never too cheap."""
    sums, divisor = _units(table.columns["spread_x4"], table.price_scale, instrument.tick_size)
    ticks = -(-sums // (4 * divisor))
    bad = (ticks < 0) | (ticks > _SPREAD_TICKS_MAX)
    if bad.any():
        index = int(np.argmax(bad))
        raise DataError(
            f"a spread of {ticks[index]} ticks at "
            f"{utc_text(int(table.columns['ts_event_ns'][index]))} UTC does not fit",
            file=file,
            column="spread",
            hint="is the tick size right?",
        )
    return ticks
