"""What an engine tells whoever listens, and what its journal holds, row by row."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zmq

from adapters.journal import chain
from adapters.journal.layout import GENESIS, open_to_read
from mmats._core import RECORD_DTYPE, OrderRole, RecordKind
from mmats.model.errors import JournalError
from mmats.model.profile import Profile
from mmats.ports.journal import EntryKind

EVENTS = ("signal", "denial", "order", "fill")


class Listener:
    """Subscribes both channels of an engine, through any number of restarts."""

    def __init__(self, profile: Profile) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._poller = zmq.Poller()
        self._sockets = []
        self.runs: set[str] = set()
        self.heard = 0
        for channel in ("public", "private"):
            subscriber = self._context.socket(zmq.SUB)
            subscriber.setsockopt(zmq.RECONNECT_IVL, 5)
            subscriber.setsockopt(zmq.RCVHWM, 0)
            subscriber.subscribe(b"")
            subscriber.connect(profile.endpoint(channel))
            self._poller.register(subscriber, zmq.POLLIN)
            self._sockets.append(subscriber)

    def hear(self, timeout_ms: int) -> list[dict[str, Any]]:
        """Return what has been acknowledged, after waiting at most so long for something."""
        acked: list[dict[str, Any]] = []
        self._poller.poll(timeout_ms)
        for subscriber in self._sockets:
            while subscriber.poll(0):
                acked += self._acked(orjson.loads(subscriber.recv()))
        self.heard += len(acked)
        return acked

    def _acked(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        self.runs.add(message["run"])
        if message["kind"] == "heartbeat" and "head" in (message["value"] or {}):
            return [{"head": message["value"]["head"]}]
        if message["kind"] == "event" and message["key"] in EVENTS:
            return [{"event": message["key"], **message["value"]}]
        return []

    def close(self) -> None:
        self._context.destroy(linger=0)


class JournalTail:
    """Reads the entries of a journal that are new, and follows the chain of their hashes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 1
        self._hash = b""

    def read(self) -> list[dict[str, Any]]:
        """Return new entries as rows; AssertionError where the chain is broken."""
        try:
            store = open_to_read(self._path)
        except JournalError:
            return []
        rows = []
        try:
            with store.reading() as txn:
                last = store.last_seq(txn)
                previous = self._hash or chain.genesis_hash(store.fact(txn, GENESIS) or b"")
                entries = store.rows(txn, self._next)
                for seq, value, digest in chain.check_rows(previous, self._next, entries):
                    rows.append(_row(chain.decode(chain.KEY.pack(seq), value)))
                    self._next, self._hash = seq + 1, digest
                assert self._next == last + 1, f"the chain breaks at entry {self._next}"
        finally:
            store.close()
        return rows


def _row(entry: chain.Entry) -> dict[str, Any]:
    kind = EntryKind(entry.kind)
    row: dict[str, Any] = {"seq": entry.seq, "ts_ns": entry.ts_ns, "hash": entry.hash.hex()}
    row |= {"entry": kind.name.lower(), "kind": kind.name.lower()}
    if kind is EntryKind.RECORD:
        record = np.frombuffer(entry.payload, RECORD_DTYPE)[0]
        row["kind"] = RecordKind(record["kind"]).name.removeprefix("RECORD_").lower()
        row |= {name: int(record[name]) for name in ("signal_id", "order_id", "trade_id", "lots")}
        row["role"] = _ROLES.get(int(record["role"]), "")
    elif kind is EntryKind.NOTE:
        row["kind"], row["data"] = chain.read_note(entry.payload)
    elif kind is EntryKind.IMAGE:
        digest, size = chain.IMAGE.unpack(entry.payload)
        row["data"] = {"hash": digest.hex(), "size": size}
    return row


_ROLES = {int(role): role.name.removeprefix("ROLE_").lower() for role in OrderRole}


class LinesTail:
    """Reads the whole lines of JSON that are new in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """Return new rows; none while there is no file."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [orjson.loads(line) for line in whole.splitlines()]
