"""Parquet catalog: exact integers on disk, ticks and lots of an instrument in memory."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from adapters.feeds.checks import utc_text
from adapters.feeds.interval import interval_name, parse_interval
from adapters.feeds.merge import merge_tables
from adapters.feeds.ticks import to_events
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.catalog import CatalogRange, ImportResult
from mmats.ports.data_format import DataKind, ImportedTable, VolumeUnit, columns_of

_METADATA_KEY = b"mmats"
_ROW_GROUP = 262_144
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Z0-9][A-Z0-9_]*")


class Catalog:
    """`<root>/<kind>/<SYMBOL.VENUE>/<interval or ->/<start>-<end>.parquet`.

    Files of one folder never overlap. A merge writes the union under a temporary name, renames
    it, and only then removes what it replaces; a file whose range lies inside another one's is
    such a leftover of an interrupted merge and is not read.
    """

    def __init__(self, root: Path) -> None:
        """The folder is created by the first write."""
        self.root = Path(root)

    def write(self, table: ImportedTable, replace: bool = False) -> ImportResult:
        """Add rows; equal rows merge. DataError where a stored row differs, unless `replace`."""
        if table.rows == 0:
            raise DataError("nothing to store: the table has no rows")
        folder = self._folder(table.kind, table.symbol, table.interval_ns)
        with _locked(folder):
            return self._write(table, replace, folder)

    def _write(self, table: ImportedTable, replace: bool, folder: Path) -> ImportResult:
        ts = table.columns["ts_event_ns"]
        start, end = int(ts[0]), int(ts[-1])
        touched = [r for r in _files(folder) if r[0] <= end and r[1] >= start]
        merged, identical, differing, dropped = table, 0, 0, 0
        for _, _, path in touched:
            step = merge_tables(_read_table(path), merged, replace)
            merged = step.table
            identical += step.identical_rows
            differing += step.differing_rows
            dropped += step.dropped_rows
        merged_ts = merged.columns["ts_event_ns"]
        name = f"{_stamp(int(merged_ts[0]))}-{_stamp(int(merged_ts[-1]))}.parquet"
        _write_atomically(merged, folder / name)
        for _, _, path in touched:
            if path.name != name:
                path.unlink()
        return ImportResult(
            table.kind,
            table.symbol,
            table.interval_ns,
            table.rows - identical - differing,
            identical,
            differing + dropped,
            start,
            end,
        )

    def load(
        self,
        instrument: Instrument,
        kind: DataKind,
        interval_ns: int = 0,
        start_ns: int | None = None,
        end_ns: int | None = None,
        round_ticks: bool = False,
    ) -> NDArray[np.void]:
        """Return all rows of a range as one array of the kind's event dtype, `instrument` 0."""
        parts = list(self.chunks(instrument, kind, interval_ns, start_ns, end_ns, round_ticks))
        return np.concatenate(parts)

    def chunks(
        self,
        instrument: Instrument,
        kind: DataKind,
        interval_ns: int = 0,
        start_ns: int | None = None,
        end_ns: int | None = None,
        round_ticks: bool = False,
        rows: int = 65536,
    ) -> Iterator[NDArray[np.void]]:
        """Yield arrays of at most `rows` rows; DataError where the range holds none."""
        kind = DataKind(kind)
        folder = self._folder(kind, instrument.id, interval_ns)
        first, last = range_bounds(kind, start_ns, end_ns)
        found = False
        for start, end, path in _files(folder):
            if end < first or start > last:
                continue
            for table in _batches(path, rows, first, last):
                found = True
                yield to_events(table, instrument, round_ticks, path.name)
        if not found:
            raise self._nothing(kind, instrument.id, interval_ns, start_ns, end_ns)

    def tables(self, symbol: str, kind: DataKind, interval_ns: int = 0) -> Iterator[ImportedTable]:
        """Yield the stored files as they were imported, in time order."""
        for _, _, path in _files(self._folder(DataKind(kind), symbol, interval_ns)):
            yield _read_table(path)

    def ranges(self, symbol: str | None = None) -> list[CatalogRange]:
        """List what is stored; reads file footers only."""
        found: list[CatalogRange] = []
        for folder in sorted(self.root.glob("*/*/*")):
            kind_name, name, interval = folder.relative_to(self.root).parts
            if symbol not in (None, name) or not folder.is_dir():
                continue
            kind = DataKind(kind_name)
            interval_ns = 0 if interval == "-" else parse_interval(interval)
            for start, end, path in _files(folder):
                footer = _open(path)
                metadata = _metadata(footer.schema_arrow, path)
                found.append(
                    CatalogRange(
                        kind, name, interval_ns, start, end, footer.metadata.num_rows, metadata
                    )
                )
        return found

    def _folder(self, kind: DataKind, symbol: str, interval_ns: int) -> Path:
        if not _SYMBOL.fullmatch(symbol):
            raise DataError(f"{symbol!r} is no instrument", hint="write SYMBOL.VENUE")
        return self.root / kind.value / symbol / interval_name(interval_ns)

    def _nothing(
        self,
        kind: DataKind,
        symbol: str,
        interval_ns: int,
        start_ns: int | None,
        end_ns: int | None,
    ) -> DataError:
        have = [
            f"{interval_name(r.interval_ns)} {utc_text(r.start_ns)} to {utc_text(r.end_ns)}"
            for r in self.ranges(symbol)
            if r.kind == kind
        ]
        since = utc_text(start_ns) if start_ns is not None else "the beginning"
        until = utc_text(end_ns) if end_ns is not None else "the end"
        return DataError(
            f"no {kind.value} rows of {symbol} ({interval_name(interval_ns)}) from {since} to "
            f"{until} in {self.root}",
            hint=f"stored: {'; '.join(have)}" if have else "import them with: mmats data import",
        )


