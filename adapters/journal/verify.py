"""Checks a whole journal, from outside and without changing it.

The check runs in a process of its own: some damage to LMDB's pages kills the process that reads
them, and that must be a finding too. An engine may be writing meanwhile.
"""

import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import lmdb
import orjson

from adapters.journal import chain
from adapters.journal.layout import GENESIS, HEAD, SEAL_KEY, Environment, Meta, open_to_read
from adapters.journal.seals import Seal, SealKey, next_key
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import EntryKind

FINDINGS_MAX = 50  # what is broken in more places is broken
ROWS_A_SNAPSHOT = 100_000  # a reader that stays long keeps the writer's freed pages
_KILLED = {signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT}

Anchor = tuple[int, str]
"""Size and hash (hex) of a head that was seen outside."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: str  # unreadable, genesis, chain, missing, seal, image, head, anchor, rollback
    seq: int  # the entry it is about, or the first one; 0 where it is about none
    message: str


@dataclass(slots=True)
class Verification:
    """What a check saw; without findings, everything that could be checked is right."""

    findings: list[Finding] = field(default_factory=list)
    genesis: dict[str, object] = field(default_factory=dict)
    size: int = 0  # entries
    hash: str = ""  # of the last entry, hex
    seals: int = 0
    seals_checked: int = 0  # those whose MAC was right; 0 without the verification key
    anchors_checked: int = 0  # those that were right
    unsealed: int = 0  # entries after the last seal: only an anchor protects them
    cuts: list[int] = field(default_factory=list)  # numbers of CUT entries

    def add(self, kind: str, seq: int, message: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, seq, message))

    @property
    def is_full(self) -> bool:
        """More findings would tell nothing new."""
        return len(self.findings) >= FINDINGS_MAX


def verify(
    path: Path, *, key: bytes | None = None, anchors: list[Anchor] | None = None
) -> Verification:
    """Check the journal in folder `path` in a process of its own.

    Parameters
    ----------
    path : Path
        Folder of the journal.
    key : bytes, optional
        The verification key, 32 bytes; without it seals are only counted.
    anchors : list of (int, str), optional
        Heads that were seen outside; the only thing that finds a shortened journal.

    Raises
    ------
    JournalError
        The check could not run: no journal there, or no permission.
    """
    request = {"path": str(path), "key": key.hex() if key else None, "anchors": anchors or []}
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "adapters.journal.verify"],
        input=orjson.dumps(request),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": search},
        check=False,
    )
    if done.returncode < 0 and -done.returncode in _KILLED:
        name = signal.Signals(-done.returncode).name
        result = Verification()
        result.add("unreadable", 0, f"damaged so that reading it ends in {name}")
        return result
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
        raise JournalError(f"the check could not run: {text.splitlines()[-1]}", str(path))
    answer = orjson.loads(done.stdout)
    answer["findings"] = [Finding(**found) for found in answer["findings"]]
    return Verification(**answer)


def check(
    path: Path, *, key: bytes | None = None, anchors: list[Anchor] | None = None
) -> Verification:
    """The same within this process, which damaged data may kill."""
    result = Verification()
    try:
        store = open_to_read(path)
    except JournalQuarantined as error:
        result.add("unreadable", 0, str(error))
        return result
    try:
        # The key moves on after each seal: read first, it can't be ahead of honest data.
        epoch = _key_epoch(path)
        _check(store, result, key, anchors or [])
        if epoch > result.seals:
            behind = epoch - result.seals
            result.add("rollback", 0, f"the key has moved on by {behind} seals that are not there")
    except (lmdb.Error, ValueError) as error:
        result.add("unreadable", 0, f"damaged beyond reading: {error}")
    finally:
        store.close()
    return result


def _check(
    store: Environment, result: Verification, key: bytes | None, anchors: list[Anchor]
) -> None:
    with store.reading() as txn:
        genesis = store.fact(txn, GENESIS)
        if genesis is None:
            raise ValueError("the genesis is missing")
        result.genesis = orjson.loads(genesis)
        meta = Meta.unpack(store.fact(txn, HEAD))
        runs = store.runs(txn)
        try:
            image = chain.image_payload(store.image(txn, meta.image_size))
        except ValueError as error:
            image = b""
            result.add("image", meta.image_seq, str(error))
        last = store.last_seq(txn)
    walk = _Walk(result, meta, key, anchors)
    walk.last_key = max(last, meta.size)
    walk.hash_ = chain.genesis_hash(genesis)
    walk.check_anchor(0)
    while walk.follow(store):
        pass
    _check_end(walk, last, image, runs)


def _check_end(walk: "_Walk", last: int, image: bytes, runs: list[int]) -> None:
    result, meta = walk.result, walk.meta
    if last != meta.size:
        result.add("head", last, f"the end is said to be entry {meta.size}, but is entry {last}")
    elif walk.hash_ != meta.hash:
        result.add("head", last, "the end has another hash than is said")
    if (walk.image_seq, walk.seal_seq, walk.runs) != (meta.image_seq, meta.seal_seq, runs):
        result.add("head", last, "the last state, seal or run is not where it is said to be")
    if image and (walk.image or chain.image_payload(b"")) != image:
        result.add("image", walk.image_seq, "the stored state is not the one that was hashed")
    for size in sorted(walk.anchors):
        result.add(
            "anchor", size, f"a head of {size} entries was seen, but the journal ends before"
        )
    result.size, result.hash = last, walk.hash_.hex()
    result.unsealed = last - walk.seal_seq


def _key_epoch(path: Path) -> int:
    """Epoch of the key that waits for the next seal; 0 where there is none beside the data."""
    key = SealKey.read(path / SEAL_KEY)
    return key.epoch if key is not None else 0


class _Walk:
    """Follows the chain from the first entry to the last."""

    def __init__(
        self, result: Verification, meta: Meta, key: bytes | None, anchors: list[Anchor]
    ) -> None:
        self.result = result
        self.meta = meta
        self.anchors: dict[int, set[str]] = {}  # those that are still ahead
        for size, hash_ in anchors:
            self.anchors.setdefault(size, set()).add(hash_.lower())
        self.hash_ = b""
        self.image = b""  # payload of the last IMAGE entry
        self.image_seq = 0
        self.seal_seq = 0
        self.last_key = 0
        self.runs: list[int] = []
        self._key = key
        self._next = 1

    def follow(self, store: Environment) -> bool:
        """Check the entries of one snapshot; False after the last."""
        with store.reading() as txn:
            count = 0
            for key, value in store.rows(txn, self._next):
                if not self._check_row(key, value):
                    return False
                count += 1
                if count >= ROWS_A_SNAPSHOT:
                    return True
        return self._end()

    def _end(self) -> bool:
        if self._next <= self.last_key:
            self.result.add(
                "missing", self._next, f"entries {self._next} to {self.last_key} are missing"
            )
        return False

    def _check_row(self, key: bytes, value: bytes) -> bool:
        """Check one entry; False when there is nothing more to do."""
        seq = self._next
        if key != chain.KEY.pack(seq):
            found = int.from_bytes(key, "big")
            if found > self.last_key:
                return False  # written after the check began
            self.result.add("missing", seq, f"after entry {seq - 1} comes entry {found}")
            seq = found
        elif seq > self.last_key:
            return False
        body, digest = value[: -chain.HASH_SIZE], value[-chain.HASH_SIZE :]
        if len(value) < chain.OVERHEAD:
            self.result.add("chain", seq, f"entry {seq} is cut short")
        elif chain.entry_hash(self.hash_, key, body) != digest:
            self.result.add("chain", seq, f"entry {seq} does not continue the one before")
        elif value[8] != EntryKind.RECORD or value[9] != chain.VERSION:
            self._check_special(seq, value)
        self.hash_ = digest
        if self.anchors:
            self.check_anchor(seq)
        self._next = seq + 1
        return not self.result.is_full

    def check_anchor(self, seq: int) -> None:
        """Compare the head of `seq` entries, if it was seen outside."""
        for expected in self.anchors.pop(seq, ()):
            if expected != self.hash_.hex():
                self.result.add("anchor", seq, f"entry {seq} is not the one that was seen outside")
            else:
                self.result.anchors_checked += 1

    def _check_special(self, seq: int, value: bytes) -> None:
        entry = chain.decode(chain.KEY.pack(seq), value)
        if entry.version != chain.VERSION or entry.kind not in set(EntryKind):
            self.result.add("chain", seq, f"kind {entry.kind}, version {entry.version}: unknown")
        elif entry.kind == EntryKind.SEAL:
            self._check_seal(entry)
        elif entry.kind == EntryKind.IMAGE:
            self.image, self.image_seq = entry.payload, seq
        elif entry.kind == EntryKind.CUT:
            self.result.cuts.append(seq)
        elif chain.read_note(entry.payload)[0] == "run.started":
            self.runs.append(seq)

    def _check_seal(self, entry: chain.Entry) -> None:
        result, seq = self.result, entry.seq
        epoch, first, last, mac = chain.read_seal(entry.payload)
        if (epoch, first, last) != (result.seals, self.seal_seq + 1, seq - 1):
            result.add(
                "seal",
                seq,
                f"seal {epoch} of entries {first} to {last}, where {result.seals} of "
                f"{self.seal_seq + 1} to {seq - 1} is expected",
            )
        if self._key is not None:
            # Each seal under its own epoch's key: one made later with a later key is forged.
            seal = Seal(seq, entry.ts_ns, epoch, first, last, self.hash_)
            if seal.mac(self._key) != mac:
                result.add("seal", seq, f"seal {epoch} was not made with the key of its epoch")
            else:
                result.seals_checked += 1
            self._key = next_key(self._key)
        result.seals += 1
        self.seal_seq = seq


def main() -> int:
    """Read a request on stdin, write what was found to stdout; 2 where the check could not run."""
    request = orjson.loads(sys.stdin.buffer.read())
    key = bytes.fromhex(request["key"]) if request["key"] else None
    try:
        result = check(
            Path(request["path"]), key=key, anchors=[(s, h) for s, h in request["anchors"]]
        )
    except JournalError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.buffer.write(orjson.dumps(asdict(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
