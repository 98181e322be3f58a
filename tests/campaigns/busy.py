"""A strategy that trades on every bar: load for the kill campaign."""

from typing import Any

from mmats.model import Action, MarketData, Strategy, TradeSignal


class Busy(Strategy):
    """Buys with a bracket, adds a limit order, and closes again."""

    name = "busy"
    supported_symbols = ()

    def initialize(self, config: dict[str, Any]) -> None:
        self.bars = 0

    def on_market_data(self, data: MarketData) -> list[TradeSignal] | None:
        """Do something at every bar."""
        self.bars += 1
        if self.account.position(data.symbol) > 0 and self.bars % 3 == 0:
            return [TradeSignal(Action.SELL, data.symbol, reduce_only=True)]
        if self.bars % 5 == 0:
            limit = {"order_type": "limit", "price": data.close * 0.999, "size": 0.01}
            return [TradeSignal(Action.BUY, data.symbol, **limit)]
        stops = {"stop_loss": data.close * 0.99, "take_profit": data.close * 1.01}
        return [TradeSignal(Action.BUY, data.symbol, size=0.01, **stops)]
