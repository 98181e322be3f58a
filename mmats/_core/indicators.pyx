# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Incremental technical indicators with the definitions and lookbacks of TA-Lib.

A set holds one flat array of states and one block of doubles for every window, both allocated
when it is made. Hot path: ``IndicatorSet.update``, once per closed bar, single writer.
"""

import difflib
import math
import struct
import zlib

import numpy as np

cimport cython
from libc.math cimport NAN, fabs, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mmats._core.frames import BAR_DTYPE
from mmats._core.indicator_specs import IndicatorError, parse
from mmats._core.windows cimport (
    add, extreme_in, is_flat, roll, set_extreme, set_ring, set_smooth, shift, smooth_in, smooth_t,
)

cdef enum:
    KIND_SMA, KIND_EMA, KIND_WMA, KIND_RSI, KIND_ATR, KIND_BBANDS, KIND_MACD, KIND_VWAP_DAY
    KIND_VWAP, KIND_DONCHIAN, KIND_STDDEV, KIND_ROC, KIND_MOM, KIND_ADX, KIND_DMI, KIND_STOCH
    KIND_CCI, KIND_OBV, KIND_MFI, KIND_HIGHEST, KIND_LOWEST, KIND_TRUE_RANGE, KIND_WILLR
    KIND_ZSCORE, KIND_KELTNER

cdef enum:
    SNAPSHOT_VERSION = 1

cdef int64_t DAY_NS = 86400000000000LL
# "vwap" without a period is KIND_VWAP_DAY.
_KINDS = {
    "sma": KIND_SMA, "ema": KIND_EMA, "ewma": KIND_EMA, "wma": KIND_WMA, "rsi": KIND_RSI,
    "atr": KIND_ATR, "bbands": KIND_BBANDS, "macd": KIND_MACD, "vwap": KIND_VWAP,
    "donchian": KIND_DONCHIAN, "stddev": KIND_STDDEV, "zscore": KIND_ZSCORE, "roc": KIND_ROC,
    "mom": KIND_MOM, "adx": KIND_ADX, "dmi": KIND_DMI, "stoch": KIND_STOCH, "willr": KIND_WILLR,
    "cci": KIND_CCI, "obv": KIND_OBV, "mfi": KIND_MFI, "highest": KIND_HIGHEST,
    "lowest": KIND_LOWEST, "true_range": KIND_TRUE_RANGE, "keltner": KIND_KELTNER,
}


# -- indicators: state, bar, previous bar, windows -> number, or numbers in `out` ----------------

cdef void _reanchor(indicator_t* state, double* windows) noexcept nogil:
    """Count deviations from the newest input from now on, and sum them again."""
    cdef const double* window = windows + state.ring.start
    cdef double deviation
    cdef int32_t k
    state.anchor = window[state.ring.period - 1]
    state.total.high = state.total.low = 0.0
    state.total_second.high = state.total_second.low = 0.0
    for k in range(state.ring.period):
        deviation = window[k] - state.anchor
        add(&state.total, deviation)
        add(&state.total_second, deviation * deviation)


cdef inline double _deviation(indicator_t* state, double x, double* windows,
                              double* mean) noexcept nogil:
    """Return the population standard deviation; `mean` becomes the mean less `anchor`.

    The anchor is renewed each time the ring wraps, so it is always one of the window's inputs:
    sums of deviations from it do not cancel as sums of squared prices do, and the relative error
    of the variance stays near period * 2**-52 whatever happened before.
    """
    cdef double period = state.ring.period
    cdef double oldest = shift(&state.ring, windows, x)
    cdef double gone = oldest - state.anchor
    cdef double come = x - state.anchor
    cdef double variance
    if state.ring.head == 0:
        _reanchor(state, windows)
    else:
        add(&state.total, -gone)
        add(&state.total, come)
        add(&state.total_second, -gone * gone)
        add(&state.total_second, come * come)
    mean[0] = (state.total.high + state.total.low) / period
    variance = (state.total_second.high + state.total_second.low) / period - mean[0] * mean[0]
    return sqrt(variance) if variance > 0.0 else 0.0


cdef void _bbands(indicator_t* state, const bar_t* bar, double* windows,
                  double* out) noexcept nogil:
    cdef double mean = 0.0
    cdef double width = _deviation(state, bar.close, windows, &mean) * state.factor
    mean += state.anchor
    out[0] = mean + width
    out[1] = mean
    out[2] = mean - width


cdef double _zscore(indicator_t* state, double x, double* windows) noexcept nogil:
    cdef double mean = 0.0
    cdef double deviation = _deviation(state, x, windows, &mean)
    if deviation == 0.0:
        return 0.0
    return (x - state.anchor - mean) / deviation


cdef double _wma(indicator_t* state, double x, double* windows) noexcept nogil:
    """Weighted sum W' = W - S + n x with S the plain sum; both are summed again at each wrap."""
    cdef const double* window = windows + state.ring.start
    cdef int32_t period = state.ring.period
    cdef int32_t k
    add(&state.total_second, -state.total.high)
    add(&state.total_second, -state.total.low)
    add(&state.total_second, period * x)
    roll(&state.ring, &state.total, windows, x)
    if state.ring.head == 0:
        state.total_second.high = state.total_second.low = 0.0
        for k in range(period):
            add(&state.total_second, (k + 1) * window[k])
    return (state.total_second.high + state.total_second.low) * state.factor


