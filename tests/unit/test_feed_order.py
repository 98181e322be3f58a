"""Several instruments in one run: nothing depends on which feed is written first."""

import itertools

import pandas as pd
import pytest

from mmats.backtest import Report, run
from mmats.model import Action, MarketData, Strategy, TradeSignal

DAYS = pd.date_range("2024-01-01", periods=6, freq="1D", tz="UTC")
SYMBOLS = ("AAAEUR", "BBBEUR", "CCCEUR")


class BuyWithStop(Strategy):
    """Buys each symbol once, on its second bar, with a stop that the entry's own bar reaches."""

    name = "buyer"

    def initialize(self, config) -> None:
        self.seen = dict.fromkeys(SYMBOLS, 0)

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        self.seen[data.symbol] += 1
        if self.seen[data.symbol] != 2:
            return None
        return TradeSignal(Action.BUY, data.symbol, 1.0, stop_loss=95.0, take_profit=140.0)


def frame() -> pd.DataFrame:
    opens = [100.0, 101.0, 102.0, 98.0, 97.0, 99.0]
    lows = [99.0, 100.0, 90.0, 92.0, 95.0, 98.0]
    highs = [value + 2.0 for value in opens]
    rows = {"open": opens, "high": highs, "low": lows, "close": opens, "volume": [1000.0] * 6}
    return pd.DataFrame(rows, index=DAYS)


def play(symbols: tuple[str, ...]) -> Report:
    market = {"venue": "SIM", "market": "test", "quote": "EUR", "tick_size": "0.01"}
    config = {
        "account": {"balances": ["10000 EUR"], "pegs": {}},
        "instruments": [{**market, "symbol": s, "base": s[:3], "lot_size": "0.1"} for s in symbols],
        "feeds": [{"symbol": s, "source": "memory", "interval": "1d"} for s in symbols],
        "strategies": [
            {"name": "buyer", "source": "x:Y", "symbols": list(symbols), "timeframe": "1d"}
        ],
        "risk": {"price_collar": "none"},
    }
    return run(config, dict.fromkeys(symbols, frame()), strategies={"buyer": BuyWithStop()})


def told(report: Report) -> list[tuple[object, ...]]:
    columns = ["symbol", "opened", "closed", "entry_price", "exit_price", "exit_reason", "pnl"]
    return sorted(report.trades[columns].itertuples(index=False, name=None))


def test_equal_data_of_two_symbols_give_equal_trades() -> None:
    trades = play(SYMBOLS).trades.drop(columns=["trade_id", "symbol"])
    assert len(trades) == 3
    assert (trades.nunique() == 1).all()


def test_a_stop_is_there_within_the_bar_of_the_entry_whichever_feed_comes_first() -> None:
    fills = play(SYMBOLS).fills
    assert (fills["time"] == fills["venue_time"]).all()
    entries, stops = fills[fills["role"] == "ENTRY"], fills[fills["role"] == "STOP"]
    assert len(entries) == len(stops) == 3
    assert stops["time"].dt.date.tolist() == entries["time"].dt.date.tolist()


@pytest.mark.parametrize("symbols", list(itertools.permutations(SYMBOLS)))
def test_the_order_of_feeds_changes_nothing(symbols: tuple[str, ...]) -> None:
    assert told(play(symbols)) == told(play(SYMBOLS))
