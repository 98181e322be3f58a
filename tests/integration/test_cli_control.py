"""The verbs that speak with a running engine: exit codes, output, and halting without a link."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mmats.cli.emergency import halt_without_link
from mmats.cli.main import main
from mmats.model.messages import PRIVATE, Answer, Outcome
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile
from tests.fakes.scripted_engine import ScriptedEngine


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


@pytest.fixture
def engine(profile: Profile) -> Iterator[ScriptedEngine]:
    with ScriptedEngine(profile) as made:
        yield made


@pytest.fixture
def passphrase_file(profile: Profile) -> Path:
    path = profile.root.parent / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


def mmats(profile: Profile, *arguments: str, typed: str = "") -> Result:
    home = ("--home", str(profile.root.parent))
    return CliRunner().invoke(main, [*arguments, *home], input=typed)


@pytest.mark.parametrize(
    ("arguments", "command", "body"),
    [
        (["halt"], "halt", {"scope": "all", "reason": ""}),
        (
            ["pause", "--scope", "market:crypto", "--reason", "news"],
            "pause",
            {"scope": "market:crypto", "reason": "news"},
        ),
        (["flatten", "--dry-run"], "flatten", {"scope": "all", "reason": "", "dry_run": True}),
        (["down", "--cancel", "all"], "down", {"cancel": "all", "reason": ""}),
        (
            ["order", "cancel", "7"],
            "cancel",
            {"order_id": 7, "scope": None, "dry_run": False},
        ),
        (
            ["strategy", "disable", "trend", "--reason", "odd"],
            "strategy.disable",
            {"name": "trend", "reason": "odd"},
        ),
        (
            ["strategy", "enable", "trend"],
            "strategy.enable",
            {"name": "trend", "reason": ""},
        ),
        (
            ["strategy", "reload", "trend"],
            "strategy.reload",
            {"name": "trend", "reason": ""},
        ),
        (
            ["strategy", "mode", "trend", "advisory"],
            "mode",
            {"mode": "advisory", "strategy": "trend", "reason": ""},
        ),
        (
            ["limit", "set", "daily_loss", "2%", "--level", "strategy", "--name", "trend"],
            "limit.set",
            {
                "level": "strategy",
                "name": "trend",
                "limit": "daily_loss",
                "value": "2%",
                "reason": "",
            },
        ),
    ],
)
def test_a_verb_asks_its_command(
    engine: ScriptedEngine, arguments: list[str], command: str, body: dict[str, object]
) -> None:
    done = mmats(engine.profile, *arguments)
    assert done.exit_code == 0, done.output
    assert engine.executed == [(command, body)]
    assert done.stdout.startswith(f"{command}: done")


def test_an_order_is_submitted_with_its_prices(engine: ScriptedEngine) -> None:
    arguments = ["BTCUSDT", "buy", "0.1", "--limit", "100", "--stop-loss", "90", "--reduce-only"]
    assert mmats(engine.profile, "order", "submit", *arguments).exit_code == 0
    ((command, body),) = engine.executed
    assert command == "order.submit"
    assert (body["symbol"], body["side"], body["quantity"]) == ("BTCUSDT", "buy", "0.1")
    assert (body["limit"], body["stop_loss"], body["reduce_only"]) == ("100", "90", True)


def test_resume_shows_the_passphrase_of_a_file(
    engine: ScriptedEngine, passphrase_file: Path
) -> None:
    arguments = ["resume", "--reason", "all clear", "--passphrase-file", str(passphrase_file)]
    assert mmats(engine.profile, *arguments).exit_code == 0
    assert engine.arrived[-2:] == ["reauthenticate", "resume"]


def test_resume_with_a_wrong_passphrase_stops_there(
    engine: ScriptedEngine, passphrase_file: Path
) -> None:
    engine.answers["reauthenticate"] = Answer(outcome=Outcome.REFUSED, code="PASSPHRASE")
    arguments = ["resume", "--reason", "all clear", "--passphrase-file", str(passphrase_file)]
    done = mmats(engine.profile, *arguments)
    assert done.exit_code == 1
    assert "reauthenticate: refused, PASSPHRASE" in done.stdout
    assert engine.executed == []


def test_a_passphrase_that_others_can_read_is_refused(
    engine: ScriptedEngine, passphrase_file: Path
) -> None:
    passphrase_file.chmod(0o644)
    arguments = ["resume", "--reason", "all clear", "--passphrase-file", str(passphrase_file)]
    done = mmats(engine.profile, *arguments)
    assert done.exit_code == 2
    assert "chmod 600" in done.stderr


def test_without_a_terminal_the_passphrase_is_not_asked_for(engine: ScriptedEngine) -> None:
    done = mmats(engine.profile, "resume", "--reason", "all clear", typed="correct horse\n")
    assert done.exit_code == 2
    assert "--passphrase-file" in done.stderr


def test_no_verb_takes_a_passphrase_as_an_argument() -> None:
    assert "--passphrase" not in {name for name in options_of(main) if name != "--passphrase-file"}


def options_of(command: click.Command) -> set[str]:
    """All options of a command and those below it."""
    found = {text for parameter in command.params for text in parameter.opts}
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                found |= options_of(below)
    return found


def test_a_refusal_ends_with_1_and_says_why(engine: ScriptedEngine) -> None:
    text = "no \x1b[31mred\x1b[0m today"
    engine.answers["flatten"] = Answer(outcome=Outcome.REFUSED, code="NO", text=text)
    done = mmats(engine.profile, "flatten")
    assert done.exit_code == 1
    assert "flatten: refused, NO: no \\x1b[31mred" in done.stdout
    facts = json.loads(mmats(engine.profile, "flatten", "--json").stdout)
    assert (facts["outcome"], facts["code"]) == ("refused", "NO")


@pytest.mark.parametrize(
    "arguments",
    [
        ["halt", "--scope", "everything"],
        ["order", "cancel"],
        ["order", "cancel", "1", "--scope", "all"],
        ["order", "submit", "X", "hold", "1"],
        ["status", "--profile", "prod"],
        ["strategy", "enable", ""],
    ],
)
def test_bad_input_ends_with_2(engine: ScriptedEngine, arguments: list[str]) -> None:
    assert mmats(engine.profile, *arguments).exit_code == 2
    assert engine.executed == []


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["pause"], ["flatten"], ["order", "list"], ["halt", "--scope", "market:crypto"]],
)
def test_without_an_engine_it_ends_with_3(profile: Profile, arguments: list[str]) -> None:
    done = mmats(profile, *arguments)
    assert done.exit_code == 3
    assert "no engine" in done.stderr
    assert "SIGUSR1" in done.stderr


def test_status_as_text_and_json(engine: ScriptedEngine) -> None:
    engine.set("engine", {"mode": "paper", "state": "running", "run": "run-1"})
    engine.set("account", {"currency": "EUR", "equity": "150.25", "day_pnl": "-1.5"}, PRIVATE)
    engine.set("position:trend:BTC", {"quantity": "0.1", "average": "100"}, PRIVATE)
    engine.set("strategy:trend", {"enabled": True, "mode": "paper", "error": "a\x07b"})
    text = mmats(engine.profile, "status").stdout
    for said in ("PAPER", "running", "LIVE", "150.25", "-1.5", "trend:BTC", "0.1", "a\\x07b"):
        assert said in text
    assert "~" not in text
    facts = json.loads(mmats(engine.profile, "status", "--json").stdout)
    assert (facts["link"], facts["current"], facts["run"]) == ("live", True, "run-1")
    assert facts["state"]["account"]["equity"] == "150.25"


def test_without_an_engine_status_tells_of_processes(profile: Profile) -> None:
    (profile.run_dir / "feed.pid").write_text(f"{os.getpid()}\n")
    done = mmats(profile, "status", "--json")
    assert done.exit_code == 3
    ((process,), link) = (json.loads(done.stdout)[key] for key in ("processes", "link"))
    assert (link, process["name"], process["pid"]) == ("lost", "feed", os.getpid())
    assert process["alive"] is True
    assert f"pid {os.getpid()}" in mmats(profile, "status").stderr


def test_a_viewer_s_status_has_no_account(engine: ScriptedEngine) -> None:
    engine.set("account", {"equity": "150.25"}, PRIVATE)
    done = mmats(engine.profile, "status", "--role", "viewer")
    assert done.exit_code == 0
    assert "equity" not in done.stdout


def test_orders_and_limits_are_listed(engine: ScriptedEngine) -> None:
    engine.set("order:7", {"symbol": "BTC", "quantity": "0.1"}, PRIVATE)
    engine.set("limit:global::daily_loss", "2%", PRIVATE)
    assert mmats(engine.profile, "order", "list").stdout == "7  symbol BTC  quantity 0.1\n"
    limits = mmats(engine.profile, "limit", "list", "--json").stdout
    assert json.loads(limits) == {"global::daily_loss": "2%"}


# -- halting without a link ------------------------------------------------------------------------

CATCHER = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
print("ready", flush=True)
signal.pause()
"""
BYSTANDER = "print('ready', flush=True); import signal; signal.pause()"


