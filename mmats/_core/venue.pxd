# cython: language_level=3
"""The venue port: where the pipeline sends orders, and where reports come back from."""

from libc.stdint cimport int64_t

from mmats._core.types cimport lots_t, order_t, price_ticks_t, report_t, ts_ns_t

cdef class VenuePort:
    # Orders leave at `now_ns` (pipeline time). 0 = taken over, -1 = the port is full: nothing was sent.
    cdef int submit(self, const order_t* order, ts_ns_t now_ns) except -2
    cdef int cancel(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2
    # New open quantity and/or trigger/limit price (0 = unchanged) of a resting order.
    cdef int modify(self, int64_t order_id, int instrument, lots_t quantity_lots,
                    price_ticks_t price_ticks, price_ticks_t trigger_ticks, ts_ns_t now_ns) except -2
    # Ask for all that the venue knows of an order; 0 = will be asked, -1 = not now.
    cdef int query(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2
    # Next report that has reached us by `now_ns`; 1 = written to `out`, 0 = none.
    cdef int next_report(self, ts_ns_t now_ns, report_t* out) noexcept nogil
