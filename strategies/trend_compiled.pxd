# cython: language_level=3
"""The trend strategy in compiled form."""

from mmats._core.contract cimport CompiledStrategy, signal_t
from mmats._core.types cimport event_t

cdef enum:
    INSTRUMENTS_MAX = 64

cdef struct watch_t:
    int fast                # places of the indicators in the series' values
    int slow
    int atr
    int was_above           # -1 = no bar seen yet
    double tick_size

cdef class TrendCompiled(CompiledStrategy):
    cdef double stop_atr
    cdef bint allow_short
    cdef tuple names
    cdef watch_t watches[INSTRUMENTS_MAX]
    cdef int turn(self, const event_t* bar, double atr, int side, signal_t* out) noexcept nogil
