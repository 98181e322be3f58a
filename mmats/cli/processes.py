"""What can be told of a profile when its engine does not answer: processes, alarms, kill file."""

from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from mmats.cli.console import out
from mmats.cli.text import printable
from mmats.model.profile import Profile
from mmats.supervisor import children_state
from mmats.supervisor.alarm import alarm_file

_ALARMS_SHOWN = 5
_TEXT_MAX = 64_000


def process_facts(profile: Profile) -> dict[str, Any]:
    """Return processes by name, the last alarms, and the text of the kill file, None without."""
    return {
        "profile": profile.name,
        "link": "lost",
        "processes": {
            state.name: {
                "pid": state.pid,
                "alive": state.is_alive,
                "status": state.status,
                "since": state.since,
                "restarts": state.restarts,
                "exit_code": state.exit_code,
            }
            for state in children_state(profile)
        },
        "alarms": (_text(alarm_file(profile)) or "").splitlines()[-_ALARMS_SHOWN:],
        "kill": _text(profile.kill_file),
    }


def show_processes(profile: Profile, *, as_json: bool) -> None:
    """Print them."""
    facts = process_facts(profile)
    if as_json:
        click.echo(orjson.dumps(facts))
        return
    table = Table("process", "pid", "state", "since", "restarts", "exit code", box=None)
    for name, state in facts["processes"].items():
        killed = state["status"] == "running" and not state["alive"]
        row = (
            name,
            str(state["pid"]) if state["alive"] else "",
            "killed" if killed else state["status"],
            state["since"],
            str(state["restarts"]),
            "" if state["exit_code"] is None else str(state["exit_code"]),
        )
        table.add_row(*(printable(cell) for cell in row))
    if facts["processes"]:
        out().print(table)
    for alarm in facts["alarms"]:
        click.echo(f"alarm: {printable(alarm)}")
    if facts["kill"] is not None:
        click.echo(f"kill file: {printable(facts['kill'].strip()) or profile.kill_file}")


def _text(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TEXT_MAX))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"can't be read: {error.strerror}"
