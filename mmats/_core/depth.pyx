# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""A displayed book less what we have already taken from it: no liquidity is used twice."""

cimport cython

from mmats._core.book cimport OrderBook
from mmats._core.types cimport DELTA_ASK, DELTA_CLEAR, event_t, lots_t, price_ticks_t


@cython.final
cdef class Depth:

    def __cinit__(self):
        self.book = OrderBook()
        self.used_count = 0

    cdef void forget(self, const event_t* delta) noexcept nogil:
        cdef int at
        if delta.flags & DELTA_CLEAR:
            self.used_count = 0
            return
        at = self.find(delta.flags & DELTA_ASK, delta.a)
        if at >= 0 and self.used[at].shown_lots != delta.b:
            self.used_count -= 1
            self.used[at] = self.used[self.used_count]

    cdef int find(self, int is_ask, price_ticks_t price) noexcept nogil:
        cdef int k
        for k in range(self.used_count):
            if self.used[k].price == price and self.used[k].is_ask == is_ask:
                return k
        return -1

    cdef int next_offer(self, int is_ask, price_ticks_t beyond, price_ticks_t limit,
                        price_ticks_t* price, lots_t* lots) noexcept nogil:
        cdef int at
        while self.book.next_level(is_ask, beyond, price, lots):
            if limit != 0 and (price[0] > limit if is_ask else price[0] < limit):
                return 0
            at = self.find(is_ask, price[0])
            if at >= 0:
                lots[0] -= self.used[at].lots
            elif self.used_count == USED_MAX:
                return 0        # no memory of a further level: it is not touched
            if lots[0] > 0:
                return 1
            beyond = price[0]
        return 0

    cdef lots_t offered(self, int is_ask, price_ticks_t limit, lots_t want) noexcept nogil:
        cdef price_ticks_t price = 0
        cdef lots_t lots = 0, total = 0
        while total < want and self.next_offer(is_ask, price, limit, &price, &lots):
            total += lots
        return total if total < want else want

    cdef void use(self, int is_ask, price_ticks_t price, lots_t lots) noexcept nogil:
        cdef int at = self.find(is_ask, price)
        if at < 0:
            at = self.used_count
            self.used_count += 1
            self.used[at].price = price
            self.used[at].is_ask = is_ask
            self.used[at].shown_lots = self.book.size_at(is_ask, price)
            self.used[at].lots = 0
        self.used[at].lots += lots
