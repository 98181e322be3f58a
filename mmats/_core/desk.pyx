# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The venue's order desk: actions in flight, working orders, positions, reports.

It knows nothing of prices moving; `matching.pyx` decides when and where an order trades.
Single writer. Nothing is allocated after construction.
"""

from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset

from mmats._core.accounts cimport Accounts
from mmats._core.costs cimport (
    FEE_ACCOUNT, FEE_BASE, FEE_RECEIVED, FEE_THIRD, base_fee_of, carry_of, cost_model_t, fee_of,
    notional_of,
)
from mmats._core.path cimport PATH_LOW_FIRST, PATH_WORST
from mmats._core.types cimport (
    EVENT_BAR, FLAG_POST_ONLY, FLAG_REDUCE_ONLY, LIQUIDITY_MAKER, ORDER_LIMIT, ORDER_MARKET,
    ORDER_STOP_LIMIT, ORDER_TRAILING_STOP, REPORT_ACCEPTED, REPORT_CANCELED, REPORT_CANCEL_REJECTED,
    REPORT_EXPIRED, REPORT_FILLED, REPORT_REJECTED, REPORT_UPDATED, SETTLE_MARGIN, SETTLE_SPOT,
    SIDE_BUY, SIDE_SELL, TIF_DAY, TIF_GTD, VENUE_FULL, VENUE_NOTIONAL_MIN, VENUE_OK,
    VENUE_POST_ONLY_WOULD_TAKE, VENUE_PRICE, VENUE_QUANTITY, VENUE_REDUCE_ONLY, VENUE_UNKNOWN_ORDER,
    instrument_t, lots_t, mmats_muldiv_ceil, money_t, order_t, price_ticks_t, report_t, ts_ns_t,
)


cdef inline int64_t day_ns() noexcept nogil:
    return <int64_t>DAY_SECONDS * 1000000000


cdef ts_ns_t day_end_after(const market_t* market, ts_ns_t ts) noexcept nogil:
    cdef int64_t since = ts - market.day_offset_ns
    cdef int64_t days = since // day_ns()
    if since < 0 and days * day_ns() != since:
        days -= 1
    return (days + 1) * day_ns() + market.day_offset_ns


cdef class OrderDesk(VenuePort):

    def __cinit__(self, instruments, *args, int strategy_count=1, **kwargs):
        cdef int n = len(instruments)
        cdef int cells = n * strategy_count
        cdef int k
        if n < 1 or strategy_count < 1:
            raise ValueError(f"venue needs an instrument and a strategy, got {n}, {strategy_count}")
        self.instrument_count = n
        self.strategy_count = strategy_count
        self.instruments = <instrument_t*>calloc(n, sizeof(instrument_t))
        self.costs = <cost_model_t*>calloc(n, sizeof(cost_model_t))
        self.markets = <market_t*>calloc(n, sizeof(market_t))
        self.slot_lists = <int16_t*>calloc(<size_t>n * SLOTS_MAX, sizeof(int16_t))
        self.working = <working_t*>calloc(SLOTS_MAX, sizeof(working_t))
        self.positions = <lots_t*>calloc(cells, sizeof(lots_t))
        self.dust = <money_t*>calloc(n, sizeof(money_t))
        self.pools = <int32_t*>calloc(n, sizeof(int32_t))
        self.actions = <action_t*>calloc(ACTIONS_MAX, sizeof(action_t))
        self.queues = <queue_t*>calloc(n + 1, sizeof(queue_t))
        self.reports = <report_t*>calloc(REPORTS_MAX, sizeof(report_t))
        self.carries = <carry_t*>calloc(cells, sizeof(carry_t))
        if (self.instruments == NULL or self.costs == NULL or self.markets == NULL
                or self.slot_lists == NULL or self.working == NULL or self.positions == NULL
                or self.dust == NULL or self.pools == NULL or self.actions == NULL
                or self.queues == NULL or self.reports == NULL or self.carries == NULL):
            raise MemoryError("simulated venue")
        for k in range(n + 1):
            self.queues[k].head = -1
        for k in range(ACTIONS_MAX):
            self.actions[k].next = k + 1 if k + 1 < ACTIONS_MAX else -1
        for k in range(n):
            self.markets[k].index = k
            self.markets[k].slots = self.slot_lists + <size_t>k * SLOTS_MAX

    def __dealloc__(self):
        free(self.instruments)
        free(self.costs)
        free(self.markets)
        free(self.slot_lists)
        free(self.working)
        free(self.positions)
        free(self.dust)
        free(self.pools)
        free(self.actions)
        free(self.queues)
        free(self.reports)
        free(self.carries)

    # -- set up --------------------------------------------------------------------------------

    cdef int set_instrument(self, int index, const instrument_t* instrument,
                            const cost_model_t* cost) except -1:
        cdef int other
        if not 0 <= index < self.instrument_count:
            raise IndexError(f"instrument {index} is not one of {self.instrument_count}")
        if instrument.money_num <= 0 or instrument.money_den <= 0:
            raise ValueError(f"instrument {index}: money_num and money_den must be positive")
        if cost.spread_ticks < 0 or cost.spread_ppm < 0 or cost.slippage_value < 0:
            raise ValueError(f"instrument {index}: spread and slippage must not be negative")
        if not 0 <= cost.volume_share_ppm <= 1000000:
            raise ValueError(f"instrument {index}: volume_share_ppm is not within 0..1000000")
        self.instruments[index] = instrument[0]
        self.costs[index] = cost[0]
        self.pools[index] = index
        for other in range(index):
            if self.instruments[other].base_currency == instrument.base_currency:
                self.pools[index] = self.pools[other]
        return 0

    cdef int set_fill_model(self, const fill_model_t* model) except -1:
        if model.order_latency_ns < 0 or model.order_jitter_ns < 0:
            raise ValueError("order latency and jitter must not be negative")
        if not PATH_WORST <= model.path <= PATH_LOW_FIRST:
            raise ValueError(f"path {model.path} is not a PathRule (1..4)")
        self.fill_model = model[0]
        self.random_state = model.seed
        self.is_instant = model.order_latency_ns == 0 and model.order_jitter_ns == 0
        return 0

    cdef int set_ledger(self, Accounts ledger) except -1:
        if ledger is None:
            raise TypeError("the venue's ledger must not be None")
        self.accounts = ledger
        self.has_accounts = 1
        return 0

    # -- hooks for the matching ----------------------------------------------------------------

    cdef int is_present(self, const market_t* market, ts_ns_t ts) noexcept nogil:
        return 1

    cdef void on_arrival(self, market_t* market, int slot) noexcept nogil:
        pass

    cdef void update_touch(self, market_t* market) noexcept nogil:
        pass

    cdef void refresh_bounds(self, market_t* market) noexcept nogil:
        pass

    # -- the port ------------------------------------------------------------------------------

    cdef int submit(self, const order_t* order, ts_ns_t now_ns) except -2:
        self.check_route(order.instrument, order.order_id, order.strategy)
        return self.send(ACTION_SUBMIT, order, now_ns)

    cdef int cancel(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2:
        cdef order_t order
        self.check_route(instrument, order_id, 0)
        memset(&order, 0, sizeof(order_t))
        order.order_id = order_id
        order.instrument = instrument
        return self.send(ACTION_CANCEL, &order, now_ns)

    cdef int modify(self, int64_t order_id, int instrument, lots_t quantity_lots,
                    price_ticks_t price_ticks, price_ticks_t trigger_ticks,
                    ts_ns_t now_ns) except -2:
        cdef order_t order
        self.check_route(instrument, order_id, 0)
        memset(&order, 0, sizeof(order_t))
        order.order_id = order_id
        order.instrument = instrument
        order.quantity_lots = quantity_lots
        order.price_ticks = price_ticks
        order.trigger_ticks = trigger_ticks
        return self.send(ACTION_MODIFY, &order, now_ns)

    cdef int check_route(self, int instrument, int64_t order_id, int strategy) except -1:
        if not 0 <= instrument < self.instrument_count:
            raise IndexError(f"order {order_id}: instrument {instrument} is unknown to the venue")
        if not 0 <= strategy < self.strategy_count:
            raise IndexError(f"order {order_id}: strategy {strategy} is unknown to the venue")
        if order_id <= 0:
            raise ValueError(f"order id {order_id} is not positive")
        return 0

    cdef int next_report(self, ts_ns_t now_ns, report_t* out) noexcept nogil:
        cdef report_t* first
        if self.report_count == 0:
            return 0
        first = &self.reports[self.report_first & (REPORTS_MAX - 1)]
        if first.ts_recv_ns > now_ns:
            return 0
        out[0] = first[0]
        self.report_first += 1
        self.report_count -= 1
        return 1

    cdef int has_room(self) noexcept nogil:
        return self.report_count < REPORTS_MAX - REPORTS_ROOM

    # -- latency -------------------------------------------------------------------------------

    cdef ts_ns_t latency(self) noexcept nogil:
        """One way, seeded splitmix64 for the jitter."""
        cdef uint64_t z
        if self.fill_model.order_jitter_ns == 0:
            return self.fill_model.order_latency_ns
        self.random_state += 0x9E3779B97F4A7C15ULL
        z = self.random_state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
        z ^= z >> 31
        return (self.fill_model.order_latency_ns
                + <ts_ns_t>(z % (<uint64_t>self.fill_model.order_jitter_ns + 1)))

    cdef queue_t* queue_of(self, const market_t* market) noexcept nogil:
        # Where only bars (or nothing yet) tell the price, an action waits for the next bar's path.
        # Its own queue also stays in use until it is empty, so that nothing overtakes.
        cdef queue_t* own = &self.queues[market.index]
        if market.source <= EVENT_BAR or own.head >= 0:
            return own
        return &self.queues[self.instrument_count]

    cdef int send(self, int kind, const order_t* order, ts_ns_t now_ns) noexcept nogil:
        cdef market_t* market = &self.markets[order.instrument]
        cdef queue_t* queue = self.queue_of(market)
        cdef action_t* action
        cdef int index = self.free_action
        if index < 0 or not self.has_room():
            return -1
        action = &self.actions[index]
        action.order = order[0]
        action.kind = kind
        action.arrives_ns = now_ns + self.latency()
        if self.is_instant and queue.head < 0 and self.is_present(market, now_ns):
            if now_ns > market.time_ns:
                market.time_ns = now_ns
            self.receive(action)
            return 0
        if action.arrives_ns < queue.last_ns:
            action.arrives_ns = queue.last_ns
        queue.last_ns = action.arrives_ns
        self.waiting_count += 1
        self.free_action = action.next
        action.next = -1
        if queue.head < 0:
            queue.head = index
        else:
            self.actions[queue.tail].next = index
        queue.tail = index
        return 0

    cdef int deliver(self, queue_t* queue, ts_ns_t until_ns) noexcept nogil:
        cdef int32_t index = queue.head
        cdef action_t* action = &self.actions[index]
        cdef market_t* market
        if index < 0 or action.arrives_ns > until_ns:
            return 0
        market = &self.markets[action.order.instrument]
        if action.arrives_ns > market.time_ns:
            market.time_ns = action.arrives_ns
        self.waiting_count -= 1
        queue.head = action.next
        self.receive(action)
        action.next = self.free_action
        self.free_action = index
        return 1

    # -- actions that have arrived -------------------------------------------------------------

    cdef void receive(self, const action_t* action) noexcept nogil:
        cdef market_t* market = &self.markets[action.order.instrument]
        self.now_ns = market.time_ns
        self.update_touch(market)
        if action.kind == ACTION_SUBMIT:
            self.receive_order(market, &action.order)
        elif action.kind == ACTION_CANCEL:
            self.receive_cancel(market, &action.order)
        else:
            self.receive_change(market, &action.order)

    cdef void receive_order(self, market_t* market, const order_t* order) noexcept nogil:
        cdef int slot = <int>(order.order_id & SLOT_MASK)
        cdef int reason = self.refusal(market, order)
        cdef working_t* work = &self.working[slot]
        if reason != VENUE_OK:
            self.report(market, order.order_id, REPORT_REJECTED, reason, 0)
            return
        memset(work, 0, sizeof(working_t))
        work.order_id = order.order_id
        work.wait_event = work.avail_event = -1
        work.leaves_lots = order.quantity_lots
        work.filled_lots = order.filled_lots
        work.price_ticks = order.price_ticks
        work.trigger_ticks = order.trigger_ticks
        work.trail_ticks = order.trail_ticks
        work.strategy = order.strategy
        work.side = order.side
        work.type = order.type
        work.tif = order.tif
        work.flags = order.flags
        work.role = order.role
        work.expire_ns = INT64_MAX
        if order.tif == TIF_GTD and order.ts_expire_ns > 0:
            work.expire_ns = order.ts_expire_ns
        elif order.tif == TIF_DAY:
            work.expire_ns = day_end_after(market, market.time_ns)
        self.report(market, order.order_id, REPORT_ACCEPTED, VENUE_OK, order.quantity_lots)
        self.add_slot(market, slot)
        self.on_arrival(market, slot)

    cdef int refusal(self, market_t* market, const order_t* order) noexcept nogil:
        """Why the venue does not take the order; VENUE_OK = it does."""
        cdef const instrument_t* spec = &self.instruments[market.index]
        cdef price_ticks_t reference = order.price_ticks
        cdef money_t notional
        if self.working[order.order_id & SLOT_MASK].order_id != 0:
            return VENUE_FULL
        if order.quantity_lots < 1 or order.quantity_lots < spec.quantity_min_lots:
            return VENUE_QUANTITY
        if spec.quantity_max_lots > 0 and order.quantity_lots > spec.quantity_max_lots:
            return VENUE_QUANTITY
        if order.side != SIDE_BUY and order.side != SIDE_SELL:
            return VENUE_PRICE
        if order.type < ORDER_MARKET or order.type > ORDER_TRAILING_STOP:
            return VENUE_PRICE
        if order.price_ticks < 0 or order.trigger_ticks < 0 or order.trail_ticks < 0:
            return VENUE_PRICE
        if order.type == ORDER_LIMIT or order.type == ORDER_STOP_LIMIT:
            if order.price_ticks == 0:
                return VENUE_PRICE
        if order.type == ORDER_TRAILING_STOP:
            if order.trail_ticks == 0:
                return VENUE_PRICE
        elif order.type != ORDER_MARKET and order.type != ORDER_LIMIT and order.trigger_ticks == 0:
            return VENUE_PRICE
        if reference == 0:
            reference = order.trigger_ticks
        if reference == 0:
            reference = market.ask if order.side == SIDE_BUY else market.bid
        if reference == 0:
            reference = order.reference_ticks
        if notional_of(spec, order.quantity_lots, reference, &notional) != 0:
            return VENUE_QUANTITY
        if reference > 0 and notional < spec.notional_min:
            return VENUE_NOTIONAL_MIN
        if (order.flags & FLAG_POST_ONLY and order.type == ORDER_LIMIT
                and self.would_take(market, order.side, order.price_ticks)):
            return VENUE_POST_ONLY_WOULD_TAKE
        return VENUE_OK

    cdef int would_take(self, market_t* market, int side, price_ticks_t price) noexcept nogil:
        if side == SIDE_BUY:
            return market.ask > 0 and price >= market.ask
        return market.bid > 0 and price <= market.bid

    cdef void receive_cancel(self, market_t* market, const order_t* order) noexcept nogil:
        cdef int slot = <int>(order.order_id & SLOT_MASK)
        if self.working[slot].order_id != order.order_id:
            self.report(market, order.order_id, REPORT_CANCEL_REJECTED, VENUE_UNKNOWN_ORDER, 0)
            return
        self.close_order(market, slot, REPORT_CANCELED, VENUE_OK)

    cdef void receive_change(self, market_t* market, const order_t* order) noexcept nogil:
        """Less quantity keeps the place in the queue; anything else is a new place."""
        cdef int slot = <int>(order.order_id & SLOT_MASK)
        cdef working_t* work = &self.working[slot]
        cdef const instrument_t* spec = &self.instruments[market.index]
        cdef int reason = VENUE_OK
        cdef int keeps_place
        if work.order_id != order.order_id:
            reason = VENUE_UNKNOWN_ORDER
        elif order.quantity_lots < 0 or (spec.quantity_max_lots > 0
                                         and order.quantity_lots > spec.quantity_max_lots):
            reason = VENUE_QUANTITY
        elif order.price_ticks < 0 or order.trigger_ticks < 0:
            reason = VENUE_PRICE
        elif (work.flags & FLAG_POST_ONLY and work.type == ORDER_LIMIT and order.price_ticks > 0
                and self.would_take(market, work.side, order.price_ticks)):
            reason = VENUE_POST_ONLY_WOULD_TAKE
        if reason != VENUE_OK:
            self.report(market, order.order_id, REPORT_CANCEL_REJECTED, reason, 0)
            return
        keeps_place = (order.quantity_lots <= work.leaves_lots
                       and (order.price_ticks == 0 or order.price_ticks == work.price_ticks)
                       and (order.trigger_ticks == 0 or order.trigger_ticks == work.trigger_ticks))
        if order.quantity_lots > 0:
            work.leaves_lots = order.quantity_lots
        self.report(market, order.order_id, REPORT_UPDATED, VENUE_OK, work.leaves_lots)
        if keeps_place:
            return
        self.remove_slot(market, slot)
        if order.price_ticks > 0:
            work.price_ticks = order.price_ticks
        if order.trigger_ticks > 0:
            work.trigger_ticks = order.trigger_ticks
        work.wait_event = work.avail_event = -1
        self.add_slot(market, slot)
        self.on_arrival(market, slot)

    # -- reports -------------------------------------------------------------------------------

    cdef report_t* report(self, market_t* market, int64_t order_id, int kind, int reason,
                          lots_t leaves_lots) noexcept nogil:
        """Queue one report in the order in which reports reach us; the caller made sure of room."""
        cdef ts_ns_t recv_ns = market.time_ns + self.latency()
        cdef uint64_t at = self.report_first + self.report_count
        cdef const working_t* work = &self.working[order_id & SLOT_MASK]
        cdef report_t* out
        if recv_ns < market.recv_ns:
            recv_ns = market.recv_ns
        market.recv_ns = recv_ns
        while (at != self.report_first
                and self.reports[(at - 1) & (REPORTS_MAX - 1)].ts_recv_ns > recv_ns):
            self.reports[at & (REPORTS_MAX - 1)] = self.reports[(at - 1) & (REPORTS_MAX - 1)]
            at -= 1
        self.report_count += 1
        out = &self.reports[at & (REPORTS_MAX - 1)]
        memset(out, 0, sizeof(report_t))
        out.order_id = order_id
        out.ts_event_ns = market.time_ns
        out.ts_recv_ns = recv_ns
        out.leaves_lots = leaves_lots
        out.cum_lots = work.filled_lots if work.order_id == order_id else 0
        out.kind = kind
        out.reason = reason
        return out

    cdef void close_order(self, market_t* market, int slot, int kind, int reason) noexcept nogil:
        cdef working_t* work = &self.working[slot]
        self.report(market, work.order_id, kind, reason, work.leaves_lots)
        self.remove_slot(market, slot)
        work.order_id = 0

    cdef int expire_one(self, market_t* market, ts_ns_t now_ns) noexcept nogil:
        cdef int k, slot
        for k in range(market.count):
            slot = market.slots[k]
            if self.working[slot].expire_ns <= now_ns:
                self.close_order(market, slot, REPORT_EXPIRED, VENUE_OK)
                return 1
        return 0

    # -- fills ---------------------------------------------------------------------------------

    cdef lots_t reducible(self, const market_t* market, const working_t* order) noexcept nogil:
        """How much of the order may still trade; all of it unless it may only reduce."""
        cdef lots_t position
        if not order.flags & FLAG_REDUCE_ONLY:
            return order.leaves_lots
        position = self.positions[order.strategy * self.instrument_count + market.index]
        if order.side == SIDE_BUY:
            position = -position
        if position <= 0:
            return 0
        return position if position < order.leaves_lots else order.leaves_lots

    cdef lots_t fill(self, market_t* market, int slot, lots_t lots, price_ticks_t price,
                     int liquidity, price_ticks_t touch) noexcept nogil:
        """Trade up to `lots` at `price`; returns the lots traded. Closes the order when done."""
        cdef working_t* work = &self.working[slot]
        cdef int64_t order_id = work.order_id
        cdef lots_t most = self.reducible(market, work)
        cdef lots_t signed_lots
        cdef report_t* out
        cdef report_t fee
        if lots > most:
            lots = most
        if lots <= 0:
            if most <= 0:
                self.close_order(market, slot, REPORT_CANCELED, VENUE_REDUCE_ONLY)
            return 0
        if self.charge(market, work.side, liquidity, lots, price, &fee) != 0:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_PRICE)
            return 0
        work.leaves_lots -= lots
        work.filled_lots += lots
        signed_lots = self.book_fill(market, work, lots, &fee)
        market.net_lots += signed_lots
        self.fill_count += 1
        out = self.report(market, order_id, REPORT_FILLED, VENUE_OK, work.leaves_lots)
        out.trade_id = self.fill_count
        out.last_lots = lots
        out.last_ticks = price
        out.fee = fee.fee
        out.fee_currency = fee.fee_currency
        out.liquidity = liquidity
        out.touch_ticks = touch
        # A maker pays neither spread nor slippage: its own price counts as touch and mid.
        out.mid_ticks_x2 = 2 * price if liquidity == LIQUIDITY_MAKER else market.bid + market.ask
        if work.leaves_lots == 0:
            self.remove_slot(market, slot)
            work.order_id = 0
        elif self.reducible(market, work) == 0:
            self.close_order(market, slot, REPORT_CANCELED, VENUE_REDUCE_ONLY)
        return lots

    cdef lots_t book_fill(self, const market_t* market, const working_t* work, lots_t lots,
                          const report_t* fee) noexcept nogil:
        """Move the strategy's position; returns by how much.

        A fee taken in the bought coin leaves less to sell: the lots that it breaks are gone, and
        what remains of them waits in a pool per coin until it makes a whole lot (as in the ledger).
        """
        cdef const instrument_t* spec = &self.instruments[market.index]
        cdef lots_t* position = &self.positions[
            work.strategy * self.instrument_count + market.index]
        cdef money_t* pool = &self.dust[self.pools[market.index]]
        cdef lots_t before = position[0]
        cdef lots_t lost
        position[0] += lots if work.side == SIDE_BUY else -lots
        if (spec.settlement != SETTLE_SPOT or work.side != SIDE_BUY or fee.fee <= 0
                or fee.fee_currency != spec.base_currency):
            return position[0] - before
        lost = (fee.fee + spec.lot_units - 1) // spec.lot_units
        position[0] -= lost
        pool[0] += lost * spec.lot_units - fee.fee
        if pool[0] >= spec.lot_units and position[0] >= 0:
            position[0] += pool[0] // spec.lot_units
            pool[0] %= spec.lot_units
        return position[0] - before

    cdef int charge(self, const market_t* market, int side, int liquidity, lots_t lots,
                    price_ticks_t price, report_t* out) noexcept nogil:
        """Fee and its currency; 0 = written, -1 = it does not fit in 64 bits."""
        cdef const cost_model_t* cost = &self.costs[market.index]
        cdef const instrument_t* spec = &self.instruments[market.index]
        cdef money_t fee
        if cost.fee_asset == FEE_BASE or (cost.fee_asset == FEE_RECEIVED and side == SIDE_BUY):
            out.fee_currency = spec.base_currency
            return base_fee_of(cost, spec, liquidity == LIQUIDITY_MAKER, lots, price, &out.fee)
        if fee_of(cost, spec, liquidity == LIQUIDITY_MAKER, lots, price, &fee) != 0:
            return -1
        out.fee = fee
        out.fee_currency = spec.quote_currency
        if cost.fee_asset == FEE_THIRD or cost.fee_asset == FEE_ACCOUNT:
            if self.has_accounts and self.convert_fee(cost, spec, fee, &out.fee) == 0:
                out.fee_currency = cost.fee_currency
        return 0

    cdef int convert_fee(self, const cost_model_t* cost, const instrument_t* spec, money_t fee,
                         money_t* out) noexcept nogil:
        """0 = written; otherwise a rate is not known and the fee stays in quote currency."""
        cdef money_t amount, unit_value
        if self.accounts.convert(fee, spec.quote_currency, 1, &amount) != 0:
            return -1
        if cost.fee_asset == FEE_ACCOUNT:
            out[0] = amount
            return 0
        if self.accounts.convert(UNIT, cost.fee_currency, 0, &unit_value) != 0:
            return -1
        return mmats_muldiv_ceil(amount, UNIT, unit_value, out)

    # -- working orders ------------------------------------------------------------------------

    cdef void add_slot(self, market_t* market, int slot) noexcept nogil:
        market.slots[market.count] = <int16_t>slot
        market.count += 1
        self.refresh_bounds(market)

    cdef void remove_slot(self, market_t* market, int slot) noexcept nogil:
        cdef int k = 0
        while market.slots[k] != slot:
            k += 1
        market.count -= 1
        memmove(&market.slots[k], &market.slots[k + 1], (market.count - k) * sizeof(int16_t))
        self.refresh_bounds(market)

    # -- carry ---------------------------------------------------------------------------------

    cdef void roll_day(self, market_t* market, ts_ns_t now_ns) noexcept nogil:
        """Carry of every position in this market over the day ends up to `now_ns`."""
        cdef const instrument_t* spec = &self.instruments[market.index]
        cdef const cost_model_t* cost = &self.costs[market.index]
        cdef ts_ns_t end_ns = market.day_end_ns
        cdef int days, strategy, k
        cdef lots_t lots
        cdef money_t amount
        cdef price_ticks_t price = market.price
        if price <= 0:
            price = (market.bid + market.ask) // 2
        market.day_end_ns = day_end_after(market, now_ns)
        if end_ns == 0 or spec.settlement != SETTLE_MARGIN or price <= 0:
            return
        days = <int>((market.day_end_ns - end_ns) // day_ns())
        for strategy in range(self.strategy_count):
            lots = self.positions[strategy * self.instrument_count + market.index]
            if lots == 0 or carry_of(cost, spec, lots, price, days, &amount) != 0 or amount == 0:
                continue
            k = 0
            while k < self.carry_count and not (self.carries[k].strategy == strategy
                                                and self.carries[k].instrument == market.index):
                k += 1
            if k == self.carry_count:
                self.carry_count += 1
                memset(&self.carries[k], 0, sizeof(carry_t))
            self.carries[k].ts_ns = end_ns
            self.carries[k].amount += amount
            self.carries[k].lots = lots
            self.carries[k].price_ticks = price
            self.carries[k].strategy = strategy
            self.carries[k].instrument = market.index

    cdef int next_carry(self, carry_t* out) noexcept nogil:
        if self.carry_count == 0:
            return 0
        self.carry_count -= 1
        out[0] = self.carries[self.carry_count]
        return 1
