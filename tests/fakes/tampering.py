"""Ways to change a journal behind its back, by somebody who may write its files.

The forger knows the format: all but the plainest attacks leave a chain that is whole and an end
that fits. He does not know a key that was replaced before he came.
"""

import random
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from pathlib import Path

import lmdb

from adapters.journal.seals import Seal, next_key

HEADER, HASH = 16, 32
RECORD, NOTE, SEAL, IMAGE = 1, 2, 3, 4
NAMES = (b"entries", b"state", b"meta")
MAP_SIZE = 8 * 2**20


@dataclass(frozen=True)
class Row:
    """An entry: header and payload, and its hash."""

    body: bytes
    hash: bytes

    @property
    def kind(self) -> int:
        return self.body[8]


@dataclass(frozen=True)
class Copy:
    """A journal, taken apart; entry number n is rows[n - 1]."""

    genesis: bytes
    rows: tuple[Row, ...]
    pages: tuple[bytes, ...]
    image_size: int
    key: bytes  # the file of the next seal's key

    @classmethod
    def read(cls, folder: Path) -> "Copy":
        """Take a journal apart."""
        env = lmdb.open(str(folder), max_dbs=3, readonly=True, lock=False)
        entries, state, meta = (env.open_db(name, create=False) for name in NAMES)
        with env.begin() as txn:
            rows = tuple(Row(v[:-HASH], v[-HASH:]) for _, v in txn.cursor(db=entries))
            pages = tuple(v for _, v in txn.cursor(db=state))
            genesis = txn.get(b"genesis", db=meta)
            size = struct.unpack("<Q32sQQQ", txn.get(b"head", db=meta))[2]
        env.close()
        return cls(genesis, rows, pages, size, (folder / "seal.key").read_bytes())

    def write(self, folder: Path, numbers: tuple[int, ...] = ()) -> None:
        """Make the files anew; `numbers` are those of the entries where not 1, 2, 3, ..."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        env = lmdb.open(str(folder), max_dbs=3, map_size=MAP_SIZE, sync=False, lock=False)
        entries, state, meta = (env.open_db(name) for name in NAMES)
        seqs = numbers or range(1, len(self.rows) + 1)
        with env.begin(write=True) as txn:
            for seq, row in zip(seqs, self.rows, strict=True):
                txn.put(struct.pack(">Q", seq), row.body + row.hash, db=entries)
            for number, page in enumerate(self.pages):
                txn.put(struct.pack(">I", number), page, db=state)
            txn.put(b"genesis", self.genesis, db=meta)
            txn.put(b"head", self._head(max(seqs, default=0)), db=meta)
            for seq, row in zip(seqs, self.rows, strict=True):
                if row.kind == NOTE and b'"run.started"' in row.body:
                    txn.put(b"run:" + struct.pack(">Q", seq), b"", db=meta)
        env.close()
        (folder / "seal.key").write_bytes(self.key)

    def _head(self, size: int) -> bytes:
        last = self.rows[-1].hash if self.rows else sha256(self.genesis).digest()
        found = {SEAL: 0, IMAGE: 0}
        for seq, row in enumerate(self.rows, 1):
            if row.kind in found:
                found[row.kind] = seq
        return struct.pack("<Q32sQQQ", size, last, self.image_size, found[IMAGE], found[SEAL])

    def rechained(self, first: int) -> "Copy":
        """The same with hashes that fit from entry `first` on."""
        rows = list(self.rows)
        last = rows[first - 2].hash if first > 1 else sha256(self.genesis).digest()
        for seq in range(first, len(rows) + 1):
            body = rows[seq - 1].body
            last = sha256(last + struct.pack(">Q", seq) + body).digest()
            rows[seq - 1] = Row(body, last)
        return replace(self, rows=tuple(rows))


Attack = Callable[[Copy, Copy, random.Random], Copy]
"""Changes a journal; the second one is another journal of the same profile."""


def _seq(copy: Copy, chance: random.Random) -> int:
    return chance.randint(1, len(copy.rows))


def _changed(row: Row, chance: random.Random) -> Row:
    """The entry with one other byte in its payload, or in its time."""
    body = bytearray(row.body)
    places = [*range(8), *range(HEADER, len(body))]
    body[chance.choice(places)] ^= chance.randint(1, 255)
    return Row(bytes(body), row.hash)


def _with_rows(copy: Copy, rows: list[Row]) -> Copy:
    return replace(copy, rows=tuple(rows))


def edit(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """One byte of one entry, with or without a new hash for it."""
    seq, rows = _seq(copy, chance), list(copy.rows)
    rows[seq - 1] = _changed(rows[seq - 1], chance)
    edited = _with_rows(copy, rows)
    if chance.random() < 0.5:
        rows[seq - 1] = edited.rechained(seq).rows[seq - 1]
    return _with_rows(copy, rows)


def delete(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """One entry is missing, those after it move up."""
    rows = list(copy.rows)
    del rows[_seq(copy, chance) - 1]
    return _with_rows(copy, rows)


def insert(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """An entry that never was, with the right hash for its place."""
    seq, rows = _seq(copy, chance), list(copy.rows)
    rows.insert(seq - 1, _changed(rows[seq - 1], chance))
    rows[seq - 1] = _with_rows(copy, rows).rechained(seq).rows[seq - 1]
    return _with_rows(copy, rows)


def reorder(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """Two entries change places."""
    one, other = chance.sample(range(len(copy.rows)), 2)
    rows = list(copy.rows)
    rows[one], rows[other] = rows[other], rows[one]
    return _with_rows(copy, rows)


def duplicate(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """An entry stands there twice, in another place or right behind itself."""
    rows = list(copy.rows)
    rows.insert(_seq(copy, chance), rows[_seq(copy, chance) - 1])
    return _with_rows(copy, rows)


def truncate(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """The last entries are gone; the rest fits, state included where it did not change."""
    return _with_rows(copy, list(copy.rows)[: _seq(copy, chance) - 1])


def rewrite(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """One entry is changed, and the chain made to fit up to its end."""
    seq, rows = _seq(copy, chance), list(copy.rows)
    rows[seq - 1] = _changed(rows[seq - 1], chance)
    return _with_rows(copy, rows).rechained(seq)


def reseal(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """As `rewrite`, and every seal from there on is made anew with the key that is there."""
    seq = _seq(copy, chance)
    rows = list(copy.rows)
    while rows[seq - 1].kind == SEAL:
        seq = _seq(copy, chance)
    rows[seq - 1] = _changed(rows[seq - 1], chance)
    forged = _with_rows(copy, rows).rechained(seq)
    key = copy.key[24:56]
    for number in range(seq, len(rows) + 1):
        if forged.rows[number - 1].kind == SEAL:
            forged = _sealed(forged, number, key)
            key = next_key(key) if chance.random() < 0.5 else key
    return forged


def _sealed(copy: Copy, seq: int, key: bytes) -> Copy:
    row = copy.rows[seq - 1]
    ts_ns = struct.unpack_from("<q", row.body)[0]
    epoch, first, last = struct.unpack_from("<QQQ", row.body, HEADER)
    mac = Seal(seq, ts_ns, epoch, first, last, copy.rows[seq - 2].hash).mac(key)
    rows = list(copy.rows)
    rows[seq - 1] = Row(row.body[: HEADER + 24] + mac, row.hash)
    return _with_rows(copy, rows).rechained(seq)


def unseal(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """A seal is gone, and the chain made to fit."""
    seals = [seq for seq, row in enumerate(copy.rows, 1) if row.kind == SEAL]
    seq = chance.choice(seals)
    rows = list(copy.rows)
    del rows[seq - 1]
    return _with_rows(copy, rows).rechained(min(seq, len(rows)))


def splice(copy: Copy, other: Copy, chance: random.Random) -> Copy:
    """Some entries come from another run; with or without a chain that fits."""
    first = chance.randint(1, min(len(copy.rows), len(other.rows)) - 1)
    count = chance.randint(1, 10)
    rows = list(copy.rows)
    rows[first - 1 : first - 1 + count] = other.rows[first - 1 : first - 1 + count]
    spliced = _with_rows(copy, rows)
    return spliced.rechained(first) if chance.random() < 0.5 else spliced


def edit_state(copy: Copy, _: Copy, chance: random.Random) -> Copy:
    """One byte of the stored state; with or without an entry that tells of it."""
    pages = [bytearray(page) for page in copy.pages]
    page = chance.choice(pages)
    page[chance.randrange(len(page))] ^= chance.randint(1, 255)
    edited = replace(copy, pages=tuple(bytes(p) for p in pages))
    if chance.random() < 0.5:
        return edited
    seq = max(seq for seq, row in enumerate(copy.rows, 1) if row.kind == IMAGE)
    digest = blake2b(b"".join(edited.pages), digest_size=16).digest()
    row = copy.rows[seq - 1]
    rows = list(copy.rows)
    rows[seq - 1] = Row(row.body[:HEADER] + digest + row.body[HEADER + 16 :], row.hash)
    return _with_rows(edited, rows).rechained(seq)


ATTACKS: dict[str, Attack] = {
    f.__name__: f
    for f in (
        edit, delete, insert, reorder, duplicate, truncate, rewrite, reseal, unseal, splice,
        edit_state,
    )
}  # fmt: skip
