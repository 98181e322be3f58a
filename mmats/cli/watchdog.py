"""`mmats watchdog`: watches an engine's heartbeats from outside."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from mmats.config import Config, load_config
from mmats.engine.kill import write_kill_file
from mmats.engine.logs import LogOptions, Logs, get_logger
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import load_plugins
from mmats.ports.venue_access import IVenueAccess
from mmats.supervisor.alarm import Alarm
from mmats.supervisor.heartbeats import ClientHeartbeats
from mmats.supervisor.signals import SignalWait
from mmats.supervisor.watchdog import Watchdog, WatchdogOptions

VENUE_ACCESS = "mmats.venue_access"


@click.command(hidden=True)
@click.option("--config", "file", required=True, type=click.Path(path_type=Path), help="TOML file.")
@click.option("--profile", "profile_name", type=click.Choice(PROFILES), help="As configured.")
@click.option("--home", type=click.Path(path_type=Path), help="Where profiles are.")
@click.option("--timeout", "timeout_s", type=float, help="Seconds of silence; as configured.")
@click.option("--flatten/--no-flatten", default=None, help="Close positions; as configured.")
@click.option("--parent", type=int, hidden=True, help="Process that started it.")
@click.pass_context
def watchdog(
    ctx: click.Context,
    file: Path,
    profile_name: str | None,
    home: Path | None,
    timeout_s: float | None,
    flatten: bool | None,
    parent: int | None,
) -> None:
    """Cancel all orders at the venue when the engine of a profile is silent.

    It tells in the log, in `run/ALARM` and by `watchdog.alarm_command`. Ends on SIGTERM; an
    engine that ends in good order is no alarm.
    """
    config = load_config(file)
    profile = Profile.of(profile_name or config.profile, home)
    profile.create()
    table = config.watchdog
    options = WatchdogOptions(
        timeout_s=table.timeout.ns / 1e9 if timeout_s is None else timeout_s,
        flatten=table.flatten if flatten is None else flatten,
    )
    logs = Logs(
        profile.logs_dir,
        "watchdog",
        options=LogOptions(config.logs.level, config.logs.size_max, config.logs.files),
    ).start()
    alarm = Alarm(profile, "watchdog", table.alarm_command)
    with SignalWait() as signals:
        heartbeats = ClientHeartbeats(profile, signals.wait)
        try:
            watching = Watchdog(
                heartbeats,
                venue_access(config, file, profile, alarm.sound),
                alarm=alarm.sound,
                monotonic_s=time.monotonic,
                options=options,
                latch=lambda reason: _latch(profile, reason, alarm),
            )
            code = watching.run(
                lambda: bool(signals.stop),
                lambda: parent is not None and os.getppid() != parent,
            )
        finally:
            heartbeats.close()
            alarm.close()
            logs.close()
    ctx.exit(code)


def _latch(profile: Profile, reason: str, alarm: Alarm) -> None:
    """What is done at the venue now is unknown to the engine: it must not go on by itself."""
    try:
        write_kill_file(profile.kill_file, reason)
    except OSError as error:
        alarm.sound(f"the kill file can't be written: {error.strerror}")


def venue_access(
    config: Config, file: Path, profile: Profile, alarm: Callable[[str], None]
) -> list[tuple[str, IVenueAccess]]:
    """Open the emergency access to every venue of an engine that sends orders.

    One that can't be opened is told at once, not only when it is needed.
    """
    if config.engine.mode != "operator":
        return []
    found: list[tuple[str, IVenueAccess]] = []
    for name, factory in load_plugins(VENUE_ACCESS).items():
        try:
            access = factory(profile=profile, config=file)
        except Exception as error:  # noqa: BLE001 - one bad access must not cost the others
            get_logger("watchdog").error("no access", venue=name, exc_info=error)
            alarm(f"no emergency access to {name}: {type(error).__qualname__}: {error}")
            continue
        if access is not None:
            found.append((name, access))
    return found
