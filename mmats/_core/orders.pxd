# cython: language_level=3
"""The order manager: life of every order from signal to its last report."""

from libc.stdint cimport int64_t

from mmats._core.brackets cimport bracket_t
from mmats._core.contract cimport signal_t
from mmats._core.dispatch cimport ADVISED, SENT
from mmats._core.inquiry cimport Inquiry
from mmats._core.order_table cimport ORDER_SLOTS, SLOT_BITS, is_done, outcome_t
from mmats._core.sizing cimport sizing_t
from mmats._core.types cimport order_t, price_ticks_t, report_t, ts_ns_t

cdef class OrderManager(Inquiry):
    cdef sizing_t* sizings             # [strategy]
    cdef readonly int64_t signal_sequence
    cdef readonly int64_t late_fill_count

    # 0 = denied, otherwise SENT or ADVISED.
    cdef int take_signal(self, int strategy, signal_t* signal, ts_ns_t now_ns) except -1
    cdef int on_report(self, const report_t* report, ts_ns_t now_ns) except -1
    # -- private --
    cdef int _record_signal(self, const order_t* order, const signal_t* signal,
                            ts_ns_t now_ns) except -1
    cdef price_ticks_t _reference(self, const signal_t* signal) noexcept nogil
    cdef int _size(self, order_t* order, const signal_t* signal) noexcept nogil
    cdef int _on_forgotten(self, const report_t* report) except -1
    cdef int _on_refused(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef int _on_fill(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef int _count_fill(self, order_t* order, const report_t* report) except -1
