"""A made-up market of quotes, trades and order book changes, stored in a catalog."""

from pathlib import Path

import numpy as np

from adapters.feeds.catalog import Catalog
from mmats._core import EventFlag
from mmats.ports.data_format import DataKind, ImportedTable, VolumeUnit

START_NS = 1_704_067_200 * 10**9
SYMBOL = "BTCUSDT.BINANCE"
SPAN_NS = 10**9
LEVELS = 5


def write_market(root: Path, seconds: int, seed: int) -> None:
    """Store quotes, trades and deltas of `seconds` seconds; some share their moment."""
    draw = np.random.default_rng(seed)
    mid = 4_000_000 + np.cumsum(draw.integers(-60, 61, seconds) * 10)
    at = START_NS + SPAN_NS * np.arange(1, seconds + 1)
    half = draw.integers(1, 30, seconds)
    _write(root, DataKind.QUOTE, {
        "ts_event_ns": at, "ts_recv_ns": at, "sequence": np.arange(1, seconds + 1),
        "bid": mid - half, "ask": mid + half,
        "bid_size": draw.integers(1, 50_000, seconds),
        "ask_size": draw.integers(1, 50_000, seconds),
    })  # fmt: skip
    later = at + draw.choice([0, 1, SPAN_NS // 2], seconds)
    _write(root, DataKind.TRADE, {
        "ts_event_ns": later, "ts_recv_ns": later, "trade_id": np.arange(1, seconds + 1),
        "flags": draw.integers(0, 2, seconds), "price": mid + draw.integers(-20, 21, seconds),
        "size": draw.integers(1, 20_000, seconds),
    })  # fmt: skip
    _write(root, DataKind.DELTA, _books(draw, at, mid, half))


def _books(
    draw: np.random.Generator, at: np.ndarray, mid: np.ndarray, half: np.ndarray
) -> dict[str, np.ndarray]:
    """A whole book a second, as one message."""
    count, steps = len(at), np.arange(LEVELS) * 10
    prices = np.concatenate(
        [(mid - half)[:, None] - steps, (mid + half)[:, None] + steps], axis=1
    ).ravel()
    flags = np.full((count, 2 * LEVELS), int(EventFlag.DELTA_SNAPSHOT))
    flags[:, LEVELS:] |= int(EventFlag.DELTA_ASK)
    flags[:, 0] |= int(EventFlag.DELTA_CLEAR)
    flags[:, -1] |= int(EventFlag.DELTA_LAST)
    times = np.repeat(at, 2 * LEVELS)
    number = np.repeat(np.arange(1, count + 1), 2 * LEVELS)
    return {
        "ts_event_ns": times, "ts_recv_ns": times, "first_sequence": number,
        "last_sequence": number, "flags": flags.ravel(), "price": prices,
        "size": draw.integers(1, 30_000, len(prices)),
    }  # fmt: skip


def _write(root: Path, kind: DataKind, columns: dict[str, np.ndarray]) -> None:
    whole = {name: np.asarray(column, np.int64) for name, column in columns.items()}
    table = ImportedTable(
        kind, SYMBOL, 0, whole, 2, 5, VolumeUnit.BASE, "synthetic", "UTC", "", {"made": "up"}
    )
    Catalog(root).write(table)
