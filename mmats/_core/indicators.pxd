# cython: language_level=3
"""Incremental technical indicators, computed once per series and shared by all strategies."""

from libc.stdint cimport int64_t

cdef enum:
    INDICATORS_MAX = 64     # per set
    OUTPUTS_MAX = 192

cdef class IndicatorSet:
    # `values[k]` is the k-th output in the order of `names`; NaN until warmed up.
    cdef double* values
    cdef readonly int output_count
    cdef readonly dict slots          # {"ema:10": 0, "bbands:20:2.upper": 1, ...}
    cdef readonly int warm_up         # bars until every output is a number
    cdef readonly int64_t bar_count
    # Feed one closed bar. No allocation, no Python.
    cdef void update(self, double open_, double high, double low, double close, double volume,
                     int64_t ts_ns) noexcept nogil
