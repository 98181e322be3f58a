# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The simulated venue: orders meet market data under written fill conditions.

The conditions are in docs/fill-conditions.md. One order acts per step, so that every report can be
answered before the next order acts. Single writer.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memset

from mmats._core.costs cimport cost_model_t, slippage_at, spread_at
from mmats._core.desk cimport (
    OrderDesk, acts_on_fall, carry_t, fill_model_t, market_t, queue_t, working_t,
)
from mmats._core.path cimport (
    LEG_COUNT, LEG_OPEN, PATH_HIGH_FIRST, PATH_LOW_FIRST, PATH_WORST, path_is_high_nearer,
    path_move, path_order, path_seek, path_start, path_time_at, path_turn,
)
from mmats._core.types cimport (
    BAR_BID, BAR_MID, BAR_SPREAD, EVENT_BAR, EVENT_DELTA, EVENT_QUOTE, EVENT_TIMER, EVENT_TRADE,
    FLAG_POST_ONLY, FLAG_REDUCE_ONLY, LIQUIDITY_MAKER, LIQUIDITY_TAKER, ORDER_LIMIT, ORDER_MARKET,
    ORDER_STOP_LIMIT, ORDER_TAKE_PROFIT, ORDER_TRAILING_STOP, REPORT_CANCELED, REPORT_TRIGGERED,
    ROLE_ENTRY, ROLE_MANUAL, SIDE_BUY, TIF_FOK, TIF_IOC, VENUE_FOK_NOT_FILLED, VENUE_IOC_REST,
    VENUE_OK, VENUE_POST_ONLY_WOULD_TAKE, VENUE_REDUCE_ONLY, event_t, instrument_t, lots_t,
    mmats_muldiv_floor, order_t, price_ticks_t, report_t, ts_ns_t,
)

cdef enum:
    PPM = 1000000


cdef inline int fineness(int kind) noexcept nogil:
    """Which of two kinds of data fills orders better: L2 > quotes > trades > bars."""
    if kind == EVENT_DELTA:
        return 4
    if kind == EVENT_QUOTE:
        return 3
    if kind == EVENT_TRADE:
        return 2
    return kind == EVENT_BAR


cdef inline int has_path(const market_t* market) noexcept nogil:
    """Bars and trades show one price; bid and ask come from a spread around it."""
    return market.source == EVENT_BAR or market.source == EVENT_TRADE


