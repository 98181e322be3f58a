"""The port that decisions and facts are written to."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class IJournal(Protocol):
    """An append-only record of a run; the compiled side of it is `mmats._core.JournalPort`."""

    @property
    def record_count(self) -> int:
        """Records appended so far."""

    @property
    def state_hash(self) -> int:
        """Running 64-bit hash over every record appended, in order."""

    def records(self) -> NDArray[np.void]:
        """All records in order, dtype RECORD_DTYPE."""
