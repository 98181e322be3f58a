"""`mmats venue`: the rehearsal venue as a process."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np
import orjson

from mmats._core import REPORT_DTYPE
from mmats.config import Config, load_config
from mmats.config.schema import FeedTable
from mmats.config.units import Percent
from mmats.engine.assembly import Catalogue, feeds_by_instrument
from mmats.engine.feeds import stored_events
from mmats.engine.simulation import simulated_venue
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin

HEARTBEAT_NS = 250_000_000
REPORTS_MAX = 16_384  # rows of one message


@click.command()
@click.option("--config", "path", required=True, type=click.Path(path_type=Path), help="TOML file.")
@click.option("--profile", "profile_name", default="dev", type=click.Choice(PROFILES))
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the profiles.")
@click.option(
    "--name", default="rehearsal", show_default=True, help="`engine.venue` of the engine."
)
@click.option("--book", type=click.Path(path_type=Path), help="Keep requests and fills in a file.")
@click.option("--lose", default="0%", help="Messages that never arrive.")
@click.option("--duplicate", default="0%", help="Messages that arrive twice.")
@click.option("--reorder", default="0%", help="Messages that the next one overtakes.")
@click.option("--delay", default="0%", help="Messages that come up to 50 ms late.")
@click.option("--reject-cancels", default="0%", help="Cancels that are refused without a reason.")
@click.option("--each-report", is_flag=True, help="Faults meet each report, not whole messages.")
@click.option("--seed", default=1, show_default=True, help="Of the faults.")
def venue(
    path: Path,
    profile_name: str,
    home: Path | None,
    name: str,
    book: Path | None,
    seed: int,
    each_report: bool,
    **shares: str,
) -> None:
    """Run a rehearsal venue until SIGTERM.

    Orders of an engine in operator mode meet the simulated venue of the configuration, in a
    process of its own. Market orders fill at once, at the price that the feeds have at the time
    of the engine; limits and stops when that time moves on. Prints what it counted when it ends.
    """
    profile = Profile.of(profile_name, home)
    profile.create()
    faults: dict[str, Any] = {key: _share(key, text) for key, text in shares.items()}
    rehearsal = _open(load_config(path), faults | {"seed": seed, "each_report": each_report}, book)
    server = plugin("mmats.bus", "zeromq-venue")(profile, name=name)
    try:
        _serve(server, rehearsal)
    finally:
        server.close()
        rehearsal.close()
    click.echo(orjson.dumps({**server.counters(), **rehearsal.counters()}))


def _share(key: str, text: str) -> float:
    try:
        return Percent.parse(text).ppm / 1_000_000
    except ValueError as error:
        raise ConfigError(str(error), f"--{key.replace('_', '-')}", "write it as 20%") from error


def _open(config: Config, faults: dict[str, Any], book: Path | None) -> Any:
    """Build the venue: its prices are those of the feeds, as they would be in a backtest."""
    catalogue = Catalogue.of(config)
    marks = [stored_events(config, feed, (None, None)) for feed in _first_feeds(config, catalogue)]
    # One more for orders that belong to no strategy.
    simulated = simulated_venue(config, catalogue, None, len(config.strategies) + 1)
    return plugin("mmats.venues", "rehearsal")(simulated, marks=marks, faults=faults, book=book)


def _first_feeds(config: Config, catalogue: Catalogue) -> list[FeedTable]:
    """Return one feed of prices for each instrument."""
    found: dict[int, FeedTable] = {}
    for index, feed in feeds_by_instrument(config, catalogue):
        if feed.kind != "delta":
            found.setdefault(index, feed)
    return list(found.values())


def _serve(server: Any, rehearsal: Any) -> None:
    """Bring requests in and reports out until a signal says stop."""
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        server.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    nothing = np.empty(0, dtype=REPORT_DTYPE)
    beat_ns = 0
    while not stopped:
        now_ns = time.monotonic_ns()
        due_ns = min(rehearsal.next_ns() or beat_ns, beat_ns)
        server.wait(max(0, -(-(due_ns - now_ns) // 1_000_000)))
        now_ns = time.monotonic_ns()
        for peer, requests in server.requests():
            rehearsal.on_requests(peer, requests, now_ns)
        for peer, reports in rehearsal.take(now_ns):
            for start in range(0, len(reports), REPORTS_MAX):
                server.send_reports(peer, reports[start : start + REPORTS_MAX])
        if now_ns >= beat_ns:
            beat_ns = now_ns + HEARTBEAT_NS
            if rehearsal.customer is not None:
                server.send_reports(rehearsal.customer, nothing)