cdef double _rsi(indicator_t* state, const bar_t* bar, const bar_t* previous) noexcept nogil:
    cdef double change, gain, loss
    if bar.index == 0:
        return NAN
    change = bar.close - previous.close
    gain = smooth_in(&state.first, change if change > 0.0 else 0.0)
    loss = smooth_in(&state.second, -change if change < 0.0 else 0.0)
    return 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0


cdef inline double _atr(smooth_t* smooth, const bar_t* bar, const bar_t* previous) noexcept nogil:
    if bar.index == 0:
        return NAN
    return smooth_in(smooth, true_range(bar, previous))


cdef void _macd(indicator_t* state, const bar_t* bar, double* out) noexcept nogil:
    cdef double slow = smooth_in(&state.second, bar.close)
    # TA-Lib seeds both averages at the same bar, so the fast one skips the first closes.
    if bar.index >= state.second.period - state.first.period:
        smooth_in(&state.first, bar.close)
    if bar.index < state.second.period - 1:
        return
    out[0] = state.first.value - slow
    out[1] = smooth_in(&state.third, out[0])
    out[2] = out[0] - out[1]


cdef double _vwap_day(indicator_t* state, const bar_t* bar) noexcept nogil:
    # A bar that closes at midnight belongs to the day that ends.
    cdef int64_t last_ns = bar.ts_ns - 1
    cdef int64_t day = last_ns // DAY_NS
    if last_ns < 0 and day * DAY_NS != last_ns:
        day -= 1
    if day != state.day or bar.index == 0:
        state.day = day
        state.total.high = state.total.low = 0.0
        state.total_second.high = state.total_second.low = 0.0
    add(&state.total, typical_price(bar) * bar.volume)
    add(&state.total_second, bar.volume)
    if state.total_second.high == 0.0:
        return typical_price(bar)
    return (state.total.high + state.total.low) / (state.total_second.high + state.total_second.low)


cdef double _vwap(indicator_t* state, const bar_t* bar, double* windows) noexcept nogil:
    cdef double typical = typical_price(bar)
    cdef double traded = roll(&state.ring, &state.total, windows, typical * bar.volume)
    cdef double volume = roll(&state.ring_second, &state.total_second, windows, bar.volume)
    state.idle_count = state.idle_count + 1 if bar.volume == 0.0 else 0
    # Counted rather than compared: the rolling sum may keep a trace of what left it.
    if state.idle_count >= state.ring.period:
        return typical
    return traded / volume


cdef void _donchian(indicator_t* state, const bar_t* bar, double* windows,
                    double* out) noexcept nogil:
    out[0] = extreme_in(&state.top, windows, bar.high, bar.index)
    out[2] = extreme_in(&state.bottom, windows, bar.low, bar.index)
    out[1] = (out[0] + out[2]) / 2.0


cdef void _directional(indicator_t* state, const bar_t* bar, const bar_t* previous,
                       double* di) noexcept nogil:
    """Update Wilder's directional movement sums; `di` becomes plus DI, minus DI."""
    cdef double up = bar.high - previous.high
    cdef double down = previous.low - bar.low
    cdef double period = state.third.period
    di[0] = di[1] = 0.0
    if bar.index == 0:
        return
    if bar.index >= state.third.period:
        state.plus -= state.plus / period
        state.minus -= state.minus / period
        state.level -= state.level / period
    if down > 0.0 and up < down:
        state.minus += down
    elif up > 0.0 and up > down:
        state.plus += up
    state.level += true_range(bar, previous)
    if state.level > 0.0:
        di[0] = 100.0 * (state.plus / state.level)
        di[1] = 100.0 * (state.minus / state.level)


