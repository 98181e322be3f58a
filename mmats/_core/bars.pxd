# cython: language_level=3
"""Time bars from trades, quotes or smaller bars, aligned to multiples of the interval in UTC."""

from libc.stdint cimport int64_t

from mmats._core.types cimport event_t, ts_ns_t

cdef enum BarBasis:
    BASIS_TRADE = 1     # trades
    BASIS_BID = 2       # quotes, bid price
    BASIS_MID = 3       # quotes, mid price rounded down to a tick

cdef class BarBuilder:
    cdef readonly ts_ns_t interval_ns
    cdef readonly ts_ns_t closed_until_ns   # end of the last closed bar; earlier events are late
    cdef readonly int64_t late_count        # events refused: older than the current or the last bar
    cdef readonly int64_t overflow_count    # times a bar's volume stopped at the largest int64
    cdef BarBasis basis
    cdef ts_ns_t origin_ns          # a bucket starts here: the epoch, or a Monday for weeks
    cdef event_t current            # the bar being built; ts_event_ns is its close (exclusive end)
    cdef bint is_open
    # Feed one event (bar, quote or trade of the instrument). Returns the number of closed bars
    # written to `out` (0, 1 or 2): a bar that ended before this event, and, when the event is a
    # bar whose close is the bucket's end, the bucket itself.
    cdef int update(self, const event_t* event, event_t* out) noexcept nogil
    # Close the current bar if its end is <= now_ns (timer, end of data). Returns 0 or 1.
    cdef int close_until(self, ts_ns_t now_ns, event_t* out) noexcept nogil
    cdef ts_ns_t _bucket_end(self, ts_ns_t ts_ns) noexcept nogil
    cdef void _merge(self, const event_t* bar) noexcept nogil
    cdef int64_t _run(self, const event_t* events, int64_t count, event_t* out) noexcept nogil
