"""Opening, committing and recovering: one engine, the right journal, all of a group or nothing."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from adapters.journal import writer as writer_module
from adapters.journal.chain import RECORD_SIZE
from adapters.journal.layout import DATA, SEAL_KEY
from adapters.journal.rows import read_rows
from adapters.journal.seals import SealKey, next_key
from adapters.journal.store import open_journal
from adapters.journal.verify import check, verify
from adapters.journal.writer import JournalWriter
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import Genesis, Group, Note, Recovered
from tests.fakes.journal_session import GENESIS, commit
from tests.fakes.tampering import Copy, Row

ROOT = Path(__file__).resolve().parents[2]
STARTED = Note(
    "run.started", 1, {"run": "r1", "strategies": ["ema"], "instruments": ["BTCUSDT.BINANCE"]}
)
ENDED = Note("run.ended", 2, {})


def opened(folder: Path, **given: Any) -> tuple[JournalWriter, Recovered]:
    return open_journal(folder / "journal", GENESIS, run="r", **given)


def records(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count * RECORD_SIZE)


def fill(folder: Path, *groups: Group, **given: Any) -> None:
    """A journal with these groups, closed."""
    writer, _ = opened(folder, **given)
    for group in groups:
        assert commit(writer, group)
    writer.close()
    assert writer.failure is None


def kinds(folder: Path) -> list[str]:
    return [row["entry"] for row in read_rows(folder / "journal")]


def test_a_new_journal_is_empty_clean_and_for_its_owner_alone(tmp_path: Path) -> None:
    writer, recovered = opened(tmp_path)
    assert recovered.is_new
    assert recovered.clean
    assert recovered.image == b""
    assert recovered.head == writer.head
    assert recovered.head.size == 0
    folder = tmp_path / "journal"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert set(modes) == {DATA, SEAL_KEY, "lock.mdb", "writer.lock"}
    assert set(modes.values()) == {0o600}
    key_file = tmp_path / "keys" / "journal.verify"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key_file.read_text())) == 32
    writer.close()


def test_a_group_comes_back_whole_with_notes_in_their_places(tmp_path: Path) -> None:
    notes = (Note("mode", 7, {"to": "halted"}, 2), replace(STARTED, position=0))
    fill(tmp_path, Group(1, 9, records(3), notes, b"state"))
    assert kinds(tmp_path) == ["note", "record", "record", "note", "record", "image", "seal"]
    rows = list(read_rows(tmp_path / "journal"))
    assert rows[0]["kind"] == "run.started"
    assert rows[3]["data"] == {"to": "halted"}


def test_the_state_comes_back_however_it_grew_and_shrank(tmp_path: Path) -> None:
    chance = random.Random(3)
    image = b""
    for size in (1, 1024, 5000, 5001, 1023, 70_000, 2048, 2048):
        writer, recovered = opened(tmp_path)
        assert recovered.image == image
        image = chance.randbytes(size)
        assert commit(writer, Group(1, 1, image=image))
        changed = bytearray(image)
        changed[chance.randrange(size)] ^= 1
        image = bytes(changed)
        assert commit(writer, Group(2, 1, image=image))
        assert commit(writer, Group(3, 1, records(1)))
        writer.close()
    assert check(tmp_path / "journal").findings == []


@pytest.mark.parametrize(
    ("notes", "is_clean"), [((STARTED,), False), ((STARTED, ENDED), True), ((), True)]
)
def test_a_run_that_ended_by_itself_is_clean(
    tmp_path: Path, notes: tuple[Note, ...], is_clean: bool
) -> None:
    fill(tmp_path, *(Group(i, 1, notes=(note,)) for i, note in enumerate(notes, 1)))
    writer, recovered = opened(tmp_path)
    writer.close()
    assert recovered.clean is is_clean
    assert recovered.last_run == ("r1" if notes else "")
    assert bool(recovered.notes) is not is_clean
    assert not recovered.is_new


def test_a_second_engine_is_refused(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    with pytest.raises(JournalError, match=f"another engine has it open: process {os.getpid()}"):
        opened(tmp_path)
    writer.close()
    writer, _ = opened(tmp_path)
    writer.close()


@pytest.mark.parametrize(
    ("genesis", "text"),
    [
        (replace(GENESIS, profile="live"), "belongs to profile 'paper', not to 'live'"),
        (replace(GENESIS, account="EUR"), "belongs to account 'USD test', not to 'EUR'"),
        (replace(GENESIS, schema=0), "schema 1 is newer than 0"),
        (replace(GENESIS, schema=2), "schema 1 is older than 2"),
    ],
)
def test_another_journal_is_refused_naming_both(
    tmp_path: Path, genesis: Genesis, text: str
) -> None:
    fill(tmp_path)
    with pytest.raises(JournalError, match=text):
        open_journal(tmp_path / "journal", genesis, run="r")
    fill(tmp_path)


def test_what_is_submitted_wrongly_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    for group, text in (
        (Group(2, 1), "does not follow"),
        (Group(1, 1, b"short"), "are not records"),
        (Group(1, 1, notes=(Note("x", 1, {}, 1),)), "position 1 of 0"),
    ):
        with pytest.raises(JournalError, match=text):
            writer.submit(group)
    assert commit(writer, Group(1, 1, records(1)))
    writer.close()
    with pytest.raises(JournalError, match="closed"):
        writer.submit(Group(2, 1))
    assert writer.committed == 1


def test_what_fails_stays_failed(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    woken = threading.Event()
    assert commit(writer, Group(1, 1, records(2)))
    head = writer.head
    writer.on_done(woken.set)
    writer.submit(Group(2, 1, notes=(Note("x", 1, {"bad": object()}),)))
    assert woken.wait(10)
    assert isinstance(writer.failure, JournalError)
    assert "group 2" in str(writer.failure)
    with pytest.raises(JournalError, match="nothing can be written any more"):
        writer.submit(Group(2, 1, records(1)))
    writer.close()
    assert writer.committed == 1
    assert writer.head == head
    writer, recovered = opened(tmp_path)
    writer.close()
    assert recovered.head == head


def test_the_map_grows_until_the_journal_is_full(tmp_path: Path) -> None:
    size_max = 40 * 2**20
    writer, _ = opened(tmp_path, size_max=size_max)
    number = 0
    ratios = []
    while writer.failure is None:
        number += 1
        if commit(writer, Group(number, 1, records(8000), image=number.to_bytes(8))):
            ratios.append(writer.fill_ratio)
        assert number < 100
    assert "full" in str(writer.failure)
    assert ratios == sorted(ratios)
    assert ratios[-1] > 0.85, "the first map has 16 MiB: it has grown"
    writer.close()
    assert (tmp_path / "journal" / DATA).stat().st_size <= size_max
    writer, recovered = opened(tmp_path, size_max=size_max)
    writer.close()
    assert recovered.image == (number - 1).to_bytes(8)
    assert any("largest size" in note for note in recovered.notes)


def test_a_seal_follows_after_so_many_entries_and_at_the_end(tmp_path: Path) -> None:
    groups = [Group(i, 1, records(4, i)) for i in range(1, 6)]
    fill(tmp_path, *groups, seal_every=8)
    one = ["record"] * 8 + ["seal"]
    assert kinds(tmp_path) == [*one, *one, *["record"] * 4, "seal"]
    key = bytes.fromhex((tmp_path / "keys" / "journal.verify").read_text())
    result = check(tmp_path / "journal", key=key)
    assert (result.seals, result.seals_checked, result.unsealed) == (3, 3, 0)
    fill(tmp_path)
    assert kinds(tmp_path)[-2:] == ["record", "seal"], "nothing new, no seal"


def test_a_seal_follows_after_a_time_without_entries(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path, seal_interval_s=0.02)
    sealed = threading.Event()
    assert commit(writer, Group(1, 1, records(2)))
    while writer.head.size < 3:
        writer.on_done(sealed.set)
        if writer.head.size < 3:
            assert sealed.wait(10)
        sealed.clear()
    writer.close()
    assert kinds(tmp_path) == ["record", "record", "seal"]


def test_old_keys_are_gone_and_the_first_opens_all(tmp_path: Path) -> None:
    fill(tmp_path, *(Group(i, 1, records(1, i)) for i in range(1, 5)), seal_every=1)
    folder = tmp_path / "journal"
    key = first = bytes.fromhex((tmp_path / "keys" / "journal.verify").read_text())
    stored = [file.read_bytes() for file in folder.iterdir()]
    for _ in range(4):
        assert not any(key in data for data in stored)
        key = next_key(key)
    found = SealKey.read(folder / SEAL_KEY)
    assert found is not None
    assert (found.epoch, found.key) == (4, key)
    assert check(folder, key=first).seals_checked == 4
    assert {f.kind for f in check(folder, key=next_key(first)).findings} == {"seal"}


def test_a_key_one_step_behind_is_a_crash_and_others_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    files = []
    for turn in range(3):
        fill(tmp_path, Group(1, 1, records(1, turn)))
        files.append((folder / SEAL_KEY).read_bytes())
    (folder / SEAL_KEY).write_bytes(files[1])
    fill(tmp_path, Group(1, 1, records(1, 9)))
    assert check(folder).findings == []
    (folder / SEAL_KEY).write_bytes(files[1])
    with pytest.raises(JournalQuarantined, match="replaced by another copy"):
        opened(tmp_path)
    (folder / SEAL_KEY).write_bytes(b"")
    with pytest.raises(JournalQuarantined, match="missing or damaged"):
        opened(tmp_path)


def test_lost_data_is_not_taken_for_a_new_journal(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "journal" / DATA).unlink()
    with pytest.raises(JournalQuarantined, match="the data is gone"):
        opened(tmp_path)


def test_a_new_journal_does_not_replace_the_key_of_another(tmp_path: Path) -> None:
    fill(tmp_path)
    shutil.rmtree(tmp_path / "journal")
    key = (tmp_path / "keys" / "journal.verify").read_text()
    with pytest.raises(JournalError, match="key of another journal"):
        opened(tmp_path)
    assert (tmp_path / "keys" / "journal.verify").read_text() == key
    writer, _ = opened(tmp_path, verification_key_file=tmp_path / "other" / "key")
    writer.close()


def damaged(tmp_path: Path, groups: list[Group], lost: int) -> Path:
    """A journal without a seal at its end, the last `lost` entries of which are damaged."""
    writer, _ = opened(tmp_path)
    for group in groups:
        assert commit(writer, group)
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")
    writer.close()
    whole = Copy.read(tmp_path / "copy")
    rows = list(whole.rows)
    for seq in range(len(rows) - lost, len(rows)):
        rows[seq] = Row(rows[seq].body[:-1] + b"\xff", rows[seq].hash)
    replace(whole, rows=tuple(rows)).write(tmp_path / "journal")
    return tmp_path / "journal"


def test_a_damaged_tail_is_cut_where_the_state_is_whole(tmp_path: Path) -> None:
    notes = tuple(Note("mode", i, {"i": i}) for i in range(4))
    damaged(tmp_path, [Group(1, 1, records(2), image=b"state"), Group(2, 1, notes=notes)], 2)
    writer, recovered = opened(tmp_path)
    assert recovered.cut_entries == 2
    assert recovered.image == b"state"
    assert not recovered.clean
    assert recovered.notes == ("entries 6 to 7 were cut: entry 6 is missing or damaged",)
    assert commit(writer, Group(1, 1, records(1)))
    writer.close()
    rows = list(read_rows(tmp_path / "journal"))
    assert [row["entry"] for row in rows[3:]] == ["note", "note", "cut", "record", "seal"]
    assert rows[5]["data"] == {
        "first": 6,
        "last": 7,
        "reason": "entry 6 is missing or damaged",
    }
    result = check(tmp_path / "journal")
    assert (result.findings, result.cuts) == ([], [6])


def test_a_damaged_tail_with_another_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    groups = [Group(1, 1, records(2), image=b"one"), Group(2, 1, records(2), image=b"two")]
    folder = damaged(tmp_path, groups, 2)
    before = (folder / DATA).read_bytes()
    with pytest.raises(JournalQuarantined, match="the state is not that of entry 3"):
        opened(tmp_path)
    assert (folder / DATA).read_bytes() == before


def test_a_check_may_run_beside_the_engine(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    assert commit(writer, Group(1, 1, records(10), image=b"state"))
    head = writer.head
    result = verify(tmp_path / "journal", anchors=[(head.size, head.hash)])
    assert (result.findings, result.size, result.anchors_checked) == ([], 11, 1)
    assert commit(writer, Group(2, 1, records(10)))
    writer.close()


LOOKER = """
import sys
from pathlib import Path
from adapters.journal.layout import open_to_read
store = open_to_read(Path(sys.argv[1]))
for _ in sys.stdin:
    with store.reading() as txn:
        print(store.last_seq(txn), flush=True)
