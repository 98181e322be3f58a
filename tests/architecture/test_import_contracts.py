"""Imports point one way, from the command line down to the core.

The contracts stand in pyproject.toml. Each is shown to break on a seeded violation: a contract that
cannot fail protects nothing.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.shadow import Verdict, add_compiled, imported_modules, lint, shadow_tree
from tests.tidy.tree import ROOT, core_files

pytestmark = pytest.mark.packaging

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONTRACTS = {c["id"]: c["name"] for c in CONFIG["importlinter"]["contracts"]}

SEEDS = [
    ("layers", "mmats/model/seed.py", "import mmats.ports"),
    ("layers", "mmats/ports/seed.py", "import mmats.risk"),
    ("layers", "mmats/risk/seed.py", "import mmats.backtest"),
    ("layers", "mmats/engine/seed.py", "import mmats.backtest"),
    ("layers", "mmats/backtest/seed.py", "import mmats.cli"),
    ("layers", "mmats/surprise/__init__.py", ""),
    ("layers", "mmats/_core/seed.pyx", "from mmats.model.instrument import Instrument"),
    ("layers", "mmats/engine/seed.py", "import mmats.client"),
    ("layers", "mmats/client/seed.py", "import mmats.backtest"),
    ("layers", "mmats/supervisor/seed.py", "import mmats.cli"),
    ("inside", "mmats/engine/seed.py", "import adapters.feeds"),
    ("inside", "mmats/engine/seed.py", "import strategies"),
    ("inside", "mmats/risk/seed.py", "import zmq"),
    ("inside", "mmats/cli/seed.py", "import zmq"),
    ("inside", "mmats/client/seed.py", "import lmdb"),
    ("inside", "mmats/_core/seed.pyx", "import adapters"),
    ("client", "mmats/client/seed.py", "import mmats.engine"),
    ("client", "mmats/client/seed.py", "import mmats.ports"),
    ("client", "mmats/client/seed.py", "from mmats._core import Side"),
    ("strategies", "strategies/seed.py", "from mmats._core import Side"),
    ("strategies", "strategies/seed.py", "import mmats.engine"),
    ("strategies", "strategies/seed.py", "import adapters.feeds"),
    ("tui", "tui/seed.py", "import mmats.engine"),
    ("tui", "tui/seed.py", "import adapters.feeds"),
    ("adapters", "adapters/feeds/seed.py", "import mmats.backtest"),
    ("adapters", "adapters/feeds/seed.py", "import mmats.client"),
    ("adapters", "adapters/feeds/seed.py", "import strategies"),
    ("independent", "adapters/seed.py", "import adapters.feeds"),
]


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shadow_tree(tmp_path_factory.mktemp("shadow"))


@pytest.fixture(scope="module")
def verdict(shadow: Path) -> Verdict:
    return lint(shadow)


def test_all_contracts_are_kept(verdict: Verdict) -> None:
    assert verdict.kept, verdict.text


def test_all_contracts_are_seeded() -> None:
    assert {contract for contract, _, _ in SEEDS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "file", "line"), SEEDS)
def test_a_seeded_violation_breaks_its_contract(
    contract: str, file: str, line: str, shadow: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(shadow, tree)
    seeded = tree / file
    seeded.parent.mkdir(exist_ok=True)
    if seeded.suffix == ".pyx":
        add_compiled(tree, Path(file), line)
    else:
        seeded.write_text(f"{line}\n")
    verdict = lint(tree)
    assert not verdict.kept
    assert CONTRACTS[contract] in verdict.text.partition("Broken contracts")[2]


def packages_of_mmats() -> set[str]:
    """Packages and modules right below mmats."""
    return {
        f"mmats.{path.stem}"
        for path in (ROOT / "mmats").iterdir()
        if (path / "__init__.py").exists()
        or (path.suffix == ".py" and path.stem not in ("__init__", "__main__"))
    }


def test_strategies_contract_names_every_package_but_model_and_ports() -> None:
    (contract,) = (c for c in CONFIG["importlinter"]["contracts"] if c["id"] == "strategies")
    forbidden = {name for name in contract["forbidden_modules"] if name.startswith("mmats")}
    assert packages_of_mmats() - {"mmats.model", "mmats.ports"} == forbidden


def test_the_client_contract_names_every_package_but_model() -> None:
    (contract,) = (c for c in CONFIG["importlinter"]["contracts"] if c["id"] == "client")
    assert packages_of_mmats() - {"mmats.model", "mmats.client"} == set(
        contract["forbidden_modules"]
    )


def test_the_door_rule_names_every_compiled_module() -> None:
    banned = CONFIG["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    modules = {f"mmats._core.{path.stem}" for path in core_files(".pyx", ".pxd")} - {
        "mmats._core.__init__"
    }
    assert modules <= set(banned)


@pytest.mark.parametrize(
    ("file", "line", "allowed"),
    [
        ("mmats/risk/seed.py", "from mmats._core.ledger import Ledger", False),
        ("adapters/feeds/seed.py", "import mmats._core.frames", False),
        ("mmats/risk/seed.py", "from mmats._core import Ledger", True),
        ("mmats/_core/__init__.py", "from mmats._core.ledger import Ledger as Ledger", True),
    ],
)
def test_the_core_is_imported_by_its_door(file: str, line: str, allowed: bool) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--select",
            "TID251",
            "--stdin-filename",
            file,
            "-",
        ],
        cwd=ROOT,
        input=f"{line}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is allowed, done.stdout
    assert ("TID251" in done.stdout) is not allowed


def test_imports_of_compiled_sources_are_read() -> None:
    source = (
        "cimport mmats._core.book, numpy\n"
        "from mmats._core.types cimport (\n    event_t, lots_t,  # why\n)\n"
        '"""from adapters import feeds"""\n'
        "    from mmats.model import instrument as thing\n"
    )
    assert imported_modules(source) == [
        "mmats._core.book",
        "mmats._core.types",
        "mmats._core.types.event_t",
        "mmats._core.types.lots_t",
        "mmats.model",
        "mmats.model.instrument",
    ]
