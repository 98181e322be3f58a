"""A journal that clients have seen more of is one that was set back."""

import json
from pathlib import Path

import pytest

from mmats.engine.rollback import rollback
from mmats.ports.journal import Head

HEAD = Head(100, "aa")


def heads(path: Path, *seen: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in seen) + "half a li")
    return path


@pytest.mark.parametrize(("size", "digest"), [(101, "bb"), (100, "bb"), (2**62, "aa")])
def test_more_or_another_end_than_there_is(tmp_path: Path, size: int, digest: str) -> None:
    file = heads(tmp_path / "heads", {"size": 3, "hash": "cc"}, {"size": size, "hash": digest})
    assert "set back" in rollback(file, HEAD)


def test_what_was_seen_before_and_lines_that_are_none(tmp_path: Path) -> None:
    file = heads(tmp_path / "heads", {"size": 99, "hash": "bb"}, {"size": 100, "hash": "aa"}, 7, {})
    assert rollback(file, HEAD) == ""
    assert rollback(tmp_path / "none", HEAD) == ""
