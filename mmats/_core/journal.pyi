"""Where the pipeline writes down what it decided and learned: the journal port, recorders."""

from enum import IntEnum
from typing import Any, Self, final

from numpy.typing import NDArray
from typing_extensions import disjoint_base

class RecordKind(IntEnum):
    """What a record tells."""

    RECORD_SIGNAL = 1
    RECORD_DENIED = 2
    RECORD_SUBMITTED = 3
    RECORD_ACCEPTED = 4
    RECORD_TRIGGERED = 5
    RECORD_FILLED = 6
    RECORD_CANCELED = 7
    RECORD_EXPIRED = 8
    RECORD_REJECTED = 9
    RECORD_UPDATED = 10
    RECORD_CANCEL_SENT = 11
    RECORD_STATE = 12
    RECORD_LATE_FILL = 13
    RECORD_CONVERSION = 14
    RECORD_ADVISED = 15
    RECORD_UNKNOWN = 16
    RECORD_NOT_FOUND = 17

class StateScope(IntEnum):
    """What a record of kind RECORD_STATE is about."""

    SCOPE_ENABLED = 0
    SCOPE_GLOBAL = 1
    SCOPE_MARKET = 2
    SCOPE_STRATEGY = 3

class JournalFull(Exception):
    """The journal's reader is too slow: trading must stop, nothing may be lost."""

@disjoint_base
class JournalPort:
    """Takes every record of the pipeline in order and hashes it; subclasses also keep it."""

    @property
    def state_hash(self) -> int:
        """Running hash over every record so far, 64 bits."""

    @property
    def record_count(self) -> int: ...

@final
class MemoryJournal(JournalPort):
    """Keeps all records of a run in memory, for the report."""

    def to_array(self) -> NDArray[Any]:
        """Return the records as a read-only array of ``RECORD_DTYPE`` without copying them.

        While such an array lives, a journal that must grow raises ``BufferError``.
        """

@final
class RingJournal(JournalPort):
    """Keeps the last records in fixed memory until a reader takes them; full is an error.

    Raises ``ValueError`` for a ``capacity`` below 1, in records.
    """

    def __new__(cls, capacity: int) -> Self: ...
    @property
    def waiting_count(self) -> int:
        """Records that nobody has taken yet."""

    def take(self) -> NDArray[Any]:
        """Return all records that wait, in order, as a read-only array of ``RECORD_DTYPE``."""
    def take_bytes(self) -> bytes:
        """Return all records that wait, in order, as bytes of ``RECORD_DTYPE``."""
