"""docs/cli.md has every verb with its options, as they are."""

import importlib.util
from pathlib import Path

import click

from mmats.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("make_cli", ROOT / "docs/make_cli.py")
assert _SPEC is not None
assert _SPEC.loader is not None
make_cli = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_cli)
TEXT = (ROOT / "docs/cli.md").read_text("utf-8")
HINT = "run: python docs/make_cli.py"


def test_the_document_is_what_the_commands_say() -> None:
    assert make_cli.reference() == TEXT, HINT


def test_every_command_and_option_says_what_it_is_for() -> None:
    for name, command in make_cli.commands(main, "mmats"):
        assert command.help, name
        for option in command.params:
            shown = isinstance(option, click.Option) and not option.hidden
            is_named = shown and not isinstance(option.type, click.Choice)
            assert not is_named or option.help, f"{name} --{option.name}"


def test_groups_are_opened() -> None:
    names = {name for name, _ in make_cli.commands(main, "mmats")}
    assert {"mmats audit verify", "mmats order submit", "mmats users add", "mmats up"} <= names
