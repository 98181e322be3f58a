"""Klines as Binance publishes them: CSV of 12 columns, plain or in daily and monthly zips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adapters.feeds.checks import at, parse_epochs
from adapters.feeds.formats.bars import BarLayout, bar_table, layout_with
from adapters.feeds.interval import interval_name
from adapters.feeds.sources import first_line, open_sources, read_csv
from mmats.model.errors import DataError
from mmats.ports.data_format import ImportedTable, ImportOptions

_NAMES = (
    "time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "trades",
    "taker_base",
    "taker_quote",
    "ignore",
)


class BinanceKlines:
    """Open time in ms, or in us since 2025; UTC; volume in base units."""

    name = "binance-klines"
    description = "Binance klines: vendor zips or CSV, 12 columns, UTC, stamped at open"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one bar table; the interval is checked against the close times in the file."""
        layout = layout_with(BarLayout(self.name, "UTC", "open"), options)
        if (layout.zone, layout.stamp) != ("UTC", "open"):
            raise DataError("Binance klines are in UTC and stamped at open", hint="omit the option")
        sources = list(open_sources(paths, (".zip", ".csv", ".csv.gz")))
        headers = {not first_line(source)[:1].isdigit() for source in sources}
        if len(headers) > 1:
            raise DataError("some files have a header and some have none", hint="import separately")
        raw = read_csv(sources, _NAMES, ",", 1 if headers.pop() else 0)
        open_ns = parse_epochs(raw.columns["time"], raw.where)
        # A close time is the last unit (ms or us) of the bar.
        length_ns = parse_epochs(raw.columns["close_time"], raw.where, "close_time") - open_ns
        interval_ns = int(-(-length_ns[0] // 1_000_000_000)) * 1_000_000_000
        wrong = (length_ns > interval_ns) | (length_ns < interval_ns - 1_000_000)
        if wrong.any():
            raise at("bars of several lengths", raw.where, int(np.argmax(wrong)), "close_time")
        if options.interval_ns not in (None, interval_ns):
            raise DataError(f"the file has {interval_name(interval_ns)} bars")
        options = ImportOptions(
            options.symbol, interval_ns=interval_ns, drop_duplicates=options.drop_duplicates
        )
        return (bar_table(raw, open_ns, layout, options),)
