"""Data feeds of a run: stored files, and made-up bars."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.catalog import Catalog, range_bounds
from adapters.feeds.synthetic import known_specs, synthetic_tables
from adapters.feeds.ticks import to_events
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.data_format import DataKind
from mmats.ports.feed import FeedOptions

_BATCH_ROWS = 65536


class CatalogFeed:
    """Replays what the catalog in `options.path` holds."""

    def __init__(self, options: FeedOptions) -> None:
        """Nothing is read before `events`."""
        self._options = options
        self._catalog = Catalog(options.path)

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield batches in ticks and lots; see IDataFeed."""
        kind, interval_ns = DataKind(self._options.kind), self._options.interval_ns
        interval_ns = interval_ns if kind is DataKind.BAR else 0
        return self._catalog.chunks(instrument, kind, interval_ns, start_ns, end_ns)

    def describe(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> dict[str, Any]:
        """The stored files that the range takes rows from, with the hashes of their sources."""
        kind = DataKind(self._options.kind)
        interval_ns = self._options.interval_ns if kind is DataKind.BAR else 0
        first, last = range_bounds(kind, start_ns, end_ns)
        files = [
            {
                "symbol": found.symbol,
                "kind": found.kind.value,
                "interval_ns": found.interval_ns,
                "start_ns": found.start_ns,
                "end_ns": found.end_ns,
                "rows": found.rows,
                **found.metadata,
            }
            for found in self._catalog.ranges(instrument.id)
            if (found.kind, found.interval_ns) == (kind, interval_ns)
            and found.start_ns <= last
            and found.end_ns >= first
        ]
        synthetic = any(file["source"] == "synthetic" for file in files)
        return {"source": "catalog", "synthetic": synthetic, "files": files}


class SyntheticFeed:
    """Made-up one-minute bars from a seed."""

    def __init__(self, options: FeedOptions) -> None:
        """DataError where other than one-minute bars are asked for."""
        if options.kind != "bar" or options.interval_ns != 60_000_000_000:
            raise DataError("synthetic data are one-minute bars", hint='kind = "bar", interval 1m')
        self._options = options

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield batches in ticks and lots; see IDataFeed."""
        options = self._options
        (table,) = synthetic_tables(options.seed, options.days, options.start_ns, [instrument.id])
        ts = table.columns["ts_event_ns"]
        earliest, latest = range_bounds(DataKind.BAR, start_ns, end_ns)
        first = int(np.searchsorted(ts, earliest, "left"))
        last = int(np.searchsorted(ts, latest, "right"))
        for start in range(first, last, _BATCH_ROWS):
            stop = min(start + _BATCH_ROWS, last)
            part = {name: values[start:stop] for name, values in table.columns.items()}
            yield to_events(replace(table, columns=part), instrument)

    def describe(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> dict[str, Any]:
        """Source and seed, so that a report says what it is made of."""
        options = self._options
        known_specs([instrument.id])
        return {
            "source": "synthetic",
            "synthetic": True,
            "seed": options.seed,
            "days": options.days,
            "start_ns": options.start_ns,
        }
