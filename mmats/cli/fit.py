"""`mmats fit`: what a small account can trade, before it trades; and the warnings of the checks."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table
from rich.text import Text

from mmats.cli.console import err, out
from mmats.config import Config, builtin_instruments, load_config
from mmats.config.decode import closest
from mmats.config.marks import Mark, Marks, Price, reference_marks
from mmats.config.schema import AccountTable, Costs, CostsRootTable, StrategyTable
from mmats.config.table import merge_costs
from mmats.config.units import PPM, Money, Percent, plain
from mmats.model.errors import ConfigError
from mmats.model.instrument import Instrument
from mmats.risk.fit import (
    COST_SHARE,
    RISK,
    STOP,
    TARGET,
    Fit,
    Plan,
    Trade,
    fit,
    money_text,
    share_text,
)

_COLUMNS = (
    "instrument", "price", "lot", "minimum", "smallest", "share", "trade", "margin", "dust", "cost",
    "cost %", "win rate", "a month",
)  # fmt: skip
_RATE_STEP = Decimal("1e-8")  # of rates that are printed; the arithmetic keeps all digits


@click.command("fit")
@click.option("--capital", help='Such as "150 EUR"; by default the balances of --config.')
@click.option("--config", "file", type=click.Path(path_type=Path), help="Its symbols and costs.")
@click.option("--symbol", "symbols", multiple=True, help="Only this one; may be repeated.")
@click.option("--stop", default=str(STOP), show_default=True, help="Distance of the stop.")
@click.option("--target", default=str(TARGET), show_default=True, help="Distance of the target.")
@click.option("--risk", default=str(RISK), show_default=True, help="Of the capital, a trade.")
@click.option(
    "--cost-share",
    default=str(COST_SHARE),
    show_default=True,
    help="Of the capital that a month's costs may take.",
)
@click.option("--rate", "rates", multiple=True, help="PAIR=PRICE, such as EURUSD=1.08; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def fit_command(
    capital: str | None,
    file: Path | None,
    symbols: tuple[str, ...],
    stop: str,
    target: str,
    risk: str,
    cost_share: str,
    rates: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell what a capital can trade, symbol by symbol, and what it costs.

    Without --config all built-in instruments are judged. A price comes from --rate, else from the
    last stored data of the configuration, else from a dated reference; without one a symbol is not
    judged. Every figure is explained in docs/fit.md.
    """
    config = load_config(file) if file is not None else None
    table = _instruments(config)
    marks = _marks(config, [_rate(text, table) for text in rates])
    account = AccountTable() if config is None else config.account
    plan = Plan(
        capital=_capital(capital, config, marks, account.currency),
        stop=_percent("--stop", stop, PPM - 1),
        target=_percent("--target", target),
        risk=_percent("--risk", risk, PPM),
        cost_share=_percent("--cost-share", cost_share),
        conversion_cost=account.conversion_cost,
    )
    costs = _costs(config, table)
    rows = [judge(i, costs[i.venue], marks, plan) for i in _selected(table, symbols)]
    if as_json:
        click.echo(orjson.dumps(_facts(rows, plan), option=orjson.OPT_INDENT_2))
        return
    _print(rows, plan)


def judge(instrument: Instrument, costs: Costs, marks: Marks, plan: Plan) -> Fit:
    """Judge one instrument with the prices that are known."""
    i = instrument
    price = marks.of(i.id, i.symbol, i.base, i.quote)
    return fit(i, costs, price, marks.find(i.quote, plan.capital.currency), plan)


def print_warnings(config: Config) -> None:
    """Warn on stderr, a line each, of strategies' symbols that the account is too small for."""
    for line in unusable(config):
        err().print(f"warning: {line}", markup=False)


def unusable(config: Config) -> list[str]:
    """Say which symbols of which strategies the account's balances can't trade, and why.

    The stop and target of a strategy are not known before it runs; the defaults of `mmats fit`
    stand for them, and the line says so.
    """
    marks = _marks(config, [])
    try:
        capital = _capital(None, config, marks, config.account.currency)
    except ConfigError:
        return []  # nothing to compare with: a balance without a price is not judged
    lines = []
    for strategy in config.strategies:
        plan = Plan(capital, risk=_risk(strategy), conversion_cost=config.account.conversion_cost)
        for symbol in strategy.symbols:
            instrument = config.instrument(symbol)
            row = judge(instrument, config.costs_of(instrument.venue), marks, plan)
            if row.verdict == "unusable" and row.price is not None:
                price = plain(row.price_used or Decimal(0))
                dated = f" of {row.price.as_of}" if row.price.as_of else ""
                lines.append(
                    f"{strategy.name} can't trade {instrument.id} with {capital}: {row.problem} "
                    f"(stop {plan.stop}, target {plan.target}, price {price}"
                    f"{dated}; see mmats fit)"
                )
    return lines


