"""The reference EMA cross through this project's whole pipeline."""

import time
from collections.abc import Mapping
from typing import Any

import mmats.backtest
from benchmarks.bars import Records
from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome
from mmats.model import Action, MarketData, Strategy, TradeSignal

CASH = 1_000_000
SYMBOL = "BTCUSDT"

# Limits are on and wide: every order passes every check, none is refused or cut to the volume.
CONFIG: dict[str, Any] = {
    "name": "benchmark",
    "account": {"currency": "USDT", "balances": [f"{CASH} USDT"], "pegs": {}},
    "instruments": [
        {
            "symbol": SYMBOL,
            "venue": "SIM",
            "market": "crypto",
            "base": "BTC",
            "quote": "USDT",
            "tick_size": "0.01",
            "lot_size": "0.001",
            "quantity_min": "0.001",
            "notional_min": "0",
            "settlement": "margin",
            "price_basis": "trade",
            "leverage": 20,
        }
    ],
    "feeds": [{"symbol": f"{SYMBOL}.SIM", "source": "memory", "interval": "1m", "stamp": "close"}],
    "strategies": [{"name": "ema", "source": "benchmarks.ours:EmaCross", "symbols": [SYMBOL]}],
    "risk": {
        "daily_loss_max": "50%",
        "drawdown_max": "50%",
        "order_notional_max": "1000000 USDT",
        "message_rate_max": "1000/s",
    },
    "costs": {
        "maker": f"{FEE_RATE:%}",
        "taker": f"{FEE_RATE:%}",
        "fee_asset": "account",
        "spread": "0 ticks",
        "slippage": "none",
        "volume_share": "100%",
    },
    "fill": {"market": "close"},
    "backtest": {"equity_interval": "1d"},
}


class EmaCross(Strategy):
    """The rules of benchmarks/reference.py as a strategy, with averages of its own."""

    name = "ema"

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Start flat."""
        self.fast_alpha = 2 / (FAST_PERIOD + 1)
        self.slow_alpha = 2 / (SLOW_PERIOD + 1)
        self.fast = self.slow = self.held = 0.0
        self.seen = 0

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        """Turn where the averages cross."""
        close = data.close
        if self.seen == 0:
            self.fast = self.slow = close
        self.fast += self.fast_alpha * (close - self.fast)
        self.slow += self.slow_alpha * (close - self.slow)
        self.seen += 1
        if self.seen <= WARM_UP_BARS or self.fast == self.slow:
            return None
        wanted = SIZE if self.fast > self.slow else -SIZE
        if wanted == self.held:
            return None
        size = abs(wanted - self.held)
        self.held = wanted
        return TradeSignal(Action.BUY if wanted > 0 else Action.SELL, data.symbol, size)


def run_mmats(events: Records) -> tuple[int, float, float]:
    """Run the cross over bars of the core's BAR_DTYPE (see `benchmarks.bars.bar_events`).

    Returns
    -------
    orders, pnl, seconds
        Orders filled, profit after fees in USDT, and the wall time of `mmats.backtest.run`.
    """
    started = time.perf_counter()
    report = mmats.backtest.run(CONFIG, {SYMBOL: events})
    seconds = time.perf_counter() - started
    return *outcome(report), seconds


def outcome(report: mmats.backtest.Report) -> Outcome:
    """Orders filled and profit after fees in USDT."""
    facts = report.to_dict()
    return Outcome(facts["orders"]["filled"], facts["metrics"]["net_profit"])
