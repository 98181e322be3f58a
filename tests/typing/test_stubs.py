"""The `.pyi` files say what the compiled modules really offer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, core_files

pytestmark = pytest.mark.packaging

ALLOWED = ROOT / "tests/typing/stubtest_allowlist.txt"


def stubtest(tree: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    """Compare stubs and modules below `tree`."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            *modules,
            "--allowlist",
            str(ALLOWED),
            "--ignore-unused-allowlist",
            "--ignore-disjoint-bases",
            "--concise",
        ],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "MYPYPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stubs_agree_with_the_compiled_modules() -> None:
    modules = [f"mmats._core.{path.stem}" for path in core_files(".pyi") if path.stem != "__init__"]
    if not modules:
        pytest.skip("no stubs yet")
    done = stubtest(ROOT, *modules)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_stub_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mmats", tmp_path / "mmats")
    stub = tmp_path / "mmats/_core/types.pyi"
    text = stub.read_text() if stub.exists() else ""
    stub.write_text(f"{text}\ndef not_there(a: int) -> int: ...\n")
    done = stubtest(tmp_path, "mmats._core.types")
    assert done.returncode != 0
    assert "not_there" in done.stdout
