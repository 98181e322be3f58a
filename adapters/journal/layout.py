"""What lies where in the LMDB environment, and how it is opened and read."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import lmdb

from adapters.journal.chain import HASH_SIZE, KEY, Row
from mmats.model.errors import JournalError, JournalQuarantined

DATA = "data.mdb"
SEAL_KEY = "seal.key"
LOCK = "writer.lock"
PAGE_SIZE = 1024  # bytes of the state image under one key
PAGE_KEY = struct.Struct(">I")
READERS_MAX = 64
ROWS_A_SNAPSHOT = 10_000
GENESIS = b"genesis"
HEAD = b"head"
RUN = b"run:"  # followed by the number of a run.started entry
DAMAGE = (
    lmdb.BadDbiError,
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.NotFoundError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)
"""Errors of LMDB that tell of damaged data, not of a disk or a system that refuses."""

_HEAD = struct.Struct(f"<Q{HASH_SIZE}sQQQ")


@dataclass(frozen=True, slots=True)
class Meta:
    """The record that each commit replaces: where everything ends."""

    size: int  # entries
    hash: bytes  # of the last entry; of the genesis where there is none
    image_size: int = 0  # bytes
    image_seq: int = 0  # number of the last IMAGE entry; 0 where there is none
    seal_seq: int = 0  # number of the last SEAL entry; 0 where there is none

    def pack(self) -> bytes:
        """As it is stored."""
        return _HEAD.pack(self.size, self.hash, self.image_size, self.image_seq, self.seal_seq)

    @classmethod
    def unpack(cls, stored: bytes | None) -> "Meta":
        """Raise ValueError where it is missing or has another length."""
        if stored is None or len(stored) != _HEAD.size:
            raise ValueError("the record of the journal's end is missing or damaged")
        return cls(*_HEAD.unpack(stored))


class Environment:
    """The open environment and its three databases.

    Flags are LMDB's defaults: with any of those that sync less, a power cut loses or breaks what
    was acknowledged.
    """

    def __init__(
        self, path: Path, *, map_size: int = 0, readonly: bool = False, create: bool = False
    ) -> None:
        # A reader without a place in the lock file is safe only where nobody writes.
        lock = not readonly or os.access(path / "lock.mdb", os.W_OK)
        self.env = lmdb.open(
            str(path),
            map_size=map_size,
            max_dbs=3,
            max_readers=READERS_MAX,
            mode=0o600,
            readonly=readonly,
            create=create,
            lock=lock,
        )
        try:
            self._check_length(path)
            self.entries = self.env.open_db(b"entries", create=create)
            self.state = self.env.open_db(b"state", create=create)
            self.meta = self.env.open_db(b"meta", create=create)
        except BaseException:
            self.env.close()
            raise

    def _check_length(self, path: Path) -> None:
        """A file that ends before its last page would kill the process that reads there."""
        needed = (self.env.info()["last_pgno"] + 1) * self.env.stat()["psize"]
        found = (path / DATA).stat().st_size
        if found < needed:
            raise JournalQuarantined(
                f"the data ends after {found} bytes of {needed}", str(path / DATA)
            )

    @contextmanager
    def reading(self) -> Iterator[lmdb.Transaction]:
        """A snapshot; a map that the writer has grown is taken over."""
        try:
            txn = self.env.begin()
        except lmdb.MapResizedError:
            self.env.set_mapsize(0)
            txn = self.env.begin()
        with txn:
            yield txn

    @property
    def used_bytes(self) -> int:
        """Pages ever used; those that were freed are used again."""
        return int((self.env.info()["last_pgno"] + 1) * self.env.stat()["psize"])

    @property
    def map_size(self) -> int:
        """Bytes that the file may grow to before the map must."""
        return int(self.env.info()["map_size"])

    def fact(self, txn: lmdb.Transaction, key: bytes) -> bytes | None:
        """What is stored under `key` beside the entries."""
        return cast("bytes | None", txn.get(key, db=self.meta))

    def entry(self, txn: lmdb.Transaction, seq: int) -> bytes | None:
        """The stored entry of that number."""
        return cast("bytes | None", txn.get(KEY.pack(seq), db=self.entries))

    def rows(self, txn: lmdb.Transaction, first: int) -> Iterator[Row]:
        """Keys and values of the entries from number `first` on."""
        cursor = txn.cursor(db=self.entries)
        if not cursor.set_range(KEY.pack(first)):
            return iter(())
        return cast("Iterator[Row]", cursor.iternext())

    def walk(self, first: int, last: int, *, backwards: bool = False) -> Iterator[Row]:
        """Keys and values of entries `first` to `last`, read in steps.

        One long read would keep every page that the writer frees meanwhile: the file would grow.
        """
        starts = range(first, last + 1, ROWS_A_SNAPSHOT)
        for start in reversed(starts) if backwards else starts:
            count = min(ROWS_A_SNAPSHOT, last + 1 - start)
            with self.reading() as txn:
                found = list(islice(self.rows(txn, start), count))
            yield from reversed(found) if backwards else found

    def last_seq(self, txn: lmdb.Transaction) -> int:
        """Number of the last entry that is there; 0 where there is none."""
        cursor = txn.cursor(db=self.entries)
        return int.from_bytes(cursor.key(), "big") if cursor.last() else 0

    def image(self, txn: lmdb.Transaction, size: int) -> bytes:
        """The stored state image, `size` bytes; ValueError where its pages are not all there."""
        count = -(-size // PAGE_SIZE)
        pages = cast("list[Row]", list(txn.cursor(db=self.state).iternext()))
        if [key for key, _ in pages] != [PAGE_KEY.pack(i) for i in range(count)]:
            raise ValueError(f"the state has {len(pages)} pages, not pages 0 to {count - 1}")
        image = b"".join(page for _, page in pages)
        if len(image) != size:
            raise ValueError(f"the state has {len(image)} bytes, not {size}")
        return image

    def runs(self, txn: lmdb.Transaction) -> list[int]:
        """Numbers of the run.started entries, in order."""
        found: list[int] = []
        cursor = txn.cursor(db=self.meta)
        if cursor.set_range(RUN):
            for key, _ in cast("Iterator[Row]", cursor.iternext()):
                if not key.startswith(RUN):
                    break
                found.append(int.from_bytes(key[len(RUN) :], "big"))
        return found

    def close(self) -> None:
        """Close it; no transaction may be open."""
        self.env.close()


def open_to_read(path: Path) -> Environment:
    """Open a journal that an engine may be writing.

    Raises
    ------
    JournalError
        There is none, or it can't be read.
    JournalQuarantined
        It is damaged beyond reading.
    """
    if not (path / DATA).exists():
        raise JournalError("there is no journal", str(path))
    try:
        return Environment(path, readonly=True)
    except DAMAGE as error:
        raise JournalQuarantined(f"can't be read: {error}", str(path)) from error
    except (OSError, lmdb.Error) as error:
        raise JournalError(f"can't be read: {error}", str(path)) from error
