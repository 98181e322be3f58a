"""`mmats feed`: the process that gives market data to a running engine."""

import secrets
import signal
import threading
from pathlib import Path
from types import FrameType

import click

from mmats.cli.console import err
from mmats.config import load_config
from mmats.config.units import Speed
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin

PACED_QUEUE_MAX = 16  # frames: what waits for a slow engine waits where quotes are conflated
REPLAY_QUEUE_MAX = 256


@click.command()
@click.option("--config", "file", required=True, type=click.Path(path_type=Path), help="TOML file.")
@click.option("--profile", "profile_name", required=True, type=click.Choice(PROFILES))
@click.option("--home", type=click.Path(path_type=Path), help="Folder of all profiles.")
@click.option("--feed-speed", help='Of stored data: "1x", "60x" or "max"; else as configured.')
@click.option("--loop", "endless", is_flag=True, help="Synthetic data go on without end.")
@click.option("--live", is_flag=True, help="Synthetic data are made from now on, in real time.")
@click.option("--from-start", is_flag=True, help="Tell what a followed file holds already, too.")
@click.option("--start", help="Stored data: first moment in UTC, such as 2023-11-01.")
@click.option("--end", help="Stored data: end in UTC, exclusive.")
@click.option("--quiet", is_flag=True, help="No notes.")
def feed(
    file: Path,
    profile_name: str,
    home: Path | None,
    feed_speed: str | None,
    endless: bool,
    live: bool,
    from_start: bool,
    start: str | None,
    end: str | None,
    quiet: bool,
) -> None:
    """Give the market data of a configuration to the engine of a profile.

    The engine need not be there yet. Ends when the data end, or on SIGTERM.
    """
    # Imported here: numpy costs the other verbs a moment.
    from mmats.engine.feeder import FeedPlan, run_feed

    given = {key: value for key, value in (("start", start), ("end", end)) if value is not None}
    config = load_config(file, overrides={"backtest": given} if given else None)
    plan = FeedPlan(
        speed_ppm=_speed_ppm(feed_speed) if feed_speed else config.engine.speed.ppm,
        endless=endless,
        live=live,
        from_start=from_start,
    )
    profile = Profile.of(profile_name, home)
    profile.create()
    publisher = plugin("mmats.bus", "zeromq-feed")(
        profile,
        feed=0,
        session=secrets.randbits(63) | 1,
        high_water_mark=PACED_QUEUE_MAX if plan.speed_ppm else REPLAY_QUEUE_MAX,
    )
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in _STOPS}
    try:
        counts = run_feed(
            config, publisher, plan, stop, tell=lambda text: err().print(text, markup=False)
        )
    finally:
        publisher.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if not quiet:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        err().print(f"feed: {told}", markup=False)


_STOPS = (signal.SIGTERM, signal.SIGINT)


def _speed_ppm(text: str) -> int:
    try:
        return Speed.parse(text).ppm
    except ValueError as error:
        raise ConfigError(str(error), "--feed-speed") from error
