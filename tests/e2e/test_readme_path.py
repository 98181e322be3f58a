"""The README's path to a first own strategy works when it is pasted in order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 300


def blocks() -> list[str]:
    """What the README says to paste, in order."""
    return BLOCK.findall((ROOT / "README.md").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("my-trading")


@pytest.fixture(scope="module")
def outputs(folder: Path) -> list[str]:
    """Paste every block into one folder; what each of them printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    printed = []
    for block in blocks():
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


def test_every_step_is_in_a_block_that_is_run() -> None:
    text = "\n".join(blocks())
    for step in (
        "mmats data import", "mmats strategy new", "mmats strategy check", "mmats config check",
        "mmats backtest", "--html", "--json",
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
