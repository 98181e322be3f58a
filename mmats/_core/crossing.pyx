# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Orders against the market as it stands: which one acts, how much it gets, at what price.

The conditions are in docs/fill-conditions.md. When the market moves is the business of
`matching.pyx`.
"""

from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport calloc, free

from mmats._core.costs cimport slippage_at
from mmats._core.depth cimport Depth
from mmats._core.desk cimport OrderDesk, acts_on_fall, market_t, working_t
from mmats._core.types cimport (
    BAR_BID, BAR_MID, DELTA_ASK, DELTA_LAST, DELTA_SNAPSHOT, EVENT_DELTA, EVENT_QUOTE,
    EVENT_TRADE, FLAG_POST_ONLY, LIQUIDITY_MAKER, LIQUIDITY_TAKER, ORDER_LIMIT, ORDER_MARKET,
    ORDER_STOP_LIMIT, ORDER_TAKE_PROFIT, ORDER_TRAILING_STOP, REPORT_CANCELED, REPORT_TRIGGERED,
    SIDE_BUY, TIF_FOK, TIF_IOC, TRADE_SELLER, VENUE_FOK_NOT_FILLED, VENUE_IOC_REST, VENUE_OK,
    VENUE_POST_ONLY_WOULD_TAKE, event_t, lots_t, price_ticks_t,
)


cdef class Crossing(OrderDesk):

    def __cinit__(self, instruments, *args, **kwargs):
        cdef int k
        self.depths = [Depth() for _ in range(len(instruments))]
        self.depth_table = <void**>calloc(len(instruments), sizeof(void*))
        if self.depth_table == NULL:
            raise MemoryError("simulated venue: table of books")
        for k in range(len(instruments)):
            self.depth_table[k] = <void*>self.depths[k]
            self.refresh_bounds(&self.markets[k])

    def __dealloc__(self):
        free(self.depth_table)

    # -- when to look --------------------------------------------------------------------------

    cdef void refresh_bounds(self, market_t* market) noexcept nogil:
        cdef int k
        market.attention = 0
        market.trailing = 0
        market.expire_ns = INT64_MAX
        market.ask_low = 0
        market.bid_low = 0
        market.ask_high = INT64_MAX
        market.bid_high = INT64_MAX
        for k in range(market.count):
            self._widen_bounds(market, &self.working[market.slots[k]])

    cdef void _widen_bounds(self, market_t* market, const working_t* work) noexcept nogil:
        """Bounds may be too wide, never too narrow: they only decide whether to look."""
        cdef price_ticks_t level = work.trigger_ticks
        cdef int is_buy = work.side == SIDE_BUY
        cdef int falls
        if work.expire_ns < market.expire_ns:
            market.expire_ns = work.expire_ns
        if work.type == ORDER_MARKET or work.is_fresh:
            market.attention += 1
            return
        if work.type == ORDER_TRAILING_STOP:
            market.trailing += 1
            if level == 0:
                market.attention += 1
            elif is_buy:
                market.ask_high = min(market.ask_high, level)
                market.ask_low = max(market.ask_low, level - work.trail_ticks - 1)
            else:
                market.bid_low = max(market.bid_low, level)
                market.bid_high = min(market.bid_high, level + work.trail_ticks + 1)
            return
        if work.type == ORDER_LIMIT:
            level = work.price_ticks
        falls = acts_on_fall(work)
        if is_buy and falls:
            market.ask_low = max(market.ask_low, level)
        elif is_buy:
            market.ask_high = min(market.ask_high, level)
        elif falls:
            market.bid_low = max(market.bid_low, level)
        else:
            market.bid_high = min(market.bid_high, level)

    # -- which order is next -------------------------------------------------------------------

    cdef int64_t distance(self, const market_t* market, const working_t* work) noexcept nogil:
        cdef int is_buy = work.side == SIDE_BUY
        cdef int is_limit = work.type == ORDER_LIMIT
        cdef price_ticks_t level = work.price_ticks if is_limit else work.trigger_ticks
        cdef price_ticks_t price = market.ask if is_buy else market.bid
        # A touch is no fill: where only the path of a price is known it must go through.
        cdef int64_t strictly = work.type == ORDER_TAKE_PROFIT
        if work.wait_event == self.event_number or price <= 0:
            return INT64_MAX
        if work.type == ORDER_MARKET or work.is_fresh:
            return -INT64_MAX
        if has_path(market):
            price = market.price
            if not is_limit or market.basis & (BAR_BID | BAR_MID):
                price += market.ask_offset if is_buy else market.bid_offset
            strictly |= is_limit
        elif work.avail_event == self.event_number and work.avail_lots > self.taken_lots:
            # The trade went to our price or through it; the better price is served first.
            return market.price - level if is_buy else level - market.price
        if level == 0:
            return INT64_MAX
        if acts_on_fall(work):
            return price - level + strictly
        return level - price + strictly

    cdef int nearest(self, const market_t* market, int64_t reach, int64_t step,
                     int64_t* distance) noexcept nogil:
        cdef int64_t least = reach + 1, far
        cdef int best = -1, k, falls
        cdef const working_t* work
        for k in range(market.count):
            work = &self.working[market.slots[k]]
            far = self.distance(market, work)
            if far >= least:
                continue
            if far > 0:
                falls = acts_on_fall(work)
                if falls != (step < 0):
                    continue
            least = far
            best = market.slots[k]
        distance[0] = least
        return best

    cdef void follow(self, market_t* market) noexcept nogil:
        cdef working_t* work
        cdef price_ticks_t level
        cdef int k
        if market.trailing == 0 or market.bid <= 0 or market.ask <= 0:
            return
        for k in range(market.count):
            work = &self.working[market.slots[k]]
            if work.type != ORDER_TRAILING_STOP:
                continue
            if work.side == SIDE_BUY:
                level = market.ask + work.trail_ticks
                if work.trigger_ticks == 0 or level < work.trigger_ticks:
                    work.trigger_ticks = level
            else:
                level = market.bid - work.trail_ticks
                if level > work.trigger_ticks:
                    work.trigger_ticks = level
        self.refresh_bounds(market)

    # -- an order acts -------------------------------------------------------------------------

    cdef void act(self, market_t* market, int slot) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        if work.type == ORDER_MARKET:
            self._take(market, slot, market.ask if work.side == SIDE_BUY else market.bid)
        elif work.type != ORDER_LIMIT:
            self._trigger(market, slot)
        elif work.is_fresh:
            self._act_fresh(market, slot)
        elif market.source == EVENT_DELTA:
            self._make_levels(market, slot, <Depth>self.depth_table[market.index])
        else:
            self._make(market, slot)

    cdef void _act_fresh(self, market_t* market, int slot) noexcept nogil:
        """A limit order meets a price for the first time: it takes what it can, then rests."""
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        if self.would_take(market, work.side, work.price_ticks):
            if work.flags & FLAG_POST_ONLY:
                self.close_order(market, slot, REPORT_CANCELED, VENUE_POST_ONLY_WOULD_TAKE)
                return
            self._take(market, slot, market.ask if work.side == SIDE_BUY else market.bid)
            if work.order_id != order_id:
                return
        if work.tif == TIF_FOK:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_FOK_NOT_FILLED)
        elif work.tif == TIF_IOC:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_IOC_REST)
        else:
            work.is_fresh = 0
            self.measure_queue(market, work, <Depth>self.depth_table[market.index])
            self.refresh_bounds(market)

    cdef void _trigger(self, market_t* market, int slot) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        cdef price_ticks_t touch = market.ask if work.side == SIDE_BUY else market.bid
        self.report(market, work.order_id, REPORT_TRIGGERED, VENUE_OK, work.leaves_lots)
        if work.type == ORDER_STOP_LIMIT:
            work.type = ORDER_LIMIT
            work.is_fresh = 1
            self.refresh_bounds(market)
            self._act_fresh(market, slot)
            return
        if work.type == ORDER_TAKE_PROFIT and has_path(market):
            # The path says that the price went through, not how much better it could be had.
            touch = work.trigger_ticks
        work.type = ORDER_MARKET
        self.refresh_bounds(market)
        self._take(market, slot, touch)

    cdef void _take(self, market_t* market, int slot, price_ticks_t touch) noexcept nogil:
        """Trade against the opposite side; the rest waits for the next event, or ends."""
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        cdef int side = work.side
        cdef lots_t want = self.reducible(market, work)
        cdef lots_t lots = self._available(market, work, want, 0)
        if want > lots and work.tif == TIF_FOK:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_FOK_NOT_FILLED)
            return
        if market.source == EVENT_DELTA and want > 0:
            self._take_levels(market, slot, want, <Depth>self.depth_table[market.index])
        elif lots > 0 or want == 0:
            lots = self._take_at(market, slot, min(lots, want), touch, touch,
                                 self._volume(market, side))
            self._use(market, side, 0, lots)
        if work.order_id != order_id:
            return
        if work.tif == TIF_IOC:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_IOC_REST)
        else:
            work.wait_event = self.event_number

    cdef lots_t _take_at(self, market_t* market, int slot, lots_t lots, price_ticks_t price,
                         price_ticks_t touch, lots_t volume_lots) noexcept nogil:
        """One taker's fill at `price` made worse by slippage, never worse than its limit."""
        cdef const working_t* work = &self.working[slot]
        cdef price_ticks_t slip = slippage_at(&self.costs[market.index], price, lots,
                                              volume_lots)
        if work.side == SIDE_BUY:
            price += slip
            if work.type == ORDER_LIMIT and price > work.price_ticks:
                price = work.price_ticks
        else:
            price = price - slip if price > slip else 1
            if work.type == ORDER_LIMIT and price < work.price_ticks:
                price = work.price_ticks
        return self.fill(market, slot, lots, price, LIQUIDITY_TAKER, touch)

    cdef lots_t _volume(self, const market_t* market, int side) noexcept nogil:
        """What an order's size is compared with for SLIPPAGE_VOLUME; 0 = unknown."""
        if market.source == EVENT_QUOTE:
            return market.ask_lots if side == SIDE_BUY else market.bid_lots
        return market.volume_lots

    cdef void _take_levels(self, market_t* market, int slot, lots_t want,
                           Depth depth) noexcept nogil:
        """Walk the book outward from the touch, one fill a level."""
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        cdef int is_ask = work.side == SIDE_BUY
        cdef price_ticks_t limit = work.price_ticks if work.type == ORDER_LIMIT else 0
        cdef price_ticks_t touch = market.ask if is_ask else market.bid
        cdef price_ticks_t price = 0
        cdef lots_t lots = 0
        while (want > 0 and self.has_room()
                and depth.next_offer(is_ask, price, limit, &price, &lots)):
            lots = self._take_at(market, slot, min(lots, want), price, touch, lots)
            if lots == 0:
                return
            depth.use(is_ask, price, lots)
            want -= lots
            if work.order_id != order_id:
                return

    cdef void _make(self, market_t* market, int slot) noexcept nogil:
        """A resting limit order is hit: it trades at its own price."""
        cdef working_t* work = &self.working[slot]
        cdef price_ticks_t price = work.price_ticks
        cdef int64_t order_id = work.order_id
        cdef int side = work.side
        cdef lots_t lots = self._available(market, work, work.leaves_lots, 1)
        if lots > 0:
            lots = min(lots, work.leaves_lots)
            lots = self.fill(market, slot, lots, price, LIQUIDITY_MAKER, price)
            self._use(market, side, 1, lots)
        if work.order_id == order_id:
            work.wait_event = self.event_number

    cdef void _make_levels(self, market_t* market, int slot, Depth depth) noexcept nogil:
        """L2: a resting order gets the rest of the trade after its queue, and what crosses it."""
        cdef working_t* work = &self.working[slot]
        cdef price_ticks_t limit = work.price_ticks, price = 0
        cdef int64_t order_id = work.order_id
        cdef int is_ask = work.side == SIDE_BUY
        cdef lots_t lots = 0
        if work.avail_event == self.event_number and work.avail_lots > self.taken_lots:
            lots = min(work.leaves_lots, work.avail_lots - self.taken_lots)
            self.taken_lots += self.fill(market, slot, lots, limit, LIQUIDITY_MAKER, limit)
        while (work.order_id == order_id and self.has_room()
                and depth.next_offer(is_ask, price, limit, &price, &lots)):
            lots = min(lots, work.leaves_lots)
            lots = self.fill(market, slot, lots, limit, LIQUIDITY_MAKER, limit)
            if lots > 0:
                depth.use(is_ask, price, lots)
        if work.order_id == order_id:
            work.wait_event = self.event_number

    # -- how much there is ---------------------------------------------------------------------

    cdef lots_t _available(self, const market_t* market, const working_t* work, lots_t want,
                           int is_maker) noexcept nogil:
        cdef int is_buy = work.side == SIDE_BUY
        cdef lots_t shown
        if market.source == EVENT_DELTA:
            return (<Depth>self.depth_table[market.index]).offered(
                is_buy, work.price_ticks if work.type == ORDER_LIMIT else 0, want)
        if market.source == EVENT_QUOTE:
            shown = market.ask_lots if is_buy else market.bid_lots
            if shown == 0:
                return INT64_MAX
            return shown - (market.ask_used if is_buy else market.bid_used)
        if (market.source == EVENT_TRADE and not is_maker
                and self.costs[market.index].volume_share_ppm == 0):
            return INT64_MAX
        return market.pool_lots

    cdef void _use(self, market_t* market, int side, int is_maker, lots_t lots) noexcept nogil:
        if market.source == EVENT_QUOTE:
            if side == SIDE_BUY:
                market.ask_used += lots
            else:
                market.bid_used += lots
            return
        if market.pool_lots == INT64_MAX:
            return
        if (market.source == EVENT_TRADE and not is_maker
                and self.costs[market.index].volume_share_ppm == 0):
            return
        market.pool_lots -= lots

    # -- L2: the book and the queue ------------------------------------------------------------

    cdef void show_level(self, market_t* market, const event_t* delta, Depth depth) noexcept nogil:
        cdef int buys = not delta.flags & DELTA_ASK
        cdef working_t* work
        cdef int k, is_buy
        if depth.used_count:
            depth.forget(delta)
        depth.book.apply(delta)
        if delta.flags & DELTA_LAST:
            market.bid = depth.book.best_bid_ticks()
            market.ask = depth.book.best_ask_ticks()
        for k in range(market.count):
            work = &self.working[market.slots[k]]
            is_buy = work.side == SIDE_BUY
            if work.type != ORDER_LIMIT or work.is_fresh:
                continue
            if work.queue_lots < 0 or delta.flags & DELTA_SNAPSHOT:
                if delta.flags & DELTA_LAST and depth.book.is_live:
                    self.measure_queue(market, work, depth)
            elif work.price_ticks == delta.a and is_buy == buys and work.queue_lots > delta.b:
                work.queue_lots = delta.b

    cdef void measure_queue(self, market_t* market, working_t* work, Depth depth) noexcept nogil:
        """Behind what is displayed at its price; an order that has a place never loses it."""
        cdef lots_t ahead = 0
        if market.source == EVENT_DELTA and self.fill_model.queue:
            ahead = -1
            if depth.book.is_live:
                ahead = depth.book.size_at(work.side != SIDE_BUY, work.price_ticks)
        if work.queue_lots < 0 or ahead < work.queue_lots:
            work.queue_lots = ahead

    cdef void offer_trade(self, market_t* market, const event_t* trade) noexcept nogil:
        cdef int by_seller = (trade.flags & TRADE_SELLER) != 0
        cdef working_t* work
        cdef int k, is_buy
        cdef int64_t through
        self.taken_lots = 0
        market.price = trade.a
        if market.bid <= 0 or market.ask <= 0:
            return
        for k in range(market.count):
            work = &self.working[market.slots[k]]
            is_buy = work.side == SIDE_BUY
            if work.type != ORDER_LIMIT or work.is_fresh or work.queue_lots < 0:
                continue
            through = work.price_ticks - trade.a if is_buy else trade.a - work.price_ticks
            if through < 0 or (through == 0 and is_buy != by_seller):
                continue
            if through > 0:
                work.queue_lots = 0
            work.avail_event = self.event_number
            work.avail_lots = trade.b - work.queue_lots
            work.queue_lots = max(work.queue_lots - trade.b, 0)
            self.offer_event = self.event_number
