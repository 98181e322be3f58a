"""QuantConnect LEAN data folders: one zip a day, times in ms of the day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from adapters.feeds.checks import at, parse_integers
from adapters.feeds.formats.bars import (
    BAR_BID,
    BAR_SPREAD,
    BarLayout,
    finish_bars,
    layout_with,
    parse_columns,
)
from adapters.feeds.formats.events import EventLayout, event_table
from adapters.feeds.interval import DAY_NS, MINUTE_NS, SECOND_NS
from adapters.feeds.sources import RawTable, Source, open_sources, read_csv
from adapters.feeds.zones import NEW_YORK, parse_zone, to_utc
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable, ImportOptions, VolumeUnit

_ZONES = {
    ("crypto", ""): "UTC",
    ("forex", "oanda"): "UTC",
    ("forex", "fxcm"): "UTC-5",
    ("equity", "usa"): NEW_YORK,
}
_NAME = re.compile(r"(\d{8})_(quote|trade)\.zip", re.IGNORECASE)
_EQUITY_DECIMALS = 4  # equity prices are in units of 0.0001

_BID = ("open", "high", "low", "close")
_ASK = ("ask_open", "ask_high", "ask_low", "ask_close")
_COLUMNS = {
    ("bar", "trade"): ("ms", *_BID, "volume"),
    ("bar", "quote"): ("ms", *_BID, "bid_last", *_ASK, "ask_last"),
    ("tick", "trade"): ("ms", "price", "size"),
    ("tick", "quote"): ("ms", "bid", "bid_size", "ask", "ask_size"),
    ("tick", "forex"): ("ms", "bid", "ask"),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """What the folders say: <security>/<market>/<resolution>/<symbol>/YYYYMMDD_quote.zip."""

    security: str
    market: str
    resolution: str
    side: str


class Lean:
    """Zone and price scale follow from the folders, so these have to be kept."""

    name = "lean"
    description = "QuantConnect LEAN folders: minute and tick, quote and trade; zone by market"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return bars (quote bars: bid prices with the measured spread), quotes or trades.

        A folder with both trade and quote bars needs `basis` trade or bid: they are two
        descriptions of the same minutes.
        """
        groups: dict[_Place, list[Source]] = {}
        for source in open_sources(paths, (".zip",)):
            groups.setdefault(_place(source.path), []).append(source)
        wanted = {"trade": "trade", "bid": "quote", None: None}.get(options.basis, "")
        if wanted:
            groups = {place: group for place, group in groups.items() if place.side == wanted}
        if not groups:
            raise DataError(f"no {wanted} files", hint="use --basis trade or --basis bid")
        if len({(p.security, p.market, p.resolution) for p in groups}) > 1:
            raise DataError("several markets or resolutions", hint="import them one by one")
        if len(groups) > 1 and next(iter(groups)).resolution != "tick":
            raise DataError(
                "the folder holds trade and quote bars of the same minutes",
                hint="choose --basis trade or --basis bid",
            )
        return tuple(_read(place, group, options) for place, group in groups.items())


def _place(path: Path) -> _Place:
    match, parts = _NAME.fullmatch(path.name), [part.lower() for part in path.parts]
    if match is None or len(parts) < 5 or parts[-5] not in ("crypto", "forex", "equity"):
        raise DataError(
            "not in a LEAN folder, so market and zone are unknown",
            file=str(path),
            hint="keep crypto|forex|equity/<market>/<resolution>/<symbol>/YYYYMMDD_quote.zip",
        )
    if parts[-3] not in ("minute", "second", "tick"):
        raise DataError(f"resolution {parts[-3]} is not supported", file=str(path))
    if parts[-5] == "equity" and parts[-3] == "tick":
        raise DataError("equity ticks are not supported", file=str(path))
    return _Place(parts[-5], parts[-4], parts[-3], match[2].lower())


def _read(place: _Place, group: list[Source], options: ImportOptions) -> ImportedTable:
    market = "" if place.security == "crypto" else place.market
    zone = options.zone or _ZONES.get((place.security, market), "")
    if not zone:
        raise DataError(f"the zone of {place.security}/{place.market} is unknown", hint="--zone")
    form = "tick" if place.resolution == "tick" else "bar"
    side = "forex" if form == "tick" and place.security == "forex" else place.side
    raw = read_csv(group, _COLUMNS[form, side])
    local_ns = _local_ns(raw, group)
    added = _EQUITY_DECIMALS if place.security == "equity" else 0
    if form == "tick":
        kind = DataKind.TRADE if place.side == "trade" else DataKind.QUOTE
        plain = {"ts_event_ns": to_utc(local_ns, parse_zone(zone), raw.where)}
        return event_table(kind, raw, plain, EventLayout(Lean.name, zone, added), options)
    interval_ns = SECOND_NS if place.resolution == "second" else MINUTE_NS
    if options.interval_ns not in (None, interval_ns):
        raise DataError(f"the files have {place.resolution} bars", hint="omit --interval")
    layout = BarLayout(Lean.name, zone, "open", "trade" if side == "trade" else "bid")
    if place.security == "forex":
        layout = replace(layout, volume_unit=VolumeUnit.COUNT)
    layout = layout_with(layout, options)
    return _bars(raw, local_ns, layout, options, interval_ns, added)


def _bars(
    raw: RawTable,
    local_ns: Column,
    layout: BarLayout,
    options: ImportOptions,
    interval_ns: int,
    added: int,
) -> ImportedTable:
    is_quote = "ask_open" in raw.columns
    if is_quote:
        # Quote bars have sizes of the last quote, no traded volume.
        nothing = pa.array(["0"] * raw.rows, pa.string())
        raw = replace(raw, columns={**raw.columns, "volume": nothing})
    prices = _BID + _ASK if is_quote else _BID
    values, price_scale, size_scale, cut = parse_columns(raw, prices, ("volume",))
    spread: Column = np.zeros(raw.rows, dtype=np.int64)
    if is_quote:
        spread = sum((values.pop(a) - values[b] for a, b in zip(_ASK, _BID, strict=True)), spread)
        if (spread < 0).any():
            raise at("ask below bid", raw.where, int(np.argmax(spread < 0)), "ask")
    return finish_bars(
        raw,
        values | {"spread_x4": spread},
        local_ns,
        layout,
        options,
        interval_ns,
        price_scale + added,
        size_scale,
        BAR_BID | BAR_SPREAD if is_quote else 0,
        cut,
    )


def _local_ns(raw: RawTable, group: list[Source]) -> Column:
    ms = parse_integers(raw.columns["ms"], "ms", raw.where)
    outside = (ms < 0) | (ms >= DAY_NS // 1_000_000)
    if outside.any():
        raise at("no time of the day in ms", raw.where, int(np.argmax(outside)), "ms")
    days = [
        int(np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:8]}", "ns").astype(np.int64))
        for d in (source.path.name for source in group)
    ]
    counts = np.diff([*raw.starts, raw.rows])
    return np.repeat(np.array(days, dtype=np.int64), counts) + ms * np.int64(1_000_000)
