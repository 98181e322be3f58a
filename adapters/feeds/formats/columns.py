"""Any table with named columns: CSV, Parquet or Feather."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq

from adapters.feeds.checks import at, parse_integers
from adapters.feeds.decimals import float_texts
from adapters.feeds.formats.bars import BarLayout, bar_table, layout_with
from adapters.feeds.formats.events import EventLayout, event_table
from adapters.feeds.sources import RawTable, Source, first_line, open_sources, read_csv
from adapters.feeds.times import any_times
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable, ImportOptions

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "date", "datetime", "ts", "open_time", "ts_event", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
    "price": ("price", "p", "last_price"),
    "size": ("size", "amount", "quantity", "qty", "q"),
    "trade_id": ("trade_id", "id", "tid"),
    "side": ("side", "aggressor", "taker_side"),
    "bid": ("bid", "bid_price", "best_bid"),
    "ask": ("ask", "ask_price", "best_ask"),
    "bid_size": ("bid_size", "bid_qty", "bid_quantity"),
    "ask_size": ("ask_size", "ask_qty", "ask_quantity"),
}
_REQUIRED: Mapping[DataKind, tuple[str, ...]] = {
    DataKind.BAR: ("time", "open", "high", "low", "close", "volume"),
    DataKind.TRADE: ("time", "price", "size"),
    DataKind.QUOTE: ("time", "bid", "ask"),
}
_OPTIONAL: Mapping[DataKind, tuple[str, ...]] = {
    DataKind.BAR: (),
    DataKind.TRADE: ("trade_id", "side"),
    DataKind.QUOTE: ("bid_size", "ask_size"),
}
_SIDES = {"buy": 0, "b": 0, "bid": 0, "sell": 1, "s": 1, "ask": 1}
_BINARY = (".parquet", ".feather", ".arrow")


class Columns:
    """Names are taken from `columns` (`time=Gmt time,open=O`), else from common spellings.

    Numbers stored as doubles are read as the shortest decimal that gives the same double.
    """

    name = "columns"
    description = "any CSV, Parquet or Feather with named columns; bars need --stamp, zone if none"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one table of bars, trades or quotes, by the columns there are."""
        sources = list(open_sources(paths, (".csv", ".csv.gz", ".zip", *_BINARY)))
        binary = {source.path.suffix.lower() in _BINARY for source in sources}
        if len(binary) > 1:
            raise DataError("CSV and binary files together", hint="import them separately")
        raw = _binary_table(sources) if binary.pop() else _csv_table(sources)
        kind, chosen = _choose(tuple(raw.columns), options, raw.files[0])
        columns = {own: raw.columns[theirs] for own, theirs in chosen.items()}
        raw = RawTable(columns, raw.files, raw.starts, raw.first_rows, raw.sources)
        utc_ns, local_ns, zone = any_times(columns["time"], options.zone, raw.where)
        raw = _texts(raw)
        if kind is DataKind.BAR:
            layout = layout_with(BarLayout(self.name, zone, ""), options)
            return (bar_table(raw, local_ns, layout, options),)
        plain: dict[str, Column] = {"ts_event_ns": utc_ns}
        if "trade_id" in raw.columns:
            plain["trade_id"] = parse_integers(raw.columns["trade_id"], "trade_id", raw.where)
        if "side" in raw.columns:
            plain["flags"] = _aggressors(raw)
        return (event_table(kind, raw, plain, EventLayout(self.name, zone), options),)


def _csv_table(sources: list[Source]) -> RawTable:
    lines = {first_line(source) for source in sources}
    if len(lines) > 1:
        raise DataError("the files have different headers", hint="import them separately")
    line = lines.pop()
    delimiter = max(",;\t|", key=line.count)
    names = [name.strip().strip('"') for name in line.split(delimiter)]
    if len(set(names)) < len(names):
        raise DataError(f"a column name appears twice in {line!r}", file=sources[0].name, row=1)
    return read_csv(sources, names, delimiter, 1, quoted=True)


def _binary_table(sources: list[Source]) -> RawTable:
    tables, starts, total = [], [], 0
    for source in sources:
        buffer = pa.BufferReader(source.data)
        try:
            is_parquet = source.path.suffix.lower() == ".parquet"
            table = pq.read_table(buffer) if is_parquet else feather.read_table(buffer)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"the file is damaged: {error}", file=source.name) from None
        if table.num_rows == 0:
            raise DataError("the file has no rows", file=source.name)
        starts.append(total)
        total += table.num_rows
        tables.append(table)
    try:
        whole = pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DataError(f"the files have different columns: {error}") from None
    return RawTable(
        {name: pa.concat_arrays(whole.column(name).chunks) for name in whole.column_names},
        tuple(source.name for source in sources),
        tuple(starts),
        (1,) * len(tables),
        {source.path.name: source.sha256 for source in sources},
    )


def _choose(
    names: tuple[str, ...], options: ImportOptions, file: str
) -> tuple[DataKind, dict[str, str]]:
    """Kind, and which of the file's columns is which of ours."""
    unknown = sorted(set(options.columns) - set(_SPELLINGS))
    absent = sorted(set(options.columns.values()) - set(names))
    if unknown:
        raise DataError(f"--columns: {unknown[0]!r} is none of {', '.join(_SPELLINGS)}")
    if absent:
        raise DataError(f"no column {absent[0]!r}", file=file, hint=f"it has {', '.join(names)}")
    folded = {name.strip("<> ").lower().replace(" ", "_"): name for name in reversed(names)}
    found = dict(options.columns)
    for own, spellings in _SPELLINGS.items():
        match = next((folded[s] for s in spellings if s in folded), None)
        if match is not None:
            found.setdefault(own, match)
    for kind, required in _REQUIRED.items():
        if options.kind in (None, kind) and set(required) <= set(found):
            wanted = required + _OPTIONAL[kind]
            return kind, {own: found[own] for own in wanted if own in found}
    raise DataError(
        f"columns {', '.join(names)} make neither bars, trades nor quotes",
        file=file,
        hint="name them, e.g. --columns time=Date,open=O,high=H,low=L,close=C,volume=V",
    )


def _texts(raw: RawTable) -> RawTable:
    """Every column but the time as text; DataError on nulls."""
    columns: dict[str, pa.Array] = {}
    for name, values in raw.columns.items():
        if values.null_count and name != "time":
            index = int(pc.index(pc.is_null(values), True).as_py())
            raise at("is empty", raw.where, index, name)
        if pa.types.is_floating(values.type):
            values = float_texts(values)
        columns[name] = values if name == "time" else pc.cast(values, pa.string())
    return RawTable(columns, raw.files, raw.starts, raw.first_rows, raw.sources)


def _aggressors(raw: RawTable) -> Column:
    """Side of the taker as EventFlag bits: TRADE_SELLER where the aggressor sold."""
    sides = pc.utf8_lower(raw.columns["side"])
    codes = pc.index_in(sides, pa.array(list(_SIDES)))
    if codes.null_count:
        index = int(pc.index(pc.is_null(codes), True).as_py())
        raise at(f"{raw.columns['side'][index].as_py()!r} is no side", raw.where, index, "side")
    flags = np.array(list(_SIDES.values()), dtype=np.int64)
    result: Column = flags[codes.to_numpy()]
    return result
