"""Trades of a real market rebuild the candles that were published with them."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mmats._core.bars import BarBuilder
from mmats._core.frames import TRADE_DTYPE
from mmats._core.types import EventKind
from tests.shared_data import shared_data

SCALE = 10**12  # ticks and lots per unit; every decimal of the files fits


def whole(column: pd.Series) -> list[int]:
    """Return the decimals, as written, in units of 1 / SCALE."""
    numbers = [Decimal(repr(float(value))) * SCALE for value in column]
    assert all(number == int(number) for number in numbers)
    return [int(number) for number in numbers]


@pytest.mark.parametrize(("name", "minutes"), [("1m", 1), ("5m", 5)])
def test_trades_rebuild_every_candle(name: str, minutes: int) -> None:
    trades = pd.read_feather(shared_data("freqtrade", "XRP_ETH-trades.feather"))
    candles = pd.read_feather(shared_data("freqtrade", f"XRP_ETH-{name}.feather"))
    events = np.zeros(len(trades), dtype=TRADE_DTYPE)
    events["kind"] = EventKind.EVENT_TRADE
    events["ts_event_ns"] = events["ts_recv_ns"] = trades["timestamp"] * 1_000_000
    events["price_ticks"] = whole(trades["price"])
    events["size_lots"] = whole(trades["amount"])
    interval_ns = minutes * 60 * 10**9
    bars = BarBuilder(interval_ns).aggregate(events, until_ns=2**62)

    traded = candles[candles["volume"] > 0]
    assert len(traded) > 700
    opened_ns = traded["date"].astype("datetime64[ns, UTC]").astype("int64")
    np.testing.assert_array_equal(bars["ts_event_ns"] - interval_ns, opened_ns)
    for field in ("open", "high", "low", "close"):
        assert bars[f"{field}_ticks"].tolist() == whole(traded[field]), field
    assert bars["volume_lots"].tolist() == whole(traded["volume"])
