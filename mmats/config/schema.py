"""The tables of a configuration file: every key, its type and its default.

TOML has no null: `"none"` stands for "no limit" or "not set" wherever a type allows None.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mmats.config.units import (
    Duration,
    Instant,
    Limit,
    Money,
    Percent,
    QuoteAmount,
    Rate,
    SignedPercent,
    Slippage,
    Speed,
    Spread,
    YearlyRate,
)
from mmats.model.instrument import Instrument

MINUTE_NS = 60 * 10**9


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables: immutable, strict, by keyword."""


class AccountTable(Table, frozen=True):
    """`[account]`: one account in one reporting currency."""

    currency: str = "EUR"
    balances: tuple[Money, ...] = (Money(Decimal(150), "EUR"),)
    auto_convert: bool = True  # buy a missing quote currency from the account currency
    conversion_cost: Percent = Percent(1_000)
    pegs: dict[str, str] = msgspec.field(default_factory=lambda: {"USDT": "USD"})  # worth 1 of


class InstrumentTable(Table, frozen=True):
    """`[[instruments]]`: a new instrument, or changes to one of the built-in table.

    Decimals are written as text. A key that is left out keeps the built-in value; a new
    instrument must give market, base, quote, tick_size and lot_size.
    """

    symbol: str
    venue: str
    market: str | UnsetType = UNSET
    base: str | UnsetType = UNSET
    quote: str | UnsetType = UNSET
    tick_size: Decimal | UnsetType = UNSET
    lot_size: Decimal | UnsetType = UNSET
    quantity_min: Decimal | UnsetType = UNSET
    quantity_max: Decimal | UnsetType = UNSET
    notional_min: Decimal | UnsetType = UNSET  # quote currency
    settlement: Literal["spot", "margin"] | UnsetType = UNSET
    price_basis: Literal["trade", "bid", "mid"] | UnsetType = UNSET
    leverage: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    multiplier: Decimal | UnsetType = UNSET
    stale_after: Duration | UnsetType = UNSET
    source: str | UnsetType = UNSET  # where the values come from, with date


class FeedTable(Table, frozen=True):
    """`[[feeds]]`: where the market data of one instrument comes from."""

    symbol: str
    source: Literal["catalog", "synthetic", "memory", "tail"] = "catalog"
    path: str = "catalog"  # catalog: folder; tail: file; relative to the configuration file
    kind: Literal["bar", "quote", "trade", "delta"] = "bar"
    interval: Duration = Duration(MINUTE_NS)  # of bars
    stamp: Literal["open", "close"] = "open"  # memory: which end of the bar its time is
    days: Annotated[int, Meta(ge=1, le=3660)] = 30  # synthetic: length
    start: Instant = Instant(1_704_067_200 * 10**9)  # synthetic: first moment, 2024-01-01
    live: bool = False  # synthetic, in a running engine: made from now on, in real time


class VenueTable(Table, frozen=True):
    """`[venues.NAME]`: how a venue works."""

    day_end: Duration = Duration(0)  # after midnight UTC: DAY orders end, swap is charged


class StrategyTable(Table, frozen=True):
    """`[[strategies]]`: one instance of a strategy."""

    name: str
    source: str  # module:Class, file.py or file.py:Class; files relative to the configuration
    symbols: tuple[str, ...]
    timeframe: Duration = Duration(MINUTE_NS)
    indicators: tuple[str, ...] = ()
    sizing: Literal["signal", "fixed_fractional", "kelly"] = "signal"
    risk_per_trade: Percent = Percent(10_000)  # fixed_fractional: lost if the stop is hit
    kelly_fraction: Percent = Percent(250_000)  # kelly: share of the full Kelly bet
    kelly_cap: Percent = Percent(20_000)  # kelly: most that a trade may risk
    enabled: bool = True
    mode: Literal["advisory", "paper", "operator"] = "operator"  # never riskier than the engine's
    budget: Duration = Duration(250_000_000)  # a call that takes longer disables the strategy
    on_error: Literal["disable", "stop"] = "disable"
    params: dict[str, Any] = {}  # handed to the strategy's initialize


class MarketRiskTable(Table, frozen=True):
    """`[risk.markets.NAME]`: limits of one market (crypto, forex)."""

    exposure_max: Limit | None = None
    position_notional_max: Money | None = None
    order_notional_max: Money | None = None


