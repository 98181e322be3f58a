"""The report in a terminal, made for 100 columns. Signs and arrows carry what colour repeats."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from mmats.backtest.labels import (
    ANNUALISED,
    BREAKDOWN,
    COSTS,
    GROUPS,
    TONED,
    UNALLOCATED,
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

if TYPE_CHECKING:
    from mmats.backtest.report import Report

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 60
NAME_WIDTH = 26
MEASURE_WIDTH = 500  # columns: more than any table of a report needs
ROWS_MAX = 8
TRACEBACK_LINES = 4
ERRORS_MAX = 2

SHOWN = {
    "Result": ("net_profit", "total_return", "cagr", "best_day", "worst_day", "turnover",
               "exposure_time"),
    "Risk": ("max_drawdown", "max_drawdown_duration_s", "recovery_factor", "volatility", "sharpe",
             "sortino", "calmar"),
    "Trades": ("trades", "win_rate", "profit_factor", "expectancy", "avg_trade", "loss_streak",
               "trades_needed"),
}  # fmt: skip


def render(report: "Report") -> RenderableType:
    """Return the whole report; print it with a `rich.console.Console`."""
    parts: list[RenderableType] = [
        *_headline(report),
        Text(),
        _side_by_side(_metric_tables(report)),
        _side_by_side(_account_tables(report)),
        _Breakdown(report),
        *_unallocated(report),
        *_remarks(report),
        *_errors(report),
        _run_facts(report),
    ]
    return Group(*parts)


def sparkline(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", width: int) -> str:
    """Draw values as one line of blocks, each the last value of its share of the line."""
    if not len(values):
        return ""
    width = min(width, len(values))
    last_of_each = (np.arange(1, width + 1) * len(values)) // width - 1
    drawn = values[last_of_each]
    low, high = float(drawn.min()), float(drawn.max())
    if high == low:
        return BLOCKS[0] * width
    levels = ((drawn - low) / (high - low) * (len(BLOCKS) - 1)).round().astype(int)
    return "".join(BLOCKS[level] for level in levels)


def _headline(report: "Report") -> list[RenderableType]:
    result, found = report.result, report.metrics
    currency = printable(result.account_currency)
    period = f"{moment(result.start_ns)} to {moment(result.end_ns)} UTC"
    title: list[str | tuple[str, str]] = [f"BACKTEST  {period}"]
    if result.is_synthetic:
        title.append(("  SYNTHETIC DATA", "yellow"))
    net = Text("  ")
    net.append(
        f"{signed_amount(found['net_profit'])} {currency}", _tone(found["net_profit"], bold=True)
    )
    net.append(f"   {signed_percent(found['total_return'])}", _tone(found["total_return"]))
    net.append(
        f"   {amount(result.initial_units / 1e8)} to {amount(result.final_units / 1e8)} {currency}"
        f"   max drawdown {percent(found['max_drawdown'])}"
    )
    line = sparkline(result.equity_units.astype(np.float64), SPARKLINE_WIDTH)
    return [
        Rule(Text.assemble(*title, style="bold"), style="dim"),
        net,
        Text(f"  Equity {line}", "cyan"),
    ]


def _side_by_side(tables: Iterable[Table]) -> Columns:
    return Columns([Padding(table, (0, 0, 1, 0)) for table in tables], padding=(0, 2))


def _table(title: str) -> Table:
    """A table of label and value."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, show_header=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, justify="right")
    return table


def _metric_tables(report: "Report") -> list[Table]:
    mark = " *" if report.metrics["small_sample"] else ""
    tables = []
    for title, metrics in GROUPS.items():
        table = _table(title)
        for key, label, written, _ in metrics:
            if key in SHOWN[title]:
                value = report.metrics[key]
                table.add_row(label + (mark if key in ANNUALISED else ""), _cell(value, written))
        tables.append(table)
    return tables


def _account_tables(report: "Report") -> list[Table]:
    costs = _table(f"Costs, {printable(report.result.account_currency)}")
    for key, label in COSTS:
        costs.add_row(label, amount(report.costs[key]))
    stress = _table("Net result if costs were")
    for factor, value in report.cost_stress.items():
        stress.add_row(stress_label(factor), Text(signed_amount(value), _tone(value)))
    for symbol, held in report.benchmarks["buy_and_hold"].items():
        gain = held["total_return"]
        label = f"Holding {printable(symbol)}"[:NAME_WIDTH]
        stress.add_row(label, Text(signed_percent(gain), _tone(gain)))
    orders = _table("Orders")
    for name, times in report.order_counts.items():
        orders.add_row(printable(name).replace("_", " ").capitalize(), count(times))
    denials = _table("Denials")
    for reason, times in list(report.denial_counts.items())[:ROWS_MAX]:
        denials.add_row(printable(reason), count(times))
    return [costs, stress, orders] + ([denials] if report.denial_counts else [])


