# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The same idea as `strategies.trend`, in Cython: about ten times as fast, same signals.

A compiled strategy works in ticks and lots and writes its signals into a buffer of the pipeline.
Build your own with the declarations in `mmats/_core/contract.pxd`; see docs/strategies.md.
"""

cimport cython
from libc.math cimport floor, isnan
from libc.string cimport memset

from mmats._core.contract cimport SIZE_UNSET, WHOLE_POSITION, CompiledStrategy, signal_t
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_MARKET, SIDE_BUY, SIDE_SELL, TIF_GTC, event_t, lots_t,
)

cdef long long CONFIDENT_PPM = 1_000_000


@cython.final
cdef class TrendCompiled(CompiledStrategy):
    """Moving-average cross with an ATR stop, compiled."""

    def initialize(self, config):
        """Read the parameters of `strategies.trend`."""
        self.names = (f"ema:{config.get('fast', 20)}", f"ema:{config.get('slow', 60)}",
                      f"atr:{config.get('atr', 14)}")
        self.indicators = self.names
        self.stop_atr = config.get("stop_atr", 3.0)
        self.allow_short = config.get("allow_short", False)

    def bind(self, int instrument, str symbol, dict slots, double tick_size, double lot_size):
        """Remember where the indicators of an instrument's bars are."""
        if not 0 <= instrument < INSTRUMENTS_MAX:
            raise ValueError(f"{self.name} has room for {INSTRUMENTS_MAX} instruments")
        self.watches[instrument] = watch_t(
            slots[self.names[0]], slots[self.names[1]], slots[self.names[2]], -1, tick_size)

    cdef int on_bar(self, const event_t* bar, const double* indicators, signal_t* out) except -1:
        cdef watch_t* watch = &self.watches[bar.instrument]
        cdef double atr = indicators[watch.atr]
        cdef int was_above = watch.was_above
        if isnan(indicators[watch.slow]) or isnan(atr) or isnan(indicators[watch.fast]):
            return 0
        watch.was_above = indicators[watch.fast] > indicators[watch.slow]
        if was_above == watch.was_above or was_above == -1:
            return 0
        return self.turn(bar, atr, SIDE_BUY if watch.was_above else SIDE_SELL, out)

    cdef int turn(self, const event_t* bar, double atr, int side, signal_t* out) noexcept nogil:
        """Leave the position that the cross is against, and enter with the cross."""
        cdef lots_t position = self.position_lots(bar.instrument)
        cdef double distance = self.stop_atr * atr / self.watches[bar.instrument].tick_size
        cdef int count = 0
        if position * side < 0:
            memset(&out[0], 0, sizeof(signal_t))
            out[0].instrument = bar.instrument
            out[0].side = side
            out[0].order_type = ORDER_MARKET
            out[0].tif = TIF_GTC
            out[0].flags = FLAG_REDUCE_ONLY
            out[0].size_lots = WHOLE_POSITION
            out[0].confidence_ppm = CONFIDENT_PPM
            count = 1
        if side == SIDE_BUY or self.allow_short:
            memset(&out[count], 0, sizeof(signal_t))
            out[count].instrument = bar.instrument
            out[count].side = side
            out[count].order_type = ORDER_MARKET
            out[count].tif = TIF_GTC
            out[count].size_lots = SIZE_UNSET
            out[count].stop_loss_ticks = bar.d - side * <long long>floor(distance)
            out[count].confidence_ppm = CONFIDENT_PPM
            count += 1
        return count
