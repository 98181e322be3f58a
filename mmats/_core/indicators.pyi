"""Incremental technical indicators; `docs/indicators.md` lists names and definitions."""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmats._core.indicator_specs import IndicatorError as IndicatorError

@final
class IndicatorSet:
    """Indicators of one series of bars. Single writer; the same bits on every run.

    Parameters
    ----------
    specs
        Names with parameters such as ``"ema:10"``; repeated ones are computed once. At most 64
        indicators and 192 outputs, periods up to 100,000 bars.

    Raises
    ------
    IndicatorError
        When a name does not exist, a parameter is missing, out of range or not written in its
        shortest form, or there are too many.
    """

    slots: dict[str, int]
    """Output name -> index in a row of `compute`."""
    specs: tuple[str, ...]
    output_count: int
    warm_up: int
    """Bars until every output is a number; 0 for an empty set."""
    bar_count: int
    """Bars fed so far."""

    def __init__(self, specs: Sequence[str]) -> None: ...
    @property
    def names(self) -> tuple[str, ...]:
        """Output names in the order of their indexes."""
    def update_bar(
        self, open: float, high: float, low: float, close: float, volume: float, ts_ns: int
    ) -> None:
        """Feed one closed bar; `ts_ns` is its close. Raises ValueError unless all are finite."""
    def value(self, name: str) -> float:
        """Return the output as of the last bar, NaN until warmed up. Raises IndicatorError."""
    def compute(
        self,
        bars: ArrayLike,
        ts: ArrayLike | None = None,
        tick_size: float = 1.0,
        lot_size: float = 1.0,
    ) -> NDArray[np.float64]:
        """Feed many bars, without the GIL; the set continues from where it is.

        Parameters
        ----------
        bars
            Array of BAR_DTYPE (ticks and lots are multiplied by `tick_size` and `lot_size`), or
            float64 of shape (n, 5): open, high, low, close, volume.
        ts
            int64, shape (n,): close times in ns UTC; taken from the bars when they are records.

        Returns
        -------
        float64, shape (n, output_count)
            Row k holds the outputs after bar k.

        Raises
        ------
        ValueError
            When shapes do not match, times are missing or a number is not finite.
        """
    def reset(self) -> None:
        """Return to the state before the first bar."""
    def state_bytes(self) -> bytes:
        """Return a snapshot: the same bytes for the same specs and bars on one platform."""
    def restore(self, state: bytes) -> None:
        """Continue from a snapshot of a set with the same specs in the same order.

        Raises
        ------
        ValueError
            When it is damaged, of another version, or of other indicators; nothing changes then.
        """
