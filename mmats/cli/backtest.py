"""`mmats backtest`, and the replay of `mmats demo --backtest`."""

import os
import sys
import tempfile
from contextlib import redirect_stdout
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from mmats.cli.console import Span, err, out, progress
from mmats.config import Config, load_config
from mmats.model.errors import ConfigError

if TYPE_CHECKING:
    from mmats.backtest import Report

DAY_NS = 86_400 * 10**9
DEMO_HTML = Path("mmats-demo.html")


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a self-contained page.")
@click.option("--start", help="First moment in UTC, such as 2023-11-01.")
@click.option("--end", help="End in UTC, exclusive.")
@click.option("--seed", type=int, help="Seed of synthetic data, jitter and queue model.")
@click.option("--quiet", is_flag=True, help="No progress and no notes.")
def backtest(
    config: Path,
    as_json: bool,
    html: Path | None,
    start: str | None,
    end: str | None,
    seed: int | None,
    quiet: bool,
) -> None:
    """Run the strategies of CONFIG on its data and print the report.

    A strategy that raises an error is disabled and the run goes on: the report and a warning on
    stderr say so, and the exit code is 0. With on_error = "stop" in its [[strategies]] table the
    run ends there, without a report, and the exit code is 2.
    """
    given = {"start": start, "end": end, "seed": seed}
    overrides = {key: value for key, value in given.items() if value is not None}
    loaded = load_config(config, overrides={"backtest": overrides} if overrides else None)
    run_and_print(loaded, as_json=as_json, html=html, quiet=quiet)


def backtest_demo(*, as_json: bool, html: Path, seed: int | None, quiet: bool) -> None:
    """Replay two strategies on a synthetic market: 150 EUR, two months, a report with charts."""
    with resources.as_file(resources.files("mmats.config").joinpath("demo.toml")) as path:
        loaded = load_config(
            path, overrides={"backtest": {"seed": seed}} if seed is not None else None
        )
    run_and_print(loaded, as_json=as_json, html=html, quiet=quiet)


def run_and_print(config: Config, *, as_json: bool, html: Path | None, quiet: bool) -> None:
    """Run a backtest, print its report and write its page; the page is whole or not there."""
    if html is not None:
        check_writable(html)
    report = run_backtest(config, quiet=quiet)
    if html is not None:
        write_html(report, html)
    if as_json:
        click.echo(report.to_json())
    else:
        out().print(report.render())
    if as_json and not quiet:
        for note in report.result.notes:
            err().print(f"note: {note}", markup=False)
    for error in report.result.strategy_errors:
        text = f"strategy {error['strategy']} failed in {error['where']} and was disabled"
        err().print(f"[bold yellow]warning:[/] {escape(text)}")
    if html is not None and not quiet:
        err().print(f"page: {html}", markup=False)


def run_backtest(config: Config, *, quiet: bool) -> "Report":
    """Run a backtest with progress on stderr."""
    # Imported here: numpy and pandas cost every other verb a second.
    from mmats.backtest import run

    # What a strategy prints must not get between the lines of a report.
    with redirect_stdout(sys.stderr), progress("backtest", expected_span(config), quiet) as advance:
        return run(config, progress=advance)


def expected_span(config: Config) -> Span | None:
    """Time that the run will cover; None where only the data can tell."""
    replay = config.backtest
    starts = [feed.start.ns for feed in config.feeds if feed.source == "synthetic"]
    ends = [f.start.ns + f.days * DAY_NS for f in config.feeds if f.source == "synthetic"]
    start = replay.start.ns if replay.start else min(starts, default=None)
    end = replay.end.ns if replay.end else max(ends, default=None)
    return None if start is None or end is None else (start, end)


def check_writable(path: Path) -> None:
    """Find out before a long run that its page could not be written; raise ConfigError."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", "--html", "create it first")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "--html", "give the name of a file")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(f"{path} is no ordinary file", "--html", "give the name of a file")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder} can't be written to", "--html")


def write_html(report: "Report", path: Path) -> None:
    """Write beside the target, then rename: an interrupted run leaves no half page."""
    with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".mmats-") as folder:
        partial = Path(folder, path.name)
        report.to_html(partial)
        partial.replace(path)
