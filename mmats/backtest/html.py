"""The report as one self-contained web page: style, script and data inside, nothing fetched."""

import html
import os
import tempfile
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pandas as pd
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from mmats.backtest.charts import MARKERS_MAX, charted_symbols, figures
from mmats.backtest.labels import (
    ANNUALISED,
    BREAKDOWN,
    COSTS,
    GROUPS,
    TONED,
    UNALLOCATED,
    UNDEFINED,
    Format,
    Number,
    amount,
    count,
    duration,
    moment,
    number,
    percent,
    printable,
    signed_amount,
    signed_percent,
    stress_label,
)
from mmats.backtest.metrics import SAMPLE_MIN, Metrics, monthly_returns
from mmats.backtest.page import POLICY, SCRIPT, STYLE

if TYPE_CHECKING:
    from mmats.backtest.report import Report

TRADES_MAX = 200
TINT_FULL = 0.05
"""A monthly return of this size has the strongest tint."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Cell = str | tuple[str, str]
"""Text, or text and the class of its cell. Text is escaped where it is written."""


def write_html(report: "Report", path: Path) -> Path:
    """Write the page beside `path`, then rename it into place; the file appears whole or not."""
    page = build_html(report).encode()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(page)
        # mkstemp makes files private; a report is as readable as the umask allows.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def build_html(report: "Report") -> str:
    """Return the page; the same report gives the same text."""
    result = report.result
    period = f"{moment(result.start_ns)} to {moment(result.end_ns)} UTC"
    body = "\n".join((
        _header(report, period),
        _remarks(report),
        _tiles(report),
        _section("Equity and drawdown", _chart("chart-equity")),
        _section("Monthly returns", _months(report)),
        _metrics(report),
        _two(
            _section("From gross to net", _chart("chart-costs")),
            _section("Costs", _costs(report)),
        ),
        _strategies(report),
        _breakdown(report),
        _prices(report),
        _trades(report),
        _two(_orders(report), _section("Denials by reason", _denials(report))),
        _errors(report),
        _section("Run", _run_facts(report)),
    ))  # fmt: skip
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Backtest {_esc(period)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n"
        f'<script type="application/json" id="figures">{_embedded(figures(report))}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _embedded(data: object) -> str:
    """JSON that can't end the script element it stands in."""
    text = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _esc(text: object) -> str:
    return html.escape(printable(text))


def _section(title: str, body: str, kind: str = "") -> str:
    return f'<section class="{kind}">\n<h2>{_esc(title)}</h2>\n{body}\n</section>'


def _two(left: str, right: str) -> str:
    return f'<div class="two">\n{left}\n{right}\n</div>'


def _chart(place: str) -> str:
    return f'<div class="chart" id="{place}"></div>'


