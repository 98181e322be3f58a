"""Order book updates for the event benchmarks: each row is a message of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bars import START_NS
from benchmarks.generate import DEPTH_TICKS, l2_deltas
from benchmarks.ours import CONFIG, SYMBOL
from mmats._core import EventFlag

SNAPSHOT_ROWS = 2 * DEPTH_TICKS
ORDER_LATENCY_NS = 1_000_000

BOOK_CONFIG: dict[str, Any] = {
    **CONFIG,
    "feeds": [{"symbol": f"{SYMBOL}.SIM", "source": "memory", "kind": "delta"}],
    "risk": {"daily_loss_max": "50%", "drawdown_max": "50%", "order_notional_max": "9000000 USDT"},
    "fill": {"market": "close", "queue": True, "order_latency": "1ms"},
    "strategies": [{"name": "ema", "source": "benchmarks.ours:EmaCross", "symbols": [SYMBOL]}],
}


def book_rows(n: int, seed: int = 7) -> NDArray[np.void]:
    """Return `n` updates, the snapshot first; the book may be read after every one."""
    rows = l2_deltas(n, seed)
    rows["flags"][SNAPSHOT_ROWS:] |= np.uint8(EventFlag.DELTA_LAST)
    sequence = rows["last_sequence"][SNAPSHOT_ROWS - 1] + np.arange(1, n - SNAPSHOT_ROWS + 1)
    rows["first_sequence"][SNAPSHOT_ROWS:] = rows["last_sequence"][SNAPSHOT_ROWS:] = sequence
    rows["ts_event_ns"] = rows["ts_recv_ns"] = START_NS + 1_000_000 * np.arange(n)
    return rows
