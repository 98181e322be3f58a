"""A recording played again: what differs is found, and what is no recording is told."""

import numpy as np
import orjson
import pytest

from mmats._core import RECORD_DTYPE
from mmats.engine.rerun import first_difference, rerun
from mmats.engine.session import Input
from mmats.model.errors import DataError
from tests.fakes import sessions

CONFIG = {
    "feeds": [{"symbol": "BTCUSDT.BINANCE", "source": "synthetic", "days": 1},
              {"symbol": "EURUSD.OANDA", "source": "synthetic", "days": 1}],
    "strategies": [{"name": "flags", "source": "tests.parity.test_modes:Flags",
                    "symbols": ["BTCUSDT"]}],
}  # fmt: skip
START = (Input.START, 0, orjson.dumps({"run": "r", "config": CONFIG, "base_dir": "/"}))
IMAGE = (Input.IMAGE, 0, b"")
PAUSE = {"command": "pause", "body": {"scope": "all"}, "may_raise": False}


def journal(count: int) -> np.ndarray:
    records = np.zeros(count, RECORD_DTYPE)
    records["order_id"] = range(count)
    return records


@pytest.mark.parametrize("at", [0, 4, 9])
def test_a_changed_record_is_found(at: int) -> None:
    changed = journal(10)
    changed["lots"][at] = 5
    found = first_difference(journal(10), changed, is_whole=True)
    assert found is not None
    assert found.position == at
    assert (found.journal["lots"], found.rerun["lots"]) == (0, 5)


def test_a_missing_and_an_extra_record_are_found() -> None:
    missing = first_difference(journal(10), np.delete(journal(10), 3), is_whole=False)
    assert missing.position == 3
    assert (missing.journal["order_id"], missing.rerun["order_id"]) == (3, 4)
    short = first_difference(journal(10), journal(9), is_whole=False)
    assert (short.position, short.journal["order_id"], short.rerun) == (9, 9, None)
    extra = first_difference(journal(10), journal(11), is_whole=True)
    assert (extra.position, extra.journal, extra.rerun["order_id"]) == (10, None, 10)


def test_equal_journals_do_not_differ_and_a_crash_may_lose_the_end() -> None:
    assert first_difference(journal(10), journal(10), is_whole=True) is None
    assert first_difference(journal(10), journal(12), is_whole=False) is None
    assert first_difference(journal(0), journal(0), is_whole=True) is None


def inputs() -> list[tuple[int, int, bytes]]:
    config = sessions.load_config(CONFIG)
    rows = np.concatenate([block[:600] for block in sessions.events_of(config)])
    events = [(Input.EVENTS, 0, part.tobytes()) for part in sessions.moments(rows)]
    return [START, IMAGE, *events[:200], (Input.COMMAND, 5, orjson.dumps(PAUSE)), *events[200:]]


def test_a_recording_gives_the_same_each_time_and_shows_what_was_left_out() -> None:
    given = inputs()
    first, again = rerun(iter(given)), rerun(iter(given))
    assert first.inputs == len(given) - 2
    assert len(first.records) > 0
    assert first_difference(first.records, again.records, is_whole=True) is None
    assert first.image_hash == again.image_hash
    without = rerun(iter(given[:202] + given[203:]))
    assert without.image_hash != first.image_hash


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], "has no start"),
        ([IMAGE], "has no start"),
        ([START], "has no image"),
        ([(Input.START, 0, b"{"), IMAGE], "has no JSON"),
        ([(Input.START, 0, b"[]"), IMAGE], "lacks run, config, base_dir"),
        ([(Input.START, 0, b'{"run": 1}'), IMAGE], "lacks run, config, base_dir"),
        ([START, IMAGE, START], "holds no input 5"),
        ([START, IMAGE, (77, 0, b"")], "holds no input 77"),
        ([START, IMAGE, (Input.EVENTS, 0, b"x" * 63)], "63 bytes of rows of 64"),
        ([START, IMAGE, (Input.COMMAND, 0, b"null")], "lacks command"),
        ([START, IMAGE, (Input.COMMAND, 0, orjson.dumps(PAUSE | {"command": "x"}))], "unknown"),
        ([START, IMAGE, (Input.COMMAND, 0, orjson.dumps(PAUSE | {"body": {"x": 1}}))], "a bad pa"),
    ],
)
def test_what_is_no_recording_of_a_run_is_told(
    found: list[tuple[int, int, bytes]], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        rerun(iter(found))
