"""The EMA cross in nautilus_trader's backtest engine."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model import Bar, BarType, Money, Venue
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

from benchmarks.reference import FAST_PERIOD, FEE_RATE, SIZE, SLOW_PERIOD, WARM_UP_BARS, Outcome

NAME = "nautilus_trader"
LACKS = "margin account, whose orders skip its risk checks; each bar becomes up to 4 trades"

CASH = 1_000_000
VENUE = Venue("SIM")


class _EmaCross(Strategy):  # type: ignore[misc]
    def __init__(self, instrument: CurrencyPair, bar_type: BarType) -> None:
        super().__init__(StrategyConfig(strategy_id="EMA-000"))
        self.instrument = instrument
        self.bar_type = bar_type
        self.fast = self.slow = self.last = self.held = 0.0
        self.seen = 0
        self.filled = 0

    def on_start(self) -> None:
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        close = self.last = bar.close.as_double()
        if self.seen == 0:
            self.fast = self.slow = close
        self.fast += 2 / (FAST_PERIOD + 1) * (close - self.fast)
        self.slow += 2 / (SLOW_PERIOD + 1) * (close - self.slow)
        self.seen += 1
        if self.seen <= WARM_UP_BARS or self.fast == self.slow:
            return
        wanted = SIZE if self.fast > self.slow else -SIZE
        if wanted != self.held:
            side = OrderSide.BUY if wanted > 0 else OrderSide.SELL
            quantity = self.instrument.make_qty(abs(wanted - self.held))
            self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))
            self.held = wanted

    def on_order_filled(self, event: Any) -> None:
        self.filled += 1


def _instrument() -> CurrencyPair:
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol("BTCUSDT"), VENUE),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=2,
        size_precision=3,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.001"),
        lot_size=None,
        max_quantity=None,
        min_quantity=None,
        max_notional=None,
        min_notional=None,
        max_price=None,
        min_price=None,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.05"),
        maker_fee=Decimal(str(FEE_RATE)),
        taker_fee=Decimal(str(FEE_RATE)),
        ts_event=0,
        ts_init=0,
    )


def prepare(bars: Any) -> Callable[[], Outcome]:
    """An engine with its venue, the bars as its objects, and the strategy."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USDT,
        starting_balances=[Money(CASH, USDT)],
    )
    instrument = _instrument()
    engine.add_instrument(instrument)
    bar_type = BarType.from_str("BTCUSDT.SIM-1-MINUTE-LAST-EXTERNAL")
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: bars[name] for name in names})
    frame.index = pd.to_datetime(bars["ts_event_ns"], utc=True)
    engine.add_data(BarDataWrangler(bar_type, instrument).process(frame))
    strategy = _EmaCross(instrument, bar_type)
    engine.add_strategy(strategy)

    def run() -> Outcome:
        engine.run()
        account = engine.portfolio.account(VENUE)
        open_result = engine.portfolio.unrealized_pnl(instrument.id, Price(strategy.last, 2))
        pnl = account.balance_total(USDT).as_double() - CASH
        return Outcome(strategy.filled, pnl + (open_result.as_double() if open_result else 0.0))

    return run
