"""Bars exported from MetaTrader 5 (and 4): comma or tab, in the broker's server time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.feeds.checks import parse_times
from adapters.feeds.formats.bars import BarLayout, bar_table, layout_with
from adapters.feeds.sources import RawTable, Source, first_line, open_sources, read_csv
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, ImportedTable, ImportOptions, VolumeUnit

_ALIASES = {
    "date": "date",
    "time": "clock",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "tickvol": "volume",
    "volume": "volume",
    "tick_volume": "volume",
    "spread": "spread",
}
_HEADERLESS = {
    6: ("date", "open", "high", "low", "close", "volume"),
    7: ("date", "clock", "open", "high", "low", "close", "volume"),
}


class Mt5:
    """The server's zone differs by broker, so it must be given; most use NY+7. Bid prices."""

    name = "mt5"
    description = "MetaTrader export, server time (give --zone, usually NY+7), stamped at open"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one table of bid bars; volume counts price changes."""
        layout = BarLayout(self.name, "", "open", "bid", VolumeUnit.COUNT)
        layout = layout_with(layout, options)
        sources = list(open_sources(paths, (".csv", ".csv.gz", ".zip")))
        shapes = {_shape(source) for source in sources}
        if len(shapes) > 1:
            raise DataError("the files have different columns", hint="import them separately")
        names, delimiter, header_rows = shapes.pop()
        raw = read_csv(sources, names, delimiter, header_rows)
        local_ns = _times(raw)
        return (bar_table(raw, local_ns, layout, options, _spread(raw)),)


def _shape(source: Source) -> tuple[tuple[str, ...], str, int]:
    line = first_line(source)
    delimiter = max("\t;,", key=line.count)
    cells = line.split(delimiter)
    if line[:1].isdigit():
        names = _HEADERLESS.get(len(cells))
        if names is None:
            raise DataError(
                f"{len(cells)} columns without a header",
                file=source.name,
                row=1,
                hint="use --format columns",
            )
        return names, delimiter, 0
    known = [_ALIASES.get(cell.strip("<> ").lower().replace(" ", "_"), "") for cell in cells]
    names = tuple(
        name if name and name not in known[:k] else f"unused_{k}" for k, name in enumerate(known)
    )
    missing = {"date", "open", "high", "low", "close", "volume"} - set(names)
    if missing:
        raise DataError(
            f"no column {', '.join(sorted(missing))} in the header {line!r}",
            file=source.name,
            row=1,
            hint="use --format columns",
        )
    return names, delimiter, 1


def _times(raw: RawTable) -> Column:
    texts = raw.columns["date"]
    if "clock" in raw.columns:
        texts = pc.binary_join_element_wise(texts, raw.columns["clock"], " ")
    short = pc.equal(pc.binary_length(texts), len("2023.11.07 13:57"))
    texts = pc.if_else(short, pc.binary_join_element_wise(texts, pa.scalar("00"), ":"), texts)
    return parse_times(texts, "%Y.%m.%d %H:%M:%S", raw.where)


def _spread(raw: RawTable) -> Mapping[str, Column] | None:
    """MT5 gives the spread in points, i.e. in units of the last digit of its prices."""
    if "spread" not in raw.columns:
        return None
    close = raw.columns["close"]
    dot = pc.find_substring(close, ".")
    digits = pc.subtract(pc.subtract(pc.binary_length(close), dot), 1)
    scale = int(pc.max(pc.if_else(pc.equal(dot, -1), 0, digits)).as_py())
    try:
        points = pc.cast(raw.columns["spread"], pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(f"spread is no whole number of points: {error}", column="spread") from None
    return {"spread_x4": points * np.int64(4), "scale": np.array([scale], dtype=np.int64)}
