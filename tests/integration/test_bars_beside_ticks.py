"""Bars and ticks of one symbol in one run: strategies hear bars only, made of one kind of data."""

from pathlib import Path

import numpy as np
import pytest

from adapters.feeds.catalog import Catalog
from mmats.backtest import run
from mmats.model import MarketData, Strategy
from mmats.ports.data_format import DataKind, ImportedTable, VolumeUnit

MINUTE_NS = 60 * 10**9
START_NS = 1_704_067_200 * 10**9
SYMBOL = "BTCUSDT.BINANCE"


class Listener(Strategy):
    """Keeps the closes it is told."""

    name = "listener"

    def initialize(self, config: object) -> None:
        self.closes: list[float] = []

    def on_market_data(self, data: MarketData) -> None:
        self.closes.append(data.close)


def store(root: Path, kind: DataKind, interval_ns: int, columns: dict[str, list[int]]) -> None:
    arrays = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    table = ImportedTable(
        kind, SYMBOL, interval_ns, arrays, 2, 5, VolumeUnit.BASE, "test", "UTC", "close", {}, None
    )
    Catalog(root).write(table)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ends = [START_NS + k * MINUTE_NS for k in range(1, 6)]
    prices = [4_000_000 + k for k in range(5)]
    bars = {"ts_event_ns": ends, "flags": [0] * 5, "spread_x4": [0] * 5, "volume": [1000] * 5}
    store(
        tmp_path,
        DataKind.BAR,
        MINUTE_NS,
        {**bars, **dict.fromkeys(("open", "high", "low", "close"), prices)},
    )
    times = [START_NS + k * MINUTE_NS // 4 + 1 for k in range(20)]
    store(
        tmp_path,
        DataKind.TRADE,
        0,
        {
            "ts_event_ns": times,
            "ts_recv_ns": times,
            "flags": [0] * 20,
            "price": [4_000_000] * 20,
            "size": [100] * 20,
            "trade_id": list(range(1, 21)),
        },
    )
    return tmp_path


@pytest.mark.parametrize("kinds", [("bar", "trade"), ("trade", "bar")])
def test_raw_trades_are_no_bars(root: Path, kinds: tuple[str, ...]) -> None:
    listener = Listener()
    config = {
        "account": {"currency": "USDT", "balances": ["100 USDT"], "pegs": {}},
        "feeds": [{"symbol": SYMBOL, "path": str(root), "kind": kind} for kind in kinds],
        "strategies": [{"name": "listener", "source": "x:Y", "symbols": [SYMBOL]}],
    }
    run(config, strategies={"listener": listener})
    assert listener.closes == [40_000.0 + k / 100 for k in range(5)]