cdef double _adx(indicator_t* state, const bar_t* bar, const bar_t* previous) noexcept nogil:
    cdef double di[2]
    _directional(state, bar, previous, di)
    if bar.index < state.third.period:
        return NAN
    if di[0] + di[1] > 0.0:
        return smooth_in(&state.third, 100.0 * (fabs(di[1] - di[0]) / (di[0] + di[1])))
    # Without movement TA-Lib adds nothing to the seed, and later leaves the value as it is.
    if state.third.seen < state.third.period:
        return smooth_in(&state.third, 0.0)
    return state.third.value


cdef void _stoch(indicator_t* state, const bar_t* bar, double* windows, double* out) noexcept nogil:
    cdef double highest = extreme_in(&state.top, windows, bar.high, bar.index)
    cdef double lowest = extreme_in(&state.bottom, windows, bar.low, bar.index)
    cdef double slow
    cdef double fast = 0.0
    if not is_flat(highest - lowest, fabs(highest) + fabs(lowest)):
        fast = (bar.close - lowest) / (highest - lowest) * 100.0
    if bar.index < state.top.period - 1:
        return
    out[0] = roll(&state.ring, &state.total, windows, fast) / state.ring.period
    if bar.index < state.top.period + state.ring.period - 2:
        return
    slow = roll(&state.ring_second, &state.total_second, windows, out[0])
    out[1] = slow / state.ring_second.period


cdef double _willr(indicator_t* state, const bar_t* bar, double* windows) noexcept nogil:
    cdef double highest = extreme_in(&state.top, windows, bar.high, bar.index)
    cdef double lowest = extreme_in(&state.bottom, windows, bar.low, bar.index)
    if is_flat(highest - lowest, fabs(highest) + fabs(lowest)):
        return 0.0
    return (highest - bar.close) / (highest - lowest) * -100.0


cdef double _cci(indicator_t* state, const bar_t* bar, double* windows) noexcept nogil:
    """The mean absolute deviation has no incremental form: O(period)."""
    cdef const double* window = windows + state.ring.start
    cdef double typical = typical_price(bar)
    cdef double mean = 0.0
    cdef double spread = 0.0
    cdef int32_t k
    shift(&state.ring, windows, typical)
    for k in range(state.ring.period):
        mean += window[k]
    mean /= state.ring.period
    for k in range(state.ring.period):
        spread += fabs(window[k] - mean)
    spread /= state.ring.period
    if is_flat(typical - mean, fabs(mean)) or is_flat(spread, fabs(mean)):
        return 0.0
    return (typical - mean) / (0.015 * spread)


cdef double _obv(indicator_t* state, const bar_t* bar, const bar_t* previous) noexcept nogil:
    if bar.index == 0 or bar.close > previous.close:
        state.level += bar.volume
    elif bar.close < previous.close:
        state.level -= bar.volume
    return state.level


cdef double _mfi(indicator_t* state, const bar_t* bar, const bar_t* previous,
                 double* windows) noexcept nogil:
    cdef double typical = typical_price(bar)
    cdef double before = typical_price(previous)
    cdef double flow, gain, loss
    if bar.index == 0:
        return NAN
    flow = typical * bar.volume
    if is_flat(typical - before, fabs(typical) + fabs(before)):
        flow = 0.0
    gain = roll(&state.ring, &state.total, windows, flow if typical > before else 0.0)
    loss = roll(&state.ring_second, &state.total_second, windows, flow if typical < before else 0.0)
    state.idle_count = state.idle_count + 1 if flow == 0.0 else 0
    # Counted rather than compared: the rolling sums may keep a trace of what left them.
    if state.idle_count >= state.ring.period:
        return 0.0
    return 100.0 * (gain / (gain + loss))


cdef void _keltner(indicator_t* state, const bar_t* bar, const bar_t* previous,
                   double* out) noexcept nogil:
    cdef double width = _atr(&state.second, bar, previous) * state.factor
    out[1] = smooth_in(&state.first, bar.close)
    out[0] = out[1] + width
    out[2] = out[1] - width