class StrategyRiskTable(Table, frozen=True):
    """`[risk.strategies.NAME]`: limits of one strategy."""

    exposure_max: Limit | None = None
    daily_loss_max: Limit | None = None
    drawdown_max: Limit | None = None
    position_notional_max: Money | None = None
    order_notional_max: Money | None = None
    open_orders_max: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class SymbolRiskTable(Table, frozen=True):
    """`[risk.symbols.SYMBOL]`: limits of one instrument, quantities in its base asset."""

    order_quantity_max: Decimal | None = None
    position_quantity_max: Decimal | None = None
    order_notional_max: Money | None = None
    position_notional_max: Money | None = None


class RiskTable(Table, frozen=True):
    """`[risk]`: global limits. The defaults are safe for a small account; `"none"` lifts one."""

    trading_state: Literal["active", "reducing", "halted"] = "active"
    daily_loss_max: Limit | None = Limit(50_000, None)
    drawdown_max: Limit | None = Limit(200_000, None)
    gross_exposure_max: Limit | None = Limit(2_000_000, None)
    order_notional_max: Money | None = None
    order_notional_min: Money | None = None
    position_notional_max: Money | None = None
    price_collar: Percent | None = Percent(50_000)  # limit price against the mark
    message_rate_max: Rate | None = Rate(10, 10**9)
    open_orders_max: Annotated[int, Meta(ge=1, le=10_000)] | None = 50
    stop_loss_required: bool = False
    markets: dict[str, MarketRiskTable] = {}
    strategies: dict[str, StrategyRiskTable] = {}
    symbols: dict[str, SymbolRiskTable] = {}


class CostsTable(Table, frozen=True):
    """What trading costs; a key that is left out comes from the next table (see `costs_of`)."""

    maker: SignedPercent | UnsetType = UNSET  # of notional
    taker: SignedPercent | UnsetType = UNSET
    fixed: QuoteAmount | UnsetType = UNSET  # per fill
    per_unit: QuoteAmount | UnsetType = UNSET  # per unit of the base asset
    minimum: QuoteAmount | UnsetType = UNSET  # per fill
    fee_asset: str | UnsetType = UNSET  # quote, base, received, account or an asset such as BNB
    spread: Spread | UnsetType = UNSET  # where the data has none
    slippage: Slippage | UnsetType = UNSET
    volume_share: Percent | UnsetType | None = UNSET  # of a bar's volume an order may take
    swap_long: YearlyRate | UnsetType = UNSET
    swap_short: YearlyRate | UnsetType = UNSET
    source: str | UnsetType = UNSET  # where the values come from, with date


class CostsRootTable(CostsTable, frozen=True):
    """`[costs]` and, by venue, `[costs.venues.NAME]`."""

    venues: dict[str, CostsTable] = {}


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of one venue with every gap filled; what the simulated venue charges."""

    maker: SignedPercent
    taker: SignedPercent
    fixed: QuoteAmount
    per_unit: QuoteAmount
    minimum: QuoteAmount
    fee_asset: str
    spread: Spread
    slippage: Slippage
    volume_share: Percent | None  # None = unlimited
    swap_long: YearlyRate
    swap_short: YearlyRate
    source: str


class FillTable(Table, frozen=True):
    """`[fill]`: how the simulated venue fills."""

    market: Literal["next_open", "close"] = "next_open"
    path: Literal["worst", "nearest", "high_first", "low_first"] = "worst"
    queue: bool = True  # limit orders wait behind the displayed size (order book data)
    order_latency: Duration = Duration(0)
    order_jitter: Duration = Duration(0)  # uniform, on top
    feed_latency: Duration = Duration(0)
    feed_jitter: Duration = Duration(0)


class BacktestTable(Table, frozen=True):
    """`[backtest]`: what to replay."""

    start: Instant | None = None  # None: where the data starts
    end: Instant | None = None  # exclusive
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    equity_interval: Duration = Duration(MINUTE_NS)


class EngineTable(Table, frozen=True):
    """`[engine]`: a running engine, `mmats up`."""

    mode: Literal["advisory", "paper", "operator"] = "paper"
    venue: str = ""  # operator: name of the venue process that takes the orders
    record: bool = False  # keep every input for `mmats replay`
    speed: Speed = Speed(1_000_000)  # of feeds that replay stored data: "1x", "60x" or "max"
    cancel_on_stop: Literal["none", "entries", "all"] = "entries"
    feed_timeout: Duration = Duration(2 * 10**9)  # silence after which a feed counts as lost
    price_jump_max: Percent = Percent(200_000)  # from one event to the next; more is held back
    feed_ahead_max: Duration = Duration(35 * 86_400 * 10**9)  # longest jump of a feed's time
    reply_timeout: Duration = Duration(5 * 10**9)  # operator: then an order counts as unknown
    query_wait: Duration = Duration(2 * 10**9)  # until it is asked for again, doubling
    query_wait_max: Duration = Duration(30 * 10**9)
    not_found_min: Annotated[int, Meta(ge=1, le=1000)] = 3  # answers until it never arrived
    not_found_after: Duration = Duration(30 * 10**9)  # from the first of them to the last


class JournalTable(Table, frozen=True):
    """`[journal]`: the record of everything that the engine decides and learns."""

    seal_every: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000  # entries
    seal_interval: Duration = Duration(60 * 10**9)
    size_max: Annotated[int, Meta(ge=2**20, le=2**40)] = 2**33  # bytes


class WatchdogTable(Table, frozen=True):
    """`[watchdog]`: what happens when the engine's heartbeat is lost."""

    timeout: Duration = Duration(2 * 10**9)
    flatten: bool = False  # close positions through the venue, not only cancel orders
    alarm_command: tuple[str, ...] = ()  # program and arguments; run without a shell


