"""One run out of the journal: its core records, how it ended, the state that it left."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.journal import chain
from adapters.journal.layout import DATA, open_to_read
from mmats._core import RECORD_DTYPE
from mmats.model.errors import JournalError
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
    """
    if not (path / DATA).exists():
        return []
    store = open_to_read(path)
    found: list[tuple[str, str, str]] = []
    try:
        with store.reading() as txn:
            last = store.last_seq(txn)
            for seq in range(last, max(0, last - COMMANDS_SOUGHT_MAX), -1):
                value = store.entry(txn, seq)
                if value is None or value[8] != EntryKind.NOTE:
                    continue
                kind, data = chain.read_note(chain.payload_of(value))
                if kind != "command" or "hash" not in data:
                    continue
                if now_ns - int(str(data["wall_ns"])) > COMMANDS_KEPT_NS:
                    break
                found.append((str(data["id"]), str(data["hash"]), str(data["reply"])))
    finally:
        store.close()
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
        There is no such run.
    """
    store = open_to_read(path)
    payloads: list[bytes] = []
    inside, is_clean, image = False, False, ""
    names: list[str] = []
    try:
        with store.reading() as txn:
            starts = set(store.runs(txn))
            for seq, (_, value) in enumerate(store.rows(txn, 1), 1):
                kind, payload = value[8], chain.payload_of(value)
                if seq in starts:
                    names.append(str(chain.read_note(payload)[1].get("run", "")))
                    if inside:
                        break
                    inside = names[-1] == run
                elif inside and kind == EntryKind.RECORD:
                    payloads.append(payload)
                elif inside and kind == EntryKind.IMAGE:
                    image = payload[:16].hex()
                elif inside and kind == EntryKind.NOTE:
                    is_clean = is_clean or chain.read_note(payload)[0] == "run.ended"
    finally:
        store.close()
    if not inside:
        known = ", ".join(names[-5:]) or "none"
        raise JournalError(f"there is no run {run}", str(path), f"the last ones: {known}")
    return RunRecords(np.frombuffer(b"".join(payloads), RECORD_DTYPE), is_clean, image)
