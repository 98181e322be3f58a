"""One run out of a journal of several, and the commands that a restart must not repeat."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.journal import layout
from adapters.journal.runs import executed_commands, run_records
from adapters.journal.store import open_journal
from mmats._core import RECORD_DTYPE
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import Group, Note
from tests.fakes.journal_session import GENESIS, commit
from tests.fakes.tampering import Copy, Row

MINUTE_NS = 60 * 10**9
NOW_NS = 1_700_000_000 * 10**9


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every journal here is read in many steps."""
    monkeypatch.setattr(layout, "ROWS_A_SNAPSHOT", 3)


def some(count: int, first: int) -> bytes:
    records = np.zeros(count, RECORD_DTYPE)
    records["order_id"] = range(first, first + count)
    return records.tobytes()


def note(kind: str, **data: object) -> Note:
    return Note(kind, NOW_NS, data)


def command(number: int, wall_ns: int) -> Note:
    made = note("command", id=f"id{number}", hash=f"h{number}", reply="{}")
    return replace(made, ts_ns=wall_ns)


def write(folder: Path, run: str, *groups: Group) -> None:
    writer, _ = open_journal(folder / "journal", GENESIS, run=run, seal_every=4)
    for group in groups:
        assert commit(writer, group)
    writer.close()


def started(run: str) -> Note:
    return note("run.started", run=run)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Run a crashed, run b ended, run c has done nothing yet."""
    write(
        tmp_path, "a", Group(1, 1, b"", (started("a"),)), Group(2, 2, some(5, 1), image=b"a" * 3000)
    )
    write(
        tmp_path,
        "b",
        Group(1, 3, b"", (started("b"),)),
        Group(2, 4, some(7, 100), (command(1, NOW_NS),), b"b" * 3000),
        Group(3, 5, some(2, 200), (note("run.ended"),)),
    )
    write(tmp_path, "c", Group(1, 6, b"", (started("c"),)))
    return tmp_path / "journal"


def test_a_run_has_its_own_records_only(journal: Path) -> None:
    first, second, third = (run_records(journal, run) for run in "abc")
    assert first.records["order_id"].tolist() == [1, 2, 3, 4, 5]
    assert second.records["order_id"].tolist() == [*range(100, 107), 200, 201]
    assert len(third.records) == 0
    assert (first.is_clean, second.is_clean, third.is_clean) == (False, True, False)
    assert first.image_hash
    assert second.image_hash not in ("", first.image_hash)
    assert third.image_hash == ""


def test_a_run_that_never_was_is_told_with_those_that_were(journal: Path) -> None:
    with pytest.raises(JournalError, match=r"there is no run d .*the last ones: a, b, c"):
        run_records(journal, "d")
    with pytest.raises(JournalError, match="there is no journal"):
        run_records(journal / "none", "a")


def test_commands_of_the_last_ten_minutes_are_known_after_a_restart(tmp_path: Path) -> None:
    ages = (15, 11, 10, 9, 1, 0)
    first = [command(age, NOW_NS - age * MINUTE_NS) for age in ages[:4]]
    write(tmp_path, "a", Group(1, 1, some(3, 1), (started("a"), *first)))
    later = [command(age, NOW_NS - age * MINUTE_NS) for age in ages[4:]]
    others = (note("command", text="without a hash"), note("mode", mode="paper"))
    write(tmp_path, "b", Group(1, 1, some(9, 1), (started("b"), *others, *later)))
    found = executed_commands(tmp_path / "journal", NOW_NS)
    assert found == [(f"id{age}", f"h{age}", "{}") for age in (10, 9, 1, 0)]
    assert executed_commands(tmp_path / "journal", NOW_NS + 11 * MINUTE_NS) == []


def test_without_a_journal_no_command_is_known(tmp_path: Path) -> None:
    assert executed_commands(tmp_path / "journal", NOW_NS) == []


@pytest.mark.parametrize("count", [60, pytest.param(5_000, marks=pytest.mark.long)])
def test_a_damaged_entry_is_told(journal: Path, tmp_path: Path, count: int) -> None:
    """Whatever the entries hold: what was asked for, or an error of the journal."""
    whole, chance = Copy.read(journal), random.Random(count)
    refused = 0
    for _ in range(count):
        rows = list(whole.rows)
        at = chance.randrange(len(rows))
        body = bytearray(rows[at].body)
        if chance.random() < 0.3:
            body[16:] = json.dumps({"kind": "command", "data": {"hash": 1}}).encode()
            body[8] = 2
        for _ in range(chance.randint(0, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        rows[at] = Row(bytes(body)[: chance.choice((len(body), len(body), 12))], rows[at].hash)
        Copy(whole.genesis, tuple(rows), whole.pages, whole.image_size, whole.key).write(
            tmp_path / "copy"
        )
        for read in (lambda path: run_records(path, "b"), lambda path: executed_commands(path, 1)):
            try:
                read(tmp_path / "copy")
            except JournalQuarantined:
                refused += 1
            except JournalError as error:
                told = str(error)
                assert "there is no run b" in told
    assert refused > count // 10
