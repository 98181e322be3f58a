"""Every compiled module comes in three files, under the same directives, with exception clauses."""

import re

import pytest

from tests.tidy.cython_source import enum_names, functions
from tests.tidy.tree import code_files, core_files, pyx_files, shown

DIRECTIVES = (
    "# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, "
    "cdivision=True, freethreading_compatible=True"
)
_C_NAME = re.compile(r"^\s*(?:cdef|cpdef)\b", re.MULTILINE)
_POINTER_TYPE = re.compile(r"^\s*ctypedef\b[^#\n]*\(\s*\*[^#\n]*$", re.MULTILINE)


def functions_without_clause(source: str, enums: frozenset[str]) -> list[tuple[str, int]]:
    """C functions, and types of pointers to them, that don't say what an exception does."""
    missing = [
        (f.name, f.first_line)
        for f in functions(source)
        if f.kind != "def" and not f.has_exception_clause and not f.returns_object(enums)
    ]
    pointers = [
        (found.group().strip(), source.count("\n", 0, found.start()) + 1)
        for found in _POINTER_TYPE.finditer(source)
        if not re.search(r"\b(?:noexcept|except)\b", found.group())
    ]
    return missing + pointers


def test_the_core_has_modules() -> None:
    assert len(core_files(".pyx")) >= 3


def test_directives_are_on_the_first_line() -> None:
    # Below the docstring Cython ignores the line without a word.
    wrong = [p.name for p in pyx_files() if p.read_text().splitlines()[0] != DIRECTIVES]
    assert not wrong


@pytest.mark.parametrize("suffix", [".pxd", ".pyi"])
def test_each_module_has_its_declarations(suffix: str) -> None:
    missing = [
        path.name
        for path in core_files(".pyx")
        if not path.with_suffix(suffix).exists()
        and (suffix == ".pyi" or _C_NAME.search(path.read_text()))
    ]
    assert not missing, f"modules without {suffix}"


def test_each_function_says_what_an_exception_does() -> None:
    # A method without a clause takes the interpreter lock after each call to look for an error.
    sources = code_files(".pyx", ".pxd")
    enums = enum_names(sources)
    found = [
        f"{shown(path, line)}: {name}"
        for path in sources
        for name, line in functions_without_clause(path.read_text(), enums)
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "cdef int peek(int a):\n    return a\n",
        "cdef class Book:\n    cdef void clear(self) nogil\n",
        "cdef inline long peek(\n        int a,\n        int b,\n) nogil:\n    return a\n",
        "cpdef double mid(self):\n    return 0\n",
        "cdef Side side(int a):\n    return SIDE_BUY\n",
        "ctypedef int (*callback_t)(int a) nogil\n",
    ],
)
def test_a_missing_clause_is_found(source: str) -> None:
    assert len(functions_without_clause(source, frozenset({"Side"}))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "cdef int peek(int a) except -1:\n    return a\n",
        "cdef int peek(int a) except? -1 nogil:\n    return a\n",
        "cdef void clear(self) noexcept nogil\n",
        "cdef object make(self):\n    return 1\n",
        "cdef Ledger make(self):\n    return Ledger()\n",
        "cdef make(self):\n    return 1\n",
        "def plain(self):\n    cdef int a = peek(3)\n",
        "cdef int (*chosen)(int)\n",
        "ctypedef int (*callback_t)(int a) noexcept nogil\n",
    ],
)
def test_what_needs_no_clause_is_left_alone(source: str) -> None:
    assert functions_without_clause(source, frozenset({"Side"})) == []
