# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The risk gate: global, market, strategy, trade, then the order itself, in one pass.

Orders that only reduce a position skip the rules about more exposure; cancels never come here.
What can't be computed (no mark, no rate, overflow) denies.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free

from mmats._core.accounts cimport LEDGER_NO_RATE, cell_t, equity_of, holding_t
from mmats._core.ledger cimport Ledger
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_STOP_LIMIT, SETTLE_SPOT, SIDE_BUY, TRADING_ACTIVE,
    TRADING_HALTED, instrument_t, lots_t, mmats_add, mmats_muldiv_ceil, mmats_muldiv_floor,
    money_t, order_t, price_ticks_t, ts_ns_t,
)

cdef ts_ns_t DAY_NS = 86_400_000_000_000LL
cdef enum:
    PPM = 1000000           # a constant: the compiler divides by multiplying
    FLAG_OFF_GRID = 4       # set by the order manager on a price or size that was between steps

NO_LIMIT = INT64_MAX


cdef inline int _deny(verdict_t* out, int reason, int64_t observed, int64_t limit) noexcept nogil:
    out.reason = reason
    out.observed = observed
    out.limit = limit
    return reason


cdef inline int64_t _share(int64_t amount, int64_t ppm) noexcept nogil:
    """`amount` * ppm / 1e6, rounded down; NO_LIMIT stays NO_LIMIT."""
    cdef int64_t out
    if ppm == INT64_MAX:
        return INT64_MAX
    if amount <= 0:
        return 0
    if mmats_muldiv_floor(amount, ppm, PPM, &out, NULL) != 0:
        return INT64_MAX
    return out


cdef inline int64_t _least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t _distance(price_ticks_t price, price_ticks_t mark) noexcept nogil:
    """Ticks between a price and the mark; an absent price (0) is at no distance."""
    if price == 0:
        return 0
    return price - mark if price > mark else mark - price


cdef void _unlimited(limits_t* limits) noexcept nogil:
    limits.trading_state = TRADING_ACTIVE
    limits.stop_loss_required = 0
    limits.open_orders_max = 0x7fffffff
    limits.off_grid_denied = 0
    limits.daily_loss_max = INT64_MAX
    limits.daily_loss_ppm = INT64_MAX
    limits.drawdown_max = INT64_MAX
    limits.drawdown_ppm = INT64_MAX
    limits.exposure_max = INT64_MAX
    limits.exposure_ppm = INT64_MAX
    limits.order_notional_min = 0
    limits.order_notional_max = INT64_MAX
    limits.position_notional_max = INT64_MAX
    limits.price_collar_ppm = INT64_MAX
    limits.messages_max = INT64_MAX
    limits.message_window_ns = 0


