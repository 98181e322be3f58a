"""Heads of the journal that this machine has seen: a journal set back to an older state shows.

A hash chain proves that nothing was changed in the middle; that its end was not cut off only
somebody outside can tell who has seen the end.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

INTERVAL_S = 60.0
_TAIL_BYTES = 65_536


class Anchor(msgspec.Struct, frozen=True):
    """A head of the journal: its entries and the hash of the last one."""

    ts_ns: int
    run: str
    size: int
    hash: str


class Anchors:
    """The file of one profile; lines are only appended, and never a smaller head."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._highest = self._read()
        self._pending: Anchor | None = None
        self._next_s = 0.0
        self._warned = False

    def see(self, head: Any, run: str, ts_ns: int, now_s: float) -> str:
        """Compare a heartbeat's head with the highest one; return a warning, once, or "".

        A new one is written at most once a minute.
        """
        if not (isinstance(head, list | tuple) and len(head) == 2):
            return ""
        size, digest = head
        if not (isinstance(size, int) and isinstance(digest, str)):
            return ""
        best = self._pending or self._highest
        if best is not None and size == best.size and digest == best.hash:
            return ""
        if best is not None and size <= best.size:
            return self._warn(size, best)
        self._pending = Anchor(ts_ns, run, size, digest)
        if now_s >= self._next_s:
            self._next_s = now_s + INTERVAL_S
            return self.flush()
        return ""

    def flush(self) -> str:
        """Write the newest head; return a warning where that fails."""
        anchor, self._pending = self._pending, None
        if anchor is None:
            return ""
        self._highest = anchor
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            line = msgspec.json.encode(anchor) + b"\n"
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line)  # one write: lines of several clients don't mix
            finally:
                os.close(file)
        except OSError as error:
            return f"the journal's head can't be kept in {self._path}: {error.strerror}"
        return ""

    def _warn(self, size: int, best: Anchor) -> str:
        if self._warned:
            return ""
        self._warned = True
        change = "has another entry there" if size == best.size else f"ends at entry {size}"
        return (
            f"ROLLBACK: the journal was seen with {best.size} entries in run {best.run}, "
            f"and now {change}; run `mmats audit verify` and don't trust it ({self._path})"
        )

    def _read(self) -> Anchor | None:
        """Return the highest of the last anchors; half a line at either end is passed over."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read().splitlines()
        except OSError:
            return None
        found = [anchor for line in lines if (anchor := _decoded(line)) is not None]
        return max(found, key=lambda anchor: anchor.size, default=None)


def _decoded(line: bytes) -> Anchor | None:
    try:
        return msgspec.json.decode(line, type=Anchor)
    except (ValueError, RecursionError):
        return None
