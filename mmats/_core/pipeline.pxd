# cython: language_level=3
"""Event in, actions out: the one object that every mode runs."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint64_t

from mmats._core.book cimport OrderBook
from mmats._core.contract cimport (
    SIGNALS_MAX, MarketData, TradeSignal, scale_t, signal_t,
)
from mmats._core.journal cimport JournalPort
from mmats._core.ledger cimport Ledger
from mmats._core.orders cimport OrderManager, outcome_t
from mmats._core.risk cimport RiskGate
from mmats._core.samples cimport Samples
from mmats._core.slots cimport Series, StrategySlot
from mmats._core.types cimport event_t, money_t, price_ticks_t, report_t, ts_ns_t
from mmats._core.venue cimport VenuePort

cdef class Pipeline:
    cdef readonly Ledger ledger
    cdef readonly RiskGate gate
    cdef readonly OrderManager orders
    cdef readonly JournalPort journal
    cdef VenuePort venue              # None = no order can leave
    cdef readonly list strategies     # StrategySlot
    cdef readonly list errors         # (strategy, ts_ns, where, traceback text)
    cdef list series                  # per instrument: list of Series
    cdef PyObject** own_series        # per instrument: its only series, of the feed's own bars
    cdef list books                   # per instrument: OrderBook or None
    cdef list book_subscribers        # per instrument: list of StrategySlot
    cdef dict symbols                 # symbol -> instrument index
    cdef list names                   # instrument index -> symbol
    cdef scale_t* scales
    cdef readonly ts_ns_t now_ns
    cdef readonly int64_t event_count
    cdef ts_ns_t sample_interval_ns
    cdef ts_ns_t sample_due_ns
    cdef ts_ns_t cells_due_ns
    cdef Samples equity_samples
    cdef Samples cell_samples
    cdef signal_t buffer[SIGNALS_MAX]

    cdef int on_event(self, const event_t* event) except -1
    # Take every report that has reached us by `now_ns` and tell strategies what became of orders.
    cdef int drain(self, ts_ns_t now_ns) except -1
    cdef int preview(self, const event_t* bar) except -1
    cdef int finish(self) except -1
    cdef int _mark(self, int instrument, price_ticks_t price) except -1
    cdef int _stop_unvalued(self, int instrument, price_ticks_t price) except -1
    cdef int _on_tick(self, int instrument, const event_t* event) except -1
    cdef int _on_timer(self) except -1
    cdef int _on_delta(self, int instrument, const event_t* event) except -1
    cdef int _tell_book(self, int instrument, OrderBook book, const event_t* event) except -1
    cdef int _on_bar(self, Series series, const event_t* bar) except -1
    cdef int _renew_data(self, Series series) except -1
    cdef int _fill_data(self, Series series, const event_t* bar) except -1
    cdef int _call(self, StrategySlot slot, MarketData data) except -1
    cdef int _take_answer(self, StrategySlot slot, object answer) except -1
    cdef int _take(self, StrategySlot slot, TradeSignal signal) except -1
    cdef int _take_buffer(self, StrategySlot slot, int n, str where) except -1
    cdef int _hand_account(self, object strategy, int index) except -1
    cdef int _bind(self, StrategySlot slot, Series target) except -1
    cdef int _enable(self, StrategySlot slot, bint is_enabled, ts_ns_t now_ns) except -1
    cdef int _disable(self, StrategySlot slot, str where, object error) except -1
    cdef int _tell_results(self) except -1
    cdef int _tell(self, StrategySlot slot, const outcome_t* outcome) except -1
    cdef int _sample(self) except -1
    cdef int _sample_cells(self) except -1
    cdef bint _is_last(self, const outcome_t* outcome) noexcept nogil
    cdef int _answered(self, StrategySlot slot, PyObject* answer) except -1
    cdef int _update_indicators(self, Series series, const event_t* bar) except -1
