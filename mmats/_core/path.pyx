# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The way a price takes through a bar: open, one extreme, the other, close; linear in between.

The extremes are at one and two thirds of the bar's time, so that an order that arrives in the
middle of a bar meets a price that does not know the rest of the bar.
"""

from libc.stdint cimport int64_t

from mmats._core.types cimport (
    event_t, mmats_muldiv_ceil, mmats_muldiv_floor, price_ticks_t, ts_ns_t,
)


cdef void path_start(path_t* path, const event_t* bar, ts_ns_t open_ns) noexcept nogil:
    cdef ts_ns_t third_ns = (bar.ts_event_ns - open_ns) // 3
    path.prices[0] = bar.a
    path.prices[1] = bar.b
    path.prices[2] = bar.c
    path.prices[3] = bar.d
    path.times[0] = open_ns
    path.times[1] = open_ns + third_ns
    path.times[2] = open_ns + 2 * third_ns
    path.times[3] = bar.ts_event_ns
    path.leg = LEG_OPEN
    path.step = 0
    path.price = bar.a
    path.ahead = bar.a
    path.time_ns = open_ns


cdef int path_is_high_nearer(const path_t* path) noexcept nogil:
    return path.prices[1] - path.prices[0] <= path.prices[0] - path.prices[2]


cdef void path_order(path_t* path, int high_first) noexcept nogil:
    cdef price_ticks_t low = path.prices[2]
    if not high_first:
        path.prices[2] = path.prices[1]
        path.prices[1] = low
    path_turn(path)


cdef void path_turn(path_t* path) noexcept nogil:
    cdef int64_t change
    path.leg += 1
    path.price = path.prices[path.leg]
    path.ahead = path.price
    path.time_ns = path.times[path.leg]
    if path.leg < LEG_COUNT:
        change = path.prices[path.leg + 1] - path.price
        path.step = (change > 0) - (change < 0)


cdef ts_ns_t path_time_at(const path_t* path, price_ticks_t price) noexcept nogil:
    cdef price_ticks_t start = path.prices[path.leg]
    cdef ts_ns_t span_ns = path.times[path.leg + 1] - path.times[path.leg]
    cdef int64_t length = (path.prices[path.leg + 1] - start) * path.step
    cdef int64_t gone = (price - start) * path.step
    cdef int64_t part_ns = span_ns
    if length > 0 and mmats_muldiv_ceil(span_ns, gone, length, &part_ns) != 0:
        part_ns = span_ns
    part_ns += path.times[path.leg]
    return part_ns if part_ns > path.time_ns else path.time_ns


cdef void path_move(path_t* path, price_ticks_t price) noexcept nogil:
    path.time_ns = path_time_at(path, price)
    path.price = price
    path.ahead = price


cdef void path_seek(path_t* path, ts_ns_t ts) noexcept nogil:
    cdef ts_ns_t since_ns = ts - path.times[path.leg]
    cdef ts_ns_t span_ns = path.times[path.leg + 1] - path.times[path.leg]
    cdef int64_t length = (path.prices[path.leg + 1] - path.prices[path.leg]) * path.step
    cdef int64_t moved = 0, rest = 0
    path.time_ns = ts
    if length == 0 or mmats_muldiv_floor(length, since_ns, span_ns, &moved, &rest) != 0:
        return
    path.price = path.prices[path.leg] + moved * path.step
    path.ahead = path.price + (path.step if rest > 0 else 0)