@cython.final
cdef class RiskGate:
    """Limits and what is open against them; the pipeline is the single writer."""

    def __cinit__(self, Ledger ledger not None, int market_count):
        cdef int k
        cdef int strategies = ledger.strategy_count
        cdef int instruments = ledger.instrument_count
        self.ledger = ledger
        self.market_count = market_count
        self.markets = <limits_t*>calloc(market_count, sizeof(limits_t))
        self.strategies = <limits_t*>calloc(strategies, sizeof(limits_t))
        self.symbols = <limits_t*>calloc(instruments, sizeof(limits_t))
        self.order_lots_max = <lots_t*>calloc(instruments, sizeof(lots_t))
        self.position_lots_max = <lots_t*>calloc(instruments, sizeof(lots_t))
        self.open = <open_t*>calloc(instruments, sizeof(open_t))
        self.open_by_cell = <open_t*>calloc(strategies * instruments, sizeof(open_t))
        self.open_orders = <int32_t*>calloc(strategies, sizeof(int32_t))
        self.market_scopes = <scope_t*>calloc(market_count, sizeof(scope_t))
        self.strategy_scopes = <scope_t*>calloc(strategies, sizeof(scope_t))
        if (self.markets == NULL or self.strategies == NULL or self.symbols == NULL
                or self.open == NULL
                or self.open_by_cell == NULL or self.open_orders == NULL
                or self.market_scopes == NULL or self.strategy_scopes == NULL):
            raise MemoryError("risk gate: no memory")
        _unlimited(&self.overall)
        for k in range(market_count):
            _unlimited(&self.markets[k])
        for k in range(strategies):
            _unlimited(&self.strategies[k])
        for k in range(instruments):
            _unlimited(&self.symbols[k])
            self.order_lots_max[k] = self.position_lots_max[k] = INT64_MAX
        self.market_buffer_ppm = 0
        self.day_end_ns = 0

    def __dealloc__(self):
        free(self.markets)
        free(self.strategies)
        free(self.symbols)
        free(self.order_lots_max)
        free(self.position_lots_max)
        free(self.open)
        free(self.open_by_cell)
        free(self.open_orders)
        free(self.market_scopes)
        free(self.strategy_scopes)

    # -- configuration ---------------------------------------------------------------------------

    cdef limits_t* _scope_limits(self, str level, int index) except NULL:
        if level == "global":
            return &self.overall
        if level == "market" and 0 <= index < self.market_count:
            return &self.markets[index]
        if level == "strategy" and 0 <= index < self.ledger.strategy_count:
            return &self.strategies[index]
        if level == "symbol" and 0 <= index < self.ledger.instrument_count:
            return &self.symbols[index]
        raise ValueError(f"no risk scope {level!r} {index}")

    def set_limits(self, str level not None, int index=0, **limits):
        """Set limits of one scope by field name of `limits_t`; the others stay as they are."""
        cdef limits_t* scope = self._scope_limits(level, index)
        cdef dict fields = scope[0]
        unknown = set(limits) - set(fields)
        if unknown:
            raise ValueError(f"no such limit: {', '.join(sorted(unknown))}")
        if limits.get("messages_max", NO_LIMIT) != NO_LIMIT and not (
                0 < limits["messages_max"] <= RATE_WINDOW_MAX):
            raise ValueError(f"messages_max must be 1 to {RATE_WINDOW_MAX} per window")
        fields.update(limits)
        scope[0] = fields
        if level == "strategy" and scope.drawdown_max != INT64_MAX:
            self.watches_strategies = True

    def limits(self, str level not None, int index=0):
        """Return the limits of one scope as a dict."""
        return self._scope_limits(level, index)[0]

    def set_quantity_limits(self, int instrument, lots_t order_max, lots_t position_max):
        """Limit one order and the worst-case position of an instrument, in lots."""
        self._scope_limits("symbol", instrument)
        self.order_lots_max[instrument] = order_max
        self.position_lots_max[instrument] = position_max

    def set_reserve(self, int64_t fee_ppm, int64_t market_buffer_ppm):
        """Say what a purchase reserves beyond its notional, in millionths."""
        self.fee_ppm = fee_ppm
        self.market_buffer_ppm = market_buffer_ppm

    # -- what is open ----------------------------------------------------------------------------

    cdef void add_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil:
        cdef int cell = order.strategy * self.ledger.instrument_count + order.instrument
        if order.side == SIDE_BUY:
            self.open[order.instrument].buy_lots += lots
            self.open_by_cell[cell].buy_lots += lots
        else:
            self.open[order.instrument].sell_lots += lots
            self.open_by_cell[cell].sell_lots += lots
        self.reserved += reserve

    cdef void remove_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil:
        self.add_open(order, -lots, -reserve)

    cdef void count_message(self, ts_ns_t now_ns) noexcept nogil:
        self.sent_ns[self.sent_count % RATE_WINDOW_MAX] = now_ns
        self.sent_count += 1

    # -- equity, days and peaks ------------------------------------------------------------------

    cdef int scope_pnl(self, int strategy, int market, money_t* out) noexcept nogil:
        """Profit and loss of a strategy (market -1) or a market (strategy -1), account currency."""
        cdef int s, k
        cdef int first = strategy if strategy >= 0 else 0
        cdef int last = strategy + 1 if strategy >= 0 else self.ledger.strategy_count
        cdef cell_t* cell
        cdef money_t open_result
        cdef money_t total = 0
        for s in range(first, last):
            for k in range(self.ledger.instrument_count):
                if market >= 0 and self.ledger.instruments[k].market != market:
                    continue
                cell = &self.ledger.cells[s * self.ledger.instrument_count + k]
                total += cell.realized - cell.fees
                if cell.lots != 0:
                    if self.ledger.unrealized(s, k, &open_result) != 0:
                        return -1
                    total += open_result
        out[0] = total
        return 0

    cdef int _observe_scopes(self, int new_day) noexcept nogil:
        cdef int k
        cdef money_t pnl
        for k in range(self.market_count):
            if new_day and self.scope_pnl(-1, k, &pnl) == 0:
                self.market_scopes[k].day_start = pnl
        for k in range(self.ledger.strategy_count):
            if (new_day or self.strategies[k].drawdown_max != INT64_MAX) \
                    and self.scope_pnl(k, -1, &pnl) == 0:
                if new_day:
                    self.strategy_scopes[k].day_start = pnl
                if pnl > self.strategy_scopes[k].peak:
                    self.strategy_scopes[k].peak = pnl
        return 0

    cdef int observe(self, ts_ns_t now_ns) noexcept nogil:
        cdef int new_day = now_ns >= self.day_end_ns
        cdef money_t equity
        cdef int error = equity_of(self.ledger, &equity)
        if error == LEDGER_NO_RATE:
            self.is_valued = 0
            return 0
        if error != 0:
            return error
        self.equity = equity
        self.is_valued = 1
        if new_day:
            self.day_end_ns = (now_ns // DAY_NS + 1) * DAY_NS
            self.account_scope.day_start = equity
            if self.account_scope.peak == 0:
                self.account_scope.peak = equity
                self.initial_equity = equity
            self._observe_scopes(1)
        elif self.watches_strategies:
            self._observe_scopes(0)
        if equity > self.account_scope.peak:
            self.account_scope.peak = equity
        return 0

    # -- the gate --------------------------------------------------------------------------------

    cdef int check(self, const order_t* order, ts_ns_t now_ns, verdict_t* out) noexcept nogil:
        cdef int reducing, reason
        cdef lots_t leaves = order.quantity_lots - order.filled_lots
        out.reason = REASON_OK
        out.observed = out.limit = 0
        out.reserve = 0
        if leaves <= 0:
            return _deny(out, REASON_QUANTITY_ZERO, leaves, 1)
        reducing = self._reduces(order, leaves)
        if not reducing and order.flags & FLAG_REDUCE_ONLY:
            return _deny(out, REASON_NOTHING_TO_REDUCE, leaves, 0)
        reason = self._check_states(order, reducing, out)
        if reason == REASON_OK:
            reason = self._check_messages(now_ns, out)
        if reason == REASON_OK:
            reason = self._check_order(order, leaves, reducing, out)
        if reason == REASON_OK and not reducing:
            reason = self._check_growth(order, leaves, now_ns, out)
        return reason

    cdef int _reduces(self, const order_t* order, lots_t leaves) noexcept nogil:
        """1 where the order can only bring the strategy's position nearer to zero."""
        cdef lots_t position = self.ledger.cells[
            order.strategy * self.ledger.instrument_count + order.instrument].lots
        if order.side == SIDE_BUY:
            return position < 0 and leaves <= -position
        return position > 0 and leaves <= position

    cdef int _check_states(self, const order_t* order, int reducing, verdict_t* out) noexcept nogil:
        """Trading state of each level: HALTED passes only reductions, as REDUCING does.

        HALTED also stops new reductions by strategies; the order manager's own flattening and
        protective orders (roles other than entry) pass.
        """
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef int overall = self.overall.trading_state
        if overall != TRADING_ACTIVE and not reducing:
            return _deny(out, REASON_HALTED if overall == TRADING_HALTED else REASON_REDUCING,
                         overall, TRADING_ACTIVE)
        if self.markets[market].trading_state != TRADING_ACTIVE and not reducing:
            return _deny(out, REASON_MARKET_HALTED, self.markets[market].trading_state, TRADING_ACTIVE)
        if self.strategies[order.strategy].trading_state != TRADING_ACTIVE and not reducing:
            return _deny(out, REASON_STRATEGY_HALTED,
                         self.strategies[order.strategy].trading_state, TRADING_ACTIVE)
        return REASON_OK

    cdef int _check_messages(self, ts_ns_t now_ns, verdict_t* out) noexcept nogil:
        cdef int64_t count = self.overall.messages_max
        cdef ts_ns_t oldest
        if self.sent_count >= count:
            oldest = self.sent_ns[(self.sent_count - count) % RATE_WINDOW_MAX]
            if now_ns - oldest < self.overall.message_window_ns:
                return _deny(out, REASON_MESSAGE_RATE, count + 1, count)
        return REASON_OK

    cdef int _check_order(self, const order_t* order, lots_t leaves, int reducing,
                          verdict_t* out) noexcept nogil:
        """Rules about the order itself, for entries and reductions alike."""
        cdef const instrument_t* instrument = &self.ledger.instruments[order.instrument]
        cdef price_ticks_t mark = self.ledger.holdings[order.instrument].mark_ticks
        cdef int64_t allowed
        if mark <= 0:
            return _deny(out, REASON_VALUATION_UNKNOWN, mark, 1)
        if order.price_ticks < 0 or order.trigger_ticks < 0 or order.trail_ticks < 0:
            return _deny(out, REASON_PRICE_INVALID, order.price_ticks, 0)
        if order.flags & FLAG_OFF_GRID and self.overall.off_grid_denied:
            return _deny(out, REASON_OFF_GRID, 1, 0)
        if leaves < instrument.quantity_min_lots:
            return _deny(out, REASON_QUANTITY_MIN, leaves, instrument.quantity_min_lots)
        if leaves > instrument.quantity_max_lots:
            return _deny(out, REASON_QUANTITY_MAX, leaves, instrument.quantity_max_lots)
        if self.overall.price_collar_ppm != INT64_MAX and not reducing:
            allowed = _share(mark, self.overall.price_collar_ppm)
            if _distance(order.price_ticks, mark) > allowed:
                return _deny(out, REASON_PRICE_COLLAR, _distance(order.price_ticks, mark), allowed)
            if _distance(order.trigger_ticks, mark) > allowed:
                return _deny(out, REASON_PRICE_COLLAR, _distance(order.trigger_ticks, mark), allowed)
        return self._check_notional_min(order, leaves, mark, out)

    cdef int _check_notional_min(self, const order_t* order, lots_t leaves, price_ticks_t mark,
                                 verdict_t* out) noexcept nogil:
        cdef const instrument_t* instrument = &self.ledger.instruments[order.instrument]
        cdef price_ticks_t price = order.price_ticks
        cdef money_t notional
        if instrument.notional_min <= 0:
            return REASON_OK
        if price <= 0:
            price = order.trigger_ticks if order.trigger_ticks > 0 else mark
        if self.ledger.notional(order.instrument, leaves, price, &notional) != 0:
            return _deny(out, REASON_OVERFLOW, leaves, 0)
        if notional < instrument.notional_min:
            return _deny(out, REASON_NOTIONAL_MIN, notional, instrument.notional_min)
        return REASON_OK

    # -- rules about more exposure ---------------------------------------------------------------

    cdef int _check_growth(self, const order_t* order, lots_t leaves, ts_ns_t now_ns,
                           verdict_t* out) noexcept nogil:
        cdef int reason
        cdef money_t notional, allowed
        if not self.is_valued or not self.ledger.is_valued(order.instrument, now_ns):
            return _deny(out, REASON_VALUATION_UNKNOWN, 0, 1)
        reason = self._check_losses(order, out)
        if reason != REASON_OK:
            return reason
        reason = self._check_trade(order, out)
        if reason != REASON_OK:
            return reason
        if self._worst_notional(order, leaves, &notional) != 0:
            return _deny(out, REASON_OVERFLOW, leaves, 0)
        allowed = self._strictest_order_notional(order)
        if notional > allowed:
            return _deny(out, REASON_NOTIONAL_MAX, notional, allowed)
        if notional < self.overall.order_notional_min:
            return _deny(out, REASON_NOTIONAL_MIN, notional, self.overall.order_notional_min)
        if leaves > self.order_lots_max[order.instrument]:
            return _deny(out, REASON_QUANTITY_MAX, leaves, self.order_lots_max[order.instrument])
        if self.open_order_count >= self.overall.open_orders_max:
            return _deny(out, REASON_OPEN_ORDERS, self.open_order_count + 1,
                         self.overall.open_orders_max)
        if self.open_orders[order.strategy] >= self.strategies[order.strategy].open_orders_max:
            return _deny(out, REASON_STRATEGY_OPEN_ORDERS, self.open_orders[order.strategy] + 1,
                         self.strategies[order.strategy].open_orders_max)
        reason = self._check_exposure(order, leaves, out)
        if reason != REASON_OK:
            return reason
        return self._check_buying_power(order, leaves, notional, out)

    cdef money_t _strictest_order_notional(self, const order_t* order) noexcept nogil:
        cdef int market = self.ledger.instruments[order.instrument].market
        return _least(
            _least(self.overall.order_notional_max, self.markets[market].order_notional_max),
            _least(self.strategies[order.strategy].order_notional_max,
                   self.symbols[order.instrument].order_notional_max))

    cdef int _check_losses(self, const order_t* order, verdict_t* out) noexcept nogil:
        """Daily loss and drawdown of account, market and strategy."""
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef limits_t* limits = &self.overall
        cdef int64_t allowed, loss
        cdef money_t pnl
        loss = self.account_scope.day_start - self.equity
        allowed = _least(limits.daily_loss_max,
                         _share(self.account_scope.day_start, limits.daily_loss_ppm))
        if loss >= allowed:
            return _deny(out, REASON_DAILY_LOSS, loss, allowed)
        loss = self.account_scope.peak - self.equity
        allowed = _least(limits.drawdown_max, _share(self.account_scope.peak, limits.drawdown_ppm))
        if loss >= allowed:
            return _deny(out, REASON_DRAWDOWN, loss, allowed)
        if self.markets[market].daily_loss_max != INT64_MAX:
            if self.scope_pnl(-1, market, &pnl) != 0:
                return _deny(out, REASON_VALUATION_UNKNOWN, market, 0)
            loss = self.market_scopes[market].day_start - pnl
            if loss >= self.markets[market].daily_loss_max:
                return _deny(out, REASON_MARKET_DAILY_LOSS, loss, self.markets[market].daily_loss_max)
        limits = &self.strategies[order.strategy]
        if limits.daily_loss_max != INT64_MAX or limits.drawdown_max != INT64_MAX:
            if self.scope_pnl(order.strategy, -1, &pnl) != 0:
                return _deny(out, REASON_VALUATION_UNKNOWN, order.strategy, 0)
            loss = self.strategy_scopes[order.strategy].day_start - pnl
            if loss >= limits.daily_loss_max:
                return _deny(out, REASON_STRATEGY_DAILY_LOSS, loss, limits.daily_loss_max)
            loss = self.strategy_scopes[order.strategy].peak - pnl
            if loss >= limits.drawdown_max:
                return _deny(out, REASON_STRATEGY_DRAWDOWN, loss, limits.drawdown_max)
        return REASON_OK

    cdef int _check_trade(self, const order_t* order, verdict_t* out) noexcept nogil:
        """Stop-loss present and on the losing side, target on the winning side."""
        cdef int64_t reference = order.reference_ticks
        if order.stop_loss_ticks <= 0:
            if self.overall.stop_loss_required or self.strategies[order.strategy].stop_loss_required:
                return _deny(out, REASON_STOP_LOSS_MISSING, 0, 1)
        elif (order.stop_loss_ticks - reference) * order.side >= 0:
            return _deny(out, REASON_STOP_LOSS_SIDE, order.stop_loss_ticks, reference)
        if order.take_profit_ticks > 0 and (order.take_profit_ticks - reference) * order.side <= 0:
            return _deny(out, REASON_TAKE_PROFIT_SIDE, order.take_profit_ticks, reference)
        return REASON_OK

    cdef int _worst_notional(self, const order_t* order, lots_t leaves, money_t* out) noexcept nogil:
        """Notional in account currency at the worst price the order may fill at, rounded up."""
        cdef price_ticks_t price
        cdef int64_t worst
        cdef money_t quote
        if order.type == ORDER_LIMIT or order.type == ORDER_STOP_LIMIT:
            price = order.price_ticks
        else:
            price = order.trigger_ticks if order.trigger_ticks > 0 else order.reference_ticks
            if mmats_muldiv_ceil(price, PPM + self.market_buffer_ppm, PPM, &worst) != 0:
                return -1
            price = worst
        if self.ledger.notional(order.instrument, leaves, price, &quote) != 0:
            return -1
        return self.ledger.convert(
            quote, self.ledger.instruments[order.instrument].quote_currency, 1, out)

    cdef lots_t _worst_lots(self, lots_t position, const open_t* pending, lots_t extra_buy,
                            lots_t extra_sell) noexcept nogil:
        """Largest |position| that open orders and the new one can lead to."""
        cdef lots_t long_case = position + pending.buy_lots + extra_buy
        cdef lots_t short_case = pending.sell_lots + extra_sell - position
        return long_case if long_case > short_case else short_case

    cdef int _instrument_exposure(self, int instrument, lots_t extra_buy, lots_t extra_sell,
                                  lots_t position, open_t* pending, money_t* out) noexcept nogil:
        """The worst case in account currency."""
        cdef lots_t worst = self._worst_lots(position, pending, extra_buy, extra_sell)
        cdef money_t quote
        if worst <= 0:
            out[0] = 0
            return 0
        if self.ledger.notional(instrument, worst, self.ledger.holdings[instrument].mark_ticks,
                                &quote) != 0:
            return -1
        return self.ledger.convert(quote, self.ledger.instruments[instrument].quote_currency, 1, out)

    cdef int _scope_exposure(self, const order_t* order, lots_t leaves, int market, int strategy,
                             money_t* out) noexcept nogil:
        """Gross worst-case exposure of a scope with `order` added; market/strategy -1 = all."""
        cdef int k, error
        cdef lots_t position, extra_buy, extra_sell
        cdef open_t* pending
        cdef money_t one
        cdef money_t total = 0
        cdef int stride = self.ledger.instrument_count
        for k in range(stride):
            if market >= 0 and self.ledger.instruments[k].market != market:
                continue
            if strategy >= 0:
                position = self.ledger.cells[strategy * stride + k].lots
                pending = &self.open_by_cell[strategy * stride + k]
            else:
                position = self.ledger.holdings[k].lots
                pending = &self.open[k]
            extra_buy = leaves if k == order.instrument and order.side == SIDE_BUY else 0
            extra_sell = leaves if k == order.instrument and order.side != SIDE_BUY else 0
            if position == 0 and pending.buy_lots == 0 and pending.sell_lots == 0 \
                    and extra_buy == 0 and extra_sell == 0:
                continue
            error = self._instrument_exposure(k, extra_buy, extra_sell, position, pending, &one)
            if error != 0 or mmats_add(total, one, &total) != 0:
                return -1
        out[0] = total
        return 0

    cdef inline int64_t _exposure_limit(self, const limits_t* limits) noexcept nogil:
        return _least(limits.exposure_max, _share(self.equity, limits.exposure_ppm))

    cdef int _check_exposure(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil:
        """Position of the instrument, then gross exposure of account, market and strategy."""
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef int64_t allowed
        cdef money_t observed
        cdef lots_t extra_buy = leaves if order.side == SIDE_BUY else 0
        cdef lots_t worst = self._worst_lots(
            self.ledger.holdings[order.instrument].lots, &self.open[order.instrument], extra_buy,
            leaves - extra_buy)
        if worst > self.position_lots_max[order.instrument]:
            return _deny(out, REASON_POSITION_MAX, worst, self.position_lots_max[order.instrument])
        allowed = _least(
            _least(self.overall.position_notional_max, self.markets[market].position_notional_max),
            _least(self.strategies[order.strategy].position_notional_max,
                   self.symbols[order.instrument].position_notional_max))
        if allowed != INT64_MAX:
            if self._instrument_exposure(
                    order.instrument, extra_buy, leaves - extra_buy,
                    self.ledger.holdings[order.instrument].lots, &self.open[order.instrument],
                    &observed) != 0:
                return _deny(out, REASON_OVERFLOW, leaves, 0)
            if observed > allowed:
                return _deny(out, REASON_POSITION_MAX, observed, allowed)
        allowed = self._exposure_limit(&self.overall)
        if allowed != INT64_MAX:
            if self._scope_exposure(order, leaves, -1, -1, &observed) != 0:
                return _deny(out, REASON_OVERFLOW, leaves, 0)
            if observed > allowed:
                return _deny(out, REASON_GROSS_EXPOSURE, observed, allowed)
        allowed = self._exposure_limit(&self.markets[market])
        if allowed != INT64_MAX:
            if self._scope_exposure(order, leaves, market, -1, &observed) != 0:
                return _deny(out, REASON_OVERFLOW, leaves, 0)
            if observed > allowed:
                return _deny(out, REASON_MARKET_EXPOSURE, observed, allowed)
        allowed = self._exposure_limit(&self.strategies[order.strategy])
        if allowed != INT64_MAX:
            if self._scope_exposure(order, leaves, -1, order.strategy, &observed) != 0:
                return _deny(out, REASON_OVERFLOW, leaves, 0)
            if observed > allowed:
                return _deny(out, REASON_STRATEGY_EXPOSURE, observed, allowed)
        return REASON_OK

    cdef int _check_buying_power(self, const order_t* order, lots_t leaves, money_t notional,
                                 verdict_t* out) noexcept nogil:
        """Free money must cover the order's worst case; a spot sale must be of what is held."""
        cdef const instrument_t* instrument = &self.ledger.instruments[order.instrument]
        cdef money_t free_money, needed, fee
        cdef lots_t held
        if mmats_muldiv_ceil(notional, self.fee_ppm, PPM, &fee) != 0:
            return _deny(out, REASON_OVERFLOW, notional, 0)
        if instrument.settlement == SETTLE_SPOT:
            if order.side != SIDE_BUY:
                held = (self.ledger.holdings[order.instrument].lots
                        - self.open[order.instrument].sell_lots)
                if leaves > held:
                    return _deny(out, REASON_ASSET_SHORT, leaves, held)
                return REASON_OK
            needed = notional
        else:
            if self._margin_needed(order, leaves, notional, &needed) != 0:
                return _deny(out, REASON_OVERFLOW, notional, 0)
        if mmats_add(needed, fee, &needed) != 0 or self.ledger.free_money(&free_money) != 0:
            return _deny(out, REASON_VALUATION_UNKNOWN, 0, 1)
        if needed > free_money - self.reserved:
            return _deny(out, REASON_BUYING_POWER, needed, free_money - self.reserved)
        out.reserve = needed
        return REASON_OK

    cdef int _margin_needed(self, const order_t* order, lots_t leaves, money_t notional,
                            money_t* out) noexcept nogil:
        """Initial margin of what the order adds beyond closing the opposite position."""
        cdef lots_t position = self.ledger.holdings[order.instrument].lots
        cdef lots_t added = leaves
        cdef money_t part = notional
        if position * order.side < 0:
            position = -position if position < 0 else position
            added = leaves - 2 * position if leaves > 2 * position else 0
            if mmats_muldiv_ceil(notional, added, leaves, &part) != 0:
                return -1
        return mmats_muldiv_ceil(
            part, self.ledger.instruments[order.instrument].margin_ppm, PPM, out)
