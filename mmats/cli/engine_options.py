"""What all verbs that speak with a running engine have in common: options, session, exit codes."""

import functools
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson

from mmats.cli.console import err, print_error
from mmats.cli.text import printable
from mmats.client import (
    Client,
    ClientError,
    CommandInvalid,
    CommandReply,
    EngineUnreachable,
    Outcome,
    TokenUnreadable,
)
from mmats.client.base import RoleName
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile

EXIT_NOT_DONE = 1
EXIT_BAD_INPUT = 2
EXIT_UNREACHABLE = 3

Verb = Callable[..., None]


def engine_options(verb: Verb) -> Verb:
    """Add --profile, --home and --json; the verb gets `profile` and `as_json`."""

    @functools.wraps(verb)
    def with_profile(profile: str, home: Path | None, **arguments: Any) -> None:
        verb(profile=Profile.of(profile, home), **arguments)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "--home",
            type=click.Path(path_type=Path, file_okay=False),
            help="Where profiles are; $MMATS_HOME, else ~/.mmats.",
        ),
        click.option(
            "--profile",
            type=click.Choice(PROFILES),
            default="paper",
            show_default=True,
            help="Whose engine.",
        ),
    ):
        with_profile = option(with_profile)
    return with_profile


def admin_options(verb: Verb) -> Verb:
    """Add --admin and --passphrase-file, for what may raise risk."""
    for option in (
        click.option(
            "--passphrase-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="File with the admin passphrase, mode 0600; asked for if not given.",
        ),
        click.option("--admin", is_flag=True, help="As admin, with passphrase: may raise risk."),
    ):
        verb = option(verb)
    return verb


@contextmanager
def session(profile: Profile, role: RoleName = "trader") -> Iterator[Client]:
    """Open a session; what goes wrong is told on stderr and ends in its exit code."""
    try:
        with Client.connect(profile, role=role) as client:
            try:
                yield client
            finally:
                for warning in client.warnings:
                    err().print(f"warning: {printable(warning)}", style="bold red", markup=False)
    except ClientError as error:
        leave(error)


def leave(error: ClientError) -> NoReturn:
    """Tell an error and end with its exit code."""
    print_error(error)
    if isinstance(error, EngineUnreachable):
        sys.exit(EXIT_UNREACHABLE)
    sys.exit(EXIT_BAD_INPUT if isinstance(error, CommandInvalid | TokenUnreadable) else 1)


def admin_session(client: Client, passphrase_file: Path | None) -> None:
    """Show the passphrase to the engine."""
    reply = client.reauthenticate(read_passphrase(passphrase_file))
    if not reply.done:
        report(reply, as_json=False)


def read_passphrase(file: Path | None) -> str:
    """Return the admin passphrase from a file or, hidden, from the terminal.

    Raises
    ------
    ConfigError
        There is neither, or others may read the file.
    """
    if file is None:
        if not sys.stdin.isatty():
            hint = "give a file with --passphrase-file"
            raise ConfigError("there is no terminal to ask for the passphrase", "", hint)
        text: str = click.prompt("admin passphrase", hide_input=True, err=True)
        return text
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ConfigError("other users can read the passphrase", str(file), "chmod 600")
        text = file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"can't be read: {reason}", str(file)) from error
    if not text:
        raise ConfigError("the file is empty", str(file))
    return text


def report(reply: CommandReply, *, as_json: bool) -> None:
    """Print what became of a command; exit code 1 unless it was done."""
    facts = {
        "command": reply.asked.command,
        "id": reply.id,
        "outcome": reply.outcome.value,
        "code": reply.code,
        "text": reply.text,
        "body": reply.body,
    }
    if as_json:
        click.echo(orjson.dumps(facts))
    else:
        said = ": ".join(printable(part) for part in (reply.code, reply.text) if part)
        click.echo(f"{reply.asked.command}: {reply.outcome.value}{f', {said}' if said else ''}")
        for name, value in reply.body.items():
            click.echo(f"  {printable(name)}: {printable(shown(value))}")
    if reply.outcome is Outcome.UNKNOWN:
        err().print("hint:  it may have been executed; look at `mmats status` before asking again")
    if not reply.done:
        sys.exit(EXIT_NOT_DONE)


def shown(value: Any) -> str:
    """Return a value as text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def owned_by_us(path: Path) -> bool:
    """Whether the file or process folder belongs to this user."""
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False