cdef void _step(indicator_t* state, const bar_t* bar, const bar_t* previous, double* windows,
                double* out) noexcept nogil:
    cdef double change
    if state.kind == KIND_SMA:
        out[0] = roll(&state.ring, &state.total, windows, bar.close) / state.ring.period
    elif state.kind == KIND_RSI:
        out[0] = _rsi(state, bar, previous)
    elif state.kind == KIND_ATR:
        out[0] = _atr(&state.first, bar, previous)
    elif state.kind == KIND_BBANDS:
        _bbands(state, bar, windows, out)
    elif state.kind == KIND_MACD:
        _macd(state, bar, out)
    elif state.kind == KIND_WMA:
        out[0] = _wma(state, bar.close, windows)
    elif state.kind == KIND_VWAP_DAY:
        out[0] = _vwap_day(state, bar)
    elif state.kind == KIND_VWAP:
        out[0] = _vwap(state, bar, windows)
    elif state.kind == KIND_DONCHIAN:
        _donchian(state, bar, windows, out)
    elif state.kind == KIND_STDDEV:
        out[0] = _deviation(state, bar.close, windows, &change)
    elif state.kind == KIND_ROC:
        change = shift(&state.ring, windows, bar.close)
        out[0] = (bar.close / change - 1.0) * 100.0 if change != 0.0 else 0.0
    elif state.kind == KIND_MOM:
        out[0] = bar.close - shift(&state.ring, windows, bar.close)
    elif state.kind == KIND_ADX:
        out[0] = _adx(state, bar, previous)
    elif state.kind == KIND_DMI:
        _directional(state, bar, previous, out)
    elif state.kind == KIND_STOCH:
        _stoch(state, bar, windows, out)
    elif state.kind == KIND_CCI:
        out[0] = _cci(state, bar, windows)
    elif state.kind == KIND_OBV:
        out[0] = _obv(state, bar, previous)
    elif state.kind == KIND_MFI:
        out[0] = _mfi(state, bar, previous, windows)
    elif state.kind == KIND_HIGHEST:
        out[0] = extreme_in(&state.top, windows, bar.high, bar.index)
    elif state.kind == KIND_LOWEST:
        out[0] = extreme_in(&state.bottom, windows, bar.low, bar.index)
    elif state.kind == KIND_TRUE_RANGE:
        out[0] = true_range(bar, previous)
    elif state.kind == KIND_WILLR:
        out[0] = _willr(state, bar, windows)
    elif state.kind == KIND_ZSCORE:
        out[0] = _zscore(state, bar.close, windows)
    elif state.kind == KIND_KELTNER:
        _keltner(state, bar, previous, out)


# -- layout --------------------------------------------------------------------------------------

cdef int _set_averages(indicator_t* state, str name, tuple numbers) except -1:
    cdef int32_t period = numbers[0] if numbers else 0
    if name == "ema":
        set_smooth(&state.first, period, 2.0 / (period + 1))
    elif name == "ewma":
        # Seeded by its first input alone.
        set_smooth(&state.first, 1, 2.0 / (period + 1))
    elif name in ("rsi", "atr"):
        set_smooth(&state.first, period, 1.0 / period)
        set_smooth(&state.second, period, 1.0 / period)
    elif name == "keltner":
        set_smooth(&state.first, period, 2.0 / (period + 1))
        set_smooth(&state.second, period, 1.0 / period)
        state.factor = numbers[1]
    elif name in ("adx", "dmi"):
        set_smooth(&state.third, period, 1.0 / period)
    elif name == "macd":
        set_smooth(&state.first, numbers[0], 2.0 / (numbers[0] + 1))
        set_smooth(&state.second, numbers[1], 2.0 / (numbers[1] + 1))
        set_smooth(&state.third, numbers[2], 2.0 / (numbers[2] + 1))
    return 0


cdef int64_t _set_windows(indicator_t* state, str name, tuple numbers, int64_t start) except -1:
    """Set what looks back over a window; return where the next window starts."""
    cdef int32_t period = numbers[0] if numbers else 0
    if name in ("sma", "wma", "bbands", "stddev", "zscore", "roc", "mom", "cci"):
        start = set_ring(&state.ring, period, start)
        if name == "bbands":
            state.factor = numbers[1]
        elif name == "wma":
            state.factor = 2.0 / (<double>period * (period + 1))
    elif name == "mfi" or (name == "vwap" and numbers):
        start = set_ring(&state.ring, period, start)
        start = set_ring(&state.ring_second, period, start)
    elif name in ("donchian", "highest", "lowest", "willr", "stoch"):
        start = set_extreme(&state.top, period, 1.0, start)
        start = set_extreme(&state.bottom, period, -1.0, start)
        if name == "stoch":
            start = set_ring(&state.ring, numbers[1], start)
            start = set_ring(&state.ring_second, numbers[2], start)
    return start


