"""Verbs that look at a running engine and command it.

Exit codes: 0 done; 1 refused, unknown, or a defect; 2 bad input; 3 no engine answers.
"""

import sys
from pathlib import Path
from typing import Any, Literal

import click
import orjson

from mmats.cli.console import err, out
from mmats.cli.emergency import halt_without_link
from mmats.cli.engine_options import (
    EXIT_UNREACHABLE,
    admin_options,
    admin_session,
    engine_options,
    leave,
    report,
    session,
    shown,
)
from mmats.cli.text import printable
from mmats.client import Client, ClientError, CommandInvalid, Outcome
from mmats.client.errors import ways_to_stop
from mmats.model.messages import ScopeCommand
from mmats.model.profile import Profile
from mmats.supervisor.pids import children_state

HALT_S = 2.0  # then the other way is taken

scope_option = click.option(
    "--scope",
    default="all",
    show_default=True,
    help="all, market:NAME, strategy:NAME or symbol:SYMBOL.",
)
reason_option = click.option("--reason", default="", help="Why, for the audit record.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@click.command()
@engine_options
@click.option("--watch", is_flag=True, help="Stay, and show every change.")
@click.option(
    "--role",
    type=click.Choice(["viewer", "trader", "admin"]),
    default="trader",
    show_default=True,
    help="Whose token to take; a viewer does not see the account.",
)
def status(
    profile: Profile, as_json: bool, watch: bool, role: Literal["viewer", "trader", "admin"]
) -> None:
    """Show what the engine does: mode, account, positions, strategies, feeds.

    If no engine answers, this tells which processes of the profile there are; exit code 3.
    """
    from mmats.cli.live import View
    from mmats.cli.live import watch as watch_view

    try:
        client = Client.connect(profile, role=role)
    except ClientError as error:
        processes = _processes(profile)
        if as_json:
            click.echo(orjson.dumps({"link": "lost", "error": str(error), "processes": processes}))
        for process in processes:
            facts = {key: item for key, item in process.items() if key != "name" and item != ""}
            err().print(f"process {process['name']:<12} {_pairs(facts)}", markup=False)
        leave(error)
    with client:
        if as_json:
            click.echo(orjson.dumps(_facts(client), option=orjson.OPT_SORT_KEYS))
        elif watch:
            watch_view(client)
        else:
            out().print(View(client).render())


def _facts(client: Client) -> dict[str, Any]:
    return {
        "profile": client.profile.name,
        "run": client.run,
        "role": client.role.name.lower(),
        "link": client.link.value,
        "current": client.is_current,
        "warnings": list(client.warnings),
        "processes": _processes(client.profile),
        "state": client.state.copy(),
    }


def _processes(profile: Profile) -> list[dict[str, Any]]:
    """Processes of the profile as their pid files tell, also when no socket answers."""
    return [
        {
            "name": state.name,
            "pid": state.pid,
            "status": state.status,
            "alive": state.is_alive,
            "since": state.since,
            "restarts": state.restarts,
            "detail": printable(state.detail),
        }
        for state in children_state(profile)
    ]


@click.command()
@engine_options
@scope_option
@reason_option
def halt(profile: Profile, as_json: bool, scope: str, reason: str) -> None:
    """Let strategies send no order at all.

    If no engine answers, and the scope is all, this writes the profile's KILL file and sends
    SIGUSR1 to the engine's process, says so, and ends with exit code 3.
    """
    try:
        with Client.connect(profile, timeout_s=HALT_S) as client:
            body = ScopeCommand(scope=scope, reason=reason)
            reply = client.command("halt", body, timeout_s=HALT_S)
    except CommandInvalid as error:
        leave(error)
    except ClientError as error:
        if scope != "all":
            leave(error)
        _halt_without_link(profile, error.message, as_json)
    if reply.outcome is Outcome.UNKNOWN and scope == "all":
        _halt_without_link(profile, reply.text, as_json)
    if reply.outcome is Outcome.REFUSED:
        err().print(f"hint:  {ways_to_stop(profile)}", markup=False)
    report(reply, as_json=as_json)


def _halt_without_link(profile: Profile, why: str, as_json: bool) -> None:
    done = halt_without_link(profile)
    if as_json:
        facts = {
            "command": "halt",
            "outcome": "unknown",
            "text": why,
            "body": {"without_link": done},
        }
        click.echo(orjson.dumps(facts))
    else:
        click.echo(f"halt: {printable(why)}")
        for line in done:
            click.echo(f"  {printable(line)}")
    sys.exit(EXIT_UNREACHABLE)


@click.command()
@engine_options
@scope_option
@reason_option
def pause(profile: Profile, as_json: bool, scope: str, reason: str) -> None:
    """Take no new risk; positions may be reduced and closed."""
    with session(profile) as client:
        report(client.pause(scope, reason), as_json=as_json)


@click.command()
@engine_options
@scope_option
@click.option("--reason", required=True, help="Why trading may go on, for the audit record.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the admin passphrase, mode 0600; asked for if not given.",
)
def resume(
    profile: Profile, as_json: bool, scope: str, reason: str, passphrase_file: Path | None
) -> None:
    """Let a paused or halted scope trade again; asks for the admin passphrase."""
    with session(profile, "admin") as client:
        admin_session(client, passphrase_file)
        report(client.resume(reason, scope), as_json=as_json)


@click.command()
@engine_options
@scope_option
@reason_option
@dry_run_option
def flatten(profile: Profile, as_json: bool, scope: str, reason: str, dry_run: bool) -> None:
    """Cancel the orders of a scope and close its positions."""
    with session(profile) as client:
        report(client.flatten(scope, reason, dry_run=dry_run), as_json=as_json)


@click.command()
@engine_options
@click.option(
    "--cancel",
    type=click.Choice(["configured", "none", "entries", "all"]),
    default="configured",
    show_default=True,
    help="Which working orders to cancel first.",
)
@reason_option
def down(
    profile: Profile,
    as_json: bool,
    cancel: Literal["configured", "none", "entries", "all"],
    reason: str,
) -> None:
    """Stop the engine."""
    with session(profile) as client:
        report(client.down(cancel, reason), as_json=as_json)


@click.group()
def order() -> None:
    """Submit, cancel and list orders by hand."""


@order.command()
@click.argument("symbol")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("quantity")
@click.option("--limit", default="", help="Limit price; without it a market order.")
@click.option("--stop-loss", default="", help="Price at which the position is closed.")
@click.option("--take-profit", default="", help="Price at which the position is closed.")
@click.option("--reduce-only", is_flag=True, help="Never open or turn a position.")
@dry_run_option
@engine_options
def submit(profile: Profile, as_json: bool, **arguments: Any) -> None:
    """Submit an order for QUANTITY of SYMBOL; it passes the same gate as any other."""
    with session(profile) as client:
        report(client.submit_order(**arguments), as_json=as_json)


@order.command()
@click.argument("order_id", type=click.IntRange(min=1), required=False)
@click.option("--scope", help="Cancel all of market:NAME, strategy:NAME, symbol:SYMBOL or all.")
@dry_run_option
@engine_options
def cancel(
    profile: Profile, as_json: bool, order_id: int | None, scope: str | None, dry_run: bool
) -> None:
    """Cancel one order by its number, or the orders of a scope."""
    if (order_id is None) == (scope is None):
        raise click.UsageError("give the number of an order, or --scope")
    with session(profile) as client:
        report(client.cancel(order_id or 0, scope=scope, dry_run=dry_run), as_json=as_json)


@order.command("list")
@engine_options
def list_orders(profile: Profile, as_json: bool) -> None:
    """List the orders that work at the venue."""
    _print_keys(profile, "order", as_json)


@click.group()
def limit() -> None:
    """Set and list limits."""


@limit.command("set")
@click.argument("limit")
@click.argument("value")
@click.option(
    "--level",
    type=click.Choice(["global", "market", "strategy", "symbol"]),
    default="global",
    show_default=True,
)
@click.option("--name", default="", help="Market, strategy or symbol of the level.")
@reason_option
@admin_options
@engine_options
def set_limit(
    profile: Profile, as_json: bool, admin: bool, passphrase_file: Path | None, **arguments: Any
) -> None:
    """Set LIMIT to VALUE, as in the configuration: 2%, "50 EUR", 10/s, none.

    Lowering risk is done at once; raising it needs --admin and a --reason.
    """
    with session(profile, "admin" if admin else "trader") as client:
        if admin:
            admin_session(client, passphrase_file)
        report(client.set_limit(**arguments), as_json=as_json)


@limit.command("list")
@engine_options
def list_limits(profile: Profile, as_json: bool) -> None:
    """List the limits that hold."""
    _print_keys(profile, "limit", as_json)


def _print_keys(profile: Profile, prefix: str, as_json: bool) -> None:
    with session(profile) as client:
        found = client.state.below(prefix)
        if not client.is_current:
            err().print(f"warning: the link is {client.link}; this may be old", style="yellow")
    if as_json:
        click.echo(orjson.dumps(found))
        return
    for name, value in found.items():
        click.echo(f"{printable(name)}  {printable(_pairs(value))}")
    if not found:
        err().print(f"there is no {prefix}")


def _pairs(value: Any) -> str:
    if not isinstance(value, dict):
        return shown(value)
    return "  ".join(f"{key} {shown(item)}" for key, item in value.items())
