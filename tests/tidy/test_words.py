"""Words that must not appear: sources of disorder in the core, floats in money, leftovers."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.tidy.cython_source import without_text
from tests.tidy.tree import ROOT, code_files, core_files, shown, text_files

# A replay gives the same result only if time, chance and order come in from outside.
DISORDER = re.compile(
    r"\btime\s*\.\s*\w|\bfrom\s+time\b|\bdatetime\b|\bclock_gettime\b|\bgettimeofday\b|\brdtsc\w*"
    r"|\brandom\b|\buuid\d?\b|\bsecrets\b|\burandom\b|\bs?rand\s*\(|\b(?:id|hash)\s*\("
    r"|\bfor\b[^:\n]*\bin\s+(?:frozen)?set\s*\("
)
FLOATS = re.compile(r"\bfloat\b|\bdouble\b|(?<![\w.])\d+\.\d*|(?<![\w.])\d+[eE]-?\d+")
BARE_EXCEPT = re.compile(r"^\s*except\s*:", re.MULTILINE)
LEFTOVERS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|^(?:<{7}|>{7}) ")
# Spelled in two halves, or this file would name them itself.
ELSEWHERE = re.compile(
    r"/" + r"work/|/home" + r"/\w|/Users" + r"/\w|/root" + r"/|file:" + r"///|pypi" + r"\.org"
    r"|pythonhosted" + r"\.org|npmjs" + r"\.(?:org|com)|deb\.debian" + r"\.org"
)


def hits(pattern: re.Pattern[str], paths: Iterable[Path], *, code_only: bool) -> list[str]:
    """Places where the pattern occurs, as `file:line: text`."""
    found = []
    for path in paths:
        text = path.read_text()
        searched = without_text(text) if code_only else text
        found += [
            f"{shown(path, number)}: {line.strip()}"
            for number, line in enumerate(searched.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def commented_out(source: str) -> list[str]:
    """Comments of a Cython file that read as statements."""
    comments = re.findall(r"^\s*#+ ?(.*)$", source, re.MULTILINE)
    return [text for text in comments if _is_statement(text.strip())]


def _is_statement(text: str) -> bool:
    if re.match(r"(?:cdef|cpdef|cimport)\s+\w", text):
        return True
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    kinds = (ast.Return, ast.Import, ast.ImportFrom, ast.AugAssign, ast.Raise, ast.Assert)
    calls = [
        node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    return any(isinstance(node, kinds) for node in body) or bool(calls)


def test_the_core_reads_no_clock_chance_or_hash_order() -> None:
    assert hits(DISORDER, core_files(".pyx", ".pxd", ".h"), code_only=True) == []


def test_no_float_reaches_the_ledger_or_the_limits() -> None:
    names = {"ledger", "risk"}
    paths = [path for path in core_files(".pyx", ".pxd") if path.stem in names]
    assert paths
    assert hits(FLOATS, paths, code_only=True) == []


def test_no_bare_except_in_compiled_modules() -> None:
    assert hits(BARE_EXCEPT, code_files(".pyx"), code_only=True) == []


def test_no_leftovers() -> None:
    assert hits(LEFTOVERS, text_files(), code_only=False) == []


def test_no_code_is_commented_out_in_compiled_modules() -> None:
    found = {p.name: commented_out(p.read_text()) for p in code_files(".pyx", ".pxd")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_nothing_names_a_machine_or_a_registry() -> None:
    assert hits(ELSEWHERE, text_files(), code_only=False) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (DISORDER, "now = time.time_ns()"),
        (DISORDER, "from time import monotonic_ns"),
        (DISORDER, "rng = np.random.default_rng()"),
        (DISORDER, "for name in set(names):"),
        (DISORDER, "key = hash(symbol)"),
        (DISORDER, "clock_gettime(CLOCK_REALTIME, &now)"),
        (FLOATS, "cdef double equity"),
        (FLOATS, "half = cost * 0.5"),
        (FLOATS, "scale = 1e8"),
        (FLOATS, "limit = float(text)"),
        (BARE_EXCEPT, "    except:"),
        (LEFTOVERS, "# TO" + "DO: later"),
        (ELSEWHERE, "path = '/home" + "/someone/data'"),
    ],
)
def test_a_banned_word_is_found(pattern: re.Pattern[str], line: str, tmp_path: Path) -> None:
    seeded = tmp_path / "seeded.pyx"
    seeded.write_text(f"cdef int fine(int index):\n{line}\n")
    assert len(hits(pattern, [seeded], code_only=not line.startswith("#") and "'" not in line)) == 1


@pytest.mark.parametrize(
    "line", ["cdef int64_t ts_ns", "limit = seen - 100", "sorted(set(names))", "lots = 0x1e8"]
)
def test_harmless_code_is_left_alone(line: str) -> None:
    assert not any(p.search(line) for p in (DISORDER, FLOATS, BARE_EXCEPT, ELSEWHERE))


def test_commented_out_code_is_found() -> None:
    source = "# self.clear()\n    # cdef int a\n# return 3\n# 0 = never marked\n# mid, in ticks\n"
    assert commented_out(source) == ["self.clear()", "cdef int a", "return 3"]


def test_text_files_cover_the_repository() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in text_files()}
    assert {"README.md", "Makefile", "pyproject.toml", "setup.py", ".ci/run"} <= names
