# cython: language_level=3
"""The execution port: orders wait until their intent is durable, then leave as packed requests."""

from libc.stdint cimport int8_t, int32_t, int64_t

from mmats._core.order_table cimport ORDER_SLOTS
from mmats._core.types cimport lots_t, price_ticks_t, report_t, ts_ns_t
from mmats._core.venue cimport VenuePort

cpdef enum RequestKind:
    REQUEST_SUBMIT = 1
    REQUEST_CANCEL = 2
    REQUEST_MODIFY = 3
    REQUEST_QUERY = 4       # tell all you know about an order: its fills again, then its state

cdef enum:
    TRADES_SEEN_MAX = 1024  # fills are taken once; so many trade ids are remembered

# What travels to the venue process. Fields that a kind does not use are 0.
cdef struct request_t:
    int64_t order_id
    ts_ns_t ts_ns           # pipeline time of the decision
    ts_ns_t ts_expire_ns
    lots_t quantity_lots    # submit: whole quantity; modify: new open quantity, 0 = unchanged
    price_ticks_t price_ticks
    price_ticks_t trigger_ticks
    price_ticks_t trail_ticks
    price_ticks_t stop_loss_ticks
    price_ticks_t take_profit_ticks
    int32_t instrument
    int32_t strategy
    int8_t kind             # RequestKind
    int8_t side
    int8_t type
    int8_t tif
    int8_t flags
    int8_t role
    int8_t pad[2]           # no hidden padding

cdef struct trade_t:
    int64_t trade_id
    int64_t instrument

cdef class ExecutionPort(VenuePort):
    cdef request_t* requests          # ring
    cdef int64_t request_capacity
    cdef readonly int64_t request_count   # all that were ever put in
    cdef readonly int64_t taken_count     # all that were taken out
    cdef report_t* reports            # ring
    cdef int64_t report_capacity
    cdef int64_t report_head
    cdef int64_t report_tail
    cdef int currency_count
    # -- state: what a restart needs ---------------------------------------------------------------
    cdef trade_t trades_seen[TRADES_SEEN_MAX]  # ring of the fills that were delivered
    cdef readonly int64_t trade_count     # all fills that were delivered
    cdef int64_t order_ids[ORDER_SLOTS]   # by slot: the last order that was submitted
    cdef int32_t instruments[ORDER_SLOTS] # its instrument
    cdef readonly int64_t duplicate_count # fills that were dropped because they had come before
    cdef readonly int64_t refused_count   # reports that no venue may send
    cdef readonly int64_t foreign_count   # reports for orders that are not ours, or long over

    # -- private --
    cdef request_t* _next_request(self, int kind, int64_t order_id, int instrument,
                                  ts_ns_t now_ns, int64_t capacity) noexcept nogil
    cdef bint _is_valid(self, const report_t* report) noexcept nogil
    cdef bint _is_new(self, const report_t* report) noexcept nogil
