"""`mmats strategy enable | disable | reload | mode`: strategies of a running engine."""

from pathlib import Path

import click

from mmats.cli.engine_options import (
    admin_options,
    admin_session,
    engine_options,
    report,
    session,
)
from mmats.model.messages import Mode
from mmats.model.profile import Profile

reason_option = click.option("--reason", default="", help="Why, for the audit record.")


@click.command()
@click.argument("name")
@reason_option
@engine_options
def enable(profile: Profile, as_json: bool, name: str, reason: str) -> None:
    """Let a strategy of the running engine give signals again."""
    with session(profile) as client:
        report(client.enable_strategy(name, reason), as_json=as_json)


@click.command()
@click.argument("name")
@reason_option
@engine_options
def disable(profile: Profile, as_json: bool, name: str, reason: str) -> None:
    """Give a strategy of the running engine no more market data."""
    with session(profile) as client:
        report(client.disable_strategy(name, reason), as_json=as_json)


@click.command()
@click.argument("name")
@reason_option
@engine_options
def reload(profile: Profile, as_json: bool, name: str, reason: str) -> None:
    """Read a strategy's source anew, as admin."""
    with session(profile, "admin") as client:
        report(client.reload_strategy(name, reason), as_json=as_json)


@click.command()
@click.argument("name")
@click.argument("mode", type=click.Choice(["advisory", "paper", "operator"]))
@reason_option
@admin_options
@engine_options
def mode(
    profile: Profile,
    as_json: bool,
    name: str,
    mode: Mode,
    reason: str,
    admin: bool,
    passphrase_file: Path | None,
) -> None:
    """Set the mode of a strategy; a more risky one needs --admin and a --reason."""
    with session(profile, "admin" if admin else "trader") as client:
        if admin:
            admin_session(client, passphrase_file)
        report(client.set_mode(mode, name, reason), as_json=as_json)


COMMANDS = (enable, disable, reload, mode)
