"""Time bars from imported trades, on the stored integers."""

from dataclasses import replace

import numpy as np

from adapters.feeds.decimals import rescale
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable


def bars_from_trades(table: ImportedTable, interval_ns: int) -> ImportedTable:
    """Aggregate trades to bars aligned to multiples of `interval_ns` in UTC.

    A trade exactly on a boundary opens the next bar. Intervals without a trade have no bar.
    Volume is the exact sum; DataError where it leaves int64.
    """
    if table.kind is not DataKind.TRADE:
        raise DataError(f"bars are built from trades, not from {table.kind.value} rows")
    buckets = table.columns["ts_event_ns"] // interval_ns
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    price, size = table.columns["price"], table.columns["size"]
    # The largest conceivable bar bounds every sum, so that no wrap-around goes unseen.
    rescale(size.max(keepdims=True), 0, len(str(len(size))))
    zeros: Column = np.zeros(len(starts), dtype=np.int64)
    ends = np.append(starts[1:], len(price)) - 1
    columns: dict[str, Column] = {
        "ts_event_ns": (buckets[starts] + 1) * interval_ns,
        "flags": zeros,
        "open": price[starts],
        "high": np.maximum.reduceat(price, starts),
        "low": np.minimum.reduceat(price, starts),
        "close": price[ends],
        "spread_x4": zeros,
        "volume": np.add.reduceat(size, starts),
    }
    return replace(
        table, kind=DataKind.BAR, interval_ns=interval_ns, columns=columns, zone="UTC", stamp="open"
    )
