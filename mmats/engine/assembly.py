"""From a checked configuration to a wired pipeline: the same in every mode.

Only the ports differ between modes: which venue takes the orders and which journal keeps the
records is the caller's choice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mmats._core import (
    BarBuilder,
    EventKind,
    IndicatorError,
    Ledger,
    MemoryJournal,
    Pipeline,
    RateKind,
    RiskGate,
)
from mmats._core import Settlement as CoreSettlement
from mmats.config import Config
from mmats.config.schema import FeedTable, StrategyTable
from mmats.model.errors import ConfigError, StrategyError
from mmats.model.instrument import Instrument, PriceBasis, Settlement
from mmats.ports.strategy import IStrategy
from mmats.risk.limits import set_limits
from mmats.risk.sizing import sizing_of

PPM = 1_000_000
BAR_FLAGS = {PriceBasis.TRADE: 0, PriceBasis.BID: 1, PriceBasis.MID: 2}

VenueFactory = Callable[["Catalogue", Ledger, int], Any]


@dataclass(frozen=True)
class Catalogue:
    """Dense indices of everything a run knows by name; the core works with the indices."""

    instruments: tuple[Instrument, ...]
    currencies: tuple[str, ...]
    markets: tuple[str, ...]
    intervals_ns: tuple[int, ...]
    """Interval of each instrument's own bars; 0 = the feed has no bars."""

    @classmethod
    def of(cls, config: Config) -> "Catalogue":
        """Collect the names of a configuration in the order in which it mentions them."""
        instruments = config.resolved_instruments
        currencies = [config.account.currency]
        currencies += [money.currency for money in config.account.balances]
        for instrument in instruments:
            currencies += [instrument.quote, instrument.base]
        for pegged, anchor in config.account.pegs.items():
            currencies += [pegged, anchor]
        currencies += [
            cost.fee_asset for cost in config.resolved_costs.values() if cost.fee_asset.isupper()
        ]
        intervals = {
            config.instrument(feed.symbol).id: feed.interval.ns
            for feed in config.feeds
            if feed.kind == "bar"
        }
        return cls(
            instruments,
            tuple(dict.fromkeys(currencies)),
            tuple(dict.fromkeys(instrument.market for instrument in instruments)),
            tuple(intervals.get(instrument.id, 0) for instrument in instruments),
        )

    def index(self, instrument: Instrument) -> int:
        """Return the dense index of an instrument."""
        return self.instruments.index(instrument)

    def currency(self, name: str) -> int:
        """Return the dense index of a currency."""
        return self.currencies.index(name)

    def names(self, instrument: Instrument) -> tuple[str, ...]:
        """Return what strategies may call an instrument; the first is what they are told."""
        same = [other for other in self.instruments if other.symbol == instrument.symbol]
        return (instrument.symbol, instrument.id) if len(same) == 1 else (instrument.id,)

    def terms(self, index: int) -> dict[str, int]:
        """Return one instrument in the core's units, by field of `instrument_t`."""
        instrument = self.instruments[index]
        money_num, money_den = instrument.money_per_ticklot
        is_spot = instrument.settlement is Settlement.SPOT
        return {
            "index": index,
            "market": self.markets.index(instrument.market),
            "base_currency": self.currency(instrument.base),
            "quote_currency": self.currency(instrument.quote),
            "settlement": int(
                CoreSettlement.SETTLE_SPOT if is_spot else CoreSettlement.SETTLE_MARGIN
            ),
            "bar_flags": BAR_FLAGS[instrument.price_basis],
            "money_num": money_num,
            "money_den": money_den,
            "lot_units": instrument.lot_units,
            "quantity_min_lots": max(1, int(-(-instrument.quantity_min // instrument.lot_size))),
            "quantity_max_lots": int(instrument.quantity_max // instrument.lot_size),
            "notional_min": int(instrument.notional_min * 10**8),
            "margin_ppm": 0 if is_spot else -(-PPM // instrument.leverage),
            "bar_interval_ns": self.intervals_ns[index],
            "stale_after_ns": instrument.stale_after_ns,
        }


@dataclass(frozen=True)
class Assembly:
    """A wired pipeline with everything that is needed to run it and to read its result."""

    catalogue: Catalogue
    ledger: Ledger
    gate: RiskGate
    venue: Any
    journal: Any
    pipeline: Pipeline


def assemble(
    config: Config,
    strategies: Sequence[tuple[StrategyTable, IStrategy]],
    make_venue: VenueFactory,
    journal: Any = None,
) -> Assembly:
    """Build ledger, gate, venue and pipeline, and let the strategies initialize.

    Raises
    ------
    StrategyError
        A strategy raises in `initialize`, or asks for an indicator that does not exist.
    ConfigError
        A limit is not in the account currency.
    """
    catalogue = Catalogue.of(config)
    journal = journal if journal is not None else MemoryJournal()
    ledger = _ledger(config, catalogue, len(strategies))
    gate = RiskGate(ledger, len(catalogue.markets))
    set_limits(gate, config, catalogue.markets, [table.name for table, _ in strategies])
    venue = make_venue(catalogue, ledger, len(strategies))
    scales = [
        (*instrument.tick_size.as_integer_ratio(), *instrument.lot_size.as_integer_ratio())
        for instrument in catalogue.instruments
    ]
    names = [catalogue.names(instrument) for instrument in catalogue.instruments]
    pipeline = Pipeline(
        ledger, gate, venue, journal, names, scales, config.backtest.equity_interval.ns
    )
    _add_strategies(pipeline, config, catalogue, strategies)
    return Assembly(catalogue, ledger, gate, venue, journal, pipeline)


def _ledger(config: Config, catalogue: Catalogue, strategy_count: int) -> Ledger:
    account = config.account
    ledger = Ledger(
        len(catalogue.currencies),
        len(catalogue.instruments),
        strategy_count,
        catalogue.currency(account.currency),
    )
    for index in range(len(catalogue.instruments)):
        ledger.declare_instrument(**catalogue.terms(index))
    ids = [instrument.id for instrument in catalogue.instruments]
    for currency, steps in config.conversions.items():
        if not steps or currency not in catalogue.currencies:
            continue
        step = steps[0]
        if step.instrument:
            kind = RateKind.RATE_QUOTE if step.divide else RateKind.RATE_BASE
            ledger.set_rate(catalogue.currency(currency), kind, ids.index(step.instrument))
        else:
            anchor = account.pegs.get(currency) or next(
                pegged for pegged, to in account.pegs.items() if to == currency
            )
            ledger.set_rate(
                catalogue.currency(currency), RateKind.RATE_PEG, catalogue.currency(anchor)
            )
    ledger.auto_convert = account.auto_convert
    ledger.conversion_cost_ppm = account.conversion_cost.ppm
    for money in account.balances:
        ledger.deposit(catalogue.currency(money.currency), money.units)
    return ledger


# -- strategies ----------------------------------------------------------------------------------


def _add_strategies(
    pipeline: Pipeline,
    config: Config,
    catalogue: Catalogue,
    strategies: Sequence[tuple[StrategyTable, IStrategy]],
) -> None:
    """Register strategies; those on the same symbol and timeframe share bars and indicators."""
    wanted: dict[tuple[int, int], list[str]] = {}
    listeners: dict[tuple[int, int], list[int]] = {}
    for table, strategy in strategies:
        stop_on_error = table.on_error == "stop"
        number = pipeline.add_strategy(table.name, strategy, stop_on_error)
        initialize(table, strategy)
        specs = [*table.indicators, *getattr(strategy, "indicators", ())]
        pipeline.orders.set_sizing(number, **sizing_of(table))
        for symbol in table.symbols:
            instrument = catalogue.index(config.instrument(symbol))
            kinds = _kinds(config, catalogue.instruments[instrument])
            hears_book = getattr(strategy, "hears_book", hasattr(strategy, "on_order_book"))
            if hears_book and "delta" in kinds:
                pipeline.subscribe_book(number, instrument)
            key = (instrument, table.timeframe.ns)
            wanted.setdefault(key, []).extend(specs)
            listeners.setdefault(key, []).append(number)
    for feed in config.feeds:
        if feed.kind == "delta":
            pipeline.add_book(catalogue.index(config.instrument(feed.symbol)))
    for (instrument, interval_ns), specs in wanted.items():
        is_own = interval_ns == catalogue.intervals_ns[instrument]
        kind, basis = _bar_source(config, catalogue.instruments[instrument])
        builder = None if is_own else BarBuilder(interval_ns, basis)
        try:
            series = pipeline.add_series(
                instrument, 0 if is_own else interval_ns, specs, builder, kind
            )
        except IndicatorError as error:
            raise ConfigError(
                str(error), f"indicators of {catalogue.instruments[instrument].id}"
            ) from error
        for number in listeners[(instrument, interval_ns)]:
            pipeline.subscribe(number, instrument, series)


def _kinds(config: Config, instrument: Instrument) -> set[str]:
    """Return the kinds of data that the feeds give of an instrument."""
    return {f.kind for f in config.feeds if config.instrument(f.symbol) is instrument}


def _bar_source(
    config: Config, instrument: Instrument
) -> tuple[EventKind, Literal["trade", "bid", "mid"]]:
    """Return what an instrument's bars are made of: its own bars, else quotes, else trades."""
    kinds = _kinds(config, instrument)
    if "bar" in kinds:
        return EventKind.EVENT_BAR, "trade"
    if "quote" in kinds:
        is_bid = instrument.price_basis is PriceBasis.BID
        return EventKind.EVENT_QUOTE, "bid" if is_bid else "mid"
    return EventKind.EVENT_TRADE, "trade"


def initialize(table: StrategyTable, strategy: IStrategy) -> None:
    """Let a strategy take its parameters; StrategyError where it raises."""
    try:
        strategy.initialize(dict(table.params))
    except (Exception, SystemExit) as error:  # the user's code: whatever it raises is told
        raise StrategyError(
            f"initialize raised {type(error).__name__}: {error}", f"strategies[{table.name}]"
        ) from error


def feeds_by_instrument(config: Config, catalogue: Catalogue) -> list[tuple[int, FeedTable]]:
    """Return (instrument index, feed) in the order of the configuration."""
    return [(catalogue.index(config.instrument(feed.symbol)), feed) for feed in config.feeds]
