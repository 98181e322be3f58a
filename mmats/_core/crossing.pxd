# cython: language_level=3
"""Orders against the market as it stands: which one acts, how much it gets, at what price."""

from libc.stdint cimport int64_t

from mmats._core.depth cimport Depth
from mmats._core.desk cimport OrderDesk, market_t, working_t
from mmats._core.types cimport EVENT_BAR, EVENT_TRADE, event_t, lots_t, price_ticks_t

cdef class Crossing(OrderDesk):
    cdef int64_t event_number             # of events given to the venue
    cdef int64_t offer_event              # L2: number of the event whose trade was offered to us
    cdef lots_t taken_lots                # L2: of that trade, by us
    cdef list depths
    cdef void** depth_table               # [instrument] borrowed from `depths`

    cdef void _widen_bounds(self, market_t* market, const working_t* work) noexcept nogil
    # How far the price has to go until the order acts: <= 0 = it acts now, the smallest first;
    # INT64_MAX = not in this event.
    cdef int64_t distance(self, const market_t* market, const working_t* work) noexcept nogil
    # The slot of the order that acts first when the price goes up to `reach` ticks in direction
    # `step` (1 up, -1 down), -1 = none.
    cdef int nearest(self, const market_t* market, int64_t reach, int64_t step,
                     int64_t* distance) noexcept nogil
    # Raise the triggers of trailing stops to the present touch.
    cdef void follow(self, market_t* market) noexcept nogil
    # The order's condition holds: trigger, trade, end or stay.
    cdef void act(self, market_t* market, int slot) noexcept nogil
    cdef void _act_fresh(self, market_t* market, int slot) noexcept nogil
    cdef void _trigger(self, market_t* market, int slot) noexcept nogil
    cdef void _take(self, market_t* market, int slot, price_ticks_t touch) noexcept nogil
    cdef lots_t _take_at(self, market_t* market, int slot, lots_t lots, price_ticks_t price,
                         price_ticks_t touch, lots_t volume_lots) noexcept nogil
    cdef lots_t _volume(self, const market_t* market, int side) noexcept nogil
    cdef void _take_levels(self, market_t* market, int slot, lots_t want,
                           Depth depth) noexcept nogil
    cdef void _make(self, market_t* market, int slot) noexcept nogil
    cdef void _make_levels(self, market_t* market, int slot, Depth depth) noexcept nogil
    cdef lots_t _available(self, const market_t* market, const working_t* work, lots_t want,
                           int is_maker) noexcept nogil
    cdef void _use(self, market_t* market, int side, int is_maker, lots_t lots) noexcept nogil
    # L2: one row of the book, one trade, and the size displayed ahead of an order.
    cdef void show_level(self, market_t* market, const event_t* delta, Depth depth) noexcept nogil
    cdef void offer_trade(self, market_t* market, const event_t* trade) noexcept nogil
    cdef void measure_queue(self, market_t* market, working_t* work, Depth depth) noexcept nogil

# Bars and trades show one price; bid and ask come from a spread around it.
cdef inline int has_path(const market_t* market) noexcept nogil:
    return market.source == EVENT_BAR or market.source == EVENT_TRADE
