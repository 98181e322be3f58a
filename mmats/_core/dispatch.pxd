# cython: language_level=3
"""The way out: gate, slot, journal, venue. Cancels, and closing orders that are tried again."""

from libc.stdint cimport int8_t, int32_t, int64_t

from mmats._core.order_table cimport OrderTable
from mmats._core.types cimport lots_t, order_t, ts_ns_t

cpdef enum ClosingState:
    CLOSING_NONE = 0
    CLOSING_PENDING = 1
    CLOSING_FLAT = 2
    CLOSING_FAILED = 3       # so many closing orders did not do it: somebody has to look

cdef enum:
    SENT = 1                 # results of `_send`; 0 = denied
    ADVISED = 2

# The closing of one strategy's position in one instrument.
cdef struct closing_t:
    int64_t signal_id        # in whose name; 0 = nobody's
    ts_ns_t retry_ns         # the next closing order leaves no sooner
    int32_t attempt_count
    int32_t state            # ClosingState

cdef class Dispatch(OrderTable):
    cdef int8_t* advisory              # [strategy] 1 = its own orders don't leave
    cdef closing_t* closings           # [cell]
    cdef readonly int pending_closing_count
    cdef readonly int64_t denied_count
    cdef int denied_reason             # of the last denial
    cdef int64_t denied_observed
    cdef int64_t denied_limit
    cdef ts_ns_t closing_retry_ns
    cdef int closing_attempts_max

    cdef int cancel(self, int64_t order_id, ts_ns_t now_ns) except -1
    cdef int cancel_entries(self, int strategy, ts_ns_t now_ns) except -1
    # Close a position at market; orders of the cell that should go must have been canceled.
    cdef int begin_closing(self, int cell, ts_ns_t now_ns) except -1
    # Look after the closings that are pending.
    cdef int step_closings(self, ts_ns_t now_ns) except -1
    # -- private --
    cdef int _denied(self, order_t* order, int reason, int64_t observed, int64_t limit,
                     ts_ns_t now_ns) except -1
    cdef int _advise(self, order_t* order, ts_ns_t now_ns) except -1
    cdef int _send(self, order_t* order, ts_ns_t now_ns) except -1
    cdef int _flatten(self, int cell, int64_t signal_id, ts_ns_t now_ns) except -1
    cdef int _send_closing(self, int cell, lots_t lots, ts_ns_t now_ns) except -1
    cdef int _step_closing(self, int cell, ts_ns_t now_ns) except -1
    cdef int _end_closing(self, closing_t* closing, int state) noexcept nogil
    cdef lots_t _in_flight(self, int cell, int* count) noexcept nogil
