# cython: language_level=3
"""Orders of which nobody knows what became: they are asked for, and never sent again."""

from libc.stdint cimport int64_t

from mmats._core.brackets cimport Brackets
from mmats._core.types cimport lots_t, order_t, report_t, ts_ns_t

cdef class Inquiry(Brackets):
    cdef bint can_query                # the venue port answers questions
    cdef readonly int64_t stale_report_count  # reports that came after their order's end
    cdef ts_ns_t reply_timeout_ns
    cdef ts_ns_t query_wait_ns         # from the first question to the second; then it doubles
    cdef ts_ns_t query_wait_max_ns
    cdef ts_ns_t not_found_after_ns
    cdef int not_found_min

    cdef int resolve(self, ts_ns_t now_ns) except -1
    # -- private --
    cdef int _become_unknown(self, order_t* order, ts_ns_t now_ns) except -1
    cdef int _ask(self, const order_t* order, ts_ns_t now_ns) except -1
    cdef int _miss_fills(self, order_t* order, lots_t cum_lots, ts_ns_t now_ns) except -1
    cdef bint _is_due(self, const order_t* order, const report_t* report) noexcept nogil
    cdef int _on_answer(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef void _note_change(self, const order_t* order, const report_t* report) noexcept nogil
    cdef int _on_open(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef void _take_leaves(self, order_t* order, const report_t* report) noexcept nogil
    cdef int _on_found(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef int _on_not_found(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef void _leave_unknown(self, order_t* order, int state) noexcept nogil
    cdef int _on_end(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
