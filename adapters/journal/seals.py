"""Seals: MACs over the head of the chain, under a key that only moves forward.

Each seal has its epoch, counted from 0. Its key is used once; then it is replaced by its hash, from
which it can't be found again. Who takes over the machine can forge what comes, not what was sealed.
The first key is shown once, to be kept elsewhere: with it all seals can be checked.

The key is not kept in LMDB: there the page of an old key is only freed, and can be read for long.
It lies in a small file that is overwritten in place.
"""

import hmac
import os
import struct
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

KEY_SIZE = 32
_MAC = struct.Struct("<QqQQQ32s")
_FILE = struct.Struct("<8sQB7x32s")  # magic, epoch, is_bound, key
_MAGIC = b"mmatskey"
_CHECK_SIZE = 16


@dataclass(frozen=True, slots=True)
class Seal:
    """What a seal covers: entries `first` to `last`, the last of which has `head` as its hash."""

    seq: int  # the seal's own number
    ts_ns: int
    epoch: int
    first: int
    last: int
    head: bytes

    def mac(self, key: bytes) -> bytes:
        """HMAC-SHA256 of all fields under the epoch's key, 32 bytes."""
        text = _MAC.pack(self.seq, self.ts_ns, self.epoch, self.first, self.last, self.head)
        return hmac.digest(key, text, "sha256")


def next_key(key: bytes) -> bytes:
    """The key of the epoch after."""
    return sha256(b"mmats seal" + key).digest()


class SealKey:
    """The key of the epoch to come, in its file.

    `is_bound` says that the journal it belongs to was once made: where the key is bound and the
    data is missing, somebody took it away.
    """

    def __init__(self, path: Path, epoch: int, key: bytes, is_bound: bool) -> None:
        self.path = path
        self.epoch = epoch
        self.key = key
        self.is_bound = is_bound

    @classmethod
    def new(cls, path: Path) -> "SealKey":
        """Make a key by chance and write it."""
        made = cls(path, 0, os.urandom(KEY_SIZE), is_bound=False)
        made._write()
        return made

    @classmethod
    def read(cls, path: Path) -> "SealKey | None":
        """Read the file; None where it is missing or was not written whole."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        body = data[: _FILE.size]
        if len(data) != _FILE.size + _CHECK_SIZE or data[_FILE.size :] != _check(body):
            return None
        magic, epoch, is_bound, key = _FILE.unpack(body)
        return cls(path, epoch, key, bool(is_bound)) if magic == _MAGIC else None

    def bind(self) -> None:
        """Note that the journal was made."""
        self.is_bound = True
        self._write()

    def evolve(self) -> None:
        """Replace the key by that of the next epoch, in the file and here."""
        self.key = next_key(self.key)
        self.epoch += 1
        self._write()

    def _write(self) -> None:
        """One write within one sector, which disks do whole or not at all."""
        body = _FILE.pack(_MAGIC, self.epoch, self.is_bound, self.key)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, body + _check(body), 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_SIZE).digest()
