"""What opening checks: the chain since the last seal, and the state image against its hash."""

from dataclasses import dataclass
from hashlib import blake2b

import lmdb
import orjson

from adapters.journal import chain
from adapters.journal.layout import GENESIS, HEAD, Environment, Meta
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import EntryKind, Genesis

_AFTERWORDS = {EntryKind.SEAL, EntryKind.IMAGE, EntryKind.CUT}


@dataclass(frozen=True, slots=True)
class Cut:
    """A damaged tail: entries after `last` are to go, `first` to `to` of them."""

    last: int  # the last entry that is whole
    hash: bytes
    image_seq: int  # the IMAGE entry of the state; 0 where there is none
    first: int
    to: int
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """A journal whose tail and state are whole, if only after the cut."""

    meta: Meta  # as stored
    image: bytes
    cut: Cut | None
    is_clean: bool  # the last run ended by itself
    last_run: str
    seal_epoch: int  # of the last seal; -1 where there is none


@dataclass(slots=True)
class _Tail:
    """How far the chain was followed from the last seal on."""

    last: int
    hash: bytes
    images: list[int]  # numbers of IMAGE entries


def examine(store: Environment, expected: Genesis, where: str) -> Found:
    """Check what a crash can have touched, and tell what is there.

    Everything before the last seal is `verify`'s to check: it is not read here, so that opening
    takes the same time however long the journal is.

    Raises
    ------
    JournalError
        The journal belongs to another profile or account, or has another schema.
    JournalQuarantined
        It is damaged, and not only by a tail that can be cut.
    """
    try:
        with store.reading() as txn:
            stored = store.fact(txn, GENESIS)
            if stored is None:
                raise ValueError("the genesis is missing")
            _check_genesis(stored, expected, where)
            return _examine(store, txn, stored)
    except (ValueError, lmdb.Error) as error:
        raise JournalQuarantined(
            str(error), where, "keep it as it is and look with `mmats audit verify`"
        ) from error


def _check_genesis(stored: bytes, expected: Genesis, where: str) -> None:
    found = orjson.loads(stored)
    if not isinstance(found, dict) or set(found) != {"profile", "account", "schema"}:
        raise ValueError("the genesis is damaged")
    if found["schema"] != expected.schema:
        age = "newer" if found["schema"] > expected.schema else "older"
        raise JournalError(
            f"schema {found['schema']} is {age} than {expected.schema}, that of this program",
            where,
        )
    for what, mine in (("profile", expected.profile), ("account", expected.account)):
        if found[what] != mine:
            raise JournalError(
                f"the journal belongs to {what} {found[what]!r}, not to {mine!r}", where
            )


def _examine(store: Environment, txn: lmdb.Transaction, genesis: bytes) -> Found:
    meta = Meta.unpack(store.fact(txn, HEAD))
    tail, epoch = _follow(store, txn, meta, chain.genesis_hash(genesis))
    count = txn.stat(store.entries)["entries"]
    last = store.last_seq(txn)
    if last > meta.size:
        raise ValueError(f"the journal ends with entry {meta.size}, but there is entry {last}")
    if tail.last == meta.size and (count != meta.size or tail.hash != meta.hash):
        raise ValueError(f"{meta.size} entries are told of, {count} are there, or the end differs")
    images = [meta.image_seq, *tail.images]
    image_seq = max((seq for seq in images if seq <= tail.last), default=0)
    image = _checked_image(store, txn, meta, image_seq)
    cut = None
    if tail.last < meta.size:
        reason = f"entry {tail.last + 1} is missing or damaged"
        cut = Cut(tail.last, tail.hash, image_seq, tail.last + 1, meta.size, reason)
    run, is_clean = _last_run(store, txn, tail.last)
    return Found(meta, image, cut, is_clean and cut is None, run, epoch)


def _follow(
    store: Environment, txn: lmdb.Transaction, meta: Meta, genesis: bytes
) -> tuple[_Tail, int]:
    """The chain from the last seal on, and the seal's epoch; ValueError where the seal is bad."""
    previous, first = genesis, max(meta.seal_seq, 1)
    if first > 1:
        before = store.entry(txn, first - 1)
        if before is None:
            raise ValueError(f"entry {first - 1}, before the last seal, is missing")
        previous = before[-chain.HASH_SIZE :]
    tail = _Tail(first - 1, previous, [])
    epoch = -1
    for seq, value, digest in chain.check_rows(previous, first, store.rows(txn, first)):
        tail.last, tail.hash = seq, digest
        kind = value[8]
        if kind == EntryKind.IMAGE:
            tail.images.append(seq)
        elif kind == EntryKind.SEAL and seq == meta.seal_seq:
            epoch = chain.read_seal(chain.payload_of(value))[0]
    if meta.seal_seq and epoch < 0:
        raise ValueError(f"entry {meta.seal_seq}, the last seal, is missing or damaged")
    return tail, epoch


def _checked_image(store: Environment, txn: lmdb.Transaction, meta: Meta, image_seq: int) -> bytes:
    """The state image; ValueError where it is not the one that entry `image_seq` tells of."""
    image = store.image(txn, meta.image_size)
    if not image_seq:
        if image:
            raise ValueError("there is a state, but no entry tells of it")
        return image
    value = store.entry(txn, image_seq)
    payload = chain.IMAGE.pack(blake2b(image, digest_size=16).digest(), len(image))
    if value is None or chain.payload_of(value) != payload:
        raise ValueError(f"the state is not that of entry {image_seq}, the last whole one")
    return image


def _last_run(store: Environment, txn: lmdb.Transaction, last: int) -> tuple[str, bool]:
    """Name of the last run, and whether its end is the last fact of the journal."""
    runs = [seq for seq in store.runs(txn) if seq <= last]
    started = store.entry(txn, runs[-1]) if runs else None
    name = ""
    if started is not None:
        name = str(chain.read_note(chain.payload_of(started))[1].get("run", ""))
    for seq in range(last, 0, -1):
        value = store.entry(txn, seq)
        if value is None:
            break
        if value[8] not in _AFTERWORDS:
            if value[8] != EntryKind.NOTE:
                return name, False
            return name, chain.read_note(chain.payload_of(value))[0] == "run.ended"
    return name, True
