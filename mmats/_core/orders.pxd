# cython: language_level=3
"""The order manager: life of every order from signal to its last report, and the brackets."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t

from mmats._core.contract cimport signal_t
from mmats._core.journal cimport JournalPort, record_t
from mmats._core.ledger cimport Ledger, fill_result_t
from mmats._core.risk cimport RiskGate, verdict_t
from mmats._core.sizing cimport sizing_t, track_t
from mmats._core.types cimport (
    lots_t, money_t, order_t, price_ticks_t, report_t, ts_ns_t,
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

# Protection of one strategy's position in one instrument; its quantity follows the position.
cdef struct bracket_t:
    int64_t signal_id
    int64_t stop_order_id        # 0 = none working
    int64_t target_order_id
    price_ticks_t stop_ticks
    price_ticks_t target_ticks
    int32_t side                 # side of the position it protects; 0 = no bracket

cdef class OrderManager:
    cdef Ledger ledger
    cdef RiskGate gate
    cdef VenuePort venue
    cdef JournalPort journal
    cdef order_t* orders               # [slot]
    cdef int fresh_slot                # the first that was never used
    cdef int32_t* ended_slots          # ring, the longest ended first
    cdef int ended_first
    cdef int ended_count
    cdef bracket_t* brackets           # [strategy * instrument_count + instrument]
    cdef sizing_t* sizings             # [strategy]
    cdef track_t* tracks               # [strategy]
    cdef money_t* open_results         # [cell] net result of the trade that is open
    cdef outcome_t* outcomes           # ring
    cdef int64_t outcome_head
    cdef int64_t outcome_tail
    cdef readonly int64_t order_sequence
    cdef readonly int64_t signal_sequence
    cdef readonly int64_t denied_count
    cdef readonly int64_t late_fill_count
    cdef readonly int64_t stale_report_count  # reports that came after their order's end

    cdef int take_signal(self, int strategy, signal_t* signal, ts_ns_t now_ns) except -1
    cdef int on_report(self, const report_t* report, ts_ns_t now_ns) except -1
    cdef int cancel(self, int64_t order_id, ts_ns_t now_ns) except -1
    cdef int cancel_entries(self, int strategy, ts_ns_t now_ns) except -1
    cdef order_t* find(self, int64_t order_id) noexcept nogil
    cdef int next_outcome(self, outcome_t* out) noexcept nogil
    # -- private --
    cdef int _record_order(self, int kind, const order_t* order, ts_ns_t now_ns,
                           ts_ns_t event_ns, int reason) except -1
    cdef int _tell(self, const order_t* order, int state, int reason, lots_t lots,
                   price_ticks_t price, money_t commission, money_t realized) except -1
    cdef int _record_signal(self, const order_t* order, const signal_t* signal,
                            ts_ns_t now_ns) except -1
    cdef price_ticks_t _reference(self, const signal_t* signal) noexcept nogil
    cdef int _size(self, order_t* order, const signal_t* signal) noexcept nogil
    cdef int _denied(self, order_t* order, int reason, int64_t observed, int64_t limit,
                     ts_ns_t now_ns) except -1
    cdef int _send(self, order_t* order, ts_ns_t now_ns) except -1
    cdef int _take_slot(self) noexcept nogil
    cdef int _close(self, order_t* order, int state) noexcept nogil
    cdef int _on_forgotten(self, const report_t* report) except -1
    cdef int _on_refused(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef int _count_fill(self, order_t* order, const report_t* report) except -1
    cdef int _give_up(self, int cell, ts_ns_t now_ns) except -1
    cdef int _on_end(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef int _on_fill(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1
    cdef bint _is_done(self, const order_t* order) noexcept nogil
    cdef int _record_fill(self, int kind, const order_t* order, const report_t* report,
                          const fill_result_t* result, ts_ns_t now_ns) except -1
    cdef void _price_costs(self, record_t* record, const order_t* order,
                           const report_t* report) noexcept nogil
    cdef money_t _tick_cost(self, int instrument, int64_t ticks, lots_t lots,
                            int64_t divisor) noexcept nogil
    cdef void _track(self, int cell, int strategy, lots_t before,
                     const fill_result_t* result) noexcept nogil
    cdef int _open_bracket(self, const order_t* order, int cell, ts_ns_t now_ns) except -1
    cdef int _drop_bracket(self, bracket_t* bracket, ts_ns_t now_ns) except -1
    cdef int _sync_bracket(self, int cell, ts_ns_t now_ns) except -1
    cdef int64_t _protect(self, int cell, const bracket_t* bracket, int64_t order_id, int role,
                          price_ticks_t price, ts_ns_t now_ns) except -1
    cdef int64_t _adjust(self, order_t* order, lots_t wanted, price_ticks_t price,
                         ts_ns_t now_ns) except -1
    cdef int _bracket_order_ended(self, const order_t* order, ts_ns_t now_ns) except -1
    cdef int _flatten(self, int cell, int64_t signal_id, ts_ns_t now_ns) except -1
