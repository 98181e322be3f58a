"""Opens what vendors deliver: plain, gzip or zip files, and CSV in them as string columns."""

import gzip
import hashlib
import io
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from mmats.model.errors import DataError


@dataclass(frozen=True, slots=True)
class Source:
    """Decompressed bytes of one file or zip member. `name` is for people, `path` for formats."""

    name: str
    path: Path
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """String columns of one or several files, and where each row came from."""

    columns: dict[str, pa.Array]
    files: tuple[str, ...]
    starts: tuple[int, ...]  # index of each file's first row
    first_rows: tuple[int, ...]  # 1-based line of each file's first data row
    sources: dict[str, str]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def where(self, index: int) -> tuple[str, int]:
        """File and 1-based line of row `index`."""
        k = bisect_right(self.starts, index) - 1
        return self.files[k], self.first_rows[k] + index - self.starts[k]


def expand(paths: Sequence[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """Files in `paths`, folders searched for `suffixes`, in name order; DataError where none."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.name.lower().endswith(suffixes))
        elif path.exists():
            files.append(path)
        else:
            raise DataError("no such file or folder", file=str(path))
    if not files:
        raise DataError(
            "no data files found", file=", ".join(map(str, paths)), hint=f"looked for {suffixes}"
        )
    return files


def open_sources(paths: Sequence[Path], suffixes: tuple[str, ...]) -> Iterator[Source]:
    """Yield every file, decompressed; zips may hold several. DataError on damaged archives."""
    for path in expand(paths, suffixes):
        raw = path.read_bytes()
        sha256 = hashlib.sha256(raw).hexdigest()
        lower = path.name.lower()
        if lower.endswith(".zip"):
            yield from _members(path, raw, sha256)
        elif lower.endswith(".gz"):
            yield Source(path.name, path, _gunzip(path, raw), sha256)
        else:
            yield Source(path.name, path, raw, sha256)


def _gunzip(path: Path, raw: bytes) -> bytes:
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, "gzip", error) from None


def _members(path: Path, raw: bytes, sha256: str) -> Iterator[Source]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        members = [m for m in archive.infolist() if not m.is_dir()]
        # Vendors add status reports (HistData: *.txt) next to the one data file.
        members = [m for m in members if not m.filename.lower().endswith(".txt")] or members
        for member in members:
            name = path.name if len(members) == 1 else f"{path.name}:{member.filename}"
            yield Source(name, path, archive.read(member), sha256)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise _damaged(path, "zip", error) from None


def _damaged(path: Path, what: str, error: Exception) -> DataError:
    return DataError(
        f"the {what} file is damaged or incomplete: {error}",
        file=path.name,
        hint="download it again",
    )


def read_csv(
    sources: Sequence[Source],
    names: Sequence[str],
    delimiter: str = ",",
    header_rows: int = 0,
    quoted: bool = False,
) -> RawTable:
    """Read CSV `sources` that all have exactly the columns `names`, every cell as text."""
    tables = [_parse(source, names, delimiter, header_rows, quoted) for source in sources]
    starts, total = [], 0
    for table in tables:
        starts.append(total)
        total += table.num_rows
    whole = pa.concat_tables(tables)
    return RawTable(
        {name: _single(whole.column(name)) for name in names},
        tuple(source.name for source in sources),
        tuple(starts),
        (header_rows + 1,) * len(tables),
        {source.path.name: source.sha256 for source in sources},
    )


def _single(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 0:
        return pa.array([], column.type)
    return pa.concat_arrays(column.chunks)


def _parse(
    source: Source, names: Sequence[str], delimiter: str, header_rows: int, quoted: bool
) -> pa.Table:
    if not source.data.strip():
        raise DataError("the file is empty", file=source.name, hint="remove it from the import")
    bad: list[pa_csv.InvalidRow] = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    try:
        table = pa_csv.read_csv(
            pa.BufferReader(source.data),
            # One thread: only then are bad rows numbered.
            pa_csv.ReadOptions(column_names=list(names), skip_rows=header_rows, use_threads=False),
            pa_csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quoted else False, invalid_row_handler=refuse
            ),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), check_utf8=True),
        )
    except pa.ArrowInvalid as error:
        raise _bad_row(source, bad, str(error)) from None
    if table.num_rows == 0:
        raise DataError("the file has no rows", file=source.name, hint="remove it from the import")
    return table


def _bad_row(source: Source, bad: list[pa_csv.InvalidRow], message: str) -> DataError:
    if not bad:
        return DataError(f"not readable as CSV: {message.splitlines()[0]}", file=source.name)
    row = bad[0]
    return DataError(
        f"{row.actual_columns} columns instead of {row.expected_columns}: {row.text[:60]!r}",
        file=source.name,
        row=row.number,
        hint="correct or remove the row, or choose another --format",
    )


def first_line(source: Source) -> str:
    """First line of the file as text; DataError where it is empty or no text."""
    line = source.data[:4096].split(b"\n", 1)[0].strip()
    if not line:
        raise DataError("the file is empty", file=source.name, hint="remove it from the import")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(
            "not a text file", file=source.name, hint="choose another --format"
        ) from None
