"""The project's own files, as the tidy and architecture tests see them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mmats", "adapters", "strategies", "tui")
CODE = (*PACKAGES, "tests", "benchmarks")
TEXT = (*CODE, "docs", "examples", "requirements", ".ci")
TEXT_SUFFIXES = frozenset(
    {".py", ".pyx", ".pxd", ".pyi", ".h", ".c", ".cpp", ".toml", ".md", ".txt", ".in", ".tcss", ""}
)


def code_files(*suffixes: str, below: tuple[str, ...] = CODE) -> list[Path]:
    """Hand-written source files with one of the suffixes, sorted."""
    return sorted(
        path
        for folder in below
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and path.is_file()
    )


def core_files(*suffixes: str) -> list[Path]:
    """Files of the compiled core with one of the suffixes, sorted."""
    return sorted(p for p in (ROOT / "mmats/_core").iterdir() if p.suffix in suffixes)


def pyx_files() -> list[Path]:
    """Every compiled module of the project."""
    return code_files(".pyx", below=PACKAGES)


def text_files() -> list[Path]:
    """Every file that is written by hand and kept in the repository."""
    # In a linked work tree `.git` is a file.
    top = [
        path
        for path in ROOT.iterdir()
        if path.is_file() and path.suffix in TEXT_SUFFIXES and path.name != ".git"
    ]
    generated = {path.with_suffix(".c") for path in pyx_files()}
    deep = [path for path in code_files(*TEXT_SUFFIXES, below=TEXT) if path not in generated]
    return sorted(path for path in [*top, *deep] if not path.name.startswith(".coverage"))


def shown(path: Path, line: int) -> str:
    """`folder/file:line`, as editors open it."""
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}:{line}"
