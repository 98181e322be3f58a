"""A reading of Cython files by their layout: enough to find functions, and no more."""

import re
from dataclasses import dataclass
from pathlib import Path

_HEAD = re.compile(
    r"(?P<indent>[ \t]*)(?:async\s+)?(?P<kind>def|cpdef|cdef)\b"
    r"(?!\s+(?:class|struct|enum|union|extern|packed)\b)(?!\s*:)"
)
_SIGNATURE = re.compile(r"[^=(]*?(\w+)\s*\((?!\s*\*)")
_LITERAL_OR_COMMENT = re.compile(
    r'(?:"""|\'\'\').*?(?:"""|\'\'\')|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL
)
_PYTHON_TYPES = {"object", "str", "bytes", "tuple", "list", "dict", "set", "type"}
_ENUM = re.compile(r"^\s*c(?:p|type)?def\s+enum\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One function or method; lines are counted from 1 and include the header."""

    name: str
    kind: str
    header: str
    first_line: int
    last_line: int

    @property
    def is_nogil(self) -> bool:
        """The whole body runs without the interpreter lock."""
        return re.search(r"\bnogil\b", self.header.rpartition(")")[2]) is not None

    @property
    def has_exception_clause(self) -> bool:
        """The header says what happens to an exception."""
        return re.search(r"\b(?:noexcept|except)\b", self.header.rpartition(")")[2]) is not None

    def returns_object(self, enums: frozenset[str]) -> bool:
        """Exceptions travel in the returned object, and Cython allows no clause."""
        before = self.header.partition("(")[0].rpartition(self.name)[0]
        words = [w for w in before.split() if w not in {self.kind, "inline", "api", "public"}]
        if not words:
            return True
        word = words[-1]
        is_class = word[0].isupper() and word not in enums
        return word in _PYTHON_TYPES or is_class


def without_text(source: str) -> str:
    """The source with string literals and comments blanked out, line for line."""
    return _LITERAL_OR_COMMENT.sub(lambda found: "\n" * found.group().count("\n"), source)


def enum_names(paths: list[Path]) -> frozenset[str]:
    """Names of the enumerations declared in the files: C types in spite of their capital."""
    return frozenset(name for path in paths for name in _ENUM.findall(path.read_text()))


def functions(source: str) -> list[Function]:
    """All functions and methods of a `.pyx` or `.pxd` source, declarations too."""
    lines = without_text(source).splitlines()
    found = []
    for start, line in enumerate(lines):
        head = _HEAD.match(line)
        if head is None:
            continue
        header, end = _whole_header(lines, start)
        signature = _SIGNATURE.match(header.strip())
        if signature is None:
            continue
        if header.rstrip().endswith(":"):
            end = _body_end(lines, end, len(head["indent"]))
        found.append(Function(signature[1], head["kind"], header.strip(), start + 1, end + 1))
    return found


def _whole_header(lines: list[str], start: int) -> tuple[str, int]:
    header, end = lines[start], start
    while header.count("(") > header.count(")") and end + 1 < len(lines):
        end += 1
        header += " " + lines[end].strip()
    return header, end


def _body_end(lines: list[str], header_end: int, indent: int) -> int:
    end = header_end
    for number in range(header_end + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) <= indent:
            break
        end = number
    return end