cdef void _run(IndicatorSet indicators, const double* rows, const int64_t* ts_ns, int64_t count,
               double* out) noexcept nogil:
    cdef int64_t k
    cdef int j
    cdef const double* row
    for k in range(count):
        row = rows + 5 * k
        indicators.update(row[0], row[1], row[2], row[3], row[4], ts_ns[k])
        for j in range(indicators.output_count):
            out[j] = indicators.values[j]
        out += indicators.output_count


@cython.final
cdef class IndicatorSet:
    """Indicators of one series of bars; see the stub for the Python face."""

    def __cinit__(self):
        self.values = NULL
        self.indicators = NULL
        self.windows = NULL

    def __init__(self, specs):
        if self.values != NULL:
            raise IndicatorError("an indicator set is made once")
        if isinstance(specs, str):
            raise IndicatorError(f"indicator specs must be a list of texts, got {specs!r}")
        self.specs = tuple(dict.fromkeys(specs))
        if len(self.specs) > INDICATORS_MAX:
            raise IndicatorError(f"{len(self.specs)} indicators; at most {INDICATORS_MAX} in a set")
        self.slots = {}
        for spec in self.specs:
            for suffix in parse(spec).outputs:
                self.slots[spec + suffix] = len(self.slots)
        self.indicator_count = len(self.specs)
        self.output_count = len(self.slots)
        if self.output_count > OUTPUTS_MAX:
            raise IndicatorError(f"{self.output_count} outputs; at most {OUTPUTS_MAX} in a set")
        self._allocate()
        self.reset()

    def __dealloc__(self):
        free(self.values)
        free(self.indicators)
        free(self.windows)

    cdef int _allocate(self) except -1:
        # One element more than asked, since calloc(0) may return NULL.
        self.values = <double*>calloc(self.output_count + 1, sizeof(double))
        self.indicators = <indicator_t*>calloc(self.indicator_count + 1, sizeof(indicator_t))
        if self.values == NULL or self.indicators == NULL:
            raise MemoryError("indicators: no memory for their state")
        self._lay_out()
        self.windows = <double*>calloc(self.window_count + 1, sizeof(double))
        if self.windows == NULL:
            raise MemoryError(f"indicators: no memory for windows of {self.window_count} numbers")
        return 0

    cdef int _lay_out(self) except -1:
        """Set every state to its start; find each window's place."""
        cdef indicator_t* state
        cdef int32_t output = 0
        cdef int64_t start = 0
        cdef int k
        memset(self.indicators, 0, self.indicator_count * sizeof(indicator_t))
        self.warm_up = 0
        for k in range(self.indicator_count):
            spec = parse(self.specs[k])
            state = &self.indicators[k]
            state.kind = KIND_VWAP_DAY if self.specs[k] == "vwap" else _KINDS[spec.name]
            state.output = output
            state.output_count = len(spec.outputs)
            state.lookback = spec.lookback
            output += state.output_count
            _set_averages(state, spec.name, spec.numbers)
            start = _set_windows(state, spec.name, spec.numbers, start)
            self.warm_up = max(self.warm_up, state.lookback + 1)
        self.window_count = start
        return 0

    cdef void update(self, double open_, double high, double low, double close, double volume,
                     int64_t ts_ns) noexcept nogil:
        # The two last bars take turns in place: a copy would wait for the stores before it.
        cdef bar_t* bar = &self.recent[self.bar_count & 1]
        cdef const bar_t* previous = &self.recent[(self.bar_count & 1) ^ 1]
        cdef indicator_t* state
        cdef double* out
        cdef int k, j
        bar.open = open_
        bar.high = high
        bar.low = low
        bar.close = close
        bar.volume = volume
        bar.ts_ns = ts_ns
        bar.index = self.bar_count
        for k in range(self.indicator_count):
            state = &self.indicators[k]
            out = self.values + state.output
            # The commonest kind first: a branch the processor foresees, not a jump by table. Its
            # value is NaN by itself until it is seeded.
            if state.kind == KIND_EMA:
                out[0] = smooth_in(&state.first, close)
                continue
            _step(state, bar, previous, self.windows, out)
            if cython.unlikely(bar.index < state.lookback):
                for j in range(state.output_count):
                    out[j] = NAN
        self.bar_count += 1

    @property
    def names(self):
        return tuple(self.slots)

    def reset(self):
        cdef int k
        self._lay_out()
        memset(self.windows, 0, self.window_count * sizeof(double))
        memset(self.recent, 0, sizeof(self.recent))
        self.bar_count = 0
        for k in range(self.output_count):
            self.values[k] = NAN

    def update_bar(self, double open, double high, double low, double close, double volume,
                   int64_t ts_ns):
        if not math.isfinite(open + high + low + close + volume):
            raise ValueError(f"bar at {ts_ns} has a number that is not finite")
        self.update(open, high, low, close, volume, ts_ns)

    def value(self, name):
        if name not in self.slots:
            near = difflib.get_close_matches(str(name), self.slots, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise IndicatorError(f"no output {name!r}.{hint} Existing: {', '.join(self.slots)}")
        cdef int slot = self.slots[name]
        return self.values[slot]

    def compute(self, bars, ts=None, double tick_size=1.0, double lot_size=1.0):
        bars = np.asarray(bars)
        if bars.dtype == BAR_DTYPE:
            ts = bars["ts_event_ns"]
            sizes = (tick_size, tick_size, tick_size, tick_size, lot_size)
            fields = ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
            bars = np.stack([bars[f] * s for f, s in zip(fields, sizes, strict=True)], axis=-1)
        elif ts is None:
            raise ValueError("compute: bars of floats need ts, their close times in ns")
        cdef const double[:, ::1] rows = np.ascontiguousarray(bars, dtype=np.float64)
        cdef const int64_t[::1] times = np.ascontiguousarray(ts, dtype=np.int64)
        cdef int64_t count = rows.shape[0]
        if rows.shape[1] != 5 or times.shape[0] != count:
            raise ValueError(
                f"compute: bars must be (n, 5) with n times, got {bars.shape} and {len(times)}"
            )
        if not np.isfinite(rows).all():
            raise ValueError("compute: bars hold a number that is not finite")
        out = np.empty((count, self.output_count), dtype=np.float64)
        cdef double[:, ::1] numbers = out
        if count and self.output_count:
            with nogil:
                _run(self, &rows[0, 0], &times[0], count, &numbers[0, 0])
        return out

    # -- snapshot ----------------------------------------------------------------------------

    def state_bytes(self):
        payload = b"".join((
            "\n".join(self.specs).encode(), b"\0",
            (<char*>&self.bar_count)[:sizeof(int64_t)],
            (<char*>self.recent)[:sizeof(self.recent)],
            (<char*>self.indicators)[:self.indicator_count * sizeof(indicator_t)],
            (<char*>self.windows)[:self.window_count * sizeof(double)],
            (<char*>self.values)[:self.output_count * sizeof(double)],
        ))
        return struct.pack("<4sII", b"MIND", SNAPSHOT_VERSION, zlib.crc32(payload)) + payload

    def restore(self, bytes state not None):
        mine = self.state_bytes()
        head = len("\n".join(self.specs).encode()) + 1 + 12
        if len(state) < 12 or state[:8] != mine[:8]:
            raise ValueError("indicator snapshot: not one of this version")
        if struct.unpack_from("<I", state, 8)[0] != zlib.crc32(state[12:]):
            raise ValueError("indicator snapshot: damaged, its checksum differs")
        if len(state) != len(mine) or state[12:head] != mine[12:head]:
            raise ValueError(f"indicator snapshot: not of the indicators {', '.join(self.specs)}")
        cdef const char* source = state
        source += <Py_ssize_t>head
        memcpy(&self.bar_count, source, sizeof(int64_t))
        source += sizeof(int64_t)
        memcpy(self.recent, source, sizeof(self.recent))
        source += sizeof(self.recent)
        memcpy(self.indicators, source, self.indicator_count * sizeof(indicator_t))
        source += self.indicator_count * sizeof(indicator_t)
        memcpy(self.windows, source, self.window_count * sizeof(double))
        source += self.window_count * sizeof(double)
        memcpy(self.values, source, self.output_count * sizeof(double))
