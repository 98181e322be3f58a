"""Data feeds of a run: stored files, and made-up bars."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.catalog import Catalog, range_bounds
from adapters.feeds.interval import MINUTE_NS
from adapters.feeds.synthetic import endless_tables, known_specs, synthetic_tables
from adapters.feeds.ticks import to_events
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.data_format import DataKind, ImportedTable
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
        if options.kind != "bar" or options.interval_ns != MINUTE_NS:
            raise DataError("synthetic data are one-minute bars", hint='kind = "bar", interval 1m')
        self._options = options

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield batches in ticks and lots; see IDataFeed."""
        options = self._options
        earliest, latest = range_bounds(DataKind.BAR, start_ns, end_ns)
        tables: Iterable[ImportedTable] = (
            endless_tables(options.seed, options.days, options.start_ns, instrument.id)
            if options.endless
            else synthetic_tables(options.seed, options.days, options.start_ns, [instrument.id])
        )
        for table in tables:
            ts = table.columns["ts_event_ns"]
            first = int(np.searchsorted(ts, earliest, "left"))
            last = int(np.searchsorted(ts, latest, "right"))
            for start in range(first, last, _BATCH_ROWS):
                stop = min(start + _BATCH_ROWS, last)
                part = {name: values[start:stop] for name, values in table.columns.items()}
                yield to_events(replace(table, columns=part), instrument)
            if last < len(ts):
                return

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

    def follow(self, instrument: Instrument, now_ns: int, from_start: bool) -> "SyntheticStream":
        """Make bars up from now on, each told when its minute is over.

        `from_start` has no meaning here: nothing was made up before.
        """
        known_specs([instrument.id])
        start_ns = now_ns // MINUTE_NS * MINUTE_NS
        return SyntheticStream(replace(self._options, start_ns=start_ns), instrument)


class SyntheticStream:
    """Implements ILiveStream: the bars of an endless synthetic market, none before its time."""

    lost = ""

    def __init__(self, options: FeedOptions, instrument: Instrument) -> None:
        self._parts = SyntheticFeed(replace(options, endless=True)).events(instrument, None, None)
        self._ahead = next(self._parts)
        self._count = 0

    def poll(self, now_ns: int) -> NDArray[np.void]:
        """Take the bars that have closed by now."""
        taken = []
        while int(self._ahead["ts_event_ns"][0]) <= now_ns:
            count = int(np.searchsorted(self._ahead["ts_event_ns"], now_ns, "right"))
            taken.append(self._ahead[:count])
            self._ahead = self._ahead[count:]
            if len(self._ahead) == 0:
                self._ahead = next(self._parts)
        events = np.concatenate([self._ahead[:0], *taken])
        events["ts_recv_ns"] = now_ns
        self._count += len(events)
        return events

    def counters(self) -> dict[str, int]:
        """events."""
        return {"events": self._count}

    def close(self) -> None:
        """Nothing is held."""
