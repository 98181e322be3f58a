# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""An EMA cross on the mid price of an order book, decided anew at every book update."""

cimport cython
from libc.string cimport memset

from mmats._core.contract cimport CompiledStrategy, signal_t
from mmats._core.types cimport ORDER_MARKET, TIF_GTC, event_t, lots_t, price_ticks_t

cdef enum:
    WARM_UP_UPDATES = 200

cdef double FAST_ALPHA = 2.0 / 101.0
cdef double SLOW_ALPHA = 2.0 / 201.0
cdef long long CONFIDENT_PPM = 1_000_000


@cython.final
cdef class BookCross(CompiledStrategy):
    """Holds 100 lots long or short; the same rules as benchmarks/peers/hftbacktest_book.py."""

    hears_book = True
    cdef double fast
    cdef double slow
    cdef readonly long long update_count
    cdef lots_t held_lots

    def initialize(self, config):
        """Start flat."""
        self.indicators = ()
        self.fast = self.slow = 0.0
        self.update_count = self.held_lots = 0

    cdef int on_book(self, const event_t* delta, price_ticks_t bid, price_ticks_t ask,
                     signal_t* out) except -1:
        cdef double mid = 0.5 * <double>(bid + ask)
        cdef lots_t wanted
        if self.update_count == 0:
            self.fast = self.slow = mid
        self.fast += FAST_ALPHA * (mid - self.fast)
        self.slow += SLOW_ALPHA * (mid - self.slow)
        self.update_count += 1
        if self.update_count <= WARM_UP_UPDATES or self.fast == self.slow:
            return 0
        wanted = 100 if self.fast > self.slow else -100
        if wanted == self.held_lots:
            return 0
        memset(out, 0, sizeof(signal_t))
        out.instrument = delta.instrument
        out.side = 1 if wanted > 0 else -1
        out.order_type = ORDER_MARKET
        out.tif = TIF_GTC
        out.size_lots = wanted - self.held_lots if wanted > 0 else self.held_lots - wanted
        out.confidence_ppm = CONFIDENT_PPM
        self.held_lots = wanted
        return 1
