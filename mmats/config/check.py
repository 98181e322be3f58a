"""Checks across tables: symbols, feeds, timeframes, limits, and a rate for every currency."""

import re
from collections.abc import Iterable
from itertools import count
from typing import Protocol

import msgspec

from mmats._core import IndicatorError, IndicatorSet
from mmats.config.decode import Problem, closest
from mmats.config.schema import MINUTE_NS, ConfigFile, Costs, FeedTable, Step, StrategyTable
from mmats.config.units import PPM, Limit, Money, Percent
from mmats.model.instrument import Instrument

_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{1,9}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
DAY_NS = 86_400 * 10**9
_FEE_ASSETS = ("quote", "base", "received", "account")


def find_instrument(
    symbol: str, known: dict[str, Instrument], where: str, problems: list[Problem], empty: str
) -> Instrument | None:
    """Return the one instrument that a short or full symbol names, else note why there is none."""
    if symbol in known:
        return known[symbol]
    found = [i for i in known.values() if i.symbol == symbol]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(i.id for i in found)
        problems.append(Problem(where, f"{symbol} is at several venues", f"write {names}"))
        return None
    names_known = [*known, *{i.symbol for i in known.values()}]
    problems.append(
        Problem(where, f"unknown symbol {symbol}", closest(symbol, names_known) or empty)
    )
    return None


def check_feeds(
    config: ConfigFile, table: dict[str, Instrument], problems: list[Problem]
) -> dict[str, Instrument]:
    """Return the instruments of the run by id, in order of first mention in `[[feeds]]`."""
    if not config.feeds:
        problems.append(Problem("feeds", "is empty", "add [[feeds]] with a symbol and a source"))
    used: dict[str, Instrument] = {}
    kinds: set[tuple[str, str]] = set()
    for feed in config.feeds:
        where = f"feeds[{feed.symbol}]"
        empty = "describe it with [[instruments]], or see `mmats config instruments`"
        instrument = find_instrument(feed.symbol, table, f"{where}.symbol", problems, empty)
        if feed.interval.ns == 0:
            problems.append(Problem(f"{where}.interval", "must be longer than zero"))
        if feed.source == "synthetic" and (feed.kind != "bar" or feed.interval.ns != MINUTE_NS):
            hint = 'leave out kind and interval, or choose source = "catalog"'
            problems.append(Problem(where, "synthetic feeds are bars of 1m", hint))
        if instrument is None:
            continue
        used[instrument.id] = instrument
        if (instrument.id, feed.kind) in kinds:
            message = f"a second feed of kind {feed.kind} for {instrument.id}"
            problems.append(Problem(where, message, "keep one of them"))
        kinds.add((instrument.id, feed.kind))
    return used


def check_strategies(
    config: ConfigFile, used: dict[str, Instrument], problems: list[Problem]
) -> None:
    """Check names, symbols, timeframes and indicators of all strategies."""
    if not config.strategies:
        hint = "add [[strategies]] with a name, a source and symbols"
        problems.append(Problem("strategies", "is empty", hint))
    names: set[str] = set()
    for strategy in config.strategies:
        where = f"strategies[{strategy.name}]"
        if strategy.name in names:
            problems.append(Problem(f"{where}.name", "is used twice", "names must be unique"))
        names.add(strategy.name)
        if not _NAME.fullmatch(strategy.name):
            hint = "use letters, digits, - and _"
            problems.append(Problem(f"{where}.name", f"{strategy.name!r} is no valid name", hint))
        if not strategy.symbols:
            problems.append(Problem(f"{where}.symbols", "is empty"))
        for symbol in strategy.symbols:
            empty = "add [[feeds]] for it"
            instrument = find_instrument(symbol, used, f"{where}.symbols", problems, empty)
            if instrument is not None:
                problems.extend(_check_timeframe(strategy, instrument, config.feeds, where))
        for indicator in strategy.indicators:
            try:
                IndicatorSet((indicator,))
            except IndicatorError as error:
                problems.append(Problem(f"{where}.indicators", str(error)))
        for name in ("risk_per_trade", "kelly_fraction", "kelly_cap"):
            problems.extend(_check_share(f"{where}.{name}", getattr(strategy, name)))


