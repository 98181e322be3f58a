"""Eleven ways to change a journal, a roll-back, and plain damage: all are found, and told apart
from what no check without a head from outside can find."""

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.journal.layout import DATA, SEAL_KEY
from adapters.journal.store import open_journal
from adapters.journal.verify import Anchor, Verification, check, verify
from mmats.model.errors import JournalQuarantined
from mmats.ports.journal import Group, Head, Note
from tests.fakes.journal_check import FOUND, KILLED, check_all
from tests.fakes.journal_session import GENESIS, SEAL_EVERY, commit, group_of, number_of
from tests.fakes.tampering import ATTACKS, Copy

MUTATIONS = 50
MUTATIONS_LONG = 1000
FLIPS = 500


def write_journal(folder: Path, first: int, groups: int) -> tuple[Head, bytes]:
    """A journal of two runs; the second does not end by itself, so that its tail has no seal."""
    for run, count in (("a", groups // 2), ("b", groups - groups // 2)):
        writer, recovered = open_journal(
            folder / "journal", GENESIS, run=run, seal_every=SEAL_EVERY
        )
        start = max(number_of(recovered.image), first)
        for position in range(1, count + 1):
            assert commit(writer, group_of(start + position, position))
        head = writer.head
        whole = folder / "copy"
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(folder / "journal", whole)
        writer.close()
    shutil.rmtree(folder / "journal")
    whole.rename(folder / "journal")
    return head, bytes.fromhex((folder / "keys" / "journal.verify").read_text())


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


class Victim:
    """A journal, another one of the same form, and what is kept outside."""

    def __init__(self, folder: Path) -> None:
        self.head, self.key = write_journal(folder / "one", 0, 60)
        write_journal(folder / "other", 500, 60)
        self.path = folder / "one" / "journal"
        self.whole = Copy.read(self.path)
        self.other = Copy.read(folder / "other" / "journal")
        self.scratch = folder / "scratch"

    def check(self, copy: Copy, *, is_anchored: bool) -> Verification:
        copy.write(self.scratch)
        anchors: list[Anchor] = [(self.head.size, self.head.hash)] if is_anchored else []
        return check(self.scratch, key=self.key, anchors=anchors)


@pytest.fixture(scope="module")
def victim(memory: Path) -> Victim:
    return Victim(memory)


def test_an_untouched_copy_has_no_findings(victim: Victim) -> None:
    result = victim.check(victim.whole, is_anchored=True)
    assert result.findings == []
    assert (result.size, result.hash) == (victim.head.size, victim.head.hash)
    assert result.seals == result.seals_checked > 5
    assert result.anchors_checked == 1
    assert result.unsealed > 0, "the tail must be open to attack"


def attack(victim: Victim, name: str, count: int) -> Counter[str]:
    """Mutate at random; all must be found given key and head. Counts the kinds of findings."""
    chance = random.Random(name)
    found: Counter[str] = Counter()
    for turn in range(count):
        copy = ATTACKS[name](victim.whole, victim.other, chance)
        if copy == victim.whole:
            continue
        result = victim.check(copy, is_anchored=True)
        assert result.findings, f"{name} {turn} was not found"
        found[result.findings[0].kind] += 1
    assert sum(found.values()) > 0.9 * count
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_found_with_key_and_head(victim: Victim, name: str) -> None:
    attack(victim, name, MUTATIONS)


@pytest.mark.long
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_of_many_is_found(victim: Victim, name: str) -> None:
    attack(victim, name, MUTATIONS_LONG)


def test_an_older_copy_is_found_by_the_head_alone(victim: Victim, tmp_path: Path) -> None:
    """All files of an older state fit each other: only who saw the head knows better."""
    head, key = write_journal(tmp_path, 0, 20)
    older = tmp_path / "older"
    shutil.copytree(tmp_path / "journal", older)
    writer, _ = open_journal(tmp_path / "journal", GENESIS, run="c", seal_every=SEAL_EVERY)
    for position in range(1, 31):
        assert commit(writer, group_of(100 + position, position))
    writer.close()
    assert check(older, key=key).findings == []
    anchors = [(head.size, head.hash), (writer.head.size, writer.head.hash)]
    result = check(older, key=key, anchors=anchors)
    assert [finding.kind for finding in result.findings] == ["anchor"]
    shutil.copy(tmp_path / "journal" / SEAL_KEY, older / SEAL_KEY)
    assert [finding.kind for finding in check(older).findings] == ["rollback"]


@pytest.mark.parametrize("name", ["rewrite", "reseal"])
def test_without_a_head_seals_protect_all_but_the_tail(victim: Victim, name: str) -> None:
    chance = random.Random(name)
    sealed = victim.head.size - victim.check(victim.whole, is_anchored=False).unsealed
    for _ in range(MUTATIONS):
        copy = ATTACKS[name](victim.whole, victim.other, chance)
        first = next(
            seq
            for seq, rows in enumerate(zip(copy.rows, victim.whole.rows, strict=True), 1)
            if rows[0] != rows[1]
        )
        findings = victim.check(copy, is_anchored=False).findings
        assert findings or first > sealed


def test_without_a_head_a_lost_tail_of_notes_is_not_found(tmp_path: Path) -> None:
    """The limit of the method: what changed no state and has no seal, nobody inside can miss."""
    writer, _ = open_journal(tmp_path / "journal", GENESIS, run="a", seal_every=SEAL_EVERY)
    assert commit(writer, group_of(1, 1))
    assert commit(writer, Group(2, 5, notes=(Note("mode", 5, {}), Note("mode", 6, {}))))
    head = writer.head
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")
    writer.close()
    whole = Copy.read(tmp_path / "copy")
    for lost, kinds in ((1, set()), (2, set()), (3, {"image"})):
        replace(whole, rows=whole.rows[:-lost]).write(tmp_path / "shorter")
        assert {f.kind for f in check(tmp_path / "shorter").findings} == kinds
        result = check(tmp_path / "shorter", anchors=[(head.size, head.hash)])
        assert {f.kind for f in result.findings} == kinds | {"anchor"}


def test_opening_refuses_or_cuts_what_was_attacked(victim: Victim) -> None:
    """An engine on attacked data does not start, or starts on a state that is whole."""
    chance = random.Random(1)
    outcomes: Counter[str] = Counter()
    state = b"".join(victim.whole.pages)
    last_seal = max(seq for seq, row in enumerate(victim.whole.rows, 1) if row.kind == 3)
    for _ in range(MUTATIONS):
        for name in ("edit", "delete", "insert", "reorder", "truncate", "edit_state"):
            copy = ATTACKS[name](victim.whole, victim.other, chance)
            copy.write(victim.scratch)
            try:
                writer, recovered = open_journal(victim.scratch, GENESIS, run="c")
            except JournalQuarantined:
                outcomes["refused"] += 1
                continue
            writer.close()
            assert recovered.image == state or name == "edit_state"
            assert recovered.head.size >= last_seal
            outcomes["opened"] += 1
    assert outcomes["refused"] > outcomes["opened"] / 4


def test_no_flipped_byte_changes_a_record_in_silence(victim: Victim) -> None:
    """Random damage to the file: found, or in bytes that hold nothing."""
    original = (victim.path / DATA).read_bytes()
    chance = random.Random(1)
    folders = []
    for turn in range(FLIPS + 1):
        folder = victim.scratch.parent / f"flip-{turn}"
        shutil.copytree(victim.path, folder)
        data = bytearray(original)
        if turn:
            data[chance.randrange(len(data))] ^= chance.randint(1, 255)
        (folder / DATA).write_bytes(data)
        folders.append(folder)
    whole, *outcomes = check_all(folders, victim.key, (victim.head.size, victim.head.hash))
    assert whole not in {FOUND, KILLED}
    counts = Counter(outcomes)
    assert set(counts) <= {FOUND, KILLED, whole}
    assert counts[FOUND] > FLIPS / 4


def test_a_file_that_ends_too_soon_is_a_finding(victim: Victim, tmp_path: Path) -> None:
    shutil.copytree(victim.path, tmp_path / "journal")
    file = tmp_path / "journal" / DATA
    assert verify(tmp_path / "journal", key=victim.key).findings == []
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 8192 * 4096])
    result = verify(tmp_path / "journal", key=victim.key)
    assert [finding.kind for finding in result.findings] == ["unreadable"]
