# cython: language_level=3
"""Where every open order lives: slots, ids, what is still to be told, and what is unanswered."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t

from mmats._core.journal cimport JournalPort, record_t
from mmats._core.ledger cimport Ledger, fill_result_t
from mmats._core.risk cimport RiskGate
from mmats._core.sizing cimport track_t
from mmats._core.types cimport (
    STATE_CANCELED, STATE_DENIED, STATE_EXPIRED, STATE_FILLED, STATE_REJECTED, lots_t, money_t,
    order_t, price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

cdef enum:
    ORDER_SLOTS = 4096           # open orders at one time; the low 12 bits of an order id
    SLOT_BITS = 12
    REUSE_DISTANCE = 256         # so many orders must have ended before a slot is used again
    OUTCOMES_MAX = 4096          # results waiting to be told to strategies

# What a strategy is told: one per fill, denial, rejection, cancel or expiry.
cdef struct outcome_t:
    int64_t signal_id
    int64_t order_id
    lots_t lots
    price_ticks_t price_ticks
    money_t commission
    money_t realized
    int32_t strategy
    int32_t instrument
    int16_t reason               # Reason of a denial
    int8_t state                 # OrderState
    int8_t role                  # OrderRole

# What is unanswered about one order.
cdef struct inquiry_t:
    ts_ns_t asked_ns             # last request without an answer; 0 = none
    ts_ns_t query_ns             # unknown: when to ask (again)
    ts_ns_t wait_ns              # unknown: time from the next question to the one after it
    ts_ns_t not_found_ns         # unknown: first answer that there is no such order
    ts_ns_t changed_ns           # last change without an answer; 0 = none, -1 = to be sent again
    lots_t cum_lots              # as the venue says; fills are missing while it is above what we have
    int32_t query_count          # unknown: questions asked
    int32_t not_found_count
    int32_t is_cancel_wanted     # unknown: cancel it where it turns out to be open
    int32_t is_filled            # no more than the missing fills is to come

cdef inline bint is_done(const order_t* order) noexcept nogil:
    return (order.state == STATE_FILLED or order.state == STATE_CANCELED
            or order.state == STATE_EXPIRED or order.state == STATE_REJECTED
            or order.state == STATE_DENIED)

cdef class OrderTable:
    cdef Ledger ledger
    cdef RiskGate gate
    cdef VenuePort venue               # None = no order can leave
    cdef JournalPort journal
    cdef order_t* orders               # [slot]
    cdef inquiry_t* inquiries          # [slot]
    cdef int fresh_slot                # the first that was never used
    cdef int32_t* ended_slots          # ring, the longest ended first
    cdef int ended_first
    cdef int ended_count
    cdef track_t* tracks               # [strategy]
    cdef money_t* open_results         # [cell] net result of the trade that is open
    cdef outcome_t* outcomes           # ring
    cdef int64_t outcome_head
    cdef int64_t outcome_tail
    cdef readonly int64_t order_sequence

    cdef order_t* find(self, int64_t order_id) noexcept nogil
    cdef int next_outcome(self, outcome_t* out) noexcept nogil
    # -- private --
    cdef int _record_order(self, int kind, const order_t* order, ts_ns_t now_ns,
                           ts_ns_t event_ns, int reason) except -1
    cdef int _tell(self, const order_t* order, int state, int reason, lots_t lots,
                   price_ticks_t price, money_t commission, money_t realized) except -1
    cdef int _take_slot(self) noexcept nogil
    cdef int _close(self, order_t* order, int state) noexcept nogil
    cdef void _answered(self, const order_t* order) noexcept nogil
    cdef int _record_fill(self, int kind, const order_t* order, const report_t* report,
                          const fill_result_t* result, ts_ns_t now_ns) except -1
    cdef void _price_costs(self, record_t* record, const order_t* order,
                           const report_t* report) noexcept nogil
    cdef money_t _tick_cost(self, int instrument, int64_t ticks, lots_t lots,
                            int64_t divisor) noexcept nogil
    cdef void _track(self, int cell, int strategy, lots_t before,
                     const fill_result_t* result) noexcept nogil
