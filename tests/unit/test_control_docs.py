"""docs/control-plane.md names every command with its role, and every code of a refusal."""

import re
from pathlib import Path

from adapters.bus.control_requests import Code
from mmats.model.messages import COMMANDS

TEXT = (Path(__file__).parents[2] / "docs" / "control-plane.md").read_text("utf-8")


def table(header: str) -> list[tuple[list[str], str]]:
    """Rows of a table: the words in code style of the first column, and the second column."""
    rows = TEXT.split(f"{header}\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [(re.findall(r"`([^`]+)`", first), second) for first, second, *_ in cells]


def test_every_command_is_documented_with_its_role() -> None:
    found = {name: role for names, role in table("| command | role | |") for name in names}
    assert found == {
        name: "" if spec.role is None else spec.role.name.lower() for name, spec in COMMANDS.items()
    }


def test_every_code_of_the_server_is_documented() -> None:
    found = [code for codes, _ in table("| code | not executed because |") for code in codes]
    assert sorted(found) == sorted(Code)
