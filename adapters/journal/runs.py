"""One run out of the journal: its core records, how it ended, the state that it left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
from numpy.typing import NDArray

from adapters.journal import chain
from adapters.journal.chain import Row
from adapters.journal.layout import DATA, Environment, open_to_read
from mmats._core import RECORD_DTYPE
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import EntryKind


@dataclass(frozen=True, slots=True)
class RunRecords:
    """What the journal has of a run."""

    records: NDArray[np.void]  # RECORD_DTYPE
    is_clean: bool  # it wrote run.ended
    image_hash: str  # hex, of its last state image; empty where it left none


COMMANDS_KEPT_NS = 600 * 10**9
COMMANDS_SOUGHT_MAX = 100_000


def executed_commands(path: Path, now_ns: int) -> list[tuple[str, str, str]]:
    """Return id, hash and reply of the commands of the last ten minutes, oldest first.

    Parameters
    ----------
    path : folder of the journal; a journal that is not there yet has none
    now_ns : UTC

    Raises
    ------
    JournalError
        The journal can't be read.
    """
    if not (path / DATA).exists():
        return []
    found: list[tuple[str, str, str]] = []
    with _opened(path) as store:
        with store.reading() as txn:
            last = store.last_seq(txn)
        first = max(1, last + 1 - COMMANDS_SOUGHT_MAX)
        for key, value in store.walk(first, last, backwards=True):
            entry = chain.decode(key, value)
            if entry.kind != EntryKind.NOTE:
                continue
            kind, data = chain.read_note(entry.payload)
            if kind != "command" or "hash" not in data:
                continue
            if now_ns - entry.ts_ns > COMMANDS_KEPT_NS:
                break
            found.append((str(data.get("id")), str(data["hash"]), str(data.get("reply"))))
    return found[::-1]


def run_records(path: Path, run: str) -> RunRecords:
    """Read one run.

    Parameters
    ----------
    path : folder of the journal; an engine may be writing it
    run : as in its run.started note

    Raises
    ------
    JournalError
        There is no such run, or the journal can't be read.
    """
    with _opened(path) as store:
        with store.reading() as txn:
            last = store.last_seq(txn)
            starts = store.runs(txn)
            names = [_run_of(store.entry(txn, seq)) for seq in starts]
        if run not in names:
            known = ", ".join(names[-5:]) or "none"
            raise JournalError(f"there is no run {run}", str(path), f"the last ones: {known}")
        first = starts[names.index(run)]
        after = next((seq for seq in starts if seq > first), last + 1)
        return _collect(store.walk(first, after - 1))


def _collect(rows: Iterator[Row]) -> RunRecords:
    payloads: list[bytes] = []
    is_clean, image = False, ""
    for key, value in rows:
        entry = chain.decode(key, value)
        if entry.kind == EntryKind.RECORD:
            payloads.append(entry.payload)
        elif entry.kind == EntryKind.IMAGE:
            image = entry.payload[:16].hex()
        elif entry.kind == EntryKind.NOTE:
            is_clean = is_clean or chain.read_note(entry.payload)[0] == "run.ended"
    return RunRecords(np.frombuffer(b"".join(payloads), RECORD_DTYPE), is_clean, image)


def _run_of(value: bytes | None) -> str:
    return str(chain.read_note(chain.payload_of(value or b""))[1].get("run", ""))


@contextmanager
def _opened(path: Path) -> Iterator[Environment]:
    store = open_to_read(path)
    try:
        yield store
    except (ValueError, lmdb.Error) as error:
        raise JournalQuarantined(
            f"can't be read: {error}", str(path), "look with `mmats audit verify`"
        ) from error
    finally:
        store.close()
