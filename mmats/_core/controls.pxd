# cython: language_level=3
"""What an operator may do to a running pipeline."""

from libc.stdint cimport int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.orders cimport OrderManager
from mmats._core.pipeline cimport Pipeline
from mmats._core.types cimport lots_t, order_t, price_ticks_t, ts_ns_t

# Which cells a command is about; -1 = all.
cdef struct scope_filter_t:
    int strategy
    int instrument
    int market

cdef class Controls:
    cdef Pipeline pipeline
    cdef OrderManager orders
    cdef Ledger ledger

    cdef int _scope(self, int strategy, int instrument, int market, scope_filter_t* out) except -1
    cdef bint _covers(self, const scope_filter_t* scope, int strategy, int instrument) noexcept nogil
    cdef list _orders_of(self, const scope_filter_t* scope, bint entries_only)
    cdef int _cancel(self, int64_t order_id, ts_ns_t now_ns) except -1
    cdef int _flatten_cell(self, int cell, ts_ns_t now_ns) except -1
    cdef int _manual(self, order_t* out, ts_ns_t now_ns, int strategy, int instrument, int side,
                     lots_t lots, price_ticks_t price_ticks, price_ticks_t stop_loss_ticks,
                     price_ticks_t take_profit_ticks, bint reduce_only) except -1
    cdef int _check_index(self, int index) except -1
