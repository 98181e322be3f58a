# cython: language_level=3
"""The way a price takes through a bar: open, one extreme, the other, close."""

from libc.stdint cimport int64_t

from mmats._core.types cimport event_t, price_ticks_t, ts_ns_t

cpdef enum PathRule:
    PATH_WORST = 1        # the extreme that hurts the open position comes first
    PATH_NEAREST = 2      # the extreme nearer to the open comes first
    PATH_HIGH_FIRST = 3
    PATH_LOW_FIRST = 4

cdef enum PathLeg:
    LEG_OPEN = -1         # stands at the open; the extremes are not in order yet
    LEG_COUNT = 3         # legs 0, 1, 2; this value = at the close

cdef struct path_t:
    price_ticks_t[4] prices
    ts_ns_t[4] times
    int64_t leg
    int64_t step            # of the leg: 1 up, -1 down, 0 flat
    price_ticks_t price     # last tick reached
    price_ticks_t ahead     # the tick it is on the way to; equal to `price` when it stands on one
    ts_ns_t time_ns

# A bar that opened at `open_ns`.
cdef void path_start(path_t* path, const event_t* bar, ts_ns_t open_ns) noexcept nogil
# Leave the open: which extreme comes first is decided now.
cdef void path_order(path_t* path, int high_first) noexcept nogil
# 1 = the high is nearer to the open than the low (or as near).
cdef int path_is_high_nearer(const path_t* path) noexcept nogil
# When the leg reaches a price on it, rounded up.
cdef ts_ns_t path_time_at(const path_t* path, price_ticks_t price) noexcept nogil
# Go on to a price, or to a time, of the present leg.
cdef void path_move(path_t* path, price_ticks_t price) noexcept nogil
cdef void path_seek(path_t* path, ts_ns_t ts) noexcept nogil
# Go on to the next leg; the path stands at the present leg's end.
cdef void path_turn(path_t* path) noexcept nogil
