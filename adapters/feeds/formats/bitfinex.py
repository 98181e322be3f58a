"""Bitfinex candles: time ms, open, close, high, low, volume - in that order."""

from collections.abc import Sequence
from pathlib import Path

from adapters.feeds.checks import parse_epochs
from adapters.feeds.formats.bars import BarLayout, bar_table, layout_with
from adapters.feeds.sources import first_line, open_sources, read_csv
from mmats.model.errors import DataError
from mmats.ports.data_format import ImportedTable, ImportOptions

_NAMES = ("time", "open", "close", "high", "low", "volume")


class Bitfinex:
    """As the venue's REST interface answers; minutes without a trade have no row."""

    name = "bitfinex"
    description = "Bitfinex candles (open, close, high, low), UTC ms, stamped at open"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one table of trade bars."""
        layout = layout_with(BarLayout(self.name, "UTC", "open"), options)
        if (layout.zone, layout.stamp) != ("UTC", "open"):
            raise DataError("Bitfinex candles are in UTC and stamped at open", hint="omit it")
        sources = list(open_sources(paths, (".csv.gz", ".csv", ".zip")))
        header_rows = 0 if first_line(sources[0])[:1].isdigit() else 1
        raw = read_csv(sources, _NAMES, ",", header_rows)
        return (bar_table(raw, parse_epochs(raw.columns["time"], raw.where), layout, options),)
