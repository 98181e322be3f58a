# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The order book: a dense window behind each top, and a sorted ring for the levels beyond it.

Invariants of a ladder, which every function below keeps:

* ``lots[slot] > 0`` exactly where the slot's bit is set; the upper bits mirror the lower ones.
* Every far key is below ``base``; no level is above the window.
* The window is empty only if the whole side is, so the best level is always in the window.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from mmats._core.frames import DELTA_DTYPE
from mmats._core.types cimport (
    DELTA_ASK, DELTA_CLEAR, DELTA_LAST, DELTA_SNAPSHOT, EVENT_DELTA, event_t, lots_t,
    price_ticks_t,
)

cdef extern from *:
    int count_leading_zeros "__builtin_clzll"(unsigned long long) noexcept nogil
    int count_ones "__builtin_popcountll"(unsigned long long) noexcept nogil
    int count_trailing_zeros "__builtin_ctzll"(unsigned long long) noexcept nogil

cdef enum Phase:
    PHASE_WAIT = 0      # only a snapshot helps
    PHASE_SNAPSHOT = 1  # inside one
    PHASE_SKIP = 2      # inside an ignored message
    PHASE_JOIN = 3      # after a snapshot: the next message may begin before the snapshot's end
    PHASE_LIVE = 4

cdef enum:
    PROCEED = 2                 # the row belongs to a good message: set its level
    SLOT_MASK = WINDOW_TICKS - 1
    BLOCK_TICKS = 4096
    BLOCK_MASK = WINDOW_BLOCKS - 1
    BLOCKS_ALL = (1 << WINDOW_BLOCKS) - 1
    FAR_MASK = FAR_LEVELS_MAX - 1
    HEADROOM_TICKS = 8192       # room above the best after the window has moved
    DEPTH_TICKS_MIN = 8192      # the window moves down when the best is nearer to its end

cdef extern from *:
    """
    #define KEY_NONE (-(1LL << 62))
    """
    const int64_t KEY_NONE      # best key of an empty side


cdef inline bint _price_valid(price_ticks_t price) noexcept nogil:
    """1..2**60, so that sums and distances of two keys cannot overflow."""
    return ((<uint64_t>price - 1) >> 60) == 0


# -- far levels ----------------------------------------------------------------------------------

cdef inline level_t* _far_at(ladder_t* side, uint64_t position) noexcept nogil:
    return &side.far[(side.far_first + position) & FAR_MASK]


cdef uint64_t _far_position(ladder_t* side, int64_t key) noexcept nogil:
    """Number of far levels with a key below `key`."""
    cdef uint64_t low = 0, high = side.far_count, middle
    while low < high:
        middle = (low + high) >> 1
        if _far_at(side, middle).key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef int _far_insert(ladder_t* side, uint64_t position, int64_t key, lots_t lots) noexcept nogil:
    """Insert before `position`, moving the shorter part; -1 where there is no room."""
    cdef uint64_t k
    if side.far_count == FAR_LEVELS_MAX:
        return -1
    if position < side.far_count >> 1:
        side.far_first = (side.far_first - 1) & FAR_MASK
        for k in range(position):
            _far_at(side, k)[0] = _far_at(side, k + 1)[0]
    else:
        for k in range(side.far_count, position, -1):
            _far_at(side, k)[0] = _far_at(side, k - 1)[0]
    side.far_count += 1
    _far_at(side, position).key = key
    _far_at(side, position).lots = lots
    return 0


cdef void _far_remove(ladder_t* side, uint64_t position) noexcept nogil:
    """Remove the level at `position`, moving the shorter part."""
    cdef uint64_t k
    side.far_count -= 1
    if position < side.far_count >> 1:
        for k in range(position, 0, -1):
            _far_at(side, k)[0] = _far_at(side, k - 1)[0]
        side.far_first = (side.far_first + 1) & FAR_MASK
    else:
        for k in range(position, side.far_count):
            _far_at(side, k)[0] = _far_at(side, k + 1)[0]


