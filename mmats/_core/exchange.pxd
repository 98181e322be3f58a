# cython: language_level=3
"""The simulated venue as a counterparty: packed requests in, packed reports out."""

from libc.stdint cimport int64_t

from mmats._core.execution cimport request_t
from mmats._core.matching cimport SimulatedVenue
from mmats._core.types cimport report_t, ts_ns_t

cdef enum:
    OWN_SEQUENCE_FIRST = 1 << 30    # << 32 more: orders that the venue itself makes up to flatten

cdef class Exchange:
    cdef readonly SimulatedVenue venue
    cdef dict histories             # order id -> bytearray of its reports, refused cancels left out
    cdef dict instruments           # order id -> instrument, of orders that have not ended
    cdef bytearray outbox           # reports that nobody has taken yet
    cdef int64_t trade_id_base
    cdef readonly int64_t submit_count
    cdef readonly int64_t duplicate_count
    cdef readonly int64_t own_order_count

    cdef int _check(self, Py_ssize_t row, const request_t* request) except -1
    cdef int _submit(self, const request_t* request, ts_ns_t now_ns) except -1
    cdef int _change(self, const request_t* request, ts_ns_t now_ns) except -1
    cdef int _collect(self, ts_ns_t now_ns) except -1
    cdef int _keep(self, const report_t* report) except -1
    cdef int _put(self, const report_t* report) except -1
    cdef int _tell(self, int64_t order_id, ts_ns_t now_ns) except -1
    cdef int _refuse(self, int64_t order_id, int kind, ts_ns_t now_ns) except -1
    cdef int64_t _own_order_id(self) except -1
