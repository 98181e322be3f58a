"""What is shipped: four packages with their declarations, buildable and installable anywhere."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.tidy.tree import PACKAGES, ROOT, pyx_files

pytestmark = pytest.mark.packaging

SOURCES = (*PACKAGES, "requirements", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md")
INSTALLED = [name for name in PACKAGES if (ROOT / name / "__init__.py").exists()]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist made from a clean copy of the tree, and the wheel made from that sdist."""
    tree = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, tree)
    out = tmp_path_factory.mktemp("dist")
    # What is tested is the packing: without the optimizer it takes a third of the time.
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    run(*command, cwd=tree, MMATS_DEBUG="1")
    return out


def names_in_sdist(dist: Path) -> set[str]:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


def names_in_wheel(dist: Path) -> set[str]:
    (archive,) = dist.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        return set(wheel.namelist())


def test_wheel_ships_the_packages_and_nothing_else(dist: Path) -> None:
    top = {name.split("/")[0] for name in names_in_wheel(dist)}
    assert {name for name in top if not name.endswith(".dist-info")} == set(INSTALLED)


def test_wheel_ships_compiled_modules_with_declarations_and_stubs(dist: Path) -> None:
    names = names_in_wheel(dist)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for source in pyx_files():
        module = source.relative_to(ROOT)
        assert module.with_suffix(suffix).as_posix() in names
        for declaration in (source.with_suffix(".pxd"), source.with_suffix(".pyi")):
            if declaration.exists():
                assert declaration.relative_to(ROOT).as_posix() in names
    assert {"mmats/py.typed", "mmats/_core/types.pxd", "mmats/_core/fixed.h"} <= names
    assert not [name for name in names if name.endswith((".c", ".cpp"))]


def test_sdist_ships_what_a_build_needs(dist: Path) -> None:
    names = names_in_sdist(dist)
    kept = {".py", ".pyx", ".pxd", ".pyi", ".h", ".toml", ".typed"}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in INSTALLED
        for path in (ROOT / package).rglob("*")
        if path.suffix in kept
    }
    assert wanted <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_wheel_works_in_an_environment_of_its_own(dist: Path, tmp_path: Path) -> None:
    # The dependencies are lent by a path entry, whose own .pth files are not read: the project
    # itself can only come from the wheel.
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    (wheel,) = dist.glob("*.whl")
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    site = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip()
    )
    (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where = run(
        python,
        "-c",
        "import mmats._core.types as t; print(t.__file__)",
        cwd=tmp_path,
        PYTHONPATH="",
    )
    assert Path(where.strip()).is_relative_to(site)
    shown = run(home / "bin" / "mmats", "--version", cwd=tmp_path, PYTHONPATH="")
    assert importlib.metadata.version("mmats") in shown


@pytest.mark.parametrize("package", INSTALLED)
def test_no_other_distribution_owns_our_package_names(package: str) -> None:
    # pip overwrites a package of the same name without a word, and removes it with the other.
    owners = importlib.metadata.packages_distributions()
    assert set(owners.get(package, ["mmats"])) == {"mmats"}


def test_a_clash_of_package_names_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "intruder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: intruder\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("adapters\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "intruder" in importlib.metadata.packages_distributions()["adapters"]
