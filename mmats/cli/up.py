"""`mmats up`: the engine with its feeds, its venue process and its watchdog."""

import os
import subprocess
import sys
from pathlib import Path

import click

from mmats.cli.console import err
from mmats.config import Config, load_config
from mmats.engine.logs import LogOptions, Logs
from mmats.engine.redaction import Redactor
from mmats.engine.users import ensure_users
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile
from mmats.supervisor.alarm import Alarm
from mmats.supervisor.children import ChildSpec, Part, python_child
from mmats.supervisor.supervisor import Supervisor

_READY = b"up\n"
REHEARSAL = "rehearsal"
"""Venues of this name, or one that begins with it, are simulated: `mmats up` starts them."""


@click.command()
@click.option("--config", "file", required=True, type=click.Path(path_type=Path))
@click.option("--profile", "profile_name", type=click.Choice(PROFILES), help="As configured.")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where profiles are; $MMATS_HOME, else ~/.mmats.",
)
@click.option("--detach", is_flag=True, help="Return once all is started; it goes on unseen.")
@click.option("--ready-fd", type=int, hidden=True)
@click.pass_context
def up(
    ctx: click.Context,
    file: Path,
    profile_name: str | None,
    home: Path | None,
    detach: bool,
    ready_fd: int | None,
) -> None:
    """Start an engine with all that belongs to it, and keep it running.

    A process that dies is started again. Ctrl-C or SIGTERM stops all in good order, the engine
    first. Exit codes: 0 stopped, 1 the engine failed for good, 2 bad input.
    """
    config = load_config(file)
    profile = profile_of(config, profile_name, home)
    profile.create()
    ensure_users(profile, lambda text: err().print(text, markup=False))
    if detach:
        ctx.exit(_detach(file, profile))
    logs = _logs(config, profile)
    redactor = Redactor()
    alarm = Alarm(profile, "supervisor", config.watchdog.alarm_command)
    try:
        supervisor = Supervisor(
            profile,
            processes(config, file, profile),
            alarm=alarm,
            tell=lambda text: err().print(redactor.text(text), markup=False),
        )
        code = supervisor.run(lambda: _started(profile, ready_fd))
    finally:
        alarm.close()
        logs.close()
    ctx.exit(code)


def profile_of(config: Config, name: str | None, home: Path | None) -> Profile:
    """Return the profile of a configuration; another name is an error, since nothing is shared."""
    if name is not None and name != config.profile:
        raise ConfigError(
            f"this configuration is for profile {config.profile}, not {name}",
            "profile",
            "profiles share nothing: use the one it was written for",
        )
    return Profile.of(config.profile, home)


def processes(config: Config, file: Path, profile: Profile) -> list[ChildSpec]:
    """Return what belongs to an engine, in the order in which it is started."""
    options = ("--config", file.absolute(), "--profile", profile.name)
    place = (*options, "--home", profile.root.parent)
    found = []
    if config.engine.mode == "operator" and config.engine.venue.startswith(REHEARSAL):
        name = config.engine.venue
        found.append(python_child(f"venue-{name}", Part.VENUE, "venue", *place, "--name", name))
    found.append(python_child("engine", Part.ENGINE, "engine", *place))
    found.append(python_child("feed", Part.FEED, "feed", *place, "--quiet"))
    watchdog = (*place, "--parent", str(os.getpid()))
    found.append(python_child("watchdog", Part.WATCHDOG, "watchdog", *watchdog))
    return found


def _logs(config: Config, profile: Profile) -> Logs:
    table = config.logs
    options = LogOptions(table.level, table.size_max, table.files)
    return Logs(profile.logs_dir, "supervisor", options=options).start()


def _started(profile: Profile, ready_fd: int | None) -> None:
    if ready_fd is not None:
        os.write(ready_fd, _READY)
        os.close(ready_fd)
    else:
        err().print(
            f"started; logs are in {profile.logs_dir}, Ctrl-C stops", markup=False, style="dim"
        )


def _detach(file: Path, profile: Profile) -> int:
    """Start the same in a session of its own; return once it runs, or why it does not."""
    output = profile.logs_dir / "supervisor.out"
    reader, writer = os.pipe()
    arguments = ("--config", str(file.absolute()), "--home", str(profile.root.parent))
    with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as told:
        process = subprocess.Popen(  # noqa: S603 - this program, a list of arguments
            [sys.executable, "-m", "mmats", "up", *arguments, "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
            pass_fds=(writer,),
        )
    os.close(writer)
    with open(reader, "rb") as pipe:
        if pipe.read() == _READY:
            err().print(f"started as process {process.pid}; `mmats down` stops it", markup=False)
            return 0
    code = process.wait()
    err().print(output.read_text(errors="replace").rstrip(), markup=False)
    return code or 1
