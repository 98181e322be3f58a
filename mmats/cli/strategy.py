"""`mmats strategy new | check`, and the verbs for strategies of a running engine."""

import keyword
import re
from importlib import resources
from pathlib import Path
from typing import Any

import click
import orjson

from mmats.cli.backtest import run_backtest
from mmats.cli.console import err
from mmats.cli.fit import print_warnings
from mmats.cli.strategy_control import COMMANDS
from mmats.config import load_config
from mmats.config.schema import Config
from mmats.engine.loader import construct_strategy, load_strategy_class, raised_at
from mmats.model.errors import ConfigError, StrategyError

CHECK_SYMBOLS = ("BTCUSDT.BINANCE", "EURUSD.OANDA")
_RATE_FEED = "EURUSD.OANDA"  # values US dollars, and so USDT, in the account's euros


@click.group()
def strategy() -> None:
    """Write and check strategies; control those of a running engine."""


for _command in COMMANDS:
    strategy.add_command(_command)


@strategy.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write it; the working directory by default.",
)
def new(name: str, folder: Path) -> None:
    """Write a working strategy NAME.py and its test, test_NAME.py."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        hint = "use small letters, digits and _, such as my_strategy"
        raise ConfigError(f"{name!r} is no name for a Python file", "NAME", hint)
    texts = {
        folder / f"{name}.py": _template("strategy.py.txt", name),
        folder / f"test_{name}.py": _template("test_strategy.py.txt", name),
    }
    for path in texts:
        if path.exists():
            raise ConfigError("exists and is not overwritten", str(path), "choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        click.echo(f"wrote {path}")
    err().print(f"next: mmats strategy check {folder / f'{name}.py'}")


@strategy.command()
@click.argument("file")
@click.option("--symbol", "symbols", multiple=True, help="Trade this one; may be repeated.")
@click.option("--timeframe", default="5m", show_default=True, help="Length of its bars.")
@click.option("--indicator", "indicators", multiple=True, help='Such as "ema:10"; repeatable.')
@click.option("--param", "params", multiple=True, help="NAME=VALUE for initialize; repeatable.")
@click.option("--days", default=3, show_default=True, help="Length of the synthetic market.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def check(
    file: str,
    symbols: tuple[str, ...],
    timeframe: str,
    indicators: tuple[str, ...],
    params: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Try a strategy on synthetic data.

    FILE is a Python file, FILE.py:Class or module:Class. Says in plain words what breaks the
    strategy contract; exit code 2 if anything does.
    """
    instance = construct_strategy(load_strategy_class(file, Path.cwd()), file)
    table = {
        "name": "check",
        "source": file,
        "symbols": symbols or tuple(instance.supported_symbols) or CHECK_SYMBOLS,
        "timeframe": timeframe,
        "indicators": indicators,
        "sizing": "fixed_fractional",
        "risk_per_trade": "0.25%",
        "on_error": "stop",
        "params": dict(_param(text) for text in params),
    }
    config = _synthetic_config(table, days)
    try:
        facts = run_backtest(config, quiet=as_json).to_dict()
    except StrategyError as error:
        place = raised_at(error)
        hint = f"raised at {place}" if place else error.hint
        raise StrategyError(error.message, file, hint) from error
    verdict = {
        "strategy": instance.name,
        "events": facts["run"]["events"],
        "orders": facts["orders"],
        "denials": facts["denials"],
    }
    if as_json:
        click.echo(orjson.dumps(verdict))
        return
    click.echo(f"{file}: keeps the contract")
    for name, value in verdict.items():
        click.echo(f"  {name}: {_counts(value) if isinstance(value, dict) else value}")
    print_warnings(config)
    orders = facts["orders"]
    if not orders["signals"]:
        err().print("note: it gave no signal; try more --days, other symbols or parameters")
    elif orders["denied"] == orders["signals"]:
        err().print("note: every signal was denied; see denials for the reasons")


def _synthetic_config(table: dict[str, Any], days: int) -> Config:
    """A configuration that feeds the symbols, and what values them, with synthetic bars."""
    feeds = list(table["symbols"])
    if _RATE_FEED not in feeds and _RATE_FEED.partition(".")[0] not in feeds:
        feeds.append(_RATE_FEED)
    return load_config(
        {
            "name": "strategy check",
            "feeds": [{"symbol": s, "source": "synthetic", "days": days} for s in feeds],
            "strategies": [table],
        }
    )


def _param(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ConfigError(f"expected NAME=VALUE, found {text!r}", "--param", "--param fast=10")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value  # text needs no quotes


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _template(file: str, name: str) -> str:
    class_name = "".join(part.capitalize() for part in name.split("_"))
    text = resources.files("mmats.config.templates").joinpath(file).read_text("utf-8")
    return text.replace("@NAME@", name).replace("@CLASS@", class_name)