def _table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]], kind: str = "") -> str:
    lines = [f'<table class="{kind}">']
    if head:
        lines.append("<thead><tr>" + "".join(_cell(cell, "th") for cell in head) + "</tr></thead>")
    lines.append("<tbody>")
    lines += ["<tr>" + "".join(_cell(cell, "td") for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</tbody>", "</table>"])


def _cell(cell: Cell, tag: str) -> str:
    text, kind = (cell, "") if isinstance(cell, str) else cell
    return f'<{tag} class="{kind}">{_esc(text)}</{tag}>' if kind else f"<{tag}>{_esc(text)}</{tag}>"


def _value(value: Number, written: Format) -> Cell:
    return written(value), f"n {_tone(value, written)}".strip()


def _tone(value: Number, written: Format) -> str:
    if not value or written not in TONED:
        return ""
    return "up" if value > 0 else "down"


def _header(report: "Report", period: str) -> str:
    result = report.result
    what = f"{', '.join(result.strategies)} on {', '.join(result.symbols)}"
    made_up = '<span class="mode made-up">SYNTHETIC DATA</span>' if result.is_synthetic else ""
    return (
        '<header><h1>Backtest report</h1><span class="mode">BACKTEST</span>'
        f"{made_up}"
        f'<span class="muted">{_esc(period)}, {_esc(what)}</span></header>'
        "<noscript><p>Charts need JavaScript; every table is here without it.</p></noscript>"
    )


def _remarks(report: "Report") -> str:
    parts = []
    for title, kind, lines in (
        ("About the data", "note", report.result.notes),
        ("Before you trust these figures", "warning", report.warnings),
    ):
        if lines:
            items = "".join(f"<li>{_esc(line)}</li>" for line in lines)
            parts.append(_section(title, f"<ul>{items}</ul>", kind))
    return "\n".join(parts)


def _tiles(report: "Report") -> str:
    found, result = report.metrics, report.result
    currency = result.account_currency
    mark = " *" if found["small_sample"] else ""
    span = f"{amount(result.initial_units / 1e8)} to {amount(result.final_units / 1e8)} {currency}"
    tiles = (
        ("Net profit", "net_profit", signed_amount, f"{currency}, after costs"),
        ("Total return", "total_return", signed_percent, span),
        ("Max drawdown", "max_drawdown", percent,
         f"longest {duration(found['max_drawdown_duration_s'])}"),
        (f"Sharpe{mark}", "sharpe", number, "daily, per year"),
        ("Closed trades", "trades", count, f"{percent(found['win_rate'])} won"),
        ("Profit factor", "profit_factor", number, "gains over losses"),
    )  # fmt: skip
    drawn = [_tile(label, found[key], written, more) for label, key, written, more in tiles]
    gross = report.cost_stress["x0"]
    share = f"{percent(report.costs['total'] / gross)} of gross" if gross > 0 else currency
    drawn.append(_tile("Costs", report.costs["total"], amount, share))
    return f'<div class="tiles">{"".join(drawn)}</div>'


def _tile(label: str, value: Number, written: Format, more: str) -> str:
    return (
        f'<div class="tile"><div class="label">{_esc(label)}</div>'
        f'<div class="value {_tone(value, written)}">{_esc(written(value))}</div>'
        f'<div class="more">{_esc(more)}</div></div>'
    )


def _months(report: "Report") -> str:
    result = report.result
    months = monthly_returns(result.equity_ts_ns, result.equity_units, result.initial_units)
    years: dict[int, dict[int, float]] = {}
    for year, month, value in months:
        years.setdefault(year, {})[month] = value
    lines = ['<table class="months"><thead><tr><th>Year</th>']
    lines += [f"<th>{name}</th>" for name in MONTHS]
    lines.append("<th>Year</th></tr></thead><tbody>")
    for year, values in years.items():
        whole = 1.0
        for value in values.values():
            whole *= 1.0 + value
        cells = [_month(values.get(month)) for month in range(1, 13)]
        lines.append(f"<tr><th>{year}</th>{''.join(cells)}{_month(whole - 1.0)}</tr>")
    note = "First and last month cover only their part of the run. UTC."
    return "".join(lines) + f'</tbody></table><p class="muted">{note}</p>'


def _month(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    color = "--up-tint" if value > 0 else "--down-tint"
    tint = round(0.45 * min(1.0, abs(value) / TINT_FULL), 3)
    sign = "+" if value > 0 else ""
    return f'<td style="background: rgba(var({color}), {tint})">{sign}{_esc(percent(value))}</td>'


def _metrics(report: "Report") -> str:
    found, small = report.metrics, report.metrics["small_sample"]
    parts = []
    for title, members in GROUPS.items():
        rows: list[str] = []
        for key, label, written, meaning in members:
            mark = " *" if small and key in ANNUALISED else ""
            value = _cell(_value(found[key], written), "td")
            rows.append(f'<tr title="{_esc(meaning)}"><td>{_esc(label)}{mark}</td>{value}</tr>')
        parts.append(f"<div><h3>{_esc(title)}</h3><table>{''.join(rows)}</table></div>")
    body = f'<div class="three">{"".join(parts)}</div>'
    if small:
        body += (
            f'<p class="muted">* annualised from fewer than {SAMPLE_MIN} trades or {SAMPLE_MIN} '
            "days: not evidence.</p>"
        )
    return _section(f"Metrics, money in {report.result.account_currency}", body)


def _costs(report: "Report") -> str:
    currency = report.result.account_currency
    costs = _table(
        ("Cost", (currency, "n")),
        [(label, _value(report.costs[key], amount)) for key, label in COSTS],
    )
    stress = _table(
        ("Net result if costs were", (currency, "n")),
        [
            (stress_label(factor), _value(value, signed_amount))
            for factor, value in report.cost_stress.items()
        ],
    )
    held = report.benchmarks["buy_and_hold"].items()
    rows: list[tuple[Cell, ...]] = [("Doing nothing", _value(0.0, signed_percent))]
    rows += [
        (f"Holding {symbol} ({gain['currency']})", _value(gain["total_return"], signed_percent))
        for symbol, gain in held
    ]
    instead = _table(("Instead, before costs", ("Return", "n")), rows)
    return costs + stress + instead


def _strategies(report: "Report") -> str:
    parts = []
    if len(report.result.cells_ts_ns):
        parts.append(_section("Net result per strategy", _chart("chart-strategies")))
    if (~report.trips["is_open"]).any():
        parts.append(_section("Distribution of trades", _chart("chart-distribution")))
    return _two(*parts) if len(parts) == 2 else "\n".join(parts)


def _breakdown(report: "Report") -> str:
    groups: tuple[tuple[str, Mapping[str, Metrics]], ...] = (
        ("Strategy", report.by_strategy),
        ("Market", report.by_market),
        ("Symbol", report.by_symbol),
    )
    tables = []
    for title, group in groups:
        head: list[Cell] = [title, *((label, "n") for _, label, _ in BREAKDOWN)]
        rows = [
            [name, *(_value(found[key], written) for key, _, written in BREAKDOWN)]
            for name, found in group.items()
        ]
        tables.append(_table(head, rows, "even"))
    note = (
        '<p class="muted">Returns and drawdowns are relative to the initial capital of the '
        f"account. {UNALLOCATED}: {_esc(signed_amount(report.unallocated).strip())} "
        f"{_esc(report.result.account_currency)}; with it, the parts add up to the net profit.</p>"
    )
    return _section("Per strategy, market and symbol", "".join(tables) + note)


def _prices(report: "Report") -> str:
    parts = []
    for k, symbol in enumerate(charted_symbols(report.result)):
        trades = int((report.trades["symbol"] == symbol).sum())
        some = f", the {MARKERS_MAX} largest of {trades:,}" if trades > MARKERS_MAX else ""
        parts.append(_section(f"{symbol}: trades on price{some}", _chart(f"chart-price-{k}")))
    return "\n".join(parts)


def _trades(report: "Report") -> str:
    trades = report.trades
    if trades.empty:
        return _section("Trades", '<p class="muted">No trade was made.</p>')
    shown = trades.tail(TRADES_MAX)
    head: list[Cell] = [
        ("No.", "n"), "Strategy", "Symbol", "Side", "Opened, UTC", ("Held", "n"),
        ("Quantity", "n"), ("Entry", "n"), ("Exit", "n"), ("Net", "n"), ("Return", "n"),
        ("Commission", "n"), "Exit by",
    ]  # fmt: skip
    rows = [_trade(row) for row in shown.to_dict("records")]
    which = (
        f"last {len(shown)} of {len(trades):,}" if len(shown) < len(trades) else f"{len(trades)}"
    )
    return (
        f"<section><details><summary>Trades ({which})</summary>{_table(head, rows)}</details>"
        "</section>"
    )


def _trade(row: Mapping[Hashable, object]) -> list[Cell]:
    def plain(key: str) -> Number:
        value = row[key]
        return float(value) if isinstance(value, float | int) and value == value else None

    fraction = plain("return_pct")
    opened = row["opened"]
    return [
        (str(row["trade_id"]), "n"), str(row["strategy"]), str(row["symbol"]), str(row["side"]),
        opened.strftime("%Y-%m-%d %H:%M") if isinstance(opened, pd.Timestamp) else "",
        (duration(plain("duration_s")), "n"), (_decimal(plain("quantity")), "n"),
        (_decimal(plain("entry_price")), "n"), (_decimal(plain("exit_price")), "n"),
        _value(plain("pnl"), signed_amount),
        _value(None if fraction is None else fraction / 100, signed_percent),
        _value(plain("commission"), amount),
        "still open" if row["open"] else str(row["exit_reason"]),
    ]  # fmt: skip


def _decimal(value: Number) -> str:
    return UNDEFINED if value is None else f"{value:,.8g}"


def _orders(report: "Report") -> str:
    rows = [
        (name.replace("_", " ").capitalize(), _value(times, count))
        for name, times in report.order_counts.items()
    ]
    return _section("Signals and orders", _table((), rows))


def _denials(report: "Report") -> str:
    if not report.denial_counts:
        return '<p class="muted">The risk gate refused nothing.</p>'
    return _table(
        ("Reason", ("Times", "n")),
        [(reason, _value(times, count)) for reason, times in report.denial_counts.items()],
    )


def _errors(report: "Report") -> str:
    parts = []
    for error in report.result.strategy_errors:
        when = f", {moment(int(error['ts_ns']))} UTC" if error.get("ts_ns") else ""
        title = f"Error in {error.get('strategy', '?')}: {error.get('where', '?')}{when}"
        parts.append(_section(title, f"<pre>{_esc(error.get('traceback', ''))}</pre>", "error"))
    return "\n".join(parts)


def _run_facts(report: "Report") -> str:
    facts = report.to_dict()["run"] | {"state_hash": report.result.state_hash}
    rows: list[tuple[Cell, ...]] = [
        (key.replace("_", " ").capitalize(), (_fact(value), "wrap")) for key, value in facts.items()
    ]
    return _table((), rows)


def _fact(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "" if value is None else str(value)