def _check_timeframe(
    strategy: StrategyTable, instrument: Instrument, feeds: Iterable[FeedTable], where: str
) -> list[Problem]:
    """A bar of the timeframe must be made of whole bars of the feed."""
    if strategy.timeframe.ns == 0:
        return [Problem(f"{where}.timeframe", "must be longer than zero")]
    for feed in feeds:
        is_bar = feed.kind == "bar" and feed.symbol in (instrument.id, instrument.symbol)
        if is_bar and feed.interval.ns > 0 and strategy.timeframe.ns % feed.interval.ns:
            message = (
                f"{strategy.timeframe} is not a multiple of the {feed.interval} bars "
                f"that feed {instrument.id}"
            )
            return [Problem(f"{where}.timeframe", message, "choose a multiple, or a finer feed")]
    return []


def check_values(config: ConfigFile, problems: list[Problem]) -> None:
    """Check what one table can't tell by its types: currencies, ranges, order of dates."""
    account = config.account
    problems.extend(
        Problem("account", f"{currency!r} is no currency", 'capital letters, such as "EUR"')
        for currency in (account.currency, *account.pegs, *account.pegs.values())
        if not _CURRENCY.fullmatch(currency)
    )
    held = [money.currency for money in account.balances]
    if not any(money.amount > 0 for money in account.balances):
        hint = 'balances = ["150 EUR"]'
        problems.append(Problem("account.balances", "holds no money", hint))
    if len(set(held)) < len(held):
        problems.append(Problem("account.balances", "names a currency twice"))
    problems.extend(_check_share("account.conversion_cost", account.conversion_cost))
    start, end = config.backtest.start, config.backtest.end
    if start is not None and end is not None and start.ns >= end.ns:
        message = f"{end} is not after backtest.start {start}"
        problems.append(Problem("backtest.end", message, "end is exclusive"))
    if config.backtest.equity_interval.ns == 0:
        problems.append(Problem("backtest.equity_interval", "must be longer than zero"))
    check_limits(config.risk, "risk", account.currency, problems)


def check_costs(costs: dict[str, Costs], problems: list[Problem]) -> None:
    """Refuse costs that can't be meant: a fee above 10 %, a spread above the price."""
    for venue, cost in costs.items():
        where = f"costs.venues.{venue}"
        problems.extend(
            Problem(f"{where}.{name}", f"{share} is more than 10%", "is it a percentage?")
            for name, share in (("maker", cost.maker), ("taker", cost.taker))
            if abs(share.ppm) > PPM // 10
        )
        if cost.spread.ppm > PPM // 10:
            problems.append(Problem(f"{where}.spread", f"{cost.spread} is more than 10%"))
        if cost.slippage.model == "ppm" and cost.slippage.value > PPM // 10:
            problems.append(Problem(f"{where}.slippage", f"{cost.slippage} is more than 10%"))
        if cost.volume_share is not None and not 0 < cost.volume_share.ppm <= PPM:
            hint = 'above "0%" and at most "100%"; "none" lifts it'
            problems.append(Problem(f"{where}.volume_share", f"is {cost.volume_share}", hint))


def _check_share(where: str, share: Percent) -> list[Problem]:
    return [Problem(where, f"{share} is more than 100%")] if share.ppm > PPM else []


def check_limits(table: msgspec.Struct, path: str, currency: str, problems: list[Problem]) -> None:
    """Money limits are in the account currency: a limit must not wait for a rate."""
    for name in table.__struct_fields__:
        value = getattr(table, name)
        where = f"{path}.{name}"
        money = value.money if isinstance(value, Limit) else value
        if isinstance(money, Money) and money.currency != currency:
            hint = f"write the limit in {currency}"
            problems.append(Problem(where, f"{money} is not in the account currency", hint))
        elif isinstance(value, dict):
            for key, item in value.items():
                check_limits(item, f"{where}.{key}", currency, problems)


