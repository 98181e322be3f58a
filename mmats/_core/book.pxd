# cython: language_level=3
"""Price-level order book of one instrument. Single writer; never allocates after construction."""

from libc.stdint cimport int64_t, uint64_t

from mmats._core.types cimport event_t, lots_t, price_ticks_t

cdef enum:
    WINDOW_BLOCKS = 8           # a power of two, at most 64
    WINDOW_WORDS = 512          # 64 words a block
    WINDOW_TICKS = 32768        # dense window behind the top, 64 ticks a word
    FAR_LEVELS_MAX = 16384      # levels worse than the window, per side; a power of two

cpdef enum BookState:
    BOOK_EMPTY = 0              # nothing known yet, or a snapshot is still being read
    BOOK_LIVE = 1
    BOOK_STALE_GAP = 2          # a sequence number, or the end of a message, is missing
    BOOK_STALE_CROSSED = 3      # best bid >= best ask after a whole message
    BOOK_STALE_FULL = 4         # more levels than FAR_LEVELS_MAX
    BOOK_STALE_RECONNECT = 5    # declared by the feed
    BOOK_STALE_INVALID = 6      # a row that no venue sends: price or size out of range

cdef enum ApplyResult:
    APPLY_STALE = -1            # this row made the book stale; `state` says why
    APPLY_IGNORED = 0           # old message, or the book waits for a snapshot
    APPLY_DONE = 1

cdef struct level_t:
    int64_t key
    lots_t lots

# One side. Its levels are held by `key`, which is the price for bids and minus the price for
# asks, so that on both sides the greater key is the better price and one code serves both.
cdef struct ladder_t:
    int64_t sign                    # 1 bids, -1 asks: price = key * sign
    int64_t best_key                # KEY_NONE where the side is empty
    lots_t best_lots                # 0 where the side is empty
    # Window: keys [base, base + WINDOW_TICKS) in a ring, key k in slot k % WINDOW_TICKS, so that
    # moving the window moves only the levels that enter or leave it. `base` is a multiple of a
    # block of 4096 ticks. Three levels of bits find the next level from the top down.
    int64_t base
    uint64_t blocks                     # bit k: summary[k] is not zero
    uint64_t[WINDOW_BLOCKS] summary     # bit w of summary[k]: words[64 * k + w] is not zero
    uint64_t[WINDOW_WORDS] words        # bit b of words[w]: slot 64 * w + b holds a level
    lots_t[WINDOW_TICKS] lots           # 0 where there is no level
    # Levels with keys below `base`, ascending by key, in a ring that starts at far[far_first].
    uint64_t far_first
    uint64_t far_count
    level_t[FAR_LEVELS_MAX] far

cdef class OrderBook:
    cdef ladder_t* ladders          # [0] bids, [1] asks
    cdef int phase                  # where in the message stream the book is
    cdef int resume                 # phase after an ignored message
    cdef int64_t expected_first     # first sequence of the next row: the open message's, or the next
    cdef readonly BookState state
    cdef readonly bint is_live      # state == BOOK_LIVE; nothing may be decided when it is 0
    cdef readonly int64_t sequence  # last sequence of the row applied last

    cdef int apply(self, const event_t* delta) noexcept nogil
    cdef int _apply_admitted(self, const event_t* delta) noexcept nogil
    cdef int _finish(self, int crossed) noexcept nogil
    cdef int _admit(self, const event_t* delta) noexcept nogil
    cdef int _admit_snapshot(self, const event_t* delta) noexcept nogil
    cdef int _start_message(self, const event_t* delta) noexcept nogil
    cdef void _clear(self) noexcept nogil
    cdef int mark_stale(self, BookState state) noexcept nogil

    # Displayed size at a price; 0 = no level, or the book is not live.
    cdef lots_t size_at(self, int is_ask, price_ticks_t price) noexcept nogil
    # Next level strictly worse than `beyond` (0 = start at the best). 1 = written, 0 = none left.
    cdef int next_level(self, int is_ask, price_ticks_t beyond, price_ticks_t* price,
                        lots_t* lots) noexcept nogil

    # Top of the book; 0 = the side is empty, or the book is not live.
    cdef inline price_ticks_t best_bid_ticks(self) noexcept nogil:
        return self.ladders[0].best_key if self.ladders[0].best_lots and self.is_live else 0

    cdef inline price_ticks_t best_ask_ticks(self) noexcept nogil:
        return -self.ladders[1].best_key if self.ladders[1].best_lots and self.is_live else 0

    cdef inline lots_t best_bid_lots(self) noexcept nogil:
        return self.ladders[0].best_lots if self.is_live else 0

    cdef inline lots_t best_ask_lots(self) noexcept nogil:
        return self.ladders[1].best_lots if self.is_live else 0
