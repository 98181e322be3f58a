# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Incremental technical indicators, computed once per series and shared by all strategies."""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t

from mmats._core.windows cimport extreme_t, ring_t, smooth_t, total_t

cdef enum:
    INDICATORS_MAX = 64     # per set
    OUTPUTS_MAX = 192

cdef struct bar_t:
    double open
    double high
    double low
    double close
    double volume
    int64_t ts_ns           # close time
    int64_t index           # 0-based number of the bar

cdef inline double typical_price(const bar_t* bar) noexcept nogil:
    return (bar.high + bar.low + bar.close) / 3.0


cdef inline double true_range(const bar_t* bar, const bar_t* previous) noexcept nogil:
    cdef double widest = bar.high - bar.low
    cdef double up = fabs(bar.high - previous.close)
    cdef double down = fabs(bar.low - previous.close)
    if up > widest:
        widest = up
    return down if down > widest else widest


cdef struct indicator_t:
    int32_t kind
    int32_t output          # index of the first output in `values`
    int32_t output_count
    int32_t lookback        # bars before the first one that has a number
    smooth_t first
    smooth_t second
    smooth_t third
    double factor           # band width, or scale
    ring_t ring
    ring_t ring_second
    total_t total
    total_t total_second
    extreme_t top
    extreme_t bottom
    double anchor           # input of the window from which deviations are counted
    double level            # obv; Wilder sum of true ranges
    double plus             # Wilder sums of directional movement
    double minus
    int64_t day             # UTC day the anchored vwap belongs to
    int64_t idle_count      # bars in a row that added nothing to the window

cdef class IndicatorSet:
    # `values[k]` is the k-th output in the order of `names`; NaN until warmed up.
    cdef double* values
    cdef readonly int output_count
    cdef readonly dict slots          # {"ema:10": 0, "bbands:20:2.upper": 1, ...}
    cdef readonly int warm_up         # bars until every output is a number
    cdef readonly int64_t bar_count
    cdef readonly tuple specs         # without duplicates, in order of first mention
    cdef indicator_t* indicators
    cdef int indicator_count
    cdef double* windows
    cdef int64_t window_count         # doubles in `windows`
    cdef bar_t[2] recent              # the last two bars; bar k is at k % 2
    # Feed one closed bar. No allocation, no Python.
    cdef void update(self, double open_, double high, double low, double close, double volume,
                     int64_t ts_ns) noexcept nogil
    cdef int _lay_out(self) except -1
    cdef int _allocate(self) except -1
