"""Time bars from imported trades, on the stored integers."""

from dataclasses import replace

import numpy as np

from mmats._core import TRADE_DTYPE, BarBuilder, EventKind
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable


def bars_from_trades(table: ImportedTable, interval_ns: int) -> ImportedTable:
    """Aggregate trades to bars aligned to multiples of `interval_ns` in UTC.

    The same builder as in a run; mantissas stand for ticks and lots, so nothing is rounded.
    A trade exactly on a boundary opens the next bar. Intervals without a trade have no bar.
    """
    if table.kind is not DataKind.TRADE:
        raise DataError(f"bars are built from trades, not from {table.kind.value} rows")
    trades = np.zeros(table.rows, dtype=TRADE_DTYPE)
    trades["kind"] = EventKind.EVENT_TRADE
    for field, name in (
        ("ts_event_ns", "ts_event_ns"),
        ("ts_recv_ns", "ts_recv_ns"),
        ("flags", "flags"),
        ("price_ticks", "price"),
        ("size_lots", "size"),
        ("trade_id", "trade_id"),
    ):
        trades[field] = table.columns[name]
    last_end_ns = (int(trades["ts_event_ns"][-1]) // interval_ns + 1) * interval_ns
    try:
        bars = BarBuilder(interval_ns).aggregate(trades, until_ns=last_end_ns)
    except OverflowError as error:
        raise DataError(f"{table.symbol}: {error}") from None
    columns: dict[str, Column] = {
        "ts_event_ns": bars["ts_event_ns"].copy(),
        "flags": bars["flags"].astype(np.int64),
        "spread_x4": np.zeros(len(bars), dtype=np.int64),
        "volume": bars["volume_lots"].copy(),
        **{name: bars[f"{name}_ticks"].copy() for name in ("open", "high", "low", "close")},
    }
    return replace(
        table, kind=DataKind.BAR, interval_ns=interval_ns, columns=columns, zone="UTC", stamp="open"
    )