def started(script: str, name: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", script, name], stdout=-1, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: "subprocess.Popen[str]") -> int:
    """Exit code of a process, which is ended if it lives."""
    with process:
        try:
            return process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def test_halt_writes_the_kill_file_and_signals_the_engine(profile: Profile) -> None:
    profile.create()
    process = started(CATCHER, "mmats up")
    (profile.run_dir / "engine.pid").write_text(f"{process.pid}\n")
    done = mmats(profile, "halt")
    assert ended(process) == 7
    assert done.exit_code == 3
    assert profile.kill_file.exists()
    assert f"wrote {profile.kill_file}" in done.stdout
    assert "mmats halt" in profile.kill_file.read_text()
    assert f"sent SIGUSR1 to process {process.pid}" in done.stdout


@pytest.mark.parametrize(("script", "name"), [(BYSTANDER, "mmats up"), (CATCHER, "editor")])
def test_a_process_that_is_no_engine_gets_no_signal(
    profile: Profile, script: str, name: str
) -> None:
    profile.create()
    process = started(script, name)
    (profile.run_dir / "engine.pid").write_text(str(process.pid))
    said = halt_without_link(profile)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == -signal.SIGTERM
    assert "no signal was sent" in said[1]
    assert profile.kill_file.exists()


def test_halt_takes_the_other_way_when_the_engine_does_not_reply(engine: ScriptedEngine) -> None:
    engine.silent.add("halt")
    done = mmats(engine.profile, "halt")
    assert done.exit_code == 3
    assert "no reply in time" in done.stdout
    assert engine.profile.kill_file.exists()


def test_a_rollback_is_told_whatever_the_verb(engine: ScriptedEngine) -> None:
    engine.head = [9, "i"]
    assert "ROLLBACK" not in mmats(engine.profile, "pause").stderr
    engine.head = [8, "h"]
    engine.answers["pause"] = Answer(outcome=Outcome.REFUSED, code="NO")
    assert "ROLLBACK" in mmats(engine.profile, "pause").stderr


@pytest.mark.parametrize("text", ["", "none", "1", "-5", "999999999"])
def test_a_bad_process_id_gets_no_signal(profile: Profile, text: str) -> None:
    profile.create()
    (profile.run_dir / "engine.pid").write_text(text)
    assert "no signal was sent" in halt_without_link(profile)[1]


def test_halt_takes_the_other_way_when_the_token_is_gone(engine: ScriptedEngine) -> None:
    (engine.profile.keys_dir / "trader.token").unlink()
    done = mmats(engine.profile, "halt", "--json")
    assert done.exit_code == 3
    assert "no token" in json.loads(done.stdout)["text"]
    assert engine.profile.kill_file.exists()


def test_halt_in_a_home_without_profile_writes_nothing(profile: Profile) -> None:
    shutil.rmtree(profile.root)
    done = mmats(profile, "halt")
    assert done.exit_code == 3
    assert "no engine of this profile" in done.stdout
    assert not profile.root.exists()
