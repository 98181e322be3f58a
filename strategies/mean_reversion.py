"""Mean reversion: buy what fell out of its Bollinger band, sell it back at the middle.

Idea: without news, a price that ran `width` standard deviations from its average tends to return.

Enters long when the close is under the lower band, short above the upper band where `allow_short`
is set. An entry must have at least `edge_min` (a share of the price) to gain on the way back to
the middle: less than the costs of a round trip is not worth the risk.
Exits when the close is back at the middle, or at a stop `stop_atr` average true ranges away.

Loses when a trend starts: the band is left and the price does not come back. One such loss takes
back many small gains, so a high win rate says little about this strategy.

Parameters: length = 20 (bars), width = 2.0, atr = 14 (bars), stop_atr = 4.0, edge_min = 0.0005,
allow_short = false.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmats.model import Action, MarketData, Strategy, TradeSignal


class MeanReversion(Strategy):
    """Bollinger bands, faded."""

    name = "mean_reversion"
    supported_symbols: Sequence[str] = ()  # any

    def initialize(self, config: Mapping[str, Any]) -> None:
        """Read the parameters above."""
        self.bands = f"bbands:{config.get('length', 20)}:{config.get('width', 2.0):g}"
        self.atr = f"atr:{config.get('atr', 14)}"
        self.stop_atr = float(config.get("stop_atr", 4.0))
        self.edge_min = float(config.get("edge_min", 0.0005))
        self.allow_short = bool(config.get("allow_short", False))
        self.indicators = (self.bands, self.atr)

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        """Leave at the middle; enter outside the band."""
        if not data.ready:
            return None
        middle = data.indicators[f"{self.bands}.middle"]
        position = self.account.position(data.symbol)
        if position > 0:
            return self._leave(data, Action.SELL) if data.close >= middle else None
        if position < 0:
            return self._leave(data, Action.BUY) if data.close <= middle else None
        if abs(middle - data.close) < self.edge_min * data.close:
            return None
        distance = self.stop_atr * data.indicators[self.atr]
        if data.close < data.indicators[f"{self.bands}.lower"]:
            return TradeSignal(Action.BUY, data.symbol, stop_loss=data.close - distance)
        if self.allow_short and data.close > data.indicators[f"{self.bands}.upper"]:
            return TradeSignal(Action.SELL, data.symbol, stop_loss=data.close + distance)
        return None

    def _leave(self, data: MarketData, action: Action) -> TradeSignal:
        return TradeSignal(action, data.symbol, reduce_only=True)