"""


def test_a_reader_follows_a_map_that_grows(tmp_path: Path) -> None:
    """Past the first 16 MiB; also when the grown journal is opened again and goes on."""
    writer, _ = opened(tmp_path)
    assert commit(writer, Group(1, 1, records(10)))
    command = [sys.executable, "-c", LOOKER, str(tmp_path / "journal")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        asked, answered = reader.stdin, reader.stdout

        def look() -> int:
            asked.write("\n")
            asked.flush()
            return int(answered.readline())

        assert look() == 10
        for number in range(2, 12):
            assert commit(writer, Group(number, 1, records(10_000)))
        assert (tmp_path / "journal" / DATA).stat().st_size > 20 * 2**20
        assert look() == writer.head.size
        writer.close()
        writer, _ = opened(tmp_path)
        for number in range(1, 12):
            assert commit(writer, Group(number, 1, records(10_000)))
        assert look() == writer.head.size
        reader.stdin.close()
    writer.close()


READER = """
import lmdb, os, signal, sys
reader = lmdb.open(sys.argv[1], readonly=True, max_dbs=3).begin()
os.kill(os.getpid(), signal.SIGKILL)
"""

PLACES = """
import lmdb, sys
print(lmdb.open(sys.argv[1], readonly=True, max_dbs=3).readers())
"""


def places_of_readers(folder: Path) -> str:
    """As another process sees them: LMDB opens a journal once in a process."""
    command = [sys.executable, "-c", PLACES, str(folder / "journal")]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_places_of_dead_readers_are_given_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = opened(tmp_path)
    assert commit(writer, Group(1, 1, records(1)))
    with subprocess.Popen([sys.executable, "-c", READER, tmp_path / "journal"]) as reader:
        assert reader.wait(60) == -signal.SIGKILL
    assert str(reader.pid) in places_of_readers(tmp_path)
    later_s = monotonic() + 2 * writer_module.READER_CHECK_S
    monkeypatch.setattr(writer_module, "monotonic", lambda: later_s)
    assert commit(writer, Group(2, 1, records(1)))
    assert commit(writer, Group(3, 1, records(1)))
    assert str(reader.pid) not in places_of_readers(tmp_path)
    writer.close()