def _risk(strategy: StrategyTable) -> Percent | None:
    """What a trade risks; None where the signal says its size itself."""
    return None if strategy.sizing == "signal" else strategy.risk_per_trade


# -- what was asked for ----------------------------------------------------------------------------


def _instruments(config: Config | None) -> dict[str, Instrument]:
    if config is None:
        return builtin_instruments()
    return {instrument.id: instrument for instrument in config.resolve_instruments()}


def _costs(config: Config | None, table: Mapping[str, Instrument]) -> dict[str, Costs]:
    if config is not None:
        return config.resolved_costs
    return merge_costs(CostsRootTable(), sorted({i.venue for i in table.values()}))


def _selected(table: Mapping[str, Instrument], symbols: Iterable[str]) -> list[Instrument]:
    chosen = []
    for symbol in symbols:
        found = [i for i in table.values() if symbol in (i.id, i.symbol)]
        if not found:
            names = [*table, *{i.symbol for i in table.values()}]
            raise ConfigError(f"unknown symbol {symbol}", "--symbol", closest(symbol, names))
        chosen += [instrument for instrument in found if instrument not in chosen]
    return chosen or list(table.values())


def _marks(config: Config | None, given: list[Mark]) -> Marks:
    if config is None:
        return Marks([given, reference_marks()], AccountTable().pegs)
    # Imported here: numpy and pandas cost the other verbs a second.
    from mmats.engine.stored_marks import stored_marks

    return Marks([given, stored_marks(config), reference_marks()], config.account.pegs)


def _rate(text: str, table: Mapping[str, Instrument]) -> Mark:
    """A mark from `EURUSD=1.08`, `BTCUSDT.BINANCE=90000` or `SOL/EUR=140`."""
    example = "--rate EURUSD=1.08, or --rate SOL/EUR=140"
    name, sign, number = text.partition("=")
    if not sign or not re.fullmatch(r"\d+(\.\d+)?", number) or Decimal(number) == 0:
        raise ConfigError(f"expected PAIR=PRICE, found {text!r}", "--rate", example)
    known = [i for i in builtin_instruments().values() if name in (i.id, i.symbol)]
    known += [i for i in table.values() if name in (i.id, i.symbol)]
    if known:
        base, quote = known[-1].base, known[-1].quote
    elif match := re.fullmatch(r"([A-Z]{3})([A-Z]{3})|([A-Z0-9]{2,10})/([A-Z0-9]{2,10})", name):
        base, quote = match[1] or match[3], match[2] or match[4]
    else:
        raise ConfigError(f"{name!r} is no pair", "--rate", example)
    return Mark(name.replace("/", ""), base, quote, Decimal(number), "", "given")


def _percent(option: str, text: str, ppm_max: int | None = None) -> Percent:
    try:
        share = Percent.parse(text)
    except ValueError as error:
        raise ConfigError(str(error), option) from None
    if share.ppm == 0 or (ppm_max is not None and share.ppm > ppm_max):
        most = f" and at most {Percent(ppm_max)}" if ppm_max is not None else ""
        raise ConfigError(f"is {share}", option, f"it must be above 0%{most}")
    return share


def _capital(text: str | None, config: Config | None, marks: Marks, currency: str) -> Money:
    """The capital that was given, else all balances in account currency, rounded down."""
    if text is not None:
        try:
            money = Money.parse(text if " " in text.strip() else f"{text} {currency}")
        except ValueError as error:
            raise ConfigError(str(error), "--capital") from None
    elif config is not None:
        total = 0
        for balance in config.account.balances:
            rate = marks.find(balance.currency, currency)
            if rate is None:
                hint = f"give --rate {currency}{balance.currency}=PRICE, or --capital"
                raise ConfigError(f"{balance} has no rate to {currency}", "account.balances", hint)
            total += int(balance.units * rate.value)
        money = Money(Decimal(total) / 10**8, currency)
    else:
        raise ConfigError("is missing", "--capital", '--capital "150 EUR", or --config FILE')
    if money.amount == 0:
        raise ConfigError("is nothing", "--capital")
    return money


