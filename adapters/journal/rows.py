"""The entries of a journal as plain rows, for people and for other programs."""

from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from adapters.journal import chain
from adapters.journal.layout import Environment, open_to_read
from mmats._core import (
    RECORD_DTYPE,
    Liquidity,
    OrderRole,
    OrderState,
    OrderType,
    Reason,
    RecordKind,
    Side,
    TimeInForce,
    VenueReason,
)
from mmats.model.errors import JournalQuarantined
from mmats.ports.journal import EntryKind

Row = dict[str, Any]
"""One entry: seq, ts_ns, entry, kind and hash; and what its kind has beside."""

_NUMBERS = (
    "signal_id",
    "order_id",
    "trade_id",
    "lots",
    "price_ticks",
    "trigger_ticks",
    "stop_loss_ticks",
    "take_profit_ticks",
    "observed",
    "limit",
    "realized",
    "fee",
    "spread_cost",
    "slippage_cost",
    "confidence_ppm",
)
_ENUMS: tuple[tuple[str, type[IntEnum]], ...] = (
    ("side", Side),
    ("order_type", OrderType),
    ("tif", TimeInForce),
    ("role", OrderRole),
    ("liquidity", Liquidity),
    ("state", OrderState),
)


def read_rows(
    path: Path,
    *,
    since_ns: int | None = None,
    order: int | None = None,
    strategy: str | None = None,
    kind: str | None = None,
    last: int | None = None,
) -> Iterator[Row]:
    """Yield the entries of the journal in folder `path` as rows, oldest first.

    Parameters
    ----------
    path : Path
        Folder of the journal; an engine may be writing it.
    since_ns : int, optional
        Only entries of this time (ns UTC) and later.
    order : int, optional
        Only what is about this order.
    strategy : str, optional
        Only what is about the strategy of this name.
    kind : str, optional
        Only entries of this kind: `record`, `note`, `seal`, `image`, `cut`; or what a record or
        note tells, such as `filled`, `command`, `run.started`, or its first part, `run`.
    last : int, optional
        Only so many, the last ones.

    Raises
    ------
    JournalError
        There is no journal, or it can't be read.
    """
    store = open_to_read(path)
    try:
        reader = _Reader(store)
        chosen = (
            row
            for row in reader.walk(backwards=last is not None)
            if (since_ns is None or row["ts_ns"] >= since_ns)
            and (order is None or row.get("order_id") == order)
            and (strategy is None or row.get("strategy") == strategy)
            and (kind is None or _is_of(row, kind))
        )
        if last is None:
            yield from chosen
        else:
            yield from reversed(list(islice(chosen, last)))
    except (ValueError, lmdb.Error) as error:
        raise JournalQuarantined(
            f"can't be read: {error}", str(path), "look with `mmats audit verify`"
        ) from error
    finally:
        store.close()


def _is_of(row: Row, kind: str) -> bool:
    return kind in (row["entry"], row["kind"]) or row["kind"].startswith(f"{kind}.")


class _Reader:
    """Decodes entries; strategies and instruments have the names that their run gave them."""

    def __init__(self, store: Environment) -> None:
        self._store = store
        self._names: dict[int, tuple[list[str], list[str]]] = {}  # by number of run.started
        with store.reading() as txn:
            self._runs = store.runs(txn)
            self._size = store.last_seq(txn)
            for seq in self._runs:
                self._names[seq] = _names(store.entry(txn, seq))

    def walk(self, *, backwards: bool) -> Iterator[Row]:
        """All entries there were when the reader was made."""
        for key, value in self._store.walk(1, self._size, backwards=backwards):
            yield self._row(chain.decode(key, value))

    def _row(self, entry: chain.Entry) -> Row:
        row: Row = {"seq": entry.seq, "ts_ns": entry.ts_ns}
        if entry.kind not in set(EntryKind):
            return row | {"entry": "unknown", "kind": str(entry.kind), "hash": entry.hash.hex()}
        kind = EntryKind(entry.kind)
        row |= {"entry": kind.name.lower(), "kind": kind.name.lower()}
        payload = entry.payload
        if kind is EntryKind.RECORD:
            run = max((seq for seq in self._runs if seq < entry.seq), default=0)
            row |= _record(payload, *self._names.get(run, ([], [])))
        elif kind is EntryKind.NOTE:
            what, data = chain.read_note(payload)
            about = {name: data[name] for name in ("strategy", "order_id") if name in data}
            row |= {"kind": what, "data": data} | about
        elif kind is EntryKind.SEAL:
            epoch, first, last, _ = chain.read_seal(payload)
            row |= {"data": {"epoch": epoch, "first": first, "last": last}}
        elif kind is EntryKind.IMAGE:
            digest, size = chain.IMAGE.unpack(payload)
            row |= {"data": {"hash": digest.hex(), "size": size}}
        else:
            row |= {"data": chain.read_json(payload)}
        return row | {"hash": entry.hash.hex()}


def _names(value: bytes | None) -> tuple[list[str], list[str]]:
    """Names of the strategies and instruments that a run.started note tells of."""
    if value is None:
        return [], []
    data = chain.read_note(chain.payload_of(value))[1]
    lists = (data.get("strategies"), data.get("instruments"))
    strategies, instruments = (
        [str(name) for name in names] if isinstance(names, list) else [] for names in lists
    )
    return strategies, instruments


def _record(payload: bytes, strategies: list[str], instruments: list[str]) -> Row:
    """A record's fields that say something; 0 says nothing but for quantities."""
    if len(payload) != chain.RECORD_SIZE:
        raise ValueError("an entry is marked as a record and is none")
    record = np.frombuffer(payload, RECORD_DTYPE)[0]
    kind = int(record["kind"])
    row: Row = {"kind": _label(RecordKind, kind)}
    row["strategy"] = _name(strategies, int(record["strategy"]))
    row["instrument"] = _name(instruments, int(record["instrument"]))
    for field, enum in _ENUMS:
        value = int(record[field])
        if value:
            row[field] = _label(enum, value)
    reason = int(record["reason"])
    if reason:
        is_ours = kind in (RecordKind.RECORD_DENIED, RecordKind.RECORD_STATE)
        row["reason"] = _label(Reason if is_ours else VenueReason, reason)
    for field in _NUMBERS:
        value = int(record[field])
        if value:
            row[field] = value
    return row


def _name(names: list[str], index: int) -> str:
    return names[index] if 0 <= index < len(names) else f"#{index}"


def _label(enum: type[IntEnum], value: int) -> str:
    """`RECORD_FILLED` is `filled`; a number that has no name stays one."""
    names = {int(member): member.name for member in enum}
    return names[value].partition("_")[2].lower() if value in names else str(value)
