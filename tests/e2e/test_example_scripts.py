"""The scripts of examples/, as a user runs them, against an engine that speaks the protocol."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mmats.model.messages import Answer, Outcome
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile
from tests.fakes.scripted_engine import ScriptedEngine
from tests.tidy.tree import ROOT

SCRIPTS = {
    "print_signals.py": ["--silence", "0.1"],
    "enable_and_limit.py": ["trend", "daily_loss_max", "1%"],
    "flatten.py": ["--yes"],
}
LINES_MAX = 40


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


@pytest.fixture
def engine(profile: Profile) -> Iterator[ScriptedEngine]:
    with ScriptedEngine(profile) as made:
        yield made


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / script), *arguments]


def environment(profile: Profile) -> dict[str, str]:
    home = str(profile.root.parent)
    return {**os.environ, "MMATS_HOME": home, "PYTHONPATH": str(ROOT)}


def run(profile: Profile, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(script, *arguments),
        env=environment(profile),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_signals_are_printed(engine: ScriptedEngine) -> None:
    with subprocess.Popen(
        command("print_signals.py", "--silence", "30"),
        env=environment(engine.profile),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "run run-1, mode paper\n"
        engine.tell("signal", {"symbol": "BTC"})
        line = process.stdout.readline()
        process.terminate()
    assert line == "{'symbol': 'BTC'}\n"


def test_the_limit_is_set_before_the_strategy_is_enabled(engine: ScriptedEngine) -> None:
    done = run(engine.profile, "enable_and_limit.py", *SCRIPTS["enable_and_limit.py"])
    assert done.returncode == 0, done.stderr
    assert [name for name, _ in engine.executed] == ["limit.set", "strategy.enable"]
    assert done.stdout == "trend is enabled, daily_loss_max is 1%\n"


def test_a_refused_limit_leaves_the_strategy_disabled(engine: ScriptedEngine) -> None:
    engine.answers["limit.set"] = Answer(outcome=Outcome.REFUSED, code="NO", text="raises risk")
    done = run(engine.profile, "enable_and_limit.py", *SCRIPTS["enable_and_limit.py"])
    assert done.returncode == 1
    assert "raises risk" in done.stderr
    assert [name for name, _ in engine.executed] == ["limit.set"]


@pytest.mark.parametrize(("arguments", "dry_run"), [([], True), (["--yes"], False)])
def test_flatten_needs_a_yes(engine: ScriptedEngine, arguments: list[str], dry_run: bool) -> None:
    engine.answers["flatten"] = Answer(outcome=Outcome.DONE, body={"positions": 2})
    done = run(engine.profile, "flatten.py", *arguments)
    assert (done.returncode, done.stdout) == (0, "{'positions': 2}\n")
    assert engine.executed[0][1]["dry_run"] is dry_run


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_an_engine_they_end_with_3(profile: Profile, script: str) -> None:
    done = run(profile, script, *SCRIPTS[script])
    assert done.returncode == 3
    assert "KILL" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_they_stay_short_and_explain_themselves(script: str) -> None:
    text = (ROOT / "examples" / script).read_text()
    assert len(text.splitlines()) <= LINES_MAX
    assert script in (ROOT / "docs/clients.md").read_text()
