"""What the documents say is there: links, modules, reasons, and code that runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmats._core import Reason
from tests.tidy.tree import PACKAGES, ROOT, core_files

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```(python|cython)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SIZE_MAX = 300_000


def text_of(name: str) -> str:
    """A document of the repository."""
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = [t for t in LINK.findall(document.read_text("utf-8")) if "://" not in t]
    assert [t for t in targets if not (document.parent / t).exists()] == []


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/images").glob("*.[sp][vn]g"))
    assert pictures
    assert {p.name: p.stat().st_size for p in pictures if p.stat().st_size > SIZE_MAX} == {}


def test_the_architecture_names_every_module_of_the_core() -> None:
    text = text_of("ARCHITECTURE.md")
    assert [p.stem for p in core_files(".pyx") if f"| `{p.stem}` |" not in text] == []


def test_the_architecture_names_every_folder() -> None:
    text = text_of("ARCHITECTURE.md")
    tops = [name for name in (*PACKAGES, "benchmarks", "tests") if (ROOT / name).is_dir()]
    inner = [p.parent.name for p in (ROOT / "mmats").glob("*/__init__.py")]
    tests = [f"tests/{p.name}" for p in (ROOT / "tests").iterdir() if any(p.glob("test_*.py"))]
    assert [name for name in [*tops, *inner] if f"{name}/" not in text] == []
    assert [name for name in tests if f"`{name}`" not in text] == []


def test_every_reason_of_a_denial_is_explained() -> None:
    text = text_of("docs/risk.md")
    names = [reason.name.removeprefix("REASON_") for reason in Reason]
    assert [name for name in names if name != "OK" and f"`{name}`" not in text] == []


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code blocks of docs/strategies.md, under the names that they use."""
    folder = tmp_path_factory.mktemp("examples")
    names = ["breakout.py", "run_it.py", "imbalance.py", "test_it.py", "fast_cross.pyx", "setup.py"]
    blocks = [code for _, code in BLOCK.findall(text_of("docs/strategies.md"))]
    for name, code in zip(names, blocks, strict=True):
        (folder / name).write_text(code, encoding="utf-8")
    return folder


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a folder with this tree on its path; what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_strategy_trades(examples: Path) -> None:
    trades, net_profit = python(examples, "run_it.py").split("\n")[0].split()
    assert int(trades) > 0
    assert float(net_profit) != 0


def test_the_example_test_passes(examples: Path) -> None:
    python(examples, "test_it.py")


@pytest.mark.parametrize("name", ["breakout", "imbalance"])
def test_the_examples_keep_the_contract(examples: Path, name: str) -> None:
    command = "from mmats.cli.main import main; main()"
    printed = python(examples, "-c", command, "strategy", "check", f"{name}.py")
    assert "keeps the contract" in printed


@pytest.mark.packaging
def test_the_compiled_example_builds_and_trades(examples: Path) -> None:
    python(examples, "setup.py", "-q", "build_ext", "--inplace")
    table = {"name": "fast", "source": "fast_cross:FastCross", "symbols": ["BTCUSDT"]}
    feeds = [{"symbol": s, "source": "synthetic", "days": 3} for s in ("BTCUSDT", "EURUSD.OANDA")]
    config = {"feeds": feeds, "strategies": [table | {"timeframe": "15m"}]}
    code = f"from mmats.backtest import run; print(run({config!r}).order_counts['filled'])"
    assert int(python(examples, "-c", code)) > 0
