"""The port that makes facts durable: groups of records, all of a group or nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


class EntryKind(IntEnum):
    """What one entry of the journal holds."""

    RECORD = 1  # one record_t of the core, 160 bytes
    NOTE = 2  # a fact in JSON: command, mode, limit, config hash, incident; see Note
    SEAL = 3  # MAC of the head under the epoch's key
    IMAGE = 4  # hash of the state image after this group
    CUT = 5  # a damaged tail was cut: from, to, reason


@dataclass(frozen=True, slots=True)
class Note:
    """A fact that is not a core record, with its place among the records of its group."""

    kind: str  # run.started, run.ended, command, refused, mode, limit, strategy, feed, incident
    ts_ns: int
    data: dict[str, object]  # JSON-able; no secrets
    position: int = 0  # number of the group's records that come before it


@dataclass(frozen=True, slots=True)
class Group:
    """What one commit makes durable."""

    number: int  # counts up from 1 within a run
    ts_ns: int
    records: bytes = b""  # n * 160, RECORD_DTYPE
    notes: tuple[Note, ...] = ()
    image: bytes = b""  # state of the core after the records; empty = unchanged


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the journal: number of entries and the hash of the last."""

    size: int
    hash: str  # hex


@dataclass(frozen=True, slots=True)
class Genesis:
    """Who a journal belongs to; one that differs in profile, account or schema is refused."""

    profile: str
    account: str  # account currency and name
    schema: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found on opening."""

    head: Head
    image: bytes  # empty for a new journal
    is_new: bool
    clean: bool  # the last run ended with run.ended
    cut_entries: int = 0  # damaged entries cut from the tail, past the last seal
    last_run: str = ""
    notes: tuple[str, ...] = field(default=())  # for the log, in plain words


class IJournalWriter(Protocol):
    """Commits groups on a thread of its own, one at a time, in order."""

    def submit(self, group: Group) -> None:
        """Hand over the next group; only while `is_idle`. Returns at once."""

    @property
    def is_idle(self) -> bool:
        """No group is on its way."""

    @property
    def committed(self) -> int:
        """Number of the last group that is durable."""

    @property
    def failure(self) -> Exception | None:
        """What stopped the writer for good: nothing will be committed any more."""

    @property
    def head(self) -> Head:
        """End of the durable journal."""

    @property
    def commit_ns_last(self) -> int:
        """How long the last commit took."""

    def on_done(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called, from the writer's thread, after every commit and on failure."""

    def close(self) -> None:
        """Wait for what is on its way, seal, and close the store."""