cdef int _far_set(ladder_t* side, int64_t key, lots_t lots) noexcept nogil:
    cdef uint64_t position = _far_position(side, key)
    cdef bint found = position < side.far_count and _far_at(side, position).key == key
    if found and lots > 0:
        _far_at(side, position).lots = lots
    elif found:
        _far_remove(side, position)
    elif lots > 0:
        if _far_insert(side, position, key, lots):
            return -1
    return 0


# -- window --------------------------------------------------------------------------------------

cdef inline int64_t _base_for(int64_t best_key) noexcept nogil:
    """Base of a window with HEADROOM_TICKS above `best_key`, less what alignment takes."""
    return (best_key + HEADROOM_TICKS - WINDOW_TICKS) & -BLOCK_TICKS


cdef inline int64_t _key_of(const ladder_t* side, uint64_t slot) noexcept nogil:
    return side.base + <int64_t>((slot - <uint64_t>side.base) & SLOT_MASK)


cdef inline void _mark_word(ladder_t* side, uint64_t index) noexcept nogil:
    side.summary[index >> 6] |= 1ULL << (index & 63)
    side.blocks |= 1ULL << (index >> 6)


cdef inline void _unmark_word(ladder_t* side, uint64_t index) noexcept nogil:
    side.summary[index >> 6] &= ~(1ULL << (index & 63))
    if side.summary[index >> 6] == 0:
        side.blocks &= ~(1ULL << (index >> 6))


cdef inline void _window_put(ladder_t* side, int64_t key, lots_t lots) noexcept nogil:
    cdef uint64_t slot = <uint64_t>key & SLOT_MASK
    side.lots[slot] = lots
    side.words[slot >> 6] |= 1ULL << (slot & 63)
    _mark_word(side, slot >> 6)


