"""`mmats replay`: a recorded run again, and whether it decides the same."""

from pathlib import Path
from typing import Any

import click

from mmats.cli.console import err, out
from mmats.model.errors import DataError
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin


@click.command()
@click.argument("run")
@click.option("--diff", is_flag=True, help="Compare with the journal of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--profile", type=click.Choice(PROFILES), default="paper", show_default=True)
@click.option("--home", type=click.Path(path_type=Path), help="Folder of all profiles.")
def replay(run: str, diff: bool, as_json: bool, profile: str, home: Path | None) -> None:
    """Feed the recorded inputs of RUN (an id, or `last`) to a fresh engine.

    With --diff the exit code is 0 where signals, denials, orders, fills and the final state are
    the same as in the journal, and 1 where they are not.
    """
    from mmats.engine.rerun import first_difference, rerun

    place = Profile.of(profile, home)
    run = _last_run(place) if run == "last" else run
    recording = place.recordings_dir / run / "inputs"
    again = rerun(plugin("mmats.journal", "read_recording")(recording))
    facts: dict[str, Any] = {
        "schema": "mmats.replay/1",
        "run": again.run,
        "inputs": again.inputs,
        "records": len(again.records),
        "image": again.image_hash,
        "fault": again.fault,
    }
    if diff:
        found = plugin("mmats.journal", "run_records")(place.journal_dir, run)
        difference = first_difference(found.records, again.records, found.is_clean)
        same_state = not found.is_clean or found.image_hash == again.image_hash
        facts |= {
            "journal_records": len(found.records),
            "ended": "cleanly" if found.is_clean else "by a crash",
            "same": difference is None and same_state,
            "state": "same" if same_state else "different",
            "difference": None
            if difference is None
            else {
                "record": difference.position,
                "journal": difference.journal,
                "replay": difference.rerun,
            },
        }
    _show(facts, as_json)
    if again.reloads and facts.get("same") is False:
        err().print(
            "strategies were loaded anew in this run: the replay took their files as they are now",
            markup=False,
        )
    if not len(again.records):
        err().print("nothing was decided in this run: `mmats audit show` has the others")
    if diff and not facts["same"]:
        raise SystemExit(1)


def _last_run(place: Profile) -> str:
    runs = sorted(path.name for path in place.recordings_dir.glob("*") if path.is_dir())
    if not runs:
        raise DataError(
            "there is no recorded run",
            file=str(place.recordings_dir),
            hint="set record = true in [engine]",
        )
    return runs[-1]


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import orjson

        click.echo(orjson.dumps(facts).decode())
        return
    for name, value in facts.items():
        if name != "schema" and value not in (None, ""):
            out().print(f"{name:>16}  {value}", markup=False, highlight=False)
    if facts.get("same") is True:
        err().print("the journal and the replay are the same", markup=False)
