"""`mmats users add | list | revoke | passphrase | keypair`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table
from rich.text import Text

from mmats.cli.console import err, out
from mmats.model.errors import ConfigError
from mmats.model.messages import Role
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin

_PROFILE = click.option(
    "--profile", "name_of_profile", type=click.Choice(PROFILES), default="paper", show_default=True
)
_HOME = click.option(
    "--home", type=click.Path(path_type=Path), help="Folder of the profiles: $MMATS_HOME, ~/.mmats."
)
_ROLES = click.Choice([role.name.lower() for role in Role])


@click.group()
def users() -> None:
    """Say who may watch, control and administer the engine of a profile."""


@users.command()
@click.argument("name")
@click.option("--role", required=True, type=_ROLES)
@click.option("--curve-key", default="", help="Public CURVE key, for a user of another machine.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Write the token there.")
@_PROFILE
@_HOME
def add(
    name: str,
    role: str,
    curve_key: str,
    token_file: Path | None,
    name_of_profile: str,
    home: Path | None,
) -> None:
    """Add user NAME and print the token, once: only its hash is kept."""
    if token_file is not None and token_file.exists():
        raise ConfigError("there is such a file", str(token_file), "choose another name")
    token = _store(name_of_profile, home).add(name, Role[role.upper()], curve_key)
    if token_file is None:
        click.echo(token)
        return
    plugin("mmats.bus", "write-private")(token_file, token + "\n")
    err().print(f"{token_file}: token of {name}", markup=False)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
@_PROFILE
@_HOME
def list_(as_json: bool, name_of_profile: str, home: Path | None) -> None:
    """List the users, revoked ones too."""
    rows = [
        {
            "name": user.name,
            "role": user.role.name.lower(),
            "curve_key": user.curve_key,
            "created": _moment(user.created_ns),
            "revoked": _moment(user.revoked_ns),
        }
        for user in _store(name_of_profile, home).users()
    ]
    if as_json:
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "role", "curve_key", "created", "revoked"):
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        table.add_row(*map(Text, row.values()))  # a key may look like markup
    out().print(table)


@users.command()
@click.argument("name")
@_PROFILE
@_HOME
def revoke(name: str, name_of_profile: str, home: Path | None) -> None:
    """Take every right from user NAME, from the next message on."""
    _store(name_of_profile, home).revoke(name)
    err().print(f"{name} is revoked", markup=False)


@users.command()
@_PROFILE
@_HOME
def passphrase(name_of_profile: str, home: Path | None) -> None:
    """Set the admin passphrase, which is asked for on the terminal or read from stdin."""
    if sys.stdin.isatty():
        text: str = click.prompt(
            "New passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    _store(name_of_profile, home).set_passphrase(text)
    err().print("the passphrase is set")


@users.command()
@click.argument("file", type=click.Path(path_type=Path))
def keypair(file: Path) -> None:
    """Make CURVE keys: the secret one goes to FILE, the public one to stdout."""
    if file.exists():
        raise ConfigError("there is such a file", str(file), "choose another name")
    public, secret = plugin("mmats.bus", "curve-keys")()
    plugin("mmats.bus", "write-private")(file, secret + "\n")
    click.echo(public)


def _store(name: str, home: Path | None) -> Any:
    profile = Profile.of(name, home)
    profile.create()
    store = plugin("mmats.bus", "users")(profile)
    known = store.users()
    if not known and store.path.exists():
        raise ConfigError(store.damaged or "has no users", str(store.path))
    return store


def _moment(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}" if ts_ns else ""
