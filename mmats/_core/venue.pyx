# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The venue port. The base class takes nothing: a venue that forgets a method fails closed."""

from libc.stdint cimport int64_t

from mmats._core.types cimport lots_t, order_t, price_ticks_t, report_t, ts_ns_t


cdef class VenuePort:
    cdef int submit(self, const order_t* order, ts_ns_t now_ns) except -2:
        raise NotImplementedError(f"{type(self).__name__} does not take orders")

    cdef int cancel(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2:
        raise NotImplementedError(f"{type(self).__name__} does not take cancels")

    cdef int modify(self, int64_t order_id, int instrument, lots_t quantity_lots,
                    price_ticks_t price_ticks, price_ticks_t trigger_ticks, ts_ns_t now_ns) except -2:
        raise NotImplementedError(f"{type(self).__name__} does not take modifications")

    cdef int query(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2:
        raise NotImplementedError(f"{type(self).__name__} does not take queries")

    cdef int next_report(self, ts_ns_t now_ns, report_t* out) noexcept nogil:
        return 0
