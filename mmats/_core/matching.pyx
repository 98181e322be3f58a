# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The simulated venue: orders meet market data under written fill conditions.

The conditions are in docs/fill-conditions.md. One order acts per step, so that every report can be
answered before the next order acts. Single writer.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memset

from mmats._core.accounts cimport ACCOUNT_COUNT, ACCOUNT_DUST, Accounts
from mmats._core.book cimport BOOK_STALE_RECONNECT
from mmats._core.costs cimport cost_model_t, spread_at
from mmats._core.crossing cimport Crossing, has_path
from mmats._core.depth cimport Depth
from mmats._core.desk cimport carry_t, fill_model_t, market_t, queue_t, working_t
from mmats._core.path cimport (
    LEG_COUNT, LEG_OPEN, PATH_HIGH_FIRST, PATH_LOW_FIRST, PATH_WORST, path_is_high_nearer,
    path_move, path_order, path_seek, path_start, path_t, path_time_at, path_turn,
)
from mmats._core.types cimport (
    BAR_BID, BAR_SPREAD, DELTA_LAST, EVENT_BAR, EVENT_DELTA, EVENT_QUOTE, EVENT_TIMER,
    EVENT_TRADE, FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_MARKET, ORDER_TRAILING_STOP, ROLE_ENTRY,
    ROLE_MANUAL, SIDE_BUY, TIF_FOK, TIF_IOC, event_t, instrument_t, lots_t, mmats_muldiv_floor,
    order_t, price_ticks_t, report_t, ts_ns_t,
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


@cython.final
cdef class SimulatedVenue(Crossing):

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

    cdef int mark_stale(self, int instrument) except -1:
        if not 0 <= instrument < self.instrument_count:
            raise IndexError(f"instrument {instrument} is not one of {self.instrument_count}")
        (<Depth>self.depths[instrument]).book.mark_stale(BOOK_STALE_RECONNECT)
        self.markets[instrument].bid = 0
        self.markets[instrument].ask = 0
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

    cdef inline int _begin_bar(self, market_t* market, const event_t* event) noexcept nogil:
        cdef ts_ns_t interval_ns = self.instruments[market.index].bar_interval_ns
        cdef ts_ns_t open_ns = event.ts_event_ns - interval_ns
        if interval_ns == 0 or open_ns < market.close_ns:
            open_ns = market.close_ns if market.close_ns > 0 else event.ts_event_ns
            open_ns = min(open_ns, event.ts_event_ns)
        if open_ns >= market.day_end_ns:
            self.roll_day(market, open_ns)
        self.open_ns = open_ns
        if self._wait_for(market, event):
            return 1
        if market.count != 0:
            self._read_bar(market, event)
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
        if not self._absorb(market, event) or market.count == 0 or not self._can_act(market):
            return 0
        self.event = event[0]
        self.market = market
        self.stage = STAGE_MATCH
        return 1

    cdef inline int _wait_for(self, market_t* market, const event_t* event) noexcept nogil:
        """1 = actions are due before (or within) this event and must be delivered first."""
        cdef queue_t* queue
        cdef int due
        if self.waiting_count == 0:
            return 0
        queue = &self.queues[self.instrument_count]
        due = queue.head >= 0 and self.actions[queue.head].arrives_ns <= event.ts_event_ns
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

    cdef int _absorb(self, market_t* market, const event_t* event) noexcept nogil:
        """1 = orders may be matched now, 0 = the message goes on."""
        if event.ts_event_ns > market.time_ns:
            market.time_ns = event.ts_event_ns
        if event.kind == EVENT_DELTA:
            self.show_level(market, event, <Depth>self.depth_table[market.index])
            return event.flags & DELTA_LAST
        if event.kind == EVENT_QUOTE:
            self._absorb_quote(market, event)
        elif event.kind == EVENT_BAR:
            self._absorb_bar(market, event)
        elif market.source == EVENT_DELTA:
            self.offer_trade(market, event)
        else:
            self._absorb_trade(market, event)
        return 1

    cdef inline void _absorb_bar(self, market_t* market, const event_t* bar) noexcept nogil:
        self._read_bar(market, bar)
        market.price = bar.d
        market.ahead = bar.d
        market.time_ns = bar.ts_event_ns
        market.close_ns = bar.ts_event_ns
        self._offer_volume(market, bar.e, INT64_MAX)

    cdef inline void _read_bar(self, market_t* market, const event_t* bar) noexcept nogil:
        market.basis = bar.flags | self.instruments[market.index].bar_flags
        market.spread = bar.spread_ticks if bar.flags & BAR_SPREAD else -1

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

    cdef inline void _offer_volume(self, market_t* market, lots_t volume_lots,
                            lots_t unlimited) noexcept nogil:
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
        return (market.attention != 0 or self.offer_event == self.event_number
                or market.expire_ns <= market.time_ns
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
        self.stage = STAGE_MATCH if self._absorb(market, &self.event) else STAGE_IDLE
        return 1

    cdef int _step_match(self) noexcept nogil:
        cdef market_t* market = self.market
        cdef int64_t distance = 0
        cdef int slot
        self.now_ns = market.time_ns
        if market.expire_ns <= market.time_ns and self.expire_one(market, market.time_ns):
            return 1
        slot = self.nearest(market, 0, 0, &distance)
        if slot >= 0:
            self.act(market, slot)
            return 1
        self.follow(market)
        self.stage = STAGE_IDLE
        return 0

    cdef int _start_path(self, market_t* market) noexcept nogil:
        self._read_bar(market, &self.event)
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
        cdef int64_t distance = 0, reach
        cdef price_ticks_t target
        cdef ts_ns_t reached_ns, arrives_ns
        cdef int slot
        while path.leg < LEG_COUNT:
            if market.expire_ns <= path.time_ns and self.expire_one(market, path.time_ns):
                return 1
            reach = 0
            if path.leg != LEG_OPEN:
                reach = (path.prices[path.leg + 1] - path.price) * path.step
            slot = self.nearest(market, reach, path.step, &distance)
            if slot >= 0 and distance <= 0:
                self.act(market, slot)
                return 1
            if path.leg == LEG_OPEN:
                self.follow(market)
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
            self.follow(market)

    # -- orders that arrive -------------------------------------------------------------------

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
        work.queue_lots = -1
        self.measure_queue(market, work, <Depth>self.depth_table[market.index])
        if work.type == ORDER_LIMIT:
            work.is_fresh = (work.tif == TIF_IOC or work.tif == TIF_FOK or market.bid <= 0
                             or market.ask <= 0
                             or self.would_take(market, work.side, work.price_ticks))
        elif work.type == ORDER_TRAILING_STOP and work.trigger_ticks == 0:
            self.follow(market)
        self.refresh_bounds(market)
        if is_live and self.distance(market, work) <= 0:
            self.act(market, slot)

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

    def use_ledger(self, ledger):
        self.set_ledger(ledger)

    def take_positions(self):
        cdef int k
        cdef int cells = self.strategy_count * self.instrument_count
        cdef Accounts ledger = self.accounts
        if not self.has_accounts:
            raise ValueError("the venue knows no ledger: call use_ledger first")
        if (ledger.strategy_count != self.strategy_count
                or ledger.instrument_count != self.instrument_count):
            raise ValueError("the ledger has other strategies or instruments than the venue")
        for k in range(cells):
            self.positions[k] = ledger.cells[k].lots
        for k in range(self.instrument_count):
            self.dust[self.pools[k]] = ledger.balances[
                self.instruments[k].base_currency * ACCOUNT_COUNT + ACCOUNT_DUST]

    def declare_feed_broken(self, int instrument):
        self.mark_stale(instrument)

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
        raise ValueError(f"{what}: unknown {unknown}; known are {sorted(known)}")
    return 0
