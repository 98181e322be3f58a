"""From raw columns to checked tables of quotes, trades and deltas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from adapters.feeds.checks import at, check_quotes, check_trades, order_files, utc_text, warnings_of
from adapters.feeds.formats.bars import parse_columns
from adapters.feeds.sources import RawTable
from mmats.ports.data_format import (
    PRICE_COLUMNS,
    SIZE_COLUMNS,
    Column,
    DataKind,
    ImportedTable,
    ImportOptions,
    VolumeUnit,
    columns_of,
)

_CHECKS: Mapping[DataKind, Callable[[dict[str, Column], Callable[[int], tuple[str, int]]], None]]
_CHECKS = {DataKind.QUOTE: check_quotes, DataKind.TRADE: check_trades}


@dataclass(frozen=True, slots=True)
class EventLayout:
    """What a format knows about its events."""

    format: str
    zone: str
    price_decimals_added: int = 0  # prices are given times 10**this


def event_table(
    kind: DataKind,
    raw: RawTable,
    plain: Mapping[str, Column],
    layout: EventLayout,
    options: ImportOptions,
    warnings: tuple[str, ...] = (),
) -> ImportedTable:
    """Build the table from texts in `raw` and integer columns in `plain`, `ts_event_ns` in UTC.

    Size columns that `raw` lacks are 0 (not known); plain columns that are not given are 0 too,
    except `ts_recv_ns`, which is then the event time. Rows must not go back in time.
    """
    sizes = tuple(name for name in SIZE_COLUMNS[kind] if name in raw.columns)
    values, price_scale, size_scale, cut = parse_columns(raw, PRICE_COLUMNS[kind], sizes)
    zeros: Column = np.zeros(raw.rows, dtype=np.int64)
    columns = {name: values.get(name, plain.get(name, zeros)) for name in columns_of(kind)}
    if "ts_recv_ns" not in plain:
        columns["ts_recv_ns"] = columns["ts_event_ns"]
    rows = np.arange(raw.rows)
    order = order_files(raw, columns["ts_event_ns"])
    if order is not None:
        columns, rows = {n: v[order] for n, v in columns.items()}, rows[order]

    def where(index: int) -> tuple[str, int]:
        return raw.where(int(rows[index]))

    ts = columns["ts_event_ns"]
    back = np.diff(ts) < 0
    if back.any():
        index = int(np.argmax(back)) + 1
        problem = (
            f"time goes back from {utc_text(int(ts[index - 1]))} to {utc_text(int(ts[index]))}"
        )
        raise at(f"{problem} UTC", where, index, "time", "sort the file; is the zone right?")
    if kind is DataKind.QUOTE and options.drop_crossed:
        good = columns["bid"] <= columns["ask"]
        columns, rows = {n: v[good] for n, v in columns.items()}, rows[good]
        crossed = int(len(good) - good.sum())
        warnings = (*warnings, f"{crossed} quotes with bid above ask left out" if crossed else "")
    if kind in _CHECKS:
        _CHECKS[kind](columns, where)
    return ImportedTable(
        kind,
        options.symbol,
        0,
        columns,
        price_scale + layout.price_decimals_added,
        size_scale,
        VolumeUnit.BASE,
        layout.format,
        layout.zone,
        "",
        raw.sources,
        warnings=warnings_of((*warnings, cut)),
    )
