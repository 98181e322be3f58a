"""Trend following: go with a moving-average cross, and let an ATR stop say when it was wrong.

Idea: prices trend more often than a coin toss, and the few long trends pay for many small losses.

Enters when the fast average crosses the slow one: long on a cross up, short on a cross down where
`allow_short` is set (spot markets can't be sold short). The stop lies `stop_atr` average true
ranges away, so that a calm market gets a near stop and a wild one gets room.
Exits on the opposite cross, or at the stop.

Loses in sideways markets: every false cross costs a small loss, spread and fee. Short timeframes
have more false crosses and the same fee each, so costs eat them first.

Parameters: fast = 20, slow = 60 (bars), atr = 14 (bars), stop_atr = 3.0, allow_short = false.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmats.model import Action, MarketData, Strategy, TradeSignal


class Trend(Strategy):
    """Moving-average cross with an ATR stop."""

    name = "trend"
    supported_symbols: Sequence[str] = ()  # any

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Read the parameters above."""
        self.fast = f"ema:{config.get('fast', 20)}"
        self.slow = f"ema:{config.get('slow', 60)}"
        self.atr = f"atr:{config.get('atr', 14)}"
        self.stop_atr = float(config.get("stop_atr", 3.0))
        self.allow_short = bool(config.get("allow_short", False))
        self.indicators = (self.fast, self.slow, self.atr)
        self.was_above: dict[str, bool] = {}

    def on_market_data(self, data: MarketData) -> list[TradeSignal] | None:
        """Act on a cross, once."""
        if not data.ready:
            return None
        is_above = data.indicators[self.fast] > data.indicators[self.slow]
        was_above = self.was_above.get(data.symbol, is_above)  # the first bar is no cross
        self.was_above[data.symbol] = is_above
        return None if is_above == was_above else self._turn(data, upward=is_above)

    def _turn(self, data: MarketData, upward: bool) -> list[TradeSignal]:
        """Leave the position that the cross is against, and enter with the cross."""
        action = Action.BUY if upward else Action.SELL
        position = self.account.position(data.symbol)
        signals = []
        if position < 0 if upward else position > 0:
            signals.append(TradeSignal(action, data.symbol, reduce_only=True))
        if upward or self.allow_short:
            distance = self.stop_atr * data.indicators[self.atr]
            stop_loss = data.close - distance if upward else data.close + distance
            signals.append(TradeSignal(action, data.symbol, stop_loss=stop_loss))
        return signals
