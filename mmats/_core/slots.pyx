# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The places of strategies and of series of bars in the pipeline."""

cimport cython

from mmats._core.bars cimport BarBuilder
from mmats._core.contract cimport CompiledStrategy
from mmats._core.indicators cimport IndicatorSet
from mmats._core.types cimport EVENT_BAR, ts_ns_t

cdef frozenset CLOSE_ONLY = frozenset(
    {"sma", "ema", "ewma", "wma", "rsi", "bbands", "stddev", "zscore", "macd", "roc", "mom"})


@cython.final
cdef class StrategySlot:
    """A strategy with its place in the pipeline."""

    def __init__(self, int index, str name not None, strategy, bint stop_on_error=False):
        self.index = index
        self.name = name
        self.enabled = True
        self.stop_on_error = stop_on_error
        self.attach(strategy)

    cdef int attach(self, object strategy) except -1:
        """Take a strategy in; results of an earlier one's signals are told to nobody."""
        self.strategy = strategy
        self.signals = {}
        self.compiled = None
        self.on_market_data = self.on_signal_result = self.on_order_book = None
        if isinstance(strategy, CompiledStrategy):
            self.compiled = strategy
            self.on_bar = <on_bar_t>self.compiled.on_bar
            self.on_book = <on_book_t>self.compiled.on_book
            return 0
        self.on_market_data = getattr(strategy, "on_market_data", None)
        self.on_signal_result = getattr(strategy, "on_signal_result", None)
        if getattr(self.on_signal_result, "__func__", None) is getattr(
                type(strategy), "_ignores_results", None):
            self.on_signal_result = None
        self.on_order_book = getattr(strategy, "on_order_book", None)
        return 0


@cython.final
cdef class Series:
    """Bars and indicators of one instrument at one interval."""

    def __init__(self, int instrument, str symbol not None, ts_ns_t interval_ns, specs,
                 BarBuilder builder=None, int source_kind=EVENT_BAR):
        self.instrument = instrument
        self.symbol = symbol
        self.interval_ns = interval_ns
        self.builder = builder
        self.source_kind = source_kind
        self.indicators = IndicatorSet(specs)
        self.reads_close_only = all(
            name.partition(":")[0] in CLOSE_ONLY for name in self.indicators.specs)
        self.subscribers = []
        self.subscriber_count = 0
        self.view = None
        self.data = None
