"""Merges overlapping imports: equal rows become one, different rows of one key are refused."""

from dataclasses import replace as with_changes
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.checks import utc_text
from adapters.feeds.decimals import rescale
from mmats.model.errors import DataError
from mmats.ports.data_format import (
    PRICE_COLUMNS,
    SIZE_COLUMNS,
    Column,
    DataKind,
    ImportedTable,
)

_ID_COLUMN = {
    DataKind.QUOTE: "sequence",
    DataKind.TRADE: "trade_id",
    DataKind.DELTA: "last_sequence",
}


class Merged(NamedTuple):
    """The union sorted by time, and what became of the rows."""

    table: ImportedTable
    identical_rows: int  # of the new table, already there
    differing_rows: int  # of the new table, in place of a stored row with another content
    dropped_rows: int  # of the old table, without a new row in their place


def merge_tables(old: ImportedTable, new: ImportedTable, replace: bool) -> Merged:
    """Merge an import into stored rows.

    Rows are the same where kind, time and identifier are; the n-th of several such rows is
    compared with the n-th. DataError where one differs and `replace` is not set. With it, the
    imported rows win; and if all that is stored came from the same bytes, as when they are read
    again in another zone, nothing old stays: rows at wrong times would else survive between.
    """
    is_reread = set(old.sources.items()) <= set(new.sources.items())
    if replace and is_reread and old.seed == new.seed:
        return Merged(new, 0, 0, old.rows)
    _require_same_nature(old, new)
    price_scale = max(old.price_scale, new.price_scale)
    size_scale = max(old.size_scale, new.size_scale)
    ours, theirs = (_at_scales(table, price_scale, size_scale) for table in (old, new))
    is_new = np.repeat([False, True], [old.rows, new.rows])
    joined = {name: np.concatenate([ours[name], theirs[name]]) for name in ours}
    keys = [joined["ts_event_ns"]]
    if old.kind in _ID_COLUMN:
        keys.append(joined[_ID_COLUMN[old.kind]])
        keys.append(np.concatenate([_occurrences(ours, old.kind), _occurrences(theirs, old.kind)]))
    order = np.lexsort([is_new, *reversed(keys)])
    same = np.ones(len(order) - 1, dtype=np.bool_)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    first, second = order[:-1][same], order[1:][same]
    differs = np.zeros(len(first), dtype=np.bool_)
    for values in joined.values():
        differs |= values[first] != values[second]
    if differs.any() and not replace:
        _refuse(joined, int(first[np.argmax(differs)]), int(second[np.argmax(differs)]), old)
    keep = np.ones(len(order), dtype=np.bool_)
    keep[first] = False
    # Stable by time alone: rows of one moment keep the order in which they arrived.
    kept = np.flatnonzero(keep)
    kept = kept[np.argsort(joined["ts_event_ns"][kept], kind="stable")]
    merged = with_changes(
        new,
        columns={name: values[kept] for name, values in joined.items()},
        price_scale=price_scale,
        size_scale=size_scale,
        sources={**old.sources, **new.sources},
    )
    changed = int(differs.sum())
    return Merged(merged, len(first) - changed, changed, 0)


def _require_same_nature(old: ImportedTable, new: ImportedTable) -> None:
    for what in ("volume_unit", "seed", "zone", "stamp"):
        if getattr(old, what) != getattr(new, what):
            raise DataError(
                f"{new.symbol}: stored rows of the same time have {what} {getattr(old, what)}, "
                f"these have {getattr(new, what)}",
                hint="import the same files again with --replace, or use another catalog",
            )


def _at_scales(table: ImportedTable, price_scale: int, size_scale: int) -> dict[str, Column]:
    columns = dict(table.columns)
    for name in PRICE_COLUMNS[table.kind]:
        columns[name] = rescale(columns[name], table.price_scale, price_scale)
    for name in SIZE_COLUMNS[table.kind]:
        columns[name] = rescale(columns[name], table.size_scale, size_scale)
    return columns


def _occurrences(columns: dict[str, Column], kind: DataKind) -> NDArray[np.int64]:
    """How many earlier rows of the same table have the same time and identifier."""
    ts, identifier = columns["ts_event_ns"], columns[_ID_COLUMN[kind]]
    order = np.lexsort([identifier, ts])
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = (np.diff(ts[order]) != 0) | (np.diff(identifier[order]) != 0)
    group_starts = np.flatnonzero(starts)
    within = np.arange(len(order)) - np.repeat(
        group_starts, np.diff(np.append(group_starts, len(order)))
    )
    result = np.empty(len(order), dtype=np.int64)
    result[order] = within
    return result


def _refuse(joined: dict[str, Column], old: int, new: int, table: ImportedTable) -> None:
    name = next(n for n, values in joined.items() if values[old] != values[new])
    raise DataError(
        f"{table.symbol}: the stored row for {utc_text(int(joined['ts_event_ns'][old]))} UTC has "
        f"{name} {joined[name][old]}, the imported one {joined[name][new]}",
        column=name,
        hint="--replace takes the imported rows",
    )