def check_names(
    config: ConfigFile,
    table: dict[str, Instrument],
    used: dict[str, Instrument],
    problems: list[Problem],
) -> None:
    """Tables keyed by market, strategy, symbol or venue must name one that exists."""
    markets = {i.market for i in table.values()}
    strategies = {s.name for s in config.strategies}
    venues = {i.venue for i in table.values()}
    for path, keys, known in (
        ("risk.markets", config.risk.markets, markets),
        ("risk.strategies", config.risk.strategies, strategies),
        ("venues", config.venues, venues),
        ("costs.venues", config.costs.venues, venues),
    ):
        for key in keys:
            if key not in known:
                hint = closest(key, known) or f"known: {', '.join(sorted(known))}"
                problems.append(Problem(f"{path}.{key}", "names nothing that exists", hint))
    for name, venue in config.venues.items():
        if not 0 <= venue.day_end.ns < DAY_NS:
            hint = "a duration after midnight UTC, below 24h"
            problems.append(Problem(f"venues.{name}.day_end", "is no time of day", hint))
    for symbol in config.risk.symbols:
        empty = "only symbols with a feed can have limits"
        find_instrument(symbol, used, f"risk.symbols.{symbol}", problems, empty)


def check_conversions(
    config: ConfigFile,
    used: dict[str, Instrument],
    costs: dict[str, Costs],
    problems: list[Problem],
) -> dict[str, tuple[Step, ...]]:
    """Return the way from each currency of the run to the account currency."""
    account = config.account
    ways = find_conversions(account.currency, account.pegs, used.values())
    needed = {money.currency: "account.balances" for money in account.balances}
    for instrument in used.values():
        needed.setdefault(instrument.quote, f"feeds[{instrument.id}]")
    for venue, cost in costs.items():
        if cost.fee_asset not in _FEE_ASSETS:
            where = f"costs.venues.{venue}.fee_asset"
            if _CURRENCY.fullmatch(cost.fee_asset):
                needed.setdefault(cost.fee_asset, where)
            else:
                hint = f"one of {', '.join(_FEE_ASSETS)}, or an asset such as BNB"
                problems.append(Problem(where, f"unknown fee asset {cost.fee_asset!r}", hint))
    for currency, where in needed.items():
        if currency not in ways:
            message = f"{currency} can't be valued in {account.currency}"
            anchor = account.pegs.get(currency)
            own = account.currency
            if anchor is not None:
                hint = f"declare a feed that links them, such as {own}{anchor} or {own}{currency}"
            else:
                hint = (
                    f"declare a feed that links them, such as {own}{currency} or {currency}{own}, "
                    f'or a peg such as account.pegs = {{ {currency} = "USD" }}'
                )
            problems.append(Problem(where, message, hint))
    return ways


class Pair(Protocol):
    """What links two currencies: an instrument, or a price that is known of it."""

    @property
    def id(self) -> str: ...
    @property
    def base(self) -> str: ...
    @property
    def quote(self) -> str: ...


def find_conversions(
    account: str, pegs: dict[str, str], instruments: Iterable[Pair]
) -> dict[str, tuple[Step, ...]]:
    """Shortest way from every reachable currency to the account currency.

    Steps are applied in order: multiply an amount by the instrument's mark, or divide by it.
    Ties go to the instrument that is declared first, so the result does not depend on hashing.
    """
    links = [
        link
        for i in instruments
        for link in ((i.base, i.quote, Step(i.id, False)), (i.quote, i.base, Step(i.id, True)))
    ]
    for pegged, anchor in pegs.items():
        links += [(pegged, anchor, Step("", False)), (anchor, pegged, Step("", True))]
    ways: dict[str, tuple[Step, ...]] = {account: ()}
    for length in count():
        ends = [currency for currency, way in ways.items() if len(way) == length]
        if not ends:
            return ways
        for end in ends:
            for source, target, step in links:
                if target == end and source not in ways:
                    ways[source] = (step, *ways[end])
    raise AssertionError("count() never ends")
