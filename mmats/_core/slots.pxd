# cython: language_level=3
"""The places of strategies and of series of bars in the pipeline."""

from libc.stdint cimport int64_t

from mmats._core.bars cimport BarBuilder
from mmats._core.contract cimport CompiledStrategy, Indicators, MarketData, signal_t
from mmats._core.indicators cimport IndicatorSet
from mmats._core.types cimport event_t, price_ticks_t, ts_ns_t

# Methods of a compiled strategy, called raw so that the common case pays for no try block; a
# negative result comes with an exception.
ctypedef int (*on_bar_t)(CompiledStrategy, const event_t*, const double*, signal_t*) noexcept
ctypedef int (*on_book_t)(CompiledStrategy, const event_t*, price_ticks_t, price_ticks_t, signal_t*) noexcept

# One strategy as the pipeline sees it.
cdef class StrategySlot:
    cdef readonly int index
    cdef readonly str name
    cdef readonly object strategy
    cdef CompiledStrategy compiled    # None for a Python strategy
    cdef on_bar_t on_bar
    cdef on_book_t on_book
    cdef object on_market_data        # bound methods, looked up once
    cdef object on_signal_result      # None where the strategy does not listen
    cdef object on_order_book
    cdef readonly bint enabled
    cdef readonly bint stop_on_error
    cdef dict signals                 # signal id -> TradeSignal, while results can still come
    cdef readonly int64_t signal_count

    # Take a strategy in; results of an earlier one's signals are told to nobody.
    cdef int attach(self, object strategy) except -1

# Bars of one instrument at one interval with the indicators that strategies declared on it.
cdef class Series:
    cdef readonly int instrument
    cdef readonly str symbol
    cdef readonly ts_ns_t interval_ns # 0 = the feed's own bars
    cdef readonly int source_kind     # EventKind that its bars are or are built from
    cdef BarBuilder builder           # None where interval_ns is 0
    cdef IndicatorSet indicators
    cdef MarketData data              # handed out again while nobody keeps it
    cdef Indicators view
    cdef bint reads_close_only        # no indicator needs open, high, low or volume
    cdef list subscribers             # StrategySlot
    cdef int subscriber_count
