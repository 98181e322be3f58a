# cython: language_level=3
"""A displayed book less what we have already taken from it."""

from mmats._core.book cimport OrderBook
from mmats._core.types cimport event_t, lots_t, price_ticks_t

cdef enum:
    USED_MAX = 64                   # levels, both sides together

cdef struct used_t:
    price_ticks_t price
    lots_t shown_lots               # what the level displayed when we took from it
    lots_t lots                     # what we took
    int is_ask

cdef class Depth:
    cdef readonly OrderBook book
    cdef used_t[USED_MAX] used
    cdef int used_count

    # What we took of a level is forgotten when a row of the book changes its size.
    cdef void forget(self, const event_t* delta) noexcept nogil
    # Next level worse than `beyond` (0 = start at the best), not worse than `limit` (0 = any), with
    # something left. 1 = written, 0 = none.
    cdef int next_offer(self, int is_ask, price_ticks_t beyond, price_ticks_t limit,
                        price_ticks_t* price, lots_t* lots) noexcept nogil
    # Everything that is left up to `limit`, at most `want`.
    cdef lots_t offered(self, int is_ask, price_ticks_t limit, lots_t want) noexcept nogil
    cdef void use(self, int is_ask, price_ticks_t price, lots_t lots) noexcept nogil
    cdef int find(self, int is_ask, price_ticks_t price) noexcept nogil