def range_bounds(kind: DataKind, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    """First and last event time of a range, both inclusive; see DataCatalog."""
    # A bar is stamped at its close, so the one that closes at the start lies before it.
    late = 1 if kind is DataKind.BAR else 0
    limits = np.iinfo(np.int64)
    return (
        int(limits.min) if start_ns is None else start_ns + late,
        int(limits.max) if end_ns is None else end_ns - 1 + late,
    )


def _stamp(ts_ns: int) -> str:
    text = str(np.datetime64(ts_ns, "ns")).replace("-", "").replace(":", "")
    whole, fraction = text.split(".")
    return f"{whole}Z" if not int(fraction) else f"{whole}.{fraction}Z"


def _parse_stamp(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    day, clock = whole.split("T")
    iso = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    return int(np.datetime64(f"{iso}.{fraction or '0'}", "ns").astype(np.int64))


def _files(folder: Path) -> list[tuple[int, int, Path]]:
    """(start, end, path) by start, without files that lie inside another one."""
    found: list[tuple[int, int, Path]] = []
    for path in folder.glob("*.parquet"):
        start, _, end = path.stem.partition("-")
        try:
            found.append((_parse_stamp(start), _parse_stamp(end), path))
        except ValueError:
            raise DataError(
                "not a file of this catalog", file=str(path), hint="move it elsewhere"
            ) from None
    found.sort(key=lambda item: (item[0], -item[1]))
    kept: list[tuple[int, int, Path]] = []
    for item in found:
        if not kept or item[1] > kept[-1][1]:
            kept.append(item)
    return kept


def _metadata(schema: pa.Schema, path: Path) -> dict[str, Any]:
    try:
        metadata: dict[str, Any] = json.loads(schema.metadata[_METADATA_KEY])
    except (KeyError, TypeError, ValueError):
        raise DataError("not written by this catalog", file=str(path)) from None
    return metadata


def _table_metadata(table: ImportedTable) -> dict[str, Any]:
    return {
        "format": table.format,
        "interval_ns": table.interval_ns,
        "kind": table.kind.value,
        "price_scale": table.price_scale,
        "seed": table.seed,
        "size_scale": table.size_scale,
        "source": "synthetic" if table.seed is not None else "import",
        "sources": dict(sorted(table.sources.items())),
        "stamp": table.stamp,
        "symbol": table.symbol,
        "volume_unit": table.volume_unit.value,
        "zone": table.zone,
    }


def _from_arrow(arrow: pa.Table, metadata: dict[str, Any]) -> ImportedTable:
    kind = DataKind(metadata["kind"])
    return ImportedTable(
        kind,
        metadata["symbol"],
        metadata["interval_ns"],
        {name: arrow.column(name).to_numpy() for name in columns_of(kind)},
        metadata["price_scale"],
        metadata["size_scale"],
        VolumeUnit(metadata["volume_unit"]),
        metadata["format"],
        metadata["zone"],
        metadata["stamp"],
        metadata["sources"],
        metadata["seed"],
    )


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Turn what damage in a stored file raises into an error that says what to do."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"the catalog file is damaged: {error}", file=str(path), hint="import it again"
        ) from None


def _open(path: Path) -> pq.ParquetFile:
    with _undamaged(path):
        return pq.ParquetFile(path, page_checksum_verification=True)


def _read_table(path: Path) -> ImportedTable:
    file = _open(path)
    with _undamaged(path):
        arrow = file.read()
    return _from_arrow(arrow, _metadata(file.schema_arrow, path))


def _batches(path: Path, rows: int, first: int, last: int) -> Iterator[ImportedTable]:
    """Tables of at most `rows` rows inside [first, last]; skips row groups by their statistics."""
    file = _open(path)
    metadata = _metadata(file.schema_arrow, path)
    groups = [
        k
        for k in range(file.num_row_groups)
        if (stats := file.metadata.row_group(k).column(0).statistics).max >= first
        and stats.min <= last
    ]
    batches = iter(file.iter_batches(batch_size=rows, row_groups=groups) if groups else ())
    while True:
        with _undamaged(path):
            batch = next(batches, None)
        if batch is None:
            return
        table = _from_arrow(pa.Table.from_batches([batch]), metadata)
        ts = table.columns["ts_event_ns"]
        low, high = np.searchsorted(ts, first, "left"), np.searchsorted(ts, last, "right")
        if low < high:
            cut = {name: values[low:high] for name, values in table.columns.items()}
            yield with_changes(table, columns=cut)


def _write_atomically(table: ImportedTable, path: Path) -> None:
    """Write under a temporary name, flush to disk, rename: a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = json.dumps(_table_metadata(table), sort_keys=True).encode()
    names = columns_of(table.kind)
    arrow = pa.table(
        [pa.array(table.columns[name], pa.int64()) for name in names], names=list(names)
    ).replace_schema_metadata({_METADATA_KEY: metadata})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as out:
            pq.write_table(
                arrow,
                out,
                compression="zstd",
                row_group_size=_ROW_GROUP,
                store_schema=True,
                write_page_checksum=True,
            )
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time merge into a folder; another one waits for its turn."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which also unlocks


def _sync_folder(folder: Path) -> None:
    # Not every platform lets a folder be opened; there the rename alone has to do.
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
