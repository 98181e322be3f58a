# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Time bars from trades, quotes or smaller bars.

Hot path: ``BarBuilder.update``, once per event of one instrument, single writer. A builder is fed
either ticks or bars, not both, since volume would count twice.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memset

import numpy as np

from mmats._core.frames import BAR_DTYPE, EVENT_DTYPE, QUOTE_DTYPE, TRADE_DTYPE
from mmats._core.types cimport (
    BAR_BID, BAR_MID, BAR_SPREAD, EVENT_BAR, EVENT_QUOTE, EVENT_TRADE, event_t, mmats_add, ts_ns_t,
)

cdef enum:
    BATCH = 65536           # events per step of a batch: bounds the memory of its output
    SPREAD_MAX = 65535      # spread_ticks is uint16

cdef ts_ns_t WEEK_NS = 7 * 86400 * 1000000000LL
cdef ts_ns_t FIRST_MONDAY_NS = 4 * 86400 * 1000000000LL    # 1970-01-05
cdef ts_ns_t INTERVAL_MAX_NS = 366 * 86400 * 1000000000LL

_BASES = {"trade": BASIS_TRADE, "bid": BASIS_BID, "mid": BASIS_MID}
_INPUTS = (BAR_DTYPE, QUOTE_DTYPE, TRADE_DTYPE, EVENT_DTYPE)


cdef inline int _as_bar(const event_t* event, BarBasis basis, event_t* bar) noexcept nogil:
    """Write the event as a bar of one price; return 0 when it is not an input of the basis."""
    cdef int64_t price, volume = 0
    cdef int64_t spread = 0
    cdef int flags = 0
    if event.kind == EVENT_BAR:
        bar[0] = event[0]
        if not event.flags & BAR_SPREAD:
            bar.spread_ticks = 0
        return 1
    if event.kind == EVENT_TRADE and basis == BASIS_TRADE:
        price = event.a
        volume = event.b
    elif event.kind == EVENT_QUOTE and basis != BASIS_TRADE:
        # The shift rounds toward minus infinity: prices of spreads and oil may be negative.
        price = event.a if basis == BASIS_BID else (event.a + event.b) >> 1
        flags = (BAR_BID if basis == BASIS_BID else BAR_MID) | BAR_SPREAD
        spread = event.b - event.a
        if spread < 0:
            spread = 0
        if spread > SPREAD_MAX:
            spread = SPREAD_MAX
    else:
        return 0
    bar.kind = EVENT_BAR
    bar.flags = flags
    bar.spread_ticks = spread
    bar.instrument = event.instrument
    bar.ts_event_ns = event.ts_event_ns
    bar.ts_recv_ns = event.ts_recv_ns
    bar.a = bar.b = bar.c = bar.d = price
    bar.e = volume
    return 1


