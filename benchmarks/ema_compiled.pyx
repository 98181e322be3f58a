# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The rules of benchmarks/reference.py as a compiled strategy, with averages of its own."""

cimport cython
from libc.string cimport memset

from mmats._core.contract cimport CompiledStrategy, signal_t
from mmats._core.types cimport ORDER_MARKET, TIF_GTC, event_t, lots_t

cdef enum:
    WARM_UP_BARS = 20

cdef double FAST_ALPHA = 2.0 / 11.0
cdef double SLOW_ALPHA = 2.0 / 21.0
cdef long long CONFIDENT_PPM = 1_000_000


@cython.final
cdef class EmaCompiled(CompiledStrategy):
    """Turns where the averages of the close cross; holds `size_lots` either way."""

    cdef double fast
    cdef double slow
    cdef long long bar_count
    cdef lots_t held_lots
    cdef lots_t size_lots

    def initialize(self, config):
        """Start flat; no indicator of the core is asked for."""
        self.indicators = ()
        self.fast = self.slow = 0.0
        self.bar_count = self.held_lots = 0
        self.size_lots = config.get("size_lots", 100)

    cdef int on_bar(self, const event_t* bar, const double* indicators, signal_t* out) except -1:
        # As in the reference: a price of benchmarks/bars.py is its ticks / 100.
        cdef double close = <double>bar.d / 100.0
        cdef lots_t wanted
        if self.bar_count == 0:
            self.fast = self.slow = close
        self.fast += FAST_ALPHA * (close - self.fast)
        self.slow += SLOW_ALPHA * (close - self.slow)
        self.bar_count += 1
        if self.bar_count <= WARM_UP_BARS or self.fast == self.slow:
            return 0
        wanted = self.size_lots if self.fast > self.slow else -self.size_lots
        if wanted == self.held_lots:
            return 0
        memset(out, 0, sizeof(signal_t))
        out.instrument = bar.instrument
        out.side = 1 if wanted > 0 else -1
        out.order_type = ORDER_MARKET
        out.tif = TIF_GTC
        out.size_lots = wanted - self.held_lots if wanted > 0 else self.held_lots - wanted
        out.confidence_ppm = CONFIDENT_PPM
        self.held_lots = wanted
        return 1
