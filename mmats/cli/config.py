"""`mmats config check | show | instruments`."""

from pathlib import Path

import click
import orjson
from rich.table import Table
from rich.text import Text

from mmats.cli.console import err, out
from mmats.cli.fit import print_warnings
from mmats.config import builtin_instruments, load_config
from mmats.config.load import read_toml
from mmats.config.show import effective_values, value_text
from mmats.engine.loader import create_strategy

_FILE = click.argument("file", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


@click.group()
def config() -> None:
    """Check and show configurations."""


@config.command()
@_FILE
@_JSON
def check(file: Path, as_json: bool) -> None:
    """Check FILE as a whole.

    Told are wrong keys, units, symbols and limits, currencies without a rate, and strategies and
    feeds that can't be loaded. Data that are not there yet, and symbols that the account is too
    small for, are told on stderr; the file is good all the same.
    """
    # Imported here: numpy and pandas cost the other verbs a second.
    from mmats.backtest.sources import describe_feeds

    loaded = load_config(file)
    for table in loaded.strategies:
        create_strategy(table, loaded.base_dir)
    given = {feed.symbol: () for feed in loaded.feeds if feed.source == "memory"}
    for facts in describe_feeds(loaded, given):
        if facts.get("files") == []:
            err().print(
                f"note: nothing is stored for {facts['instrument']} in the range of the run"
            )
    print_warnings(loaded)
    facts = {
        "config_hash": loaded.config_hash,
        "profile": loaded.profile,
        "instruments": [i.id for i in loaded.resolved_instruments],
        "strategies": [s.name for s in loaded.strategies],
    }
    if as_json:
        click.echo(orjson.dumps(facts))
        return
    click.echo(f"{file}: good")
    for name, value in facts.items():
        click.echo(f"  {name}: {value if isinstance(value, str) else ', '.join(value)}")


@config.command()
@_FILE
@_JSON
def show(file: Path, as_json: bool) -> None:
    """Print every effective value of FILE with its unit and origin."""
    entries = effective_values(load_config(file), read_toml(file))
    if as_json:
        facts = {e.path: {"value": e.value, "origin": e.origin} for e in entries}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    table = _table("key", "value", "origin")
    for entry in entries:
        style = "" if entry.origin == "file" else "dim"
        # A path such as feeds[BTCUSDT] must not be taken for markup.
        table.add_row(Text(entry.path), Text(_cell(entry.value)), entry.origin, style=style)
    out().print(table)


@config.command()
@_JSON
def instruments(as_json: bool) -> None:
    """List the built-in instruments and their rules."""
    names = ("tick_size", "lot_size", "quantity_max", "notional_min", "leverage", "source")
    known = builtin_instruments()
    rows = {key: {n: value_text(getattr(i, n)) for n in names} for key, i in known.items()}
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        return
    table = _table("instrument", *names)
    for key, row in rows.items():
        table.add_row(key, *(_cell(value) for value in row.values()))
    out().print(table)


def _table(key: str, *others: str) -> Table:
    """A plain table whose first column is never shortened and whose others fold."""
    table = Table(box=None, pad_edge=False)
    table.add_column(key, no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
