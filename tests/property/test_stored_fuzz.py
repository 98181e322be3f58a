"""Bytes of the journal, of the users' file and of anchors: refused in the declared way only."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.bus.users import UserStore
from adapters.journal import chain
from mmats.cli.audit import read_anchors
from mmats.model.errors import ConfigError
from mmats.model.messages import Role
from mmats.model.profile import Profile
from mmats.ports.journal import EntryKind, Note
from tests.fakes.mutations import spoiled

ENTRIES = [50_000, pytest.param(1_000_000, marks=pytest.mark.long)]
FILES = [1_000, pytest.param(50_000, marks=pytest.mark.long)]  # each is written to a disk
PIECES = (
    b"null", b"{}", b"[]", b'"', b"1e999", b"9" * 40, b"\xff", b"[" * 3000, b'"v":2,', b"\\ud800",
    b'"role":3', b'"revoked_ns":0', b'"users":[]', b"true", b"-1", b"\0",
)  # fmt: skip
PAYLOADS: tuple[tuple[EntryKind, bytes, Callable[[bytes], object]], ...] = (
    (EntryKind.NOTE, chain.note_payload(Note("command", 5, {"id": "a", "n": 1})), chain.read_note),
    (EntryKind.SEAL, b"\1" * chain.SEAL.size, chain.read_seal),
    (EntryKind.CUT, chain.cut_payload(3, 9, "torn"), chain.read_json),
)  # fmt: skip


@pytest.mark.parametrize("count", ENTRIES)
def test_entries_of_the_journal(count: int) -> None:
    chance, read, whole = random.Random(count), 0, chain.genesis_hash(b"{}")
    rows = []
    for seq, (kind, payload, _) in enumerate(PAYLOADS, 1):
        row, _ = chain.encode(whole, seq, 7, kind, payload)
        rows.append(row)
    for number in range(count):
        key, value = rows[number % len(rows)]
        key = key if chance.random() < 0.8 else spoiled(chance, key)
        changed = spoiled(chance, value, PIECES)
        same = (key, changed) in rows
        assert same or not list(chain.check_rows(whole, 1, iter([(key, changed)])))
        try:
            entry = chain.decode(key, changed)
            PAYLOADS[number % len(rows)][2](entry.payload)
        except ValueError:
            continue
        read += 1
    assert read > count // 20


@pytest.mark.parametrize("count", FILES)
def test_a_damaged_users_file_admits_nobody_new(count: int, tmp_path: Path) -> None:
    profile = Profile.of("dev", tmp_path)
    profile.create()
    store = UserStore(profile)
    tokens = [store.add(role.name.lower(), role) for role in Role]
    whole, chance = store.path.read_bytes(), random.Random(count)
    known = {user.token_sha256: user for user in store.users()}
    refused = 0
    for _ in range(count):
        store.path.write_bytes(spoiled(chance, whole, PIECES))
        store = UserStore(profile)
        users = store.users()
        refused += bool(store.damaged)
        assert not (store.damaged and users)
        for token in tokens:
            found = store.find_token(token)
            assert found is None or found.token_sha256 in known
            assert not store.damaged or (found is None and not store.check_passphrase(token))
        if store.damaged:
            with pytest.raises(ConfigError):
                store.add("new", Role.ADMIN)
    assert refused > count // 2


@pytest.mark.parametrize("count", FILES)
def test_a_damaged_file_of_anchors(count: int, tmp_path: Path) -> None:
    lines = [f'{{"size": {size}, "hash": "{"ab" * 32}"}}' for size in (1, 20, 300)]
    whole, chance, file = "\n".join(lines).encode(), random.Random(count), tmp_path / "anchors"
    refused = 0
    for _ in range(count):
        file.write_bytes(spoiled(chance, whole, PIECES))
        assert all(0 <= size < 2**63 for size, _ in read_anchors(file, must_exist=False))
        try:
            read_anchors(file, must_exist=True)
        except ConfigError:
            refused += 1
    assert refused > count // 4