cdef inline uint64_t _turn(const ladder_t* side) noexcept nogil:
    """Block of the ring in which the window begins."""
    return (<uint64_t>side.base // BLOCK_TICKS) & BLOCK_MASK


cdef inline uint64_t _ordered_blocks(const ladder_t* side) noexcept nogil:
    """The bits of `blocks` from the window's lowest block, bit 0, up to its highest."""
    cdef uint64_t turn = _turn(side)
    return (side.blocks >> turn) | ((side.blocks << (WINDOW_BLOCKS - turn)) & BLOCKS_ALL)


cdef inline int64_t _highest(const ladder_t* side, uint64_t ordered) noexcept nogil:
    """Greatest key in the given ordered blocks, of which there is one at least."""
    cdef uint64_t block = (63 - count_leading_zeros(ordered) + _turn(side)) & BLOCK_MASK
    cdef uint64_t index = 64 * block + 63 - count_leading_zeros(side.summary[block])
    return _key_of(side, 64 * index + 63 - count_leading_zeros(side.words[index]))


cdef int _window_raise(ladder_t* side, int64_t base) noexcept nogil:
    """Move the window up to `base`; levels that leave it below go to the far ring."""
    cdef int64_t key = side.base, end = min(base, side.base + WINDOW_TICKS)
    cdef uint64_t index, slot
    while key < end:
        index = (<uint64_t>key & SLOT_MASK) >> 6
        while side.words[index]:
            slot = 64 * index + count_trailing_zeros(side.words[index])
            if _far_insert(side, side.far_count, _key_of(side, slot), side.lots[slot]):
                return -1
            side.lots[slot] = 0
            side.words[index] &= side.words[index] - 1
        _unmark_word(side, index)
        key += 64
    side.base = base
    return 0


cdef void _window_lower(ladder_t* side, int64_t base) noexcept nogil:
    """Move the window down to `base`, where the slots that leave it are empty; fetch far levels."""
    cdef level_t* level
    side.base = base
    while side.far_count > 0:
        level = _far_at(side, side.far_count - 1)
        if level.key < base:
            break
        _window_put(side, level.key, level.lots)
        side.far_count -= 1


cdef void _take_best(ladder_t* side, int64_t key) noexcept nogil:
    side.best_key = key
    side.best_lots = side.lots[<uint64_t>key & SLOT_MASK]


cdef void _find_best(ladder_t* side) noexcept nogil:
    """Find the best level after the former one has gone; keep the window behind it."""
    cdef int64_t key
    if side.blocks:
        key = _highest(side, _ordered_blocks(side))
    elif side.far_count > 0:
        key = _far_at(side, side.far_count - 1).key
    else:
        side.best_key = KEY_NONE
        side.best_lots = 0
        return
    if side.far_count > 0 and key - side.base < DEPTH_TICKS_MIN:
        _window_lower(side, _base_for(key))
    _take_best(side, key)


cdef int _set_outside(ladder_t* side, int64_t key, lots_t lots) noexcept nogil:
    """Set a level outside the window; -1 where there is no room for one more."""
    if key < side.base and side.blocks:
        return _far_set(side, key, lots)
    if lots == 0:
        return 0
    if side.blocks == 0:
        side.base = _base_for(key)
    elif _window_raise(side, _base_for(key)):
        return -1
    _window_put(side, key, lots)
    _take_best(side, key)
    return 0


cdef inline int _set_level(ladder_t* side, int64_t key, lots_t lots) noexcept nogil:
    """Set the size of a level, 0 removes it; -1 where there is no room for one more.

    What changes with every row is stored without a branch, what changes seldom behind one: a
    store that the next row must wait for costs more than a branch that is rarely wrong.
    """
    cdef uint64_t slot = <uint64_t>key & SLOT_MASK
    cdef uint64_t index = slot >> 6, bit = 1ULL << (slot & 63), word = side.words[index]
    if cython.unlikely(<uint64_t>(key - side.base) >= <uint64_t>WINDOW_TICKS):
        return _set_outside(side, key, lots)
    side.lots[slot] = lots
    if lots > 0:
        side.words[index] = word | bit
        if cython.unlikely(word == 0):
            _mark_word(side, index)
        if key >= side.best_key:
            side.best_key = key
            side.best_lots = lots
        return 0
    side.words[index] = word & ~bit
    if word == bit:
        _unmark_word(side, index)
    if key == side.best_key:
        _find_best(side)
    return 0


cdef void _clear_ladder(ladder_t* side) noexcept nogil:
    cdef uint64_t block, index, slot
    while side.blocks:
        block = count_trailing_zeros(side.blocks)
        index = 64 * block + count_trailing_zeros(side.summary[block])
        while side.words[index]:
            slot = 64 * index + count_trailing_zeros(side.words[index])
            side.lots[slot] = 0
            side.words[index] &= side.words[index] - 1
        _unmark_word(side, index)
    side.far_first = 0
    side.far_count = 0
    _find_best(side)


cdef int64_t _level_count(const ladder_t* side) noexcept nogil:
    cdef int64_t count = <int64_t>side.far_count
    cdef int index
    for index in range(WINDOW_WORDS):
        count += count_ones(side.words[index])
    return count


cdef int64_t _window_below(const ladder_t* side, int64_t beyond) noexcept nogil:
    """Greatest key of the window below `beyond`, which is inside it; KEY_NONE = none."""
    cdef uint64_t slot = <uint64_t>beyond & SLOT_MASK
    cdef uint64_t index = slot >> 6, block = index >> 6, rows
    cdef uint64_t bits = side.words[index] & ((1ULL << (slot & 63)) - 1)
    if bits:
        return _key_of(side, 64 * index + 63 - count_leading_zeros(bits))
    bits = side.summary[block] & ((1ULL << (index & 63)) - 1)
    if bits:
        index = 64 * block + 63 - count_leading_zeros(bits)
        return _key_of(side, 64 * index + 63 - count_leading_zeros(side.words[index]))
    rows = (block - _turn(side)) & BLOCK_MASK
    bits = _ordered_blocks(side) & ((1ULL << rows) - 1)
    return _highest(side, bits) if bits else KEY_NONE


cdef int _next_below(ladder_t* side, int64_t beyond, int64_t* key, lots_t* lots) noexcept nogil:
    """Level with the greatest key below `beyond`; 1 = written, 0 = none."""
    cdef uint64_t position
    cdef int64_t found = KEY_NONE
    cdef level_t* level
    if beyond > side.best_key:
        found = side.best_key
    elif beyond > side.base:
        found = _window_below(side, beyond)
    if found != KEY_NONE:
        key[0] = found
        lots[0] = side.lots[<uint64_t>found & SLOT_MASK]
        return 1
    position = _far_position(side, beyond)
    if position == 0:
        return 0
    level = _far_at(side, position - 1)
    key[0] = level.key
    lots[0] = level.lots
    return 1


cdef inline bint _range_differs(const event_t* delta, int64_t sequence) noexcept nogil:
    """Whether a row with the open message's first sequence has another last one.

    Inside a message the first sequence is not above `sequence`; where one starts it is, and the
    mask is zero. Messages end at random, so a branch on that would cost more than all of this.
    """
    cdef int64_t inside = <int64_t>(<uint64_t>delta.c - 1 - <uint64_t>sequence) >> 63
    return (inside & (delta.d ^ sequence)) != 0


# -- the book ------------------------------------------------------------------------------------

@cython.final
cdef class OrderBook:

    def __cinit__(self):
        self.ladders = <ladder_t*>calloc(2, sizeof(ladder_t))
        if self.ladders == NULL:
            raise MemoryError("order book: no memory for its levels")
        self.ladders[0].sign = 1
        self.ladders[1].sign = -1
        self._clear()
        self.phase = PHASE_WAIT
        self.resume = PHASE_WAIT
        self.expected_first = 0
        self.state = BOOK_EMPTY
        self.is_live = False
        self.sequence = 0

    def __dealloc__(self):
        free(self.ladders)

    # -- writing ---------------------------------------------------------------------------------

    cdef inline int apply(self, const event_t* delta) noexcept nogil:
        """Apply one row; an ApplyResult. The book may be read after a row with DELTA_LAST."""
        cdef int code
        if cython.unlikely(delta.c != self.expected_first or self.phase != PHASE_LIVE
                           or delta.flags & (DELTA_SNAPSHOT | DELTA_CLEAR) or delta.c > delta.d
                           or _range_differs(delta, self.sequence)):
            code = self._admit(delta)
            if code != PROCEED:
                return code
        return self._apply_admitted(delta)

    cdef inline int _apply_admitted(self, const event_t* delta) noexcept nogil:
        """Set the level of a row whose place in the stream is right."""
        cdef uint64_t is_ask = delta.flags & DELTA_ASK
        cdef int64_t key = (delta.a ^ -<int64_t>is_ask) + <int64_t>is_ask   # -price for asks
        cdef uint64_t last = (delta.flags & DELTA_LAST) != 0, crossed
        if cython.unlikely(not _price_valid(delta.a) or delta.b < 0 or delta.kind != EVENT_DELTA):
            return self.mark_stale(BOOK_STALE_INVALID)
        if cython.unlikely(_set_level(&self.ladders[is_ask], key, delta.b)):
            return self.mark_stale(BOOK_STALE_FULL)
        self.sequence = delta.d
        if last:
            self.expected_first = <int64_t>(<uint64_t>delta.d + 1)
            crossed = self.ladders[0].best_key + self.ladders[1].best_key >= 0
            if cython.unlikely(crossed or self.phase == PHASE_SNAPSHOT):
                return self._finish(crossed)
        else:
            self.expected_first = delta.c
        return APPLY_DONE

    cdef int _finish(self, int crossed) noexcept nogil:
        """The last row of a message that leaves the book crossed, or of a snapshot."""
        if crossed:
            return self.mark_stale(BOOK_STALE_CROSSED)
        self.phase = PHASE_JOIN
        self.state = BOOK_LIVE
        self.is_live = True
        return APPLY_DONE

    cdef int _admit(self, const event_t* delta) noexcept nogil:
        """Rows that do not simply follow the last one: PROCEED, or the result of the row."""
        if delta.flags & DELTA_CLEAR or self.phase == PHASE_SNAPSHOT:
            return self._admit_snapshot(delta)
        if self.phase == PHASE_WAIT:
            return APPLY_IGNORED
        if self.phase == PHASE_SKIP:
            if delta.flags & DELTA_LAST:
                self.phase = self.resume
            return APPLY_IGNORED
        if delta.flags & DELTA_SNAPSHOT or delta.c < 0 or delta.c > delta.d:
            return self.mark_stale(BOOK_STALE_INVALID)
        if self.expected_first <= self.sequence:    # inside a message: its end is missing
            return self.mark_stale(BOOK_STALE_GAP)
        return self._start_message(delta)

    cdef int _start_message(self, const event_t* delta) noexcept nogil:
        """The rule of the venue on numbered messages, for the first row of one."""
        cdef bint joining = self.phase == PHASE_JOIN
        if delta.d == 0:
            self.phase = PHASE_LIVE
            return PROCEED
        if delta.d <= self.sequence:
            if not delta.flags & DELTA_LAST:
                self.resume = self.phase
                self.phase = PHASE_SKIP
            return APPLY_IGNORED
        if delta.c - 1 > self.sequence or (delta.c - 1 < self.sequence and not joining):
            return self.mark_stale(BOOK_STALE_GAP)
        self.phase = PHASE_LIVE
        return PROCEED

    cdef int _admit_snapshot(self, const event_t* delta) noexcept nogil:
        if delta.flags & DELTA_CLEAR:
            if delta.d < 0:
                return self.mark_stale(BOOK_STALE_INVALID)
            self._clear()
            self.state = BOOK_EMPTY
            self.is_live = False
            self.phase = PHASE_SNAPSHOT
            self.sequence = delta.d
        elif not delta.flags & DELTA_SNAPSHOT or delta.d != self.sequence:
            return self.mark_stale(BOOK_STALE_GAP)
        return PROCEED

    cdef void _clear(self) noexcept nogil:
        _clear_ladder(&self.ladders[0])
        _clear_ladder(&self.ladders[1])

    cdef int mark_stale(self, BookState state) noexcept nogil:
        """Empty the book, so that nobody can read it, and wait for a snapshot; APPLY_STALE."""
        self._clear()
        self.state = state
        self.is_live = False
        self.phase = PHASE_WAIT
        return APPLY_STALE

    def mark_reconnect(self):
        self.mark_stale(BOOK_STALE_RECONNECT)

    def apply_delta(self, uint8_t flags, int64_t price_ticks, int64_t size_lots,
                    int64_t first_sequence, int64_t last_sequence):
        cdef event_t delta
        delta.kind = EVENT_DELTA
        delta.flags = flags
        delta.a = price_ticks
        delta.b = size_lots
        delta.c = first_sequence
        delta.d = last_sequence
        return self.apply(&delta) == APPLY_DONE

    def apply_batch(self, deltas):
        cdef const event_t[::1] rows = _rows(deltas)
        cdef Py_ssize_t k
        cdef int64_t applied = 0
        with nogil:
            for k in range(rows.shape[0]):
                applied += self.apply(&rows[k]) == APPLY_DONE
        return applied

    # -- reading ---------------------------------------------------------------------------------

    cdef lots_t size_at(self, int is_ask, price_ticks_t price) noexcept nogil:
        cdef ladder_t* side = &self.ladders[is_ask != 0]
        cdef int64_t key
        cdef uint64_t position
        if not self.is_live or not _price_valid(price):
            return 0
        key = price * side.sign
        if <uint64_t>(key - side.base) < <uint64_t>WINDOW_TICKS:
            return side.lots[<uint64_t>key & SLOT_MASK]
        position = _far_position(side, key)
        if position < side.far_count and _far_at(side, position).key == key:
            return _far_at(side, position).lots
        return 0

    cdef int next_level(self, int is_ask, price_ticks_t beyond, price_ticks_t* price,
                        lots_t* lots) noexcept nogil:
        cdef ladder_t* side = &self.ladders[is_ask != 0]
        cdef int64_t key
        if not self.is_live or (beyond != 0 and not _price_valid(beyond)):
            return 0
        if not _next_below(side, beyond * side.sign if beyond else -KEY_NONE, &key, lots):
            return 0
        price[0] = key * side.sign
        return 1

    @property
    def best_bid(self):
        return _best(self, 0)

    @property
    def best_ask(self):
        return _best(self, 1)

    @property
    def mid_ticks_x2(self):
        if self.best_bid_ticks() == 0 or self.best_ask_ticks() == 0:
            return None
        return self.best_bid_ticks() + self.best_ask_ticks()

    @property
    def spread_ticks(self):
        if self.best_bid_ticks() == 0 or self.best_ask_ticks() == 0:
            return None
        return self.best_ask_ticks() - self.best_bid_ticks()

    @property
    def level_count(self):
        if not self.is_live:
            return 0
        return _level_count(&self.ladders[0]) + _level_count(&self.ladders[1])

    def size(self, bint is_ask, int64_t price_ticks):
        return self.size_at(is_ask, price_ticks)

    def depth(self, int64_t levels):
        if levels < 0:
            raise ValueError(f"depth: levels must not be negative, not {levels}")
        return _depth(self, 0, levels), _depth(self, 1, levels)


cdef object _rows(deltas):
    """The array itself, if it is one of deltas."""
    if not isinstance(deltas, np.ndarray) or deltas.dtype != DELTA_DTYPE or deltas.ndim != 1:
        raise TypeError(f"deltas: want a 1-D array of DELTA_DTYPE, not {type(deltas).__name__} "
                        f"of {getattr(deltas, 'dtype', 'no dtype')}")
    return np.ascontiguousarray(deltas)


cdef object _best(OrderBook book, int is_ask):
    cdef ladder_t* side = &book.ladders[is_ask]
    if not book.is_live or side.blocks == 0:
        return None
    return side.best_key * side.sign, side.best_lots


cdef object _depth(OrderBook book, int is_ask, int64_t levels):
    cdef int64_t count = min(levels, _level_count(&book.ladders[is_ask])) if book.is_live else 0
    cdef int64_t k
    cdef price_ticks_t price = 0
    cdef int64_t[:, ::1] view
    out = np.empty((count, 2), dtype=np.int64)
    view = out
    with nogil:
        for k in range(count):
            book.next_level(is_ask, price, &view[k, 0], &view[k, 1])
            price = view[k, 0]
    return out


cdef inline void _write_top(OrderBook book, int64_t* row) noexcept nogil:
    cdef price_ticks_t bid = book.best_bid_ticks(), ask = book.best_ask_ticks()
    cdef lots_t bid_lots = book.best_bid_lots(), ask_lots = book.best_ask_lots()
    row[0] = bid
    row[1] = bid_lots
    row[2] = ask
    row[3] = ask_lots


def apply_and_read(OrderBook book not None, deltas, int64_t[:, ::1] out not None):
    cdef const event_t[::1] rows = _rows(deltas)
    cdef Py_ssize_t k
    cdef int64_t applied = 0
    if out.shape[0] != rows.shape[0] or out.shape[1] != 4:
        raise ValueError(f"out: want shape ({rows.shape[0]}, 4), "
                         f"not ({out.shape[0]}, {out.shape[1]})")
    with nogil:
        for k in range(rows.shape[0]):
            applied += book.apply(&rows[k]) == APPLY_DONE
            _write_top(book, &out[k, 0])
    return applied
