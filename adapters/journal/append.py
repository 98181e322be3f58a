"""One transaction: a group's entries, the changed pages of the state image, the new end."""

from collections.abc import Callable
from dataclasses import replace

import lmdb
import numpy as np

from adapters.journal import chain
from adapters.journal.chain import RECORD_SIZE, Row
from adapters.journal.layout import (
    HEAD,
    PAGE_KEY,
    PAGE_SIZE,
    RUN,
    Environment,
    Meta,
)
from adapters.journal.recovery import Cut
from adapters.journal.seals import Seal, SealKey
from mmats.model.errors import JournalError
from mmats.ports.journal import EntryKind, Group, Note

FILL_GROW = 0.8  # share of the map in use at which it grows
MAP_SIZE_FIRST = 16 * 2**20  # bytes
_COMMIT_BYTES = 2**18  # pages that every commit copies


class Appender:
    """Knows the end of the journal, and moves it forward by whole groups.

    After an exception it must not be used again: what it knows may differ from what is stored.
    """

    def __init__(
        self,
        store: Environment,
        meta: Meta,
        image: bytes,
        key: SealKey,
        *,
        size_max: int,
        now_ns: Callable[[], int],
    ) -> None:
        self.meta = meta
        self._store = store
        self._image = image
        self._key = key
        self._size_max = size_max
        self._now_ns = now_ns

    @property
    def unsealed(self) -> int:
        """Entries after the last seal."""
        return self.meta.size - self.meta.seal_seq

    @property
    def fill_ratio(self) -> float:
        """Share of the largest allowed size that is in use, 0 to 1."""
        return self._store.used_bytes / self._size_max

    def append(self, group: Group, seal_every: int) -> None:
        """Make a group durable; with a seal where `seal_every` entries have none."""
        rows: list[Row] = []
        meta, runs = self._put_facts(rows, group)
        pages: list[Row] = []
        if group.image:
            payload = chain.image_payload(group.image)
            meta = _put(rows, meta, group.ts_ns, EntryKind.IMAGE, payload)
            pages = _changed_pages(self._image, group.image)
            meta = replace(meta, image_size=len(group.image), image_seq=meta.size)
        sealed = meta.size - meta.seal_seq >= seal_every
        if sealed:
            meta = self._put_seal(rows, meta)
        self._commit(rows, pages, meta, runs)
        if group.image:
            self._image = group.image
        if sealed:
            self._key.evolve()

    def seal(self) -> None:
        """Seal what has no seal yet, in a transaction of its own."""
        rows: list[Row] = []
        self._commit(rows, [], self._put_seal(rows, self.meta), [])
        self._key.evolve()

    def cut(self, cut: Cut) -> None:
        """Take away everything after the last whole entry, and write down what and why."""
        last = cut.last
        meta = replace(self.meta, size=last, hash=cut.hash, image_seq=cut.image_seq)
        rows: list[Row] = []
        payload = chain.cut_payload(cut.first, cut.to, cut.reason)
        meta = _put(rows, meta, self._now_ns(), EntryKind.CUT, payload)
        with self._store.env.begin(write=True) as txn:
            cursor = txn.cursor(db=self._store.entries)
            while cursor.last() and cursor.key() > chain.KEY.pack(last):
                cursor.delete()
            for seq in self._store.runs(txn):
                if seq > last:
                    txn.delete(RUN + chain.KEY.pack(seq), db=self._store.meta)
            self._write(txn, rows, [], meta, [])
        self.meta = meta

    def _put_facts(self, rows: list[Row], group: Group) -> tuple[Meta, list[int]]:
        """Entries of the records, and of the notes where they belong among them."""
        meta, records, runs = self.meta, memoryview(group.records), []
        start = 0
        for note in sorted(group.notes, key=_position):
            end = note.position * RECORD_SIZE
            meta = _put_records(rows, meta, records[start:end])
            start = end
            meta = _put(rows, meta, note.ts_ns, EntryKind.NOTE, chain.note_payload(note))
            if note.kind == "run.started":
                runs.append(meta.size)
        return _put_records(rows, meta, records[start:]), runs

    def _put_seal(self, rows: list[Row], meta: Meta) -> Meta:
        seal = Seal(
            seq=meta.size + 1,
            ts_ns=self._now_ns(),
            epoch=self._key.epoch,
            first=meta.seal_seq + 1,
            last=meta.size,
            head=meta.hash,
        )
        mac = seal.mac(self._key.key)
        payload = chain.SEAL.pack(seal.epoch, seal.first, seal.last, mac)
        meta = _put(rows, meta, seal.ts_ns, EntryKind.SEAL, payload)
        return replace(meta, seal_seq=meta.size)

    def _commit(self, rows: list[Row], pages: list[Row], meta: Meta, runs: list[int]) -> None:
        self._make_room(_COMMIT_BYTES + 2 * sum(len(v) for _, v in rows) + len(pages) * 4096)
        with self._store.env.begin(write=True) as txn:
            self._write(txn, rows, pages, meta, runs)
        self.meta = meta

    def _write(
        self,
        txn: lmdb.Transaction,
        rows: list[Row],
        pages: list[Row],
        meta: Meta,
        runs: list[int],
    ) -> None:
        store = self._store
        _, added = txn.cursor(db=store.entries).putmulti(rows, append=True)
        if added != len(rows):
            raise JournalError("an entry with the next number is there already")
        for number, page in pages:
            if page:
                txn.put(number, page, db=store.state)
            else:
                txn.delete(number, db=store.state)
        for seq in runs:
            txn.put(RUN + chain.KEY.pack(seq), b"", db=store.meta)
        txn.put(HEAD, meta.pack(), db=store.meta)

    def _make_room(self, needed: int) -> None:
        """Grow the map while it is small enough to; at its largest LMDB says when it is full."""
        used, size = self._store.used_bytes + needed, self._store.map_size
        wanted = size
        while used > FILL_GROW * wanted and wanted < self._size_max:
            wanted = min(2 * wanted, self._size_max)
        if wanted != size:
            self._store.env.set_mapsize(wanted)


def _position(note: Note) -> int:
    return note.position


def _put(rows: list[Row], meta: Meta, ts_ns: int, kind: EntryKind, payload: bytes) -> Meta:
    row, digest = chain.encode(meta.hash, meta.size + 1, ts_ns, kind, payload)
    rows.append(row)
    return replace(meta, size=meta.size + 1, hash=digest)


def _put_records(rows: list[Row], meta: Meta, records: memoryview) -> Meta:
    if not records:
        return meta
    added, digest = chain.encode_records(meta.hash, meta.size + 1, records)
    rows += added
    return replace(meta, size=meta.size + len(added), hash=digest)


def _changed_pages(old: bytes, new: bytes) -> list[Row]:
    """Pages of `new` that differ from `old`, by number; an empty one is to be deleted."""
    if old == new:
        return []
    whole = min(len(old), len(new)) // PAGE_SIZE
    size = whole * PAGE_SIZE
    before = np.frombuffer(old[:size], np.uint64).reshape(whole, PAGE_SIZE // 8)
    after = np.frombuffer(new[:size], np.uint64).reshape(whole, PAGE_SIZE // 8)
    changed = np.flatnonzero((before != after).any(axis=1)).tolist()
    last = max(len(old), len(new))
    changed += range(whole, -(-last // PAGE_SIZE))
    return [(PAGE_KEY.pack(i), new[i * PAGE_SIZE : (i + 1) * PAGE_SIZE]) for i in changed]
