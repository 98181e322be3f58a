"""The port that market data comes from."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmats.model.instrument import Instrument


class IDataFeed(Protocol):
    """A source of market data of one kind for one instrument, in batches."""

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield batches of 64-byte event records with `start_ns <= ts_event_ns < end_ns`.

        Records are sorted by `ts_event_ns`, across batches too. None leaves an end open.

        Raises
        ------
        DataError
            The source is missing, damaged, or not in order.
        """

    def describe(self) -> dict[str, Any]:
        """What the source is, as plain values, for the report."""
