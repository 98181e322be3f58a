"""Functions marked `nogil` compile to plain C: Cython's annotation gives each line score 0.

`nogil` only permits a caller to release the lock; a line that still calls into Python (an integer
literal without a C type, a Python division, an exception check) costs up to 60 ns and raises
the line's score.
"""

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.tidy.cython_source import functions
from tests.tidy.tree import ROOT, pyx_files, shown

_LINE = re.compile(r'<pre class="cython line score-(\d+)"[^>]*>[^<]*<span class="">(\d+)</span>')


@dataclass(frozen=True)
class Annotation:
    """What the compiler says of one module."""

    scores: dict[int, int]  # by line, counted from 1
    messages: str


def annotate(source: Path, work: Path) -> Annotation:
    """Compile to C with annotation; the module's package is found from the project root."""
    output = work / f"{source.stem}.c"
    command = [
        sys.executable, "-m", "cython", "-3", "--annotate", "-I", str(ROOT),
        str(source), "-o", str(output),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    html = output.with_suffix(".html").read_text()
    scores = {int(line): int(score) for score, line in _LINE.findall(html)}
    assert len(scores) >= len(source.read_text().splitlines())
    return Annotation(scores, done.stdout + done.stderr)


def scored_lines(source: Path, annotation: Annotation) -> list[str]:
    """Lines of `nogil` functions that are not plain C."""
    declared = source.with_suffix(".pxd")
    in_header = functions(declared.read_text()) if declared.exists() else []
    nogil_names = {f.name for f in in_header if f.is_nogil}
    return [
        f"{shown(source, line)}: {function.name}: score {annotation.scores[line]}"
        for function in functions(source.read_text())
        if function.is_nogil or (function.kind != "def" and function.name in nogil_names)
        for line in range(function.first_line, function.last_line + 1)
        if annotation.scores.get(line, 0) > 0
    ]


def _key(source: Path) -> str:
    digest = hashlib.sha256(version("cython").encode())
    for path in [source, *sorted((ROOT / "mmats/_core").glob("*.p[xy][dx]"))]:
        digest.update(path.read_bytes())
    return f"mmats/annotation/{source.stem}-{digest.hexdigest()[:32]}"


@pytest.mark.packaging
@pytest.mark.parametrize("source", pyx_files(), ids=lambda path: path.stem)
def test_nogil_functions_are_plain_c(
    source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cache = request.config.cache
    assert cache is not None
    key = _key(source)
    found = cache.get(key, None)
    if found is None:
        annotation = annotate(source, tmp_path)
        found = {"lines": scored_lines(source, annotation), "messages": annotation.messages}
        cache.set(key, found)
    assert not found["lines"]
    assert "performance hint" not in found["messages"]
    assert "warning:" not in found["messages"]


SEED = """\
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False{division}
cdef class Other:
    cdef long get(self) {clause}:
        return 1

cdef long good(long a, long b) noexcept nogil:
    cdef long total = a
    for k in range(10):
        total += b
    return total

cdef long seeded(long a, long b, const long[::1] view, Other other) noexcept nogil:
    return {expression}
"""


@pytest.mark.packaging
@pytest.mark.parametrize(
    ("expression", "division", "clause", "found"),
    [
        ("a + b", ", cdivision=True", "noexcept nogil", False),
        ("a // b", "", "noexcept nogil", True),
        ("a * 11400714819323198485", ", cdivision=True", "noexcept nogil", True),
        ("view[a]", ", boundscheck=True", "noexcept nogil", True),
        ("other.get()", ", cdivision=True", "nogil", True),
    ],
)
def test_a_call_into_python_is_found(
    expression: str, division: str, clause: str, found: bool, tmp_path: Path
) -> None:
    source = tmp_path / "seeded.pyx"
    source.write_text(SEED.format(expression=expression, division=division, clause=clause))
    done = subprocess.run(
        [sys.executable, "-m", "cython", "-3", "--annotate", str(source)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        assert found, done.stderr
        return
    html = (tmp_path / "seeded.html").read_text()
    scores = {int(line): int(score) for score, line in _LINE.findall(html)}
    lines = scored_lines(source, Annotation(scores, ""))
    hint = "performance hint" in done.stderr
    assert (bool(lines) or hint) is found, (lines, done.stderr)
    assert not any(": good:" in line for line in lines)