# -- what is printed ------------------------------------------------------------------------------


def _print(rows: list[Fit], plan: Plan) -> None:
    currency = plan.capital.currency
    console = out()
    console.print(
        f"capital {plan.capital}, stop {plan.stop}, target {plan.target}, "
        f"{plan.risk} risk a trade; amounts are in {currency} and rounded up"
    )
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if table.columns else "left")
    for row in rows:
        if row.verdict != "unknown":
            style = "" if row.verdict == "usable" else "dim"
            table.add_row(row.instrument.id, *_cells(row, currency), style=style)
    # A figure that is cut is worse than a long line.
    wide = console.options.update(width=10_000)
    console.width = max(console.width, console.measure(table, options=wide).maximum)
    console.print(table)
    for row in rows:
        if row.verdict == "unusable":
            console.print(Text(f"unusable: {row.instrument.id}: {row.problem}"))
    unknown = [row for row in rows if row.verdict == "unknown"]
    for problem in dict.fromkeys(row.problem for row in unknown):
        names = ", ".join(row.instrument.id for row in unknown if row.problem == problem)
        console.print(Text(f"not judged, {problem} (give --rate): {names}"))
    for line in _price_lines(rows):
        console.print(Text(line, style="dim"))


def _cells(row: Fit, currency: str) -> list[str]:
    def money(amount: Decimal | None) -> str:
        return "" if amount is None else money_text(amount, currency).removesuffix(f" {currency}")

    cells = [plain(row.price_used or Decimal(0)), money(row.lot_value), money(row.notional_min)]
    if row.smallest is None or row.trade is None or row.smallest_ppm is None:
        return cells
    trades = "no limit" if row.trades_per_month is None else str(row.trades_per_month)
    win_rate = row.win_rate_ppm or 0
    return [
        *cells,
        money(row.smallest.value),
        share_text(row.smallest_ppm),
        money(row.trade.value),
        money(row.trade.margin),
        money(row.trade.dust_value),
        money(row.trade.cost) if row.trade.cost > 0 else "0",
        share_text(row.trade.cost_ppm),
        share_text(win_rate) if win_rate <= PPM else "impossible",
        trades,
    ]


def _price_lines(rows: list[Fit]) -> list[str]:
    """Where the prices and rates come from, each mark once."""
    marks = dict.fromkeys(
        mark
        for row in rows
        for price in (row.price, row.rate)
        if price is not None
        for mark in price.marks
    )
    return [
        f"price {mark.id} {plain(mark.price)}: {mark.source}{mark.as_of and f', {mark.as_of}'}"
        for mark in marks
    ]


def _facts(rows: list[Fit], plan: Plan) -> dict[str, Any]:
    return {
        "schema": "mmats.fit/1",
        "capital": plain(plan.capital.amount),
        "currency": plan.capital.currency,
        "stop_ppm": plan.stop.ppm,
        "target_ppm": plan.target.ppm,
        "risk_ppm": None if plan.risk is None else plan.risk.ppm,
        "cost_share_ppm": plan.cost_share.ppm,
        "symbols": [_row_facts(row) for row in rows],
    }


def _row_facts(row: Fit) -> dict[str, Any]:
    return {
        "instrument": row.instrument.id,
        "verdict": row.verdict,
        "problem": row.problem,
        "price": _price_facts(row.price),
        "price_used": _decimal(row.price_used),
        "rate": _price_facts(row.rate),
        "lot_value": _decimal(row.lot_value),
        "notional_min": _decimal(row.notional_min),
        "smallest": _trade_facts(row.smallest),
        "smallest_ppm": row.smallest_ppm,
        "trade": _trade_facts(row.trade),
        "win_rate_ppm": row.win_rate_ppm,
        "trades_per_month": row.trades_per_month,
    }


def _price_facts(price: Price | None) -> dict[str, str] | None:
    if price is None:
        return None
    value = (Decimal(price.value.numerator) / price.value.denominator).quantize(_RATE_STEP)
    return {"value": plain(value), "as_of": price.as_of, "source": price.source}


def _trade_facts(trade: Trade | None) -> dict[str, Any] | None:
    if trade is None:
        return None
    return {
        name: _decimal(value) if isinstance(value, Decimal) else value
        for name in Trade.__slots__
        for value in (getattr(trade, name),)
    }


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
