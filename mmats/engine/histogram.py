"""Latency histogram of fixed memory: log-linear buckets, as in HdrHistogram."""

import math
from array import array

_BITS = 6  # 64 buckets an octave
_LINEAR = 1 << _BITS
_VALUE_MAX = (1 << 42) - 1  # 73 minutes in ns
_BUCKETS = (42 - _BITS) * _LINEAR + _LINEAR
RELATIVE_ERROR_MAX = 1 / _LINEAR


class Histogram:
    """Counts durations; a percentile is at most 1/64 above the exact one, never below it.

    It has one writer; others read copies. 18 KiB, whatever is recorded.
    """

    __slots__ = ("_counts", "count", "max_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _BUCKETS))
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0

    def record(self, value_ns: int) -> None:
        """Count one duration in ns; negative ones count as 0, above 73 minutes as 73 minutes."""
        if value_ns > _VALUE_MAX:
            value_ns = _VALUE_MAX
        elif value_ns < 0:
            value_ns = 0
        shift = value_ns.bit_length() - _BITS - 1
        if shift > 0:
            self._counts[(shift << _BITS) + (value_ns >> shift)] += 1
        else:
            self._counts[value_ns] += 1
        self.count += 1
        self.sum_ns += value_ns
        if value_ns > self.max_ns:
            self.max_ns = value_ns

    def percentile(self, percent: float) -> int:
        """Return the duration in ns that `percent` (0 to 100) of all are not above; 0 if empty."""
        if not 0 <= percent <= 100:
            raise ValueError(f"percent must be 0 to 100, not {percent}")
        rank = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(_upper_edge(index), self.max_ns)
        return 0

    def merge(self, other: "Histogram") -> None:
        """Add all that another one has counted."""
        for index, count in enumerate(other._counts):
            if count:
                self._counts[index] += count
        self.count += other.count
        self.sum_ns += other.sum_ns
        self.max_ns = max(self.max_ns, other.max_ns)

    def clear(self) -> None:
        """Forget everything."""
        self._counts = array("q", bytes(8 * _BUCKETS))
        self.count = self.sum_ns = self.max_ns = 0

    def summary(self) -> dict[str, int]:
        """Return {count, sum_ns, p50_ns, p90_ns, p99_ns, max_ns}."""
        return {
            "count": self.count,
            "sum_ns": self.sum_ns,
            "p50_ns": self.percentile(50),
            "p90_ns": self.percentile(90),
            "p99_ns": self.percentile(99),
            "max_ns": self.max_ns,
        }


def _upper_edge(index: int) -> int:
    """Largest value that the bucket counts."""
    shift = (index >> _BITS) - 1
    if shift <= 0:
        return index
    return ((_LINEAR + (index & (_LINEAR - 1)) + 1) << shift) - 1
