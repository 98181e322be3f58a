"""The chain against hashlib, byte by byte, as the format is described."""

import hashlib
import struct

import pytest

from adapters.journal import chain
from mmats.ports.journal import EntryKind, Genesis, Note

GENESIS = chain.genesis_json(Genesis("paper", "USD main", 1))


def test_genesis_is_sorted_json() -> None:
    assert GENESIS == b'{"account":"USD main","profile":"paper","schema":1}'


def test_an_entry_is_what_the_format_says() -> None:
    previous = chain.genesis_hash(GENESIS)
    (key, value), digest = chain.encode(previous, 1, -5, EntryKind.NOTE, b"text")
    header = struct.pack("<qBB6x", -5, 2, 1)
    assert key == (1).to_bytes(8, "big")
    assert value == header + b"text" + digest
    assert digest == hashlib.sha256(previous + key + header + b"text").digest()
    assert chain.decode(key, value) == chain.Entry(1, -5, EntryKind.NOTE, 1, b"text", digest)


def test_records_are_entries_under_their_own_time() -> None:
    records = b"".join(struct.pack("<q", 100 + i) + bytes([i]) * 152 for i in range(3))
    rows, last = chain.encode_records(b"p" * 32, 7, memoryview(records))
    previous = b"p" * 32
    for i, row in enumerate(rows):
        one, previous = chain.encode(
            previous, 7 + i, 100 + i, EntryKind.RECORD, records[160 * i : 160 * (i + 1)]
        )
        assert row == one
    assert last == previous


def test_a_chain_ends_before_what_does_not_continue_it() -> None:
    rows, _ = chain.encode_records(b"p" * 32, 1, memoryview(bytes(160 * 4)))
    assert [seq for seq, _, _ in chain.check_rows(b"p" * 32, 1, iter(rows))] == [1, 2, 3, 4]
    wrong = rows.copy()
    wrong[2] = (rows[2][0], rows[2][1][:40] + b"\x01" + rows[2][1][41:])
    assert [seq for seq, _, _ in chain.check_rows(b"p" * 32, 1, iter(wrong))] == [1, 2]
    assert [s for s, _, _ in chain.check_rows(b"p" * 32, 1, iter(rows[:1] + rows[2:]))] == [1]
    assert not list(chain.check_rows(b"q" * 32, 1, iter(rows)))


def test_what_is_too_short_is_no_entry() -> None:
    with pytest.raises(ValueError, match="is none"):
        chain.decode(bytes(8), bytes(47))


def test_a_note_is_json_with_sorted_keys() -> None:
    note = Note("mode", 5, {"b": 1, "a": "x"})
    assert chain.note_payload(note) == b'{"data":{"a":"x","b":1},"kind":"mode","ts_ns":5}'
