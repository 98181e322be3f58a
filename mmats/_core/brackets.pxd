# cython: language_level=3
"""Stops and targets: they follow the position that they protect."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.dispatch cimport Dispatch
from mmats._core.types cimport lots_t, order_t, price_ticks_t, ts_ns_t

# Protection of one strategy's position in one instrument; its quantity follows the position.
cdef struct bracket_t:
    int64_t signal_id
    int64_t stop_order_id        # 0 = none working
    int64_t target_order_id
    price_ticks_t stop_ticks
    price_ticks_t target_ticks
    int32_t side                 # side of the position it protects; 0 = no bracket

cdef class Brackets(Dispatch):
    cdef bracket_t* brackets           # [strategy * instrument_count + instrument]

    # Somebody wants this order gone for good: if it is a stop or a target, nothing takes its place.
    cdef int release(self, const order_t* order) noexcept nogil
    # -- private --
    cdef int _open_bracket(self, const order_t* order, int cell, ts_ns_t now_ns) except -1
    cdef int _drop_bracket(self, bracket_t* bracket, ts_ns_t now_ns) except -1
    cdef int _sync_bracket(self, int cell, ts_ns_t now_ns) except -1
    cdef int64_t _protect(self, int cell, const bracket_t* bracket, int64_t order_id, int role,
                          price_ticks_t price, ts_ns_t now_ns) except -1
    cdef int64_t _adjust(self, order_t* order, lots_t wanted, price_ticks_t price,
                         ts_ns_t now_ns) except -1
    cdef int _bracket_order_ended(self, const order_t* order, ts_ns_t now_ns) except -1
    cdef int _give_up(self, int cell, ts_ns_t now_ns) except -1
