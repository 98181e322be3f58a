"""The age of heartbeats, and the heads of the journal that were seen."""

import stat
from pathlib import Path

import msgspec
import pytest

from mmats.client.anchors import Anchors
from mmats.client.link import Link, LinkWatch


@pytest.mark.parametrize(
    ("age_s", "state"),
    [
        (0.0, Link.LIVE),
        (1.0, Link.LIVE),
        (1.01, Link.STALE),
        (3.0, Link.STALE),
        (3.01, Link.LOST),
    ],
)
def test_the_link_by_the_age_of_the_heartbeat(age_s: float, state: Link) -> None:
    watch = LinkWatch()
    watch.follow("public")
    watch.beat("public", 100.0)
    assert watch.state(100.0 + age_s) is state


def test_before_the_first_heartbeat_the_link_is_lost() -> None:
    watch = LinkWatch()
    assert watch.state(0.0) is Link.LOST
    watch.follow("public")
    assert watch.state(0.0) is Link.LOST


def test_the_channel_that_is_silent_longest_decides() -> None:
    watch = LinkWatch()
    for channel in ("public", "private"):
        watch.follow(channel)
    watch.beat("public", 10.0)
    assert watch.state(10.0) is Link.LOST
    watch.beat("private", 8.5)
    assert watch.state(10.0) is Link.STALE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anchors" / "heads.jsonl"


def sizes(path: Path) -> list[int]:
    return [msgspec.json.decode(line)["size"] for line in path.read_bytes().splitlines()]


def test_heads_are_written_at_most_once_a_minute_and_at_the_end(path: Path) -> None:
    anchors = Anchors(path)
    for second in range(0, 100):
        assert anchors.see([second + 1, f"h{second}"], "r", second, float(second)) == ""
    assert sizes(path) == [1, 61]
    assert anchors.flush() == ""
    assert sizes(path) == [1, 61, 100]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unchanged_head_is_not_written_again(path: Path) -> None:
    for _ in range(3):
        anchors = Anchors(path)
        assert anchors.see([5, "h"], "r", 0, 0.0) == ""
        anchors.flush()
    assert sizes(path) == [5]


@pytest.mark.parametrize("head", [[4, "h4"], [5, "other"]])
def test_a_smaller_or_other_head_is_told_once_and_not_written(path: Path, head: list[int]) -> None:
    Anchors(path).see([5, "h"], "r", 0, 0.0)
    anchors = Anchors(path)
    assert "ROLLBACK" in anchors.see(head, "r", 1, 1.0)
    assert anchors.see(head, "r", 2, 2.0) == ""
    anchors.flush()
    assert sizes(path) == [5]


def test_half_a_line_is_passed_over(path: Path) -> None:
    Anchors(path).see([5, "h"], "r", 0, 0.0)
    with path.open("ab") as file:
        file.write(b'{"ts_ns":1,"run":"r","si')
    assert "ROLLBACK" in Anchors(path).see([4, "h"], "r", 1, 1.0)


@pytest.mark.parametrize("head", [None, [], "5", [1], ["1", "h"], [1, 2], {"size": 1}])
def test_what_is_no_head_is_left_alone(path: Path, head: object) -> None:
    assert Anchors(path).see(head, "r", 0, 0.0) == ""
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "anchors").write_text("in the way")
    text = Anchors(tmp_path / "anchors" / "heads.jsonl").see([1, "h"], "r", 0, 0.0)
    assert "can't be kept" in text
