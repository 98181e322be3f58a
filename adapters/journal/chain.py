"""The form of one journal entry, and the chain that ties it to all before it.

An entry's key is its number, u64 big endian, from 1. Its value is a header of 16 bytes (time,
kind, version), the payload, and SHA-256 of what the entry before it ended with, the key, the
header and the payload. The first entry continues the hash of the genesis.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256

import orjson

from mmats.ports.journal import EntryKind, Genesis, Note

VERSION = 1
RECORD_SIZE = 160  # bytes of a record_t
HASH_SIZE = 32
HEADER = struct.Struct("<qBB6x")
KEY = struct.Struct(">Q")
IMAGE = struct.Struct("<16sQ")
SEAL = struct.Struct("<QQQ32s")
OVERHEAD = HEADER.size + HASH_SIZE

_NEXT_OF_TIME = HEADER.pack(0, EntryKind.RECORD, VERSION)[8:]

Row = tuple[bytes, bytes]
"""Key and value of an entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, read; `hash` is what it claims, see `entry_hash`."""

    seq: int
    ts_ns: int
    kind: int  # EntryKind, or a number that only a damaged entry has
    version: int
    payload: bytes
    hash: bytes


def genesis_json(genesis: Genesis) -> bytes:
    """The genesis as it is stored: JSON, keys sorted."""
    fields = {"profile": genesis.profile, "account": genesis.account, "schema": genesis.schema}
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def genesis_hash(stored: bytes) -> bytes:
    """What the first entry continues."""
    return sha256(stored).digest()


def entry_hash(previous: bytes, key: bytes, body: bytes) -> bytes:
    """Hash of an entry; `body` is header and payload."""
    return sha256(previous + key + body).digest()


def encode(
    previous: bytes, seq: int, ts_ns: int, kind: EntryKind, payload: bytes
) -> tuple[Row, bytes]:
    """Return the entry as it is stored, and its hash."""
    key = KEY.pack(seq)
    body = HEADER.pack(ts_ns, kind, VERSION) + payload
    digest = entry_hash(previous, key, body)
    return (key, body + digest), digest


def encode_records(previous: bytes, seq: int, records: memoryview) -> tuple[list[Row], bytes]:
    """Entries of `records` (n * 160 bytes) from number `seq` on, and the hash of the last.

    An entry's time is its record's first field, `ts_ns`.
    """
    rows: list[Row] = []
    append, pack, rest = rows.append, KEY.pack, _NEXT_OF_TIME
    for offset in range(0, len(records), RECORD_SIZE):
        record = bytes(records[offset : offset + RECORD_SIZE])
        key = pack(seq)
        body = record[:8] + rest + record
        previous = sha256(previous + key + body).digest()
        append((key, body + previous))
        seq += 1
    return rows, previous


def decode(key: bytes, value: bytes) -> Entry:
    """Take a stored entry apart.

    Raises
    ------
    ValueError
        The key or the value is too short to be one.
    """
    if len(key) != KEY.size or len(value) < OVERHEAD:
        raise ValueError(f"an entry of {len(key)} + {len(value)} bytes is none")
    ts_ns, kind, version = HEADER.unpack_from(value)
    payload, digest = value[HEADER.size : -HASH_SIZE], value[-HASH_SIZE:]
    return Entry(KEY.unpack(key)[0], ts_ns, kind, version, payload, digest)


def check_rows(
    previous: bytes, seq: int, rows: Iterator[Row]
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, value and hash of each entry that continues the chain from entry `seq` on.

    Ends before the first that does not: another number, another hash, too short, or of an unknown
    version. The caller knows how many there should be.
    """
    for key, value in rows:
        digest = value[-HASH_SIZE:]
        if (
            key != KEY.pack(seq)
            or len(value) < OVERHEAD
            or sha256(previous + key + value[:-HASH_SIZE]).digest() != digest
            or value[9] != VERSION
        ):
            return
        yield seq, value, digest
        previous = digest
        seq += 1


def note_payload(note: Note) -> bytes:
    """A note as JSON with sorted keys."""
    fields = {"kind": note.kind, "ts_ns": note.ts_ns, "data": note.data}
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def read_json(payload: bytes) -> dict[str, object]:
    """The fields of a JSON payload; ValueError where it is no object."""
    fields = orjson.loads(payload)
    if not isinstance(fields, dict):
        raise ValueError("the payload of an entry is no JSON object")
    return fields


def read_note(payload: bytes) -> tuple[str, dict[str, object]]:
    """Kind and data of a note; ValueError where it is none."""
    fields = read_json(payload)
    data = fields.get("data")
    if not isinstance(data, dict):
        raise ValueError("an entry is marked as a note and is none")
    return str(fields.get("kind")), data


def image_payload(image: bytes) -> bytes:
    """Hash (blake2b, 16 bytes) and size of a state image."""
    return IMAGE.pack(blake2b(image, digest_size=16).digest(), len(image))


def read_seal(payload: bytes) -> tuple[int, int, int, bytes]:
    """Epoch, first and last entry, and MAC of a seal; ValueError where it is none."""
    if len(payload) != SEAL.size:
        raise ValueError("an entry is marked as a seal and is none")
    epoch, first, last, mac = SEAL.unpack(payload)
    return epoch, first, last, mac


def payload_of(value: bytes) -> bytes:
    """The payload of a stored entry."""
    return value[HEADER.size : -HASH_SIZE]


def cut_payload(first: int, last: int, reason: str) -> bytes:
    """What was cut: entries `first` to `last`, and why."""
    fields = {"first": first, "last": last, "reason": reason}
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
