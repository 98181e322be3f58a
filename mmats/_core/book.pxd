# cython: language_level=3
"""Price-level order book of one instrument. Single writer; never allocates after construction."""

from mmats._core.types cimport event_t, lots_t, price_ticks_t, ts_ns_t
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    WINDOW_TICKS = 4096         # dense window around the top; 64 words of 64 bits
    WINDOW_WORDS = 64
    FAR_LEVELS_MAX = 16384      # levels outside the window, per side

cpdef enum BookState:
    BOOK_EMPTY = 0              # nothing known yet
    BOOK_LIVE = 1
    BOOK_STALE_GAP = 2          # a sequence number is missing
    BOOK_STALE_CROSSED = 3      # best bid >= best ask after a whole message
    BOOK_STALE_FULL = 4         # more levels than FAR_LEVELS_MAX
    BOOK_STALE_RECONNECT = 5    # declared by the feed

cdef class OrderBook:
    # helper implements fields
    cdef int apply(self, const event_t* delta) noexcept nogil
    cdef lots_t size_at(self, int is_ask, price_ticks_t price) noexcept nogil
    cdef int next_level(self, int is_ask, price_ticks_t beyond, price_ticks_t* price, lots_t* lots) noexcept nogil
