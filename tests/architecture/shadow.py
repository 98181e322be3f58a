"""A copy of the tree that import-linter can read: compiled modules become lists of imports.

import-linter reads `.py` files only; an import from a compiled module is booked on the root
package and an edge inside a `.pyx` does not exist for it. Here every `.pyx` and `.pxd` of the core
gets a `.py` twin that holds its imports and cimports.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.tidy.cython_source import without_text
from tests.tidy.tree import PACKAGES, ROOT

_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|[^\n]+)", re.MULTILINE)
_PLAIN = re.compile(r"^\s*c?import\s+([\w., ]+)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What import-linter says of a tree."""

    kept: bool
    text: str


def imported_modules(source: str) -> list[str]:
    """Modules of this project that a Cython source imports or cimports."""
    code = without_text(source)
    names = [name.strip() for line in _PLAIN.findall(code) for name in line.split(",")]
    names = [name.split(" ")[0] for name in names]
    for module, targets in _FROM.findall(code):
        names.append(module)
        names += [f"{module}.{target.split()[0]}" for target in _split(targets)]
    return sorted({name for name in names if name.split(".")[0] in PACKAGES})


def _split(targets: str) -> list[str]:
    return [part.strip() for part in targets.strip("() \n").split(",") if part.strip()]


def shadow_tree(target: Path) -> Path:
    """Write the copy below `target` and return it."""
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    shutil.copy(ROOT / "pyproject.toml", target)
    for source in (ROOT / "mmats").rglob("*.p[yx][xd]"):
        if source.stem != "__init__":
            add_compiled(target, source.relative_to(ROOT), source.read_text())
    return target


def add_compiled(tree: Path, path: Path, source: str) -> None:
    """Append the imports of one compiled module to its twin, modules only."""
    twin = (tree / path).with_suffix(".py")
    lines = []
    for name in imported_modules(source):
        file = ROOT / name.replace(".", "/")
        is_module = file.is_dir() or any(
            file.with_suffix(s).exists() for s in (".py", ".pyx", ".pxd")
        )
        if is_module and file.with_suffix("") != (ROOT / path).with_suffix(""):
            lines.append(f"import {name}\n")
    with twin.open("a") as stream:
        stream.writelines(lines)


def lint(tree: Path) -> Verdict:
    """Run the import contracts on a tree."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as c; c()",
            "--no-cache",
        ],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Verdict(done.returncode == 0, done.stdout + done.stderr)
