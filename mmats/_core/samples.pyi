"""Growing tables of integers: what a run keeps of its curves."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@final
@disjoint_base
class Samples:
    """Growing table of int64 rows; filled from compiled code only."""

    def __new__(cls, width: int) -> Self: ...
    def to_array(self) -> NDArray[np.int64]:
        """Copy the rows, int64, shape (n, width)."""