class _Breakdown:
    """The table of the parts; on a narrow terminal it is set closer, and names are shortened."""

    def __init__(self, report: "Report") -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = _breakdown(self.report, gap=2)
        needed = Measurement.get(console, options.update(max_width=MEASURE_WIDTH), wide).maximum
        yield wide if needed <= options.max_width else _breakdown(self.report, gap=1)


def _breakdown(report: "Report", gap: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 0, 0, gap), header_style="bold", pad_edge=False,
        show_edge=False,
    )  # fmt: skip
    table.add_column("")  # the only column that may shrink: figures are never cut
    for _, label, _ in BREAKDOWN:
        table.add_column(label, justify="right", no_wrap=True)
    for title, group in (
        ("Per strategy", report.by_strategy),
        ("Per market", report.by_market),
        ("Per symbol", report.by_symbol),
    ):
        table.add_row(Text(title, "bold"))
        for name, found in _largest(group):
            table.add_row(
                Text(f" {printable(name)}"[:NAME_WIDTH], no_wrap=True, overflow="ellipsis"),
                *(_cell(found[key], written) for key, _, written in BREAKDOWN),
            )
        if len(group) > ROWS_MAX:
            table.add_row(Text(f" and {len(group) - ROWS_MAX} that moved less", "dim"))
    return table


def _unallocated(report: "Report") -> list[RenderableType]:
    """The rest that makes the parts add up to the net profit; nothing where there is none."""
    value = report.unallocated
    line = Text(f"{UNALLOCATED}: ").append(signed_amount(value), _tone(value))
    held = [f"{amount:,.8f}".rstrip("0").rstrip(".") for amount in report.balances.values()]
    names = zip(held, report.balances, strict=True)
    closing = Text("Held at the end: " + ", ".join(f"{text} {name}" for text, name in names))
    lines: list[RenderableType] = [line] if value else []
    return [Text(), *lines, *([closing] if held else []), Text()] if lines or held else [Text()]


def _largest(group: Mapping[str, dict[str, Number]]) -> list[tuple[str, dict[str, Number]]]:
    """The entries that moved the account most, in their own order."""
    ranked = sorted(group, key=lambda name: -abs(group[name]["net_profit"] or 0))[:ROWS_MAX]
    return [(name, found) for name, found in group.items() if name in ranked]


def _cell(value: Number, written: Format) -> Text:
    return Text(written(value), _tone(value) if written in TONED else "")


def _remarks(report: "Report") -> list[RenderableType]:
    star = "* " if report.metrics["small_sample"] else ""
    lines: list[RenderableType] = []
    for index, warning in enumerate(report.warnings):
        text = Text("! ", "bold yellow")
        text.append((star if index == 0 else "") + printable(warning), "yellow")
        lines.append(text)
    lines += [Text(f"i {printable(note)}", "cyan") for note in report.result.notes]
    return lines


def _errors(report: "Report") -> list[RenderableType]:
    lines: list[RenderableType] = []
    errors = report.result.strategy_errors
    for error in errors[:ERRORS_MAX]:
        head = f"x {error.get('strategy', '?')} in {error.get('where', '?')}"
        if error.get("ts_ns"):
            head += f" at {moment(int(error['ts_ns']))} UTC"
        lines.append(Text(printable(head), "bold red"))
        tail = printable(error.get("traceback", "")).rstrip().splitlines()[-TRACEBACK_LINES:]
        lines += [Text(f"    {line}", "red") for line in tail]
    if len(errors) > ERRORS_MAX:
        lines.append(Text(f"x and {len(errors) - ERRORS_MAX} more errors", "bold red"))
    return lines


def _run_facts(report: "Report") -> RenderableType:
    run = report.result.run
    facts = [f"{count(run.get('events'))} events"]
    if run.get("wall_s") is not None:
        facts.append(f"{number(run['wall_s'])} s")
    if run.get("events_per_s"):
        facts.append(f"{count(run['events_per_s'])} events/s")
    if report.metrics["days"]:
        facts.append(duration(report.metrics["days"] * 86_400))
    hashes = [key for key in ("config_hash", "data_hash") if run.get(key)]
    facts.extend(f"{key.removesuffix('_hash')}:{str(run[key])[:8]}" for key in hashes)
    facts.append(f"state:{report.result.state_hash[:16]}")
    return Text(printable("  ".join(facts)), "dim")


def _tone(value: Number, bold: bool = False) -> str:
    weight = "bold " if bold else ""
    if not value:
        return weight.strip()
    return weight + ("green" if value > 0 else "red")