@cython.final
cdef class BarBuilder:
    """Builds the bars of one instrument; see the stub for the Python face."""

    def __cinit__(self):
        memset(&self.current, 0, sizeof(event_t))
        self.is_open = False
        self.closed_until_ns = INT64_MIN
        self.late_count = 0
        self.overflow_count = 0

    def __init__(self, ts_ns_t interval_ns, basis="trade"):
        if not 0 < interval_ns <= INTERVAL_MAX_NS:
            raise ValueError(f"bar interval must be 1 to {INTERVAL_MAX_NS} ns, got {interval_ns}")
        if basis not in _BASES:
            raise ValueError(f"bar basis must be one of {', '.join(_BASES)}, got {basis!r}")
        self.interval_ns = interval_ns
        self.basis = _BASES[basis]
        self.origin_ns = FIRST_MONDAY_NS if interval_ns % WEEK_NS == 0 else 0

    cdef ts_ns_t _bucket_end(self, ts_ns_t ts_ns) noexcept nogil:
        """Return the end of the bucket [end - interval, end) that holds ts_ns."""
        cdef ts_ns_t into = (ts_ns - self.origin_ns) % self.interval_ns
        if into < 0:
            into += self.interval_ns
        return ts_ns - into + self.interval_ns

    cdef void _merge(self, const event_t* bar) noexcept nogil:
        if bar.b > self.current.b:
            self.current.b = bar.b
        if bar.c < self.current.c:
            self.current.c = bar.c
        self.current.d = bar.d
        if mmats_add(self.current.e, bar.e, &self.current.e) != 0:
            self.current.e = INT64_MAX
            self.overflow_count += 1
        if bar.flags & BAR_SPREAD:
            self.current.flags = self.current.flags | BAR_SPREAD
            if bar.spread_ticks > self.current.spread_ticks:
                self.current.spread_ticks = bar.spread_ticks

    cdef int update(self, const event_t* event, event_t* out) noexcept nogil:
        cdef event_t bar
        cdef ts_ns_t inside_ns, end_ns
        cdef int count = 0
        if not _as_bar(event, self.basis, &bar):
            return 0
        # A bar holds the time before its close; a tick at the bucket's end opens the next one.
        inside_ns = bar.ts_event_ns - 1 if event.kind == EVENT_BAR else bar.ts_event_ns
        if inside_ns < self.closed_until_ns or (
                self.is_open and inside_ns < self.current.ts_event_ns - self.interval_ns):
            self.late_count += 1
            return 0
        if self.is_open and inside_ns >= self.current.ts_event_ns:
            count = self.close_until(inside_ns, out)
            out[0].ts_recv_ns = event.ts_recv_ns
        if self.is_open:
            self._merge(&bar)
            end_ns = self.current.ts_event_ns
        else:
            end_ns = self._bucket_end(inside_ns)
            self.current = bar
            self.current.ts_event_ns = end_ns
            self.is_open = True
        if event.kind == EVENT_BAR and bar.ts_event_ns == end_ns:
            self.close_until(end_ns, out + count)
            out[count].ts_recv_ns = event.ts_recv_ns
            count += 1
        return count

    cdef int close_until(self, ts_ns_t now_ns, event_t* out) noexcept nogil:
        if not self.is_open or self.current.ts_event_ns > now_ns:
            return 0
        out[0] = self.current
        out[0].ts_recv_ns = now_ns
        self.closed_until_ns = self.current.ts_event_ns
        self.is_open = False
        return 1

    cdef int64_t _run(self, const event_t* events, int64_t count, event_t* out) noexcept nogil:
        """Feed `count` events; `out` has room for count + 1 bars. Return the number written."""
        cdef int64_t k
        cdef int64_t written = 0
        for k in range(count):
            written += self.update(&events[k], out + written)
        return written

    # -- Python face -------------------------------------------------------------------------

    def aggregate(self, events, until_ns=None):
        events = np.ascontiguousarray(events)
        self._check(events)
        cdef const char[::1] source = events.view("i1")
        bars = np.empty(min(len(events), BATCH) + 2, dtype=BAR_DTYPE)
        cdef char[::1] target = bars.view("i1")
        cdef event_t* out = <event_t*>&target[0]
        cdef int64_t total = len(events)
        cdef int64_t start = 0
        cdef int64_t count, written
        cdef ts_ns_t until
        parts = []
        while start < total:
            count = min(total - start, BATCH)
            with nogil:
                written = self._run(<const event_t*>&source[0] + start, count, out)
            parts.append(bars[:written].copy())
            start += count
        if until_ns is not None:
            until = until_ns
            parts.append(bars[:self.close_until(until, out)].copy())
        if self.overflow_count:
            raise OverflowError("bars: the volume of a bar does not fit into 64 bits of lots")
        return np.concatenate(parts) if parts else bars[:0].copy()

    def _check(self, events):
        if events.ndim != 1 or events.dtype not in _INPUTS:
            raise ValueError(
                f"events must be a 1-D array of bars, quotes or trades, got {events.dtype}"
            )
        if not len(events):
            return
        ts = events["ts_event_ns"]
        backward = np.diff(ts) < 0
        if backward.any():
            at = int(np.argmax(backward)) + 1
            raise ValueError(f"events out of order of time: event {at} is before event {at - 1}")
        first = self.current.instrument if self.is_open else events["instrument"][0]
        if (events["instrument"] != first).any():
            raise ValueError("events of several instruments; use one builder for each")
        tick_kind = EVENT_TRADE if self.basis == BASIS_TRADE else EVENT_QUOTE
        has_bars = (events["kind"] == EVENT_BAR).any()
        has_ticks = (events["kind"] == tick_kind).any()
        if has_bars and has_ticks:
            raise ValueError("events hold bars and ticks; volume would count twice")
        if not has_bars and not has_ticks:
            wanted = "trades" if self.basis == BASIS_TRADE else "quotes"
            raise ValueError(f"events hold neither {wanted} nor bars; is their kind set?")

    def reset(self):
        """Forget the current bar and what was closed."""
        memset(&self.current, 0, sizeof(event_t))
        self.is_open = False
        self.closed_until_ns = INT64_MIN
        self.late_count = 0
        self.overflow_count = 0
