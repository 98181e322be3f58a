"""`mmats data import | list | show | synth`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.markup import escape

from mmats.cli.console import err, out
from mmats.config.units import Duration, Instant
from mmats.model.errors import ConfigError, DataError
from mmats.plugins import load_plugins, plugin
from mmats.ports.data_format import DataKind, ImportedTable, ImportOptions

if TYPE_CHECKING:
    from mmats.ports.catalog import DataCatalog

_CATALOG = click.option(
    "--catalog",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("catalog"),
    show_default=True,
    help="Folder of the catalog.",
)
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value and nothing else."
)
_BAR_DEFAULT = "1m"
LAST_COLUMN_WIDTH = 10  # columns: the least that a text is folded to
WIDTH_MAX = 500  # columns: more than any table needs


@click.group()
def data() -> None:
    """Import market data, list it, measure it, or make it up."""


@data.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "format_name", required=True, help="See `mmats data formats`.")
@click.option("--symbol", required=True, help="Instrument, such as BTCUSDT.BINANCE.")
@click.option("--zone", help="Time zone of the file: UTC, UTC-5, NY+7, Europe/Berlin.")
@click.option("--stamp", type=click.Choice(["open", "close"]), help="What a bar's time is.")
@click.option("--basis", type=click.Choice(["trade", "bid", "mid"]), help="What prices show.")
@click.option("--kind", type=click.Choice([k.value for k in DataKind]), help="Only this kind.")
@click.option("--interval", help="Length of the bars in the file, such as 1m.")
@click.option("--columns", help="time=Date,open=O,... for files of unknown layout.")
@click.option("--bars", help="Build bars of this length from trades and store those, too.")
@click.option("--drop-duplicates", is_flag=True, help="Keep one of identical rows.")
@click.option("--drop-crossed", is_flag=True, help="Leave out quotes with bid above ask.")
@click.option("--replace", is_flag=True, help="Imported rows overwrite stored ones that differ.")
@_CATALOG
@_JSON
def import_(
    paths: tuple[Path, ...],
    format_name: str,
    folder: Path,
    as_json: bool,
    bars: str | None,
    replace: bool,
    **given: Any,
) -> None:
    """Check PATHS (files or folders) and store them in the catalog.

    Nothing is stored unless all of it is right. What contradicts the declared zone is said.
    """
    options = _options(given)
    reader = plugin("mmats.formats", format_name)()
    with err().status(f"reading {len(paths)} paths as {format_name}"):
        tables: list[ImportedTable] = list(reader.read(paths, options))
        if bars is not None:
            build = plugin("mmats.data", "bars")
            interval_ns = _duration_ns(bars, "--bars")
            tables += [build(t, interval_ns) for t in tables if t.kind is DataKind.TRADE]
    if bars is not None and not any(t.kind is DataKind.BAR for t in tables):
        raise DataError("--bars: there are no trades to build bars from")
    catalog = _catalog(folder)
    results = [catalog.write(table, replace) for table in tables]
    warnings = list(dict.fromkeys(w for table in tables for w in table.warnings))
    if as_json:
        facts = {"stored": [_result_facts(r) for r in results], "warnings": warnings}
        click.echo(orjson.dumps(facts))
        return
    for result in results:
        span = f"{_utc(result.start_ns)} to {_utc(result.end_ns)}"
        out().print(
            f"{result.symbol} {result.kind.value} {_interval(result.interval_ns)}: "
            f"{result.rows_new} new rows, {result.rows_identical} already there, "
            f"{result.rows_replaced} replaced, {span}"
        )
    for warning in warnings:
        err().print(f"[bold yellow]warning:[/] {escape(warning)}")


@data.command()
@_JSON
def formats(as_json: bool) -> None:
    """List the formats that can be imported."""
    found = {name: make().description for name, make in load_plugins("mmats.formats").items()}
    if as_json:
        click.echo(orjson.dumps(found))
        return
    _print_rows(("format", "what it reads"), list(found.items()))


@data.command("list")
@_CATALOG
@_JSON
def list_(folder: Path, as_json: bool) -> None:
    """List what the catalog holds."""
    ranges = _catalog(folder).ranges()
    if as_json:
        facts = [
            {
                "symbol": r.symbol,
                "kind": r.kind.value,
                "interval_ns": r.interval_ns,
                "start_ns": r.start_ns,
                "end_ns": r.end_ns,
                "rows": r.rows,
                "metadata": r.metadata,
            }
            for r in ranges
        ]
        click.echo(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
        return
    if not ranges:
        err().print(f"nothing stored in {folder}")
        return
    rows = [
        (
            r.symbol,
            r.kind.value,
            _interval(r.interval_ns),
            _utc(r.start_ns),
            _utc(r.end_ns),
            f"{r.rows:,}",
            _source(r.metadata),
        )
        for r in ranges
    ]
    _print_rows(("symbol", "kind", "interval", "first UTC", "last UTC", "rows", "source"), rows)


@data.command()
@click.argument("symbol")
@click.option(
    "--kind", type=click.Choice([k.value for k in DataKind]), default="bar", show_default=True
)
@click.option("--interval", default=_BAR_DEFAULT, show_default=True, help="Length of the bars.")
@click.option("--calendar", type=click.Choice(["24/7", "forex", "none"]), help="When it trades.")
@click.option("--rows", "rows_max", default=10, show_default=True, help="Most findings to print.")
@_CATALOG
@_JSON
def show(
    symbol: str,
    kind: str,
    interval: str,
    calendar: str | None,
    rows_max: int,
    folder: Path,
    as_json: bool,
) -> None:
    """Measure the quality of stored data.

    SYMBOL is SYMBOL.VENUE as in `mmats data list`. Told are gaps, duplicates, bad prices, outliers
    and prices that are stuck.
    """
    interval_ns = _duration_ns(interval, "--interval") if kind == "bar" else 0
    tables = _catalog(folder).tables(symbol, DataKind(kind), interval_ns)
    report = plugin("mmats.data", "quality")(tables, calendar)
    if as_json:
        click.echo(orjson.dumps(report))
        return
    _print_report(report, rows_max)


@data.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Another one, other data.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="How many days."
)
@click.option("--start", default="2024-01-01", show_default=True, help="First day, UTC.")
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the catalog."
)
@click.option("--replace", is_flag=True, help="Overwrite stored rows that differ.")
@_JSON
def synth(seed: int, days: int, start: str, folder: Path, replace: bool, as_json: bool) -> None:
    """Store made-up minute bars.

    They are of BTCUSDT.BINANCE and EURUSD.OANDA, and marked as synthetic wherever they are used.
    """
    try:
        start_ns = Instant.parse(start).ns
    except ValueError as error:
        raise ConfigError(str(error), "--start") from None
    catalog = _catalog(folder)
    tables = plugin("mmats.data", "synthetic")(seed, days, start_ns)
    results = [catalog.write(table, replace) for table in tables]
    if as_json:
        click.echo(orjson.dumps({"seed": seed, "stored": [_result_facts(r) for r in results]}))
        return
    for result in results:
        out().print(f"{result.symbol}: {result.rows_new} new rows, SYNTHETIC, seed {seed}")


def _options(given: dict[str, Any]) -> ImportOptions:
    columns: dict[str, str] = {}
    for part in (given.pop("columns") or "").split(","):
        name, equals, value = part.partition("=")
        if part and not (equals and name.strip() and value.strip()):
            raise ConfigError(f"{part!r} is not name=column", "--columns")
        if part:
            columns[name.strip()] = value.strip()
    interval, kind = given.pop("interval"), given.pop("kind")
    return ImportOptions(
        columns=columns,
        interval_ns=None if interval is None else _duration_ns(interval, "--interval"),
        kind=None if kind is None else DataKind(kind),
        **given,
    )


def _duration_ns(text: str, where: str) -> int:
    try:
        ns = Duration.parse(text).ns
    except ValueError as error:
        raise ConfigError(str(error), where) from None
    if ns <= 0:
        raise ConfigError("must be longer than nothing", where)
    return ns


def _catalog(folder: Path) -> "DataCatalog":
    catalog: DataCatalog = plugin("mmats.catalogs", "parquet")(folder)
    return catalog


def _result_facts(result: Any) -> dict[str, Any]:
    names = ("symbol", "interval_ns", "rows_new", "rows_identical", "rows_replaced")
    facts = {name: getattr(result, name) for name in (*names, "start_ns", "end_ns")}
    return {"kind": result.kind.value, **facts}


def _print_report(report: Any, rows_max: int) -> None:
    unknown = "not known without a calendar"
    facts = {
        "source": report.source,
        "range UTC": f"{_utc(report.start_ns)} to {_utc(report.end_ns)}",
        "rows": f"{report.rows:,}",
        "calendar": report.calendar,
        "expected rows": unknown if report.expected_rows is None else f"{report.expected_rows:,}",
        "missing rows": unknown if report.missing_rows is None else f"{report.missing_rows:,}",
        "outside sessions": unknown if report.unexpected_rows is None else report.unexpected_rows,
        "duplicates": report.duplicate_rows,
        "bad prices": report.bad_price_rows,
        "zero volume": report.zero_volume_rows,
        "gaps": len(report.gaps),
        "outliers": len(report.outliers),
        "stuck prices": len(report.stuck),
    }
    title = f"{report.symbol} {report.kind.value} {_interval(report.interval_ns)}"
    _print_rows((title, ""), [(name, str(value)) for name, value in facts.items()])
    longest = sorted(report.gaps, key=lambda g: (g.start_ns - g.end_ns, g.start_ns))[:rows_max]
    gaps = [(_utc(g.start_ns), _utc(g.end_ns), str(g.missing_rows)) for g in longest]
    _print_rows(("longest gaps from", "to", "missing"), gaps)
    wildest = sorted(report.outliers, key=lambda o: -o.deviations)[:rows_max]
    outliers = [
        (_utc(o.ts_event_ns), f"{o.log_return:+.4%}", f"{o.deviations:.0f}") for o in wildest
    ]
    _print_rows(("largest outliers at", "return", "robust deviations"), outliers)
    stuck = [(_utc(s.start_ns), _utc(s.end_ns), str(s.rows)) for s in report.stuck[:rows_max]]
    _print_rows(("stuck from", "to", "bars"), stuck)


def _print_rows(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for title in titles[:-1]:
        table.add_column(title, no_wrap=True)
    table.add_column(titles[-1], overflow="fold", min_width=LAST_COLUMN_WIDTH)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = out()
    # On a narrow terminal a line is longer than it: what breaks is not lost, what is cut is.
    needed = Measurement.get(console, console.options.update(max_width=WIDTH_MAX), table).minimum
    console.width = max(needed, console.width)
    console.print(table)
    console.print()


def _utc(ts_ns: int) -> str:
    """A time that is as long at midnight as at any other moment."""
    text = str(Instant(ts_ns))
    return text if "T" in text else f"{text}T00:00:00Z"


def _interval(interval_ns: int) -> str:
    return str(Duration(interval_ns)) if interval_ns else "-"


def _source(metadata: Any) -> str:
    if metadata["source"] == "synthetic":
        return f"SYNTHETIC, seed {metadata['seed']}"
    return str(metadata["format"])