@cython.final
cdef class SimulatedVenue(OrderDesk):

    # -- set up --------------------------------------------------------------------------------

    cdef int set_source(self, int instrument, int kind) except -1:
        if not 0 <= instrument < self.instrument_count:
            raise IndexError(f"instrument {instrument} is not one of {self.instrument_count}")
        if kind != 0 and fineness(kind) == 0:
            raise ValueError(f"event kind {kind} cannot fill orders")
        self.markets[instrument].source = kind
        self.markets[instrument].is_declared = kind != 0
        return 0

    cdef int set_day_end(self, int instrument, ts_ns_t offset_ns) except -1:
        if not 0 <= instrument < self.instrument_count:
            raise IndexError(f"instrument {instrument} is not one of {self.instrument_count}")
        self.markets[instrument].day_offset_ns = offset_ns
        self.markets[instrument].day_end_ns = 0
        return 0

    cdef int has_reports(self) noexcept nogil:
        return self.report_count > 0

    # -- one event -----------------------------------------------------------------------------

    cdef int begin(self, const event_t* event) noexcept nogil:
        cdef market_t* market
        self.event_number += 1
        self.stage = STAGE_IDLE
        if event.kind == EVENT_TIMER:
            return self._wait_for(NULL, event)
        market = &self.markets[event.instrument]
        if event.kind != market.source and not self._learn_source(market, event.kind):
            return self._wait_for(NULL, event)
        if event.kind == EVENT_BAR:
            return self._begin_bar(market, event)
        return self._begin_tick(market, event)

    cdef int _begin_bar(self, market_t* market, const event_t* event) noexcept nogil:
        cdef ts_ns_t interval_ns = self.instruments[market.index].bar_interval_ns
        cdef ts_ns_t open_ns = event.ts_event_ns - interval_ns
        if interval_ns == 0 or open_ns < market.close_ns:
            open_ns = market.close_ns if market.close_ns > 0 else event.ts_event_ns
        if open_ns >= market.day_end_ns:
            self.roll_day(market, open_ns)
        self.open_ns = open_ns
        if self._wait_for(market, event):
            return 1
        if market.count != 0:
            market.basis = event.flags | self.instruments[market.index].bar_flags
            market.spread = event.spread_ticks if event.flags & BAR_SPREAD else -1
            self._set_offsets(market, event.a)
            if (market.attention != 0 or market.expire_ns <= event.ts_event_ns
                    or event.c <= market.ask_low or event.b >= market.bid_high
                    or event.c + market.bid_offset <= market.bid_low
                    or event.b + market.ask_offset >= market.ask_high):
                self.event = event[0]
                self.market = market
                return self._start_path(market)
        self._absorb_bar(market, event)
        return 0

    cdef int _begin_tick(self, market_t* market, const event_t* event) noexcept nogil:
        if event.ts_event_ns >= market.day_end_ns:
            self.roll_day(market, event.ts_event_ns)
        if self._wait_for(market, event):
            return 1
        self._absorb(market, event)
        if market.count == 0 or not self._can_act(market):
            return 0
        self.event = event[0]
        self.market = market
        self.stage = STAGE_MATCH
        return 1

    cdef int _wait_for(self, market_t* market, const event_t* event) noexcept nogil:
        """1 = actions are due before (or within) this event and must be delivered first."""
        cdef queue_t* queue = &self.queues[self.instrument_count]
        cdef int due = queue.head >= 0 and self.actions[queue.head].arrives_ns <= event.ts_event_ns
        if market != NULL and not due:
            queue = &self.queues[market.index]
            due = queue.head >= 0 and self.actions[queue.head].arrives_ns <= event.ts_event_ns
        if due:
            self.event = event[0]
            self.market = market
            self.stage = STAGE_ARRIVALS
        return due

    cdef int _learn_source(self, market_t* market, int kind) noexcept nogil:
        """1 = the event is of use for filling orders in this market."""
        if not market.is_declared and fineness(kind) > fineness(market.source):
            market.source = kind
            market.bid = 0
            market.ask = 0
            return 1
        return market.source == EVENT_DELTA and kind == EVENT_TRADE

    # -- what the event says -------------------------------------------------------------------

    cdef void _absorb(self, market_t* market, const event_t* event) noexcept nogil:
        if event.ts_event_ns > market.time_ns:
            market.time_ns = event.ts_event_ns
        if event.kind == EVENT_QUOTE:
            self._absorb_quote(market, event)
        elif event.kind == EVENT_TRADE:
            self._absorb_trade(market, event)
        else:
            self._absorb_bar(market, event)

    cdef void _absorb_bar(self, market_t* market, const event_t* bar) noexcept nogil:
        market.basis = bar.flags | self.instruments[market.index].bar_flags
        market.spread = bar.spread_ticks if bar.flags & BAR_SPREAD else -1
        market.price = bar.d
        market.ahead = bar.d
        market.time_ns = bar.ts_event_ns
        market.close_ns = bar.ts_event_ns
        self._offer_volume(market, bar.e, INT64_MAX)

    cdef void _absorb_quote(self, market_t* market, const event_t* quote) noexcept nogil:
        if quote.a != market.bid or quote.c != market.bid_lots:
            market.bid_used = 0
        if quote.b != market.ask or quote.d != market.ask_lots:
            market.ask_used = 0
        market.bid = quote.a
        market.ask = quote.b
        market.bid_lots = quote.c
        market.ask_lots = quote.d
        market.price = (quote.a + quote.b) // 2

    cdef void _absorb_trade(self, market_t* market, const event_t* trade) noexcept nogil:
        market.basis = 0
        market.spread = -1
        market.price = trade.a
        market.ahead = trade.a
        self._set_offsets(market, trade.a)
        market.bid = trade.a + market.bid_offset
        market.ask = trade.a + market.ask_offset
        self._offer_volume(market, trade.b, trade.b)

    cdef void _offer_volume(self, market_t* market, lots_t volume_lots, lots_t unlimited) noexcept nogil:
        cdef int64_t share_ppm = self.costs[market.index].volume_share_ppm
        market.volume_lots = volume_lots
        market.pool_lots = unlimited
        if share_ppm != 0:
            market.pool_lots = 0
            mmats_muldiv_floor(volume_lots, share_ppm, PPM, &market.pool_lots, NULL)

    cdef void _set_offsets(self, market_t* market, price_ticks_t price) noexcept nogil:
        cdef price_ticks_t spread = market.spread
        if spread < 0:
            spread = spread_at(&self.costs[market.index], price)
        market.bid_offset = 0 if market.basis & BAR_BID else -(spread // 2)
        market.ask_offset = spread + market.bid_offset

    cdef void update_touch(self, market_t* market) noexcept nogil:
        if not has_path(market) or market.price <= 0:
            return
        if self.stage == STAGE_PATH and self.market == market:
            return
        self._set_offsets(market, market.price)
        market.bid = market.price + market.bid_offset
        market.ask = market.price + market.ask_offset

    cdef int _can_act(self, market_t* market) noexcept nogil:
        return (market.attention != 0 or market.expire_ns <= market.time_ns
                or market.ask <= market.ask_low or market.bid >= market.bid_high
                or market.bid <= market.bid_low or market.ask >= market.ask_high
                or (has_path(market) and (market.price <= market.ask_low
                                          or market.price >= market.bid_high)))

    # -- steps ---------------------------------------------------------------------------------

    cdef int step(self) noexcept nogil:
        cdef int stage = self.stage
        if stage == STAGE_IDLE:
            return 0
        if not self.has_room():
            # The driver does not drain: nothing more may happen, and it must show.
            self.cut_count += 1
            self.stage = STAGE_IDLE
            if self.market != NULL and stage != STAGE_MATCH:
                self._absorb(self.market, &self.event)
            return 0
        if stage == STAGE_PATH:
            return self._step_path()
        if stage == STAGE_MATCH:
            return self._step_match()
        if stage == STAGE_ARRIVALS:
            return self._step_arrivals()
        return self._step_close()

    cdef int _step_arrivals(self) noexcept nogil:
        cdef market_t* market = self.market
        cdef int is_bar = self.event.kind == EVENT_BAR
        if market != NULL and self.deliver(&self.queues[market.index],
                                           self.open_ns if is_bar else self.event.ts_event_ns):
            return 1
        if self.deliver(&self.queues[self.instrument_count], self.event.ts_event_ns):
            return 1
        if market == NULL:
            self.stage = STAGE_IDLE
            return 0
        if is_bar:
            return self._start_path(market)
        self._absorb(market, &self.event)
        self.stage = STAGE_MATCH
        return 1

    cdef int _step_match(self) noexcept nogil:
        cdef market_t* market = self.market
        cdef int64_t distance = 0
        cdef int slot
        self.now_ns = market.time_ns
        if market.expire_ns <= market.time_ns and self.expire_one(market, market.time_ns):
            return 1
        slot = self._nearest(market, &distance)
        if slot >= 0:
            self._act(market, slot)
            return 1
        self._follow(market)
        self.stage = STAGE_IDLE
        return 0

    cdef int _start_path(self, market_t* market) noexcept nogil:
        market.basis = self.event.flags | self.instruments[market.index].bar_flags
        market.spread = self.event.spread_ticks if self.event.flags & BAR_SPREAD else -1
        self._set_offsets(market, self.event.a)
        self._offer_volume(market, self.event.e, INT64_MAX)
        path_start(&self.path, &self.event, self.open_ns)
        self._stand(market)
        self.stage = STAGE_PATH
        return 1

    cdef int _step_path(self) noexcept nogil:
        """Go along the bar up to the next thing that happens."""
        cdef market_t* market = self.market
        cdef path_t* path = &self.path
        cdef queue_t* queue = &self.queues[market.index]
        cdef int64_t distance = 0
        cdef price_ticks_t target
        cdef ts_ns_t reached_ns, arrives_ns
        cdef int slot
        while path.leg < LEG_COUNT:
            if market.expire_ns <= path.time_ns and self.expire_one(market, path.time_ns):
                return 1
            slot = self._nearest(market, &distance)
            if slot >= 0 and distance <= 0:
                self._act(market, slot)
                return 1
            if path.leg == LEG_OPEN:
                self._follow(market)
                path_order(path, self._high_first(market))
                continue
            target = path.prices[path.leg + 1]
            if slot >= 0:
                target = path.price + distance * path.step
            reached_ns = path_time_at(path, target)
            arrives_ns = self.actions[queue.head].arrives_ns if queue.head >= 0 else INT64_MAX
            if market.expire_ns <= reached_ns and market.expire_ns <= arrives_ns:
                path_seek(path, market.expire_ns)
                self._stand(market)
                continue
            if arrives_ns < reached_ns:
                path_seek(path, arrives_ns if arrives_ns > path.time_ns else path.time_ns)
                self._stand(market)
                self.deliver(queue, path.time_ns)
                return 1
            path_move(path, target)
            if slot < 0:
                path_turn(path)
            self._stand(market)
        market.close_ns = self.event.ts_event_ns
        self.stage = STAGE_CLOSE
        return 1

    cdef int _step_close(self) noexcept nogil:
        if self.deliver(&self.queues[self.market.index], self.event.ts_event_ns):
            return 1
        self.stage = STAGE_IDLE
        return 0

    cdef int _high_first(self, const market_t* market) noexcept nogil:
        cdef int rule = self.fill_model.path
        cdef int buys = 0, sells = 0, k
        cdef const working_t* work
        if rule == PATH_HIGH_FIRST or rule == PATH_LOW_FIRST:
            return rule == PATH_HIGH_FIRST
        if rule == PATH_WORST:
            if market.net_lots != 0:
                return market.net_lots < 0
            for k in range(market.count):
                work = &self.working[market.slots[k]]
                if (work.role == ROLE_ENTRY or work.role == ROLE_MANUAL) and (
                        not work.flags & FLAG_REDUCE_ONLY):
                    buys += work.side == SIDE_BUY
                    sells += work.side != SIDE_BUY
            if (buys == 0) != (sells == 0):
                return buys != 0
        return path_is_high_nearer(&self.path)

    cdef void _stand(self, market_t* market) noexcept nogil:
        """The market is where the path is; between two ticks a taker gets the worse one."""
        cdef path_t* path = &self.path
        market.price = path.price
        market.ahead = path.ahead
        market.bid = min(path.price, path.ahead) + market.bid_offset
        market.ask = max(path.price, path.ahead) + market.ask_offset
        market.time_ns = path.time_ns
        self.now_ns = path.time_ns
        if path.leg != LEG_OPEN:
            self._follow(market)

    # -- which order is next -------------------------------------------------------------------

    cdef int64_t _distance(self, const market_t* market, const working_t* work) noexcept nogil:
        """How far the price has to go until the order acts: <= 0 = it acts now, the smallest first;
        INT64_MAX = not in this event."""
        cdef int is_buy = work.side == SIDE_BUY
        cdef int is_limit = work.type == ORDER_LIMIT
        cdef price_ticks_t level = work.price_ticks if is_limit else work.trigger_ticks
        cdef price_ticks_t price = market.ask if is_buy else market.bid
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
        elif is_limit and market.source == EVENT_DELTA:
            if work.avail_event == self.event_number and work.avail_lots > self.taken_lots:
                return 0
        if level == 0:
            return INT64_MAX
        if acts_on_fall(work):
            return price - level + strictly
        return level - price + strictly

    cdef int _nearest(self, const market_t* market, int64_t* distance) noexcept nogil:
        """The slot of the order that acts first, -1 = none on the rest of this leg."""
        cdef int64_t nearest = 0, far
        cdef int best = -1, k, falls
        cdef const working_t* work
        cdef path_t* path = &self.path
        if self.stage == STAGE_PATH and path.leg != LEG_OPEN:
            nearest = (path.prices[path.leg + 1] - path.price) * path.step
        nearest += 1
        for k in range(market.count):
            work = &self.working[market.slots[k]]
            far = self._distance(market, work)
            if far >= nearest:
                continue
            if far > 0:
                falls = acts_on_fall(work)
                if falls != (path.step < 0):
                    continue
            nearest = far
            best = market.slots[k]
        distance[0] = nearest
        return best

    cdef void _follow(self, market_t* market) noexcept nogil:
        """Raise the triggers of trailing stops to the present touch."""
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

    cdef int is_present(self, const market_t* market, ts_ns_t ts) noexcept nogil:
        if market.source > EVENT_BAR:
            return 1
        if self.stage == STAGE_PATH and self.market == market:
            return ts <= self.path.time_ns
        return market.price > 0 and ts <= market.time_ns

    cdef int _is_live(self, const market_t* market) noexcept nogil:
        """1 = there is a price to trade at now, not only at the next event."""
        if market.source == EVENT_BAR:
            if self.stage == STAGE_PATH and self.market == market:
                return 1
            return self.fill_model.market_on_close and market.time_ns == market.close_ns
        return market.source == EVENT_QUOTE or market.source == EVENT_DELTA

    cdef void on_arrival(self, market_t* market, int slot) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        cdef int is_live = self._is_live(market)
        work.is_fresh = 0
        work.queue_lots = 0
        if work.type == ORDER_LIMIT:
            work.is_fresh = (work.tif == TIF_IOC or work.tif == TIF_FOK or market.bid <= 0
                             or market.ask <= 0
                             or self.would_take(market, work.side, work.price_ticks))
        elif work.type == ORDER_TRAILING_STOP and work.trigger_ticks == 0:
            self._follow(market)
        self.refresh_bounds(market)
        if is_live and self._distance(market, work) <= 0:
            self._act(market, slot)

    cdef void _act(self, market_t* market, int slot) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        if work.type == ORDER_MARKET:
            self._take(market, slot, market.ask if work.side == SIDE_BUY else market.bid)
            return
        if work.type != ORDER_LIMIT:
            self._trigger(market, slot)
            return
        if not work.is_fresh:
            self._make(market, slot)
            return
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
            self.refresh_bounds(market)

    cdef void _trigger(self, market_t* market, int slot) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        cdef price_ticks_t touch = market.ask if work.side == SIDE_BUY else market.bid
        self.report(market, work.order_id, REPORT_TRIGGERED, VENUE_OK, work.leaves_lots)
        if work.type == ORDER_STOP_LIMIT:
            work.type = ORDER_LIMIT
            work.is_fresh = 1
            self.refresh_bounds(market)
            self._act(market, slot)
            return
        if work.type == ORDER_TAKE_PROFIT and has_path(market):
            # The path says that the price went through, not how much better it could be had.
            touch = work.trigger_ticks
        work.type = ORDER_MARKET
        self.refresh_bounds(market)
        self._take(market, slot, touch)

    cdef void _take(self, market_t* market, int slot, price_ticks_t touch) noexcept nogil:
        """Trade against the opposite side at the touch plus slippage; the rest waits or ends."""
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        cdef int side = work.side
        cdef lots_t want = self.reducible(market, work)
        cdef lots_t lots = self._available(market, side, 0)
        cdef price_ticks_t price
        if want > 0 and lots < want and work.tif == TIF_FOK:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_FOK_NOT_FILLED)
            return
        if lots > want:
            lots = want
        if lots > 0 or want == 0:
            price = slippage_at(&self.costs[market.index], touch, lots, market.volume_lots)
            price = touch + price if side == SIDE_BUY else touch - price
            if work.type == ORDER_LIMIT:
                if (price > work.price_ticks) == (side == SIDE_BUY):
                    price = work.price_ticks
            elif price < 1:
                price = 1
            lots = self.fill(market, slot, lots, price, LIQUIDITY_TAKER, touch)
            self._use(market, side, 0, lots)
        if work.order_id != order_id:
            return
        if work.tif == TIF_IOC:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_IOC_REST)
        else:
            work.wait_event = self.event_number

    cdef void _make(self, market_t* market, int slot) noexcept nogil:
        """A resting limit order is hit: it trades at its own price."""
        cdef working_t* work = &self.working[slot]
        cdef price_ticks_t price = work.price_ticks
        cdef int64_t order_id = work.order_id
        cdef int side = work.side
        cdef lots_t lots = self._available(market, side, 1)
        if lots > 0:
            lots = self.fill(market, slot, min(lots, work.leaves_lots), price, LIQUIDITY_MAKER, price)
            self._use(market, side, 1, lots)
        if work.order_id == order_id:
            work.wait_event = self.event_number

    cdef lots_t _available(self, const market_t* market, int side, int is_maker) noexcept nogil:
        cdef lots_t shown
        if market.source == EVENT_QUOTE:
            shown = market.ask_lots if side == SIDE_BUY else market.bid_lots
            if shown == 0:
                return INT64_MAX
            return shown - (market.ask_used if side == SIDE_BUY else market.bid_used)
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
        elif market.pool_lots != INT64_MAX and (
                is_maker or market.source == EVENT_BAR
                or self.costs[market.index].volume_share_ppm != 0):
            market.pool_lots -= lots

    # -- Python face ---------------------------------------------------------------------------

    def __init__(self, instruments, costs=None, fill=None, *, int strategy_count=1):
        cdef instrument_t instrument
        cdef cost_model_t cost
        cdef fill_model_t model
        cdef int k
        if costs is not None and len(costs) != len(instruments):
            raise ValueError(f"{len(costs)} cost models for {len(instruments)} instruments")
        for k, fields in enumerate(instruments):
            instrument = instrument_from(k, fields)
            cost = cost_from({} if costs is None else costs[k])
            self.set_instrument(k, &instrument, &cost)
        model = fill_from({} if fill is None else fill)
        self.set_fill_model(&model)

    def declare_source(self, int instrument, int kind):
        self.set_source(instrument, kind)

    def declare_day_end(self, int instrument, int64_t offset_ns):
        self.set_day_end(instrument, offset_ns)

    def submit_order(self, int64_t now_ns, **fields):
        cdef order_t order
        order_fields = {**ORDER_DEFAULTS, **fields}
        if len(order_fields) != len(ORDER_DEFAULTS):
            raise TypeError(f"unknown order fields {sorted(set(fields) - set(ORDER_DEFAULTS))}")
        order = order_fields
        return self.submit(&order, now_ns) == 0

    def cancel_order(self, int64_t now_ns, int64_t order_id, int instrument=0):
        return self.cancel(order_id, instrument, now_ns) == 0

    def modify_order(self, int64_t now_ns, int64_t order_id, int instrument=0, *,
                     int64_t quantity_lots=0, int64_t price_ticks=0, int64_t trigger_ticks=0):
        return self.modify(order_id, instrument, quantity_lots, price_ticks, trigger_ticks,
                           now_ns) == 0

    def feed(self, events, on_step=None):
        cdef const uint8_t[::1] raw = events.view("u1")
        cdef Py_ssize_t k
        cdef const event_t* event
        if raw.shape[0] % sizeof(event_t) != 0:
            raise ValueError(f"{raw.shape[0]} bytes are not a whole number of 64-byte events")
        for k in range(raw.shape[0] // <Py_ssize_t>sizeof(event_t)):
            event = <const event_t*>&raw[k * sizeof(event_t)]
            if event.instrument >= <unsigned int>self.instrument_count:
                raise IndexError(f"event {k}: instrument {event.instrument} is unknown")
            if self.begin(event):
                while self.step():
                    if on_step is not None:
                        on_step()

    def reports(self, int64_t now_ns=INT64_MAX):
        cdef report_t report
        out = []
        while self.next_report(now_ns, &report):
            out.append(<object>report)
        return out

    def carries(self):
        cdef carry_t carry
        out = []
        while self.next_carry(&carry):
            out.append(<object>carry)
        return out

    def position_lots(self, int strategy, int instrument):
        if not (0 <= strategy < self.strategy_count and 0 <= instrument < self.instrument_count):
            raise IndexError(f"no strategy {strategy} or no instrument {instrument}")
        return self.positions[strategy * self.instrument_count + instrument]


cdef order_t _no_order
memset(&_no_order, 0, sizeof(order_t))
ORDER_DEFAULTS = {**_no_order, "side": 1, "type": ORDER_MARKET, "tif": 1, "role": ROLE_ENTRY}


cdef instrument_t instrument_from(int index, fields) except *:
    cdef instrument_t out
    memset(&out, 0, sizeof(instrument_t))
    known = {**out, "index": index, "settlement": 1, "money_num": 1, "money_den": 1,
             "lot_units": 1, "quantity_min_lots": 1}
    _check_names("instrument", fields, known)
    out = {**known, **fields}
    return out


cdef cost_model_t cost_from(fields) except *:
    cdef cost_model_t out
    memset(&out, 0, sizeof(cost_model_t))
    known = {**out, "fee_asset": 1}
    _check_names("cost model", fields, known)
    out = {**known, **fields}
    return out


cdef fill_model_t fill_from(fields) except *:
    cdef fill_model_t out
    memset(&out, 0, sizeof(fill_model_t))
    known = {**out, "path": PATH_WORST, "queue": 1}
    _check_names("fill model", fields, known)
    out = {**known, **fields}
    return out


cdef int _check_names(str what, fields, known) except -1:
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return 0
