"""The linters of `make lint` are clean, so that a red build says so and not a reviewer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

pytestmark = pytest.mark.packaging

COMMANDS = {
    "ruff": ["ruff", "check", "--quiet", "."],
    "format": ["ruff", "format", "--quiet", "--check", "."],
    "cython-lint": ["cython_lint.cython_lint", "mmats", "strategies"],
    "mypy": ["mypy"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_linter_is_clean(name: str) -> None:
    # cython-lint starts pycodestyle by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", *COMMANDS[name]],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
