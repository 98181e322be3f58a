"""Adapters are found by entry point; two of one name are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmats.model.errors import ConfigError
from mmats.plugins import forget_plugins, load_plugins, plugin


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    forget_plugins()
    yield
    forget_plugins()


def distribution(folder: Path, name: str, line: str) -> None:
    info = folder / f"{name}-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[mmats.test_group]\n{line}\n")


def test_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "alpha", "exact = decimal:Decimal")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(plugin("mmats.test_group", "exact")("1.50")) == "1.50"
    with pytest.raises(ConfigError, match=r"'other' is not registered .*known: exact"):
        plugin("mmats.test_group", "other")


def test_two_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "alpha", "exact = decimal:Decimal")
    distribution(tmp_path, "beta", "exact = fractions:Fraction")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="two installed packages register 'exact'"):
        load_plugins("mmats.test_group")


def test_unknown_group_says_so() -> None:
    with pytest.raises(ConfigError, match="is the package installed"):
        plugin("mmats.no_such_group", "x")
