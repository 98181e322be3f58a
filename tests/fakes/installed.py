"""Makes the project's entry points visible where an older installation does not have them."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mmats.plugins import forget_plugins

ROOT = Path(__file__).resolve().parent.parent.parent


def install_entry_points(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the metadata that an installation would write, and put it on the path."""
    forget_plugins()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    groups = {
        group: missing
        for group, names in declared.items()
        if (missing := {k: names[k] for k in names.keys() - entry_points(group=group).names})
    }
    forget_plugins()
    if not groups:
        return
    info = folder / "entry_points_of_mmats-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: entry-points-of-mmats\nVersion: 0\n"
    )
    lines: list[str] = []
    for group, names in groups.items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {target}" for name, target in names.items()]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))
