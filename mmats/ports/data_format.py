"""What an import format is: traders' files in, exact integer columns out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


class DataKind(StrEnum):
    """Kinds of market data rows."""

    BAR = "bar"
    QUOTE = "quote"
    TRADE = "trade"
    DELTA = "delta"


PRICE_COLUMNS: Mapping[DataKind, tuple[str, ...]] = {
    DataKind.BAR: ("open", "high", "low", "close", "spread_x4"),
    DataKind.QUOTE: ("bid", "ask"),
    DataKind.TRADE: ("price",),
    DataKind.DELTA: ("price",),
}
"""Columns that hold price mantissas. `spread_x4` is the sum of the four ask minus bid
differences of a bar (open, high, low, close): kept undivided so that nothing is rounded."""

SIZE_COLUMNS: Mapping[DataKind, tuple[str, ...]] = {
    DataKind.BAR: ("volume",),
    DataKind.QUOTE: ("bid_size", "ask_size"),
    DataKind.TRADE: ("size",),
    DataKind.DELTA: ("size",),
}
"""Columns that hold size mantissas."""

PLAIN_COLUMNS: Mapping[DataKind, tuple[str, ...]] = {
    DataKind.BAR: ("ts_event_ns", "flags"),
    DataKind.QUOTE: ("ts_event_ns", "ts_recv_ns", "sequence"),
    DataKind.TRADE: ("ts_event_ns", "ts_recv_ns", "trade_id", "flags"),
    DataKind.DELTA: ("ts_event_ns", "ts_recv_ns", "first_sequence", "last_sequence", "flags"),
}
"""Times, identifiers and EventFlag bits."""


def columns_of(kind: DataKind) -> tuple[str, ...]:
    """All columns of a kind, in the order in which they are stored."""
    return PLAIN_COLUMNS[kind] + PRICE_COLUMNS[kind] + SIZE_COLUMNS[kind]


class VolumeUnit(StrEnum):
    """What a size of 1 means."""

    BASE = "base"  # units of the base asset
    COUNT = "count"  # number of price changes; forex has no traded volume


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user says about the files; None means that the format must know."""

    symbol: str
    zone: str | None = None
    stamp: str | None = None
    interval_ns: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    basis: str | None = None
    kind: DataKind | None = None
    drop_duplicates: bool = False
    drop_crossed: bool = False


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """Rows of one kind and one instrument, sorted by `ts_event_ns`, checked.

    `columns` maps every name of `columns_of(kind)` to an int64 array; prices are
    mantissas of 10**-price_scale, sizes of 10**-size_scale.
    """

    kind: DataKind
    symbol: str
    interval_ns: int
    columns: Mapping[str, Column]
    price_scale: int
    size_scale: int
    volume_unit: VolumeUnit
    format: str
    zone: str
    stamp: str
    sources: Mapping[str, str] = field(default_factory=dict)  # file name -> sha256 of its bytes
    seed: int | None = None  # synthetic data only
    warnings: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns["ts_event_ns"])


class DataFormat(Protocol):
    """Reads one vendor's files."""

    name: str
    description: str

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return one table per kind found; raise DataError on anything that is not right."""
        ...
