"""Rotation: hold the strongest few of several symbols, whatever market they trade on.

Idea: what has risen steadily goes on rising more often than not, and comparing a coin with a
currency pair is fair once both moves are measured in their own volatility.

Scores each symbol by its distance from its average in average true ranges. Every `every` hours,
at the first bar of a new period, it closes what is no longer among the `hold` best and
buys what has become so, if its score is positive; both at once, as a list of signals. A symbol
whose last bar is older than `every` hours (forex at the weekend) is neither bought nor sold.
Exits by being overtaken, or at a stop `stop_atr` average true ranges below the entry.

Loses when leadership changes fast: it buys each leader late and pays costs at every change. All
symbols may fall together; then it holds nothing, after the stops have cost their part.

Parameters: length = 50 (bars), atr = 14 (bars), hold = 1, every = 24 (hours), stop_atr = 4.0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmats.model import Action, MarketData, Strategy, TradeSignal

HOUR_NS = 3600 * 10**9


class Score(NamedTuple):
    """Strength of one symbol at its last closed bar."""

    timestamp: int  # ns UTC
    strength: float  # average true ranges above the average
    close: float
    atr: float


class Rotation(Strategy):
    """Relative strength across markets."""

    name = "rotation"
    supported_symbols: Sequence[str] = ()  # any, two or more

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Read the parameters above."""
        self.average = f"ema:{config.get('length', 50)}"
        self.atr = f"atr:{config.get('atr', 14)}"
        self.hold = int(config.get("hold", 1))
        self.every_ns = int(config.get("every", 24)) * HOUR_NS
        self.stop_atr = float(config.get("stop_atr", 4.0))
        self.indicators = (self.average, self.atr)
        self.scores: dict[str, Score] = {}
        self.period: int | None = None

    def on_market_data(self, data: MarketData) -> list[TradeSignal] | None:
        """Keep the score of every symbol; rotate when a new period has begun."""
        if not data.ready:
            return None
        atr = data.indicators[self.atr]
        strength = (data.close - data.indicators[self.average]) / atr if atr > 0 else 0.0
        self.scores[data.symbol] = Score(data.timestamp, strength, data.close, atr)
        period = data.timestamp // self.every_ns
        is_new = self.period is not None and period != self.period  # the first one is not whole
        self.period = period
        return self._rotate(data.timestamp) if is_new else None

    def _rotate(self, now_ns: int) -> list[TradeSignal]:
        fresh = {
            symbol: score
            for symbol, score in self.scores.items()
            if now_ns - score.timestamp <= self.every_ns
        }
        ranked = sorted(fresh, key=lambda symbol: (-fresh[symbol].strength, symbol))
        chosen = [symbol for symbol in ranked[: self.hold] if fresh[symbol].strength > 0]
        held = {symbol for symbol in fresh if self.account.position(symbol) > 0}
        sells = [
            TradeSignal(Action.SELL, symbol, reduce_only=True)
            for symbol in ranked
            if symbol in held and symbol not in chosen
        ]
        buys = [
            TradeSignal(
                Action.BUY,
                symbol,
                stop_loss=fresh[symbol].close - self.stop_atr * fresh[symbol].atr,
                confidence=min(1.0, fresh[symbol].strength / 10),
            )
            for symbol in chosen
            if symbol not in held
        ]
        return sells + buys