class LogsTable(Table, frozen=True):
    """`[logs]`: JSON lines in the profile's logs folder."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    size_max: Annotated[int, Meta(ge=10_000, le=2**33)] = 10_000_000  # bytes a file
    files: Annotated[int, Meta(ge=1, le=1000)] = 5


class ControlTable(Table, frozen=True):
    """`[control]`: who can reach the engine besides this user on this machine."""

    tcp_host: str = ""  # empty: unix sockets only; tcp always uses CURVE
    tcp_port: Annotated[int, Meta(ge=1024, le=65_533)] = 18_750  # commands; the next two publish
    prometheus_port: Annotated[int, Meta(ge=1024, le=65_535)] | None = None  # on 127.0.0.1


class ConfigFile(Table, frozen=True, kw_only=True):
    """Everything that a configuration file may hold."""

    profile: Literal["dev", "paper", "live"] = "dev"
    name: str = ""
    account: AccountTable = AccountTable()
    venues: dict[str, VenueTable] = {}
    instruments: tuple[InstrumentTable, ...] = ()
    feeds: tuple[FeedTable, ...]
    strategies: tuple[StrategyTable, ...]
    risk: RiskTable = RiskTable()
    costs: CostsRootTable = CostsRootTable()
    fill: FillTable = FillTable()
    backtest: BacktestTable = BacktestTable()
    engine: EngineTable = EngineTable()
    journal: JournalTable = JournalTable()
    control: ControlTable = ControlTable()
    watchdog: WatchdogTable = WatchdogTable()
    logs: LogsTable = LogsTable()


class Step(msgspec.Struct, frozen=True):
    """One step of a conversion: multiply or divide by an instrument's mark, or by one (a peg)."""

    instrument: str  # id of the instrument; empty for a peg
    divide: bool


class Config(ConfigFile, frozen=True, kw_only=True):
    """A configuration that has been checked as a whole; made by `load_config` only."""

    base_dir: Path  # relative paths start here
    config_hash: str  # sha256 (hex) of every effective value, instruments and costs included
    resolved_instruments: tuple[Instrument, ...]  # those with a feed, in order of first mention
    resolved_costs: dict[str, Costs]  # by venue
    conversions: dict[str, tuple[Step, ...]]  # currency -> way to the account currency

    def resolve_instruments(self) -> list[Instrument]:
        """Instruments of this run, in order of first mention in `[[feeds]]`."""
        return list(self.resolved_instruments)

    def instrument(self, symbol: str) -> Instrument:
        """Return the instrument that `BTCUSDT` or `BTCUSDT.BINANCE` names in this run.

        Raises
        ------
        KeyError
            No feed has it, or the short form fits several.
        """
        found = [i for i in self.resolved_instruments if symbol in (i.id, i.symbol)]
        if len(found) != 1:
            raise KeyError(symbol)
        return found[0]

    def costs_of(self, venue: str) -> Costs:
        """Effective costs at a venue: file venue > file [costs] > built-in venue > built-in."""
        return self.resolved_costs[venue]

    def feed_path(self, feed: FeedTable) -> Path:
        """Catalog folder of a feed as an absolute path."""
        return (self.base_dir / feed.path).resolve()
