"""The `mmats` command: verbs are loaded when they are asked for, errors end in exit code 2."""

import importlib
from typing import Any

import click

from mmats import __version__
from mmats.cli.console import print_error
from mmats.model.errors import MmatsError

EXIT_BAD_INPUT = 2

_VERBS = {
    "audit": "mmats.cli.audit:audit",
    "backtest": "mmats.cli.backtest:backtest",
    "config": "mmats.cli.config:config",
    "data": "mmats.cli.data:data",
    "demo": "mmats.cli.demo:demo",
    "engine": "mmats.cli.engine:engine",
    "replay": "mmats.cli.replay:replay",
    "feed": "mmats.cli.feed:feed",
    "down": "mmats.cli.control:down",
    "fit": "mmats.cli.fit:fit_command",
    "flatten": "mmats.cli.control:flatten",
    "halt": "mmats.cli.control:halt",
    "limit": "mmats.cli.control:limit",
    "order": "mmats.cli.control:order",
    "pause": "mmats.cli.control:pause",
    "resume": "mmats.cli.control:resume",
    "status": "mmats.cli.control:status",
    "strategy": "mmats.cli.strategy:strategy",
    "up": "mmats.cli.up:up",
    "users": "mmats.cli.users:users",
    "venue": "mmats.cli.venue:venue",
    "watchdog": "mmats.cli.watchdog:watchdog",
}


class VerbGroup(click.Group):
    """Loads verbs lazily, so that `mmats --version` does not import numpy and pandas."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs, in alphabetical order."""
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None where there is none of that name."""
        if cmd_name not in _VERBS:
            return None
        module, _, attribute = _VERBS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{_VERBS[cmd_name]} is no command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error that a user can mend is told on stderr, without a traceback."""
        try:
            return super().invoke(ctx)
        except MmatsError as error:
            print_error(error)
            ctx.exit(EXIT_BAD_INPUT)


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mmats")
def main() -> None:
    """Trade crypto and forex by algorithm, the same code from backtest to live orders.

    Results go to stdout, messages to stderr. Exit codes: 0 done; 1 refused or unknown, or a defect
    of the program; 2 bad input; 3 no engine answers.
    """
