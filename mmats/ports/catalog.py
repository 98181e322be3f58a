"""Where imported market data is kept and read from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmats.model.instrument import Instrument
from mmats.ports.data_format import DataKind, ImportedTable


@dataclass(frozen=True, slots=True)
class CatalogRange:
    """One stored file: what it holds and from when to when (event times, both inclusive)."""

    kind: DataKind
    symbol: str
    interval_ns: int
    start_ns: int
    end_ns: int
    rows: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import changed."""

    kind: DataKind
    symbol: str
    interval_ns: int
    rows_new: int
    rows_identical: int
    rows_replaced: int
    start_ns: int
    end_ns: int


class DataCatalog(Protocol):
    """Stores market data exactly and gives it back in ticks and lots of an instrument.

    A range holds the bars that lie in it, `start_ns < close <= end_ns`, and of other kinds the
    rows with `start_ns <= ts_event_ns < end_ns`: a month is exactly its bars. Adjacent ranges
    neither share nor lose a row. None leaves a side open.
    """

    def write(self, table: ImportedTable, replace: bool = False) -> ImportResult:
        """Add rows; DataError where a stored row differs and `replace` is not set."""
        ...

    def load(
        self,
        instrument: Instrument,
        kind: DataKind,
        interval_ns: int = 0,
        start_ns: int | None = None,
        end_ns: int | None = None,
        round_ticks: bool = False,
    ) -> NDArray[np.void]:
        """Return one array of the kind's event dtype; DataError where nothing is stored."""
        ...

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
        """The same in arrays of at most `rows` rows, with bounded memory."""
        ...

    def tables(self, symbol: str, kind: DataKind, interval_ns: int = 0) -> Iterator[ImportedTable]:
        """Yield the stored files as they were imported, in time order."""
        ...

    def ranges(self, symbol: str | None = None) -> list[CatalogRange]:
        """What is stored, sorted by kind, symbol, interval and start."""
        ...
