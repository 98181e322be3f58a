"""The README's path to a first own strategy works when it is pasted in order."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 300
LOOK_S = 4.0  # at what goes on until Ctrl-C
ENDLESS = ("mmats status --watch", "python examples/print_signals.py")


def blocks() -> list[tuple[str, str]]:
    """What the README says to paste, in order: language and text; `sh` in the project's folder."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = [block for block in BLOCK.findall(text) if "make " not in block[1]]
    return [block for block in found if ".venv/bin/activate" not in block[1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("my-trading")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Where the commands of the README are found, with a home of their own."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = tempfile.mkdtemp(prefix="mmats-")
    made = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "MMATS_HOME": home}
    try:
        yield {**os.environ, **made}
    finally:
        with contextlib.suppress(OSError, ValueError):
            pid = int((Path(home) / "paper/run/supervisor.pid").read_text().split()[0])
            if home.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGTERM)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def outputs(folder: Path, environment: dict[str, str]) -> list[str]:
    """Paste every block into one folder; what each of them printed."""
    printed = []
    for language, block in blocks():
        if language == "sh":
            printed.append("".join(look(line, environment) for line in block.splitlines()))
            continue
        done = subprocess.run(
            ["bash", "-e"],  # noqa: S607
            input=block,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout)
    return printed


def look(line: str, environment: dict[str, str]) -> str:
    """Run one line in the project's folder; what goes on for ever gets Ctrl-C."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"],  # noqa: S607
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        if line in ENDLESS:
            time.sleep(LOOK_S)
            assert process.poll() is None, line
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=TIMEOUT_S)
    if line not in ENDLESS:
        assert process.returncode == 0, line
    return output


def test_every_step_is_in_a_block_that_is_run() -> None:
    text = "\n".join(block for _, block in blocks())
    for step in (
        "mmats data import", "mmats strategy new", "mmats strategy check", "mmats config check",
        "mmats backtest", "--html", "--json", "mmats up", "mmats status", "mmats status --watch",
        "mmats halt", "mmats flatten", "mmats resume", "print_signals.py", "enable_and_limit.py",
        "flatten.py", "mmats down", "mmats audit verify", "mmats replay last --diff",
    ):  # fmt: skip
        assert step in text, step


def test_the_data_is_stored_without_gaps(outputs: list[str]) -> None:
    assert re.search(r"missing rows +0\b", outputs[1])
    assert re.search(r"\brows +43,200\b", outputs[1])


def test_the_strategy_keeps_the_contract(outputs: list[str]) -> None:
    assert "first_idea.py: keeps the contract" in outputs[2]


def test_the_configuration_is_good(outputs: list[str]) -> None:
    assert "first.toml: good" in outputs[3]


def test_the_run_trades_and_leaves_its_report(outputs: list[str], folder: Path) -> None:
    report = json.loads((folder / "first.json").read_text("utf-8"))
    assert report["schema"] == "mmats.report/1"
    assert report["metrics"]["trades"] > 0
    assert report["denials"] == {}
    assert report["strategy_errors"] == []
    assert "first_idea" in (folder / "first.html").read_text("utf-8")
    assert "Net profit" in outputs[4]


def test_python_gives_the_same_result_as_the_command(outputs: list[str], folder: Path) -> None:
    report = json.loads((folder / "first.json").read_text("utf-8"))
    net_profit = float(outputs[5].split()[0])
    assert net_profit == pytest.approx(report["metrics"]["net_profit"])


def test_the_engine_trades_on_paper(outputs: list[str]) -> None:
    assert "PAPER" in outputs[6]
    assert "link live  mode paper" in outputs[7]


def test_halt_flatten_and_resume_are_done(outputs: list[str]) -> None:
    for said in ("halt: done", "dry_run: true", "flatten: done", "resume: done", "state: ACTIVE"):
        assert said in outputs[8], said


def test_the_scripts_command_the_engine(outputs: list[str]) -> None:
    assert "first_idea is enabled, daily_loss_max is 1%" in outputs[9]
    assert "'dry_run': True" in outputs[9]


def test_the_journal_is_whole_and_the_replay_is_the_same(outputs: list[str]) -> None:
    assert "down: done" in outputs[10]
    assert "everything that could be checked is right" in outputs[10]
    assert re.search(r"same +True\b", outputs[10])
    assert re.search(r"ended +cleanly\b", outputs[10])
