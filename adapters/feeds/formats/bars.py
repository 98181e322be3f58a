"""From raw bar columns to a checked table: the part that all bar formats share."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from adapters.feeds.calendars import is_forex, session_warnings
from adapters.feeds.checks import (
    check_bars,
    check_interval,
    order_files,
    unique_rows,
    warnings_of,
)
from adapters.feeds.decimals import (
    PRICE_SCALE_MAX,
    SIZE_SCALE_MAX,
    parse_decimals,
    rescale,
    truncate_decimals,
)
from adapters.feeds.interval import DAY_NS, MINUTE_NS
from adapters.feeds.sources import RawTable
from adapters.feeds.zones import parse_zone, to_utc
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable, ImportOptions, VolumeUnit

BAR_BID, BAR_MID, BAR_SPREAD = 1, 2, 4  # EventFlag bits of bars
_BASIS_FLAGS = {"trade": 0, "bid": BAR_BID, "mid": BAR_MID}
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class BarLayout:
    """What a format knows about its bars."""

    format: str
    zone: str
    stamp: str
    basis: str = "trade"
    volume_unit: VolumeUnit = VolumeUnit.BASE


def layout_with(layout: BarLayout, options: ImportOptions) -> BarLayout:
    """Apply what the user declared over the format's own zone, stamp and basis."""
    stamp, basis = options.stamp or layout.stamp, options.basis or layout.basis
    if stamp not in ("open", "close"):
        raise DataError(
            f"format {layout.format} does not say whether times are opens or closes",
            hint="give --stamp open or --stamp close",
        )
    if basis not in _BASIS_FLAGS:
        raise DataError(f"basis {basis!r} is unknown", hint="use trade, bid or mid")
    if not (options.zone or layout.zone):
        raise DataError(
            f"format {layout.format} does not say its time zone", hint="give --zone, e.g. UTC"
        )
    return BarLayout(layout.format, options.zone or layout.zone, stamp, basis, layout.volume_unit)


def parse_columns(
    raw: RawTable, prices: tuple[str, ...], sizes: tuple[str, ...]
) -> tuple[dict[str, Column], int, int, str]:
    """Parse price and size texts at one scale each; the text says what was cut off, if anything."""
    parsed, price_scale = _common(raw, prices, PRICE_SCALE_MAX)
    cut_texts: dict[str, pa.Array] = {}
    lost_total = 0
    for name in sizes:
        cut_texts[name], lost = truncate_decimals(raw.columns[name], SIZE_SCALE_MAX)
        lost_total += lost
    sized = RawTable(cut_texts, raw.files, raw.starts, raw.first_rows, raw.sources)
    size_columns, size_scale = _common(sized, sizes, SIZE_SCALE_MAX) if sizes else ({}, 0)
    warning = (
        f"{lost_total} sizes had more than {SIZE_SCALE_MAX} decimals: cut toward zero"
        if lost_total
        else ""
    )
    return parsed | size_columns, price_scale, size_scale, warning


def _common(raw: RawTable, names: tuple[str, ...], scale_max: int) -> tuple[dict[str, Column], int]:
    parsed = {n: parse_decimals(raw.columns[n], n, raw.where, scale_max) for n in names}
    scale = max(own for _, own in parsed.values())
    return {n: rescale(values, own, scale) for n, (values, own) in parsed.items()}, scale


def bar_table(
    raw: RawTable,
    local_ns: Column,
    layout: BarLayout,
    options: ImportOptions,
    spread_points: Mapping[str, Column] | None = None,
) -> ImportedTable:
    """Build the table from texts `open high low close volume` and stamps in the layout's zone.

    `spread_points` maps "spread_x4" to mantissas at a price scale of "scale" decimals.
    """
    interval_ns = options.interval_ns or MINUTE_NS
    values, price_scale, size_scale, warning = parse_columns(raw, _PRICES, ("volume",))
    flags = _BASIS_FLAGS[layout.basis]
    spread: Column = np.zeros(raw.rows, dtype=np.int64)
    if spread_points is not None:
        own = int(spread_points["scale"][0])
        finer = max(price_scale, own)
        values |= {n: rescale(values[n], price_scale, finer) for n in _PRICES}
        spread, price_scale = rescale(spread_points["spread_x4"], own, finer), finer
        flags |= BAR_SPREAD
    return finish_bars(
        raw,
        values | {"spread_x4": spread},
        local_ns,
        layout,
        options,
        interval_ns,
        price_scale,
        size_scale,
        flags,
        warning,
    )


def finish_bars(
    raw: RawTable,
    values: dict[str, Column],
    local_ns: Column,
    layout: BarLayout,
    options: ImportOptions,
    interval_ns: int,
    price_scale: int,
    size_scale: int,
    flags: int,
    warning: str = "",
) -> ImportedTable:
    """Place the bars in time, check them, and build the table."""
    local_close = local_ns + interval_ns if layout.stamp == "open" else local_ns
    close_ns = to_utc(local_ns, parse_zone(layout.zone), raw.where)
    if layout.stamp == "open":
        close_ns = close_ns + interval_ns
    columns: dict[str, Column] = {
        "ts_event_ns": close_ns,
        "flags": np.full(raw.rows, flags, dtype=np.int64),
        **values,
    }
    rows = np.arange(raw.rows)
    order = order_files(raw, close_ns)
    if order is not None:
        columns, rows = {n: v[order] for n, v in columns.items()}, rows[order]
        local_close = local_close[order]

    def where(index: int) -> tuple[str, int]:
        return raw.where(int(rows[index]))

    check_bars(columns, where)
    keep = unique_rows(columns, where, options.drop_duplicates)
    if keep is not None:
        columns, rows = {n: v[keep] for n, v in columns.items()}, rows[keep]
        local_close = local_close[keep]
    if interval_ns < DAY_NS:
        check_interval(columns["ts_event_ns"] - interval_ns, interval_ns, where)
    notes = [warning]
    if is_forex(options.symbol) and interval_ns < DAY_NS:
        notes += session_warnings(local_close, layout.zone, interval_ns)
    return ImportedTable(
        DataKind.BAR,
        options.symbol,
        interval_ns,
        columns,
        price_scale,
        size_scale,
        layout.volume_unit,
        layout.format,
        layout.zone,
        layout.stamp,
        raw.sources,
        warnings=warnings_of(notes),
    )
