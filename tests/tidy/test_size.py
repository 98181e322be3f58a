"""Files and functions stay short enough to be read in one go."""

import ast
from pathlib import Path

import pytest

from tests.tidy.cython_source import functions
from tests.tidy.tree import code_files, shown

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600


def long_functions(source: str, suffix: str) -> list[tuple[str, int, int]]:
    """Functions above the limit as (name, first line, lines)."""
    if suffix in {".pyx", ".pxd"}:
        spans = [(f.name, f.first_line, f.last_line - f.first_line + 1) for f in functions(source)]
    else:
        spans = [
            (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return [span for span in spans if span[2] > FUNCTION_LINES_MAX]


@pytest.mark.parametrize("suffix", [".py", ".pyx", ".pxd"])
def test_functions_are_short(suffix: str) -> None:
    found = [
        f"{shown(path, line)}: {name} has {lines} lines"
        for path in code_files(suffix)
        for name, line, lines in long_functions(path.read_text(), suffix)
    ]
    assert not found


def test_files_are_short() -> None:
    lengths = {
        path: len(path.read_text().splitlines()) for path in code_files(".py", ".pyx", ".pxd")
    }
    assert not {shown(p, 1): n for p, n in lengths.items() if n > FILE_LINES_MAX}


@pytest.mark.parametrize(
    ("suffix", "header"),
    [
        (".py", "def slow(a):"),
        (".py", "async def slow(a):"),
        (".pyx", "cdef int slow(int a,\n              int b) noexcept nogil:"),
        (".pyx", "def slow(a):"),
    ],
)
def test_a_long_function_is_found(suffix: str, header: str) -> None:
    body = "\n".join(["    a += 1"] * FUNCTION_LINES_MAX)
    assert [name for name, _, _ in long_functions(f"{header}\n{body}\n", suffix)] == ["slow"]


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    body = "\n".join(["    a += 1"] * (FUNCTION_LINES_MAX - 1))
    assert long_functions(f"cdef void quick(int a) noexcept:\n{body}\n\n\nx = 1\n", ".pyx") == []
