"""Writes `cli.md` from the commands themselves: `python docs/make_cli.py`. A test compares both."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from mmats.cli.main import main

FILE = Path(__file__).parent / "cli.md"
INTRO = """# Commands

Made by `python docs/make_cli.py` from the commands themselves; `mmats VERB --help` prints the same.
Results go to stdout, messages to stderr.

| exit code | |
|---|---|
| 0 | done; `audit verify`: everything that could be checked is right; `replay --diff`: the same |
| 1 | refused, or unknown whether it was done; a finding of `audit verify`; a difference of \
`replay --diff`; an engine that failed for good; a defect of the program |
| 2 | bad input: a configuration, data, an option, a file that can't be read; a check that \
could not run |
| 3 | no engine answers, also where `halt` then wrote the kill file |

Options that many verbs have:

| option | |
|---|---|
| `--profile` | `dev`, `paper` or `live`: whose engine or journal. Verbs that take no `--config` \
assume `paper` |
| `--home` | folder of all profiles; `$MMATS_HOME`, else `~/.mmats` |
| `--json` | one JSON object (or one a line) on stdout and nothing else, for programs |
| `--reason` | why, for the journal |
| `--admin`, `--passphrase-file` | for what raises risk: the admin passphrase is asked for, \
hidden, or read from a file of mode 0600 |
"""


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group that does something itself, with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def section(name: str, command: click.Command) -> str:
    """Return the heading, the help and the options of one command."""
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if _is_argument(p)]
    lines = [f"## {' '.join([name, *arguments])}", "", _text(command.help or "")]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        lines += ["", "| option | default | |", "|---|---|---|"]
        lines += [_row(option) for option in options]
    return "\n".join(lines) + "\n"


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _text(text: str) -> str:
    """Return a docstring as paragraphs of one line each."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    choices = ""
    if isinstance(option.type, click.Choice):
        choices = ", ".join(f"`{choice}`" for choice in option.type.choices)
    told = _text(option.help or "")
    told = told if told.endswith("...") else told.removesuffix(".")
    about = ": ".join(part for part in (told, choices) if part)
    return f"| {names} | {_default(option)} | {re.sub(r'[|]', '/', about)} |"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    value = option.default
    is_text = isinstance(value, str | int | float | Path) and not isinstance(value, bool)
    return f"`{value}`" if is_text and str(value) else ""


def reference() -> str:
    """Return the whole document."""
    return "\n".join([INTRO, *(section(*found) for found in commands(main, "mmats"))])


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
