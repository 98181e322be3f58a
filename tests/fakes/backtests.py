"""Small runs through the whole pipeline: one free market, scripted strategies, made-up bars."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmats.backtest import Report, run
from mmats.model import MarketData, Strategy, TradeResult, TradeSignal

MINUTE_NS = 60 * 10**9
START = "2024-01-01"
START_NS = 1_704_067_200 * 10**9
SYMBOL = "AAABBB"
OTHER = "CCCBBB"

Answer = Callable[[MarketData], Any] | TradeSignal | Sequence[TradeSignal] | None


def instrument(symbol: str = SYMBOL, **changes: Any) -> dict[str, Any]:
    """A margin market in the account's currency: tick 0.01, lot 0.001."""
    return {
        "symbol": symbol,
        "venue": "SIM",
        "market": "test",
        "base": symbol[:3],
        "quote": symbol[3:],
        "tick_size": "0.01",
        "lot_size": "0.001",
        "quantity_min": "0.001",
        "notional_min": "0",
        "settlement": "margin",
        "price_basis": "trade",
        "leverage": 10,
        **changes,
    }


def config(
    *names: str,
    symbols: Sequence[str] = (SYMBOL,),
    table: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A run without costs and with wide limits; `names` are strategies on all `symbols`."""
    return {
        "account": {"currency": "BBB", "balances": ["10000 BBB"], "pegs": {}},
        "instruments": [instrument(symbol) for symbol in symbols],
        "feeds": [
            {"symbol": f"{symbol}.SIM", "source": "memory", "stamp": "close"} for symbol in symbols
        ],
        "strategies": [
            {
                "name": name,
                "source": "tests.fakes.backtests:Script",
                "symbols": list(symbols),
                **(table or {}),
            }
            for name in names or ("script",)
        ],
        "risk": {
            "daily_loss_max": "none",
            "drawdown_max": "none",
            "gross_exposure_max": "none",
            "message_rate_max": "none",
            "price_collar": "none",
        },
        "costs": {
            "maker": "0%",
            "taker": "0%",
            "fee_asset": "account",
            "spread": "0 ticks",
            "slippage": "none",
            "volume_share": "none",
            "swap_long": "0%/year",
            "swap_short": "0%/year",
        },
        "fill": {"market": "close"},
        "backtest": {},
        **changes,
    }  # fmt: skip


def bars(closes: Sequence[float], start: str = START, **columns: Sequence[float]) -> pd.DataFrame:
    """One-minute bars whose times are their closes; each opens at the close before it."""
    close = np.asarray(closes, dtype=float)
    opens = np.concatenate(([close[0]], close[:-1]))
    index = pd.date_range(start, periods=len(close), freq="1min", tz="UTC") + pd.Timedelta("1min")
    frame = {
        "open": opens,
        "high": np.maximum(opens, close),
        "low": np.minimum(opens, close),
        "close": close,
        "volume": np.full(len(close), 10.0),
        **columns,
    }
    return pd.DataFrame(frame, index=index)


class Script(Strategy):
    """Answers the n-th bar with what was written down for it, and remembers all it is told.

    `answers` maps the number of a bar (from 0, over all symbols) to signals or to a function of
    the bar; `each`, where given, sees every bar first.
    """

    name = "script"

    def __init__(
        self,
        answers: Mapping[int, Answer] | None = None,
        each: Callable[["Script", MarketData], Any] | None = None,
    ) -> None:
        self.answers = dict(answers or {})
        self.each = each
        self.seen: list[tuple[str, int, float]] = []
        self.results: list[tuple[TradeSignal | None, TradeResult]] = []
        self.params: Mapping[str, Any] = {}

    def initialize(self, config: Mapping[str, Any]) -> None:
        self.params = config

    def on_market_data(self, data: MarketData) -> Any:
        number = len(self.seen)
        self.seen.append((data.symbol, data.timestamp, data.close))
        answer = self.each(self, data) if self.each is not None else None
        given = self.answers.get(number)
        if given is None:
            return answer
        return given(data) if callable(given) else given

    def on_signal_result(self, signal: TradeSignal | None, result: TradeResult) -> None:
        self.results.append((signal, result))

    @property
    def statuses(self) -> list[str]:
        return [result.status for _, result in self.results]


def play(
    answers: Mapping[int, Answer] | None,
    closes: Sequence[float] | pd.DataFrame,
    each: Callable[[Script, MarketData], Any] | None = None,
    **changes: Any,
) -> tuple[Script, Report]:
    """Run one scripted strategy on one symbol."""
    script = Script(answers, each)
    frame = closes if isinstance(closes, pd.DataFrame) else bars(closes)
    return script, run(config(**changes), {SYMBOL: frame}, strategies={"script": script})
