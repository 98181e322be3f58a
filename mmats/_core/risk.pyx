# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The risk gate: global, market, strategy, trade, then the order itself, in one pass.

An order that can only bring its strategy's position nearer to zero passes without the rules about
more exposure, and leaves as reduce-only, so that nothing that happens meanwhile can make it open a
position. Where strategies hold opposite positions, such an order may still make the account's net
position larger: then exposure and buying power are checked, except for the stops, targets and
closing orders of the order manager. Cancels never come here. What can't be computed (no mark, no
rate, overflow) denies.
"""

cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

from mmats._core.accounts cimport LEDGER_OK, LEDGER_OVERFLOW, equity_of
from mmats._core.exposure cimport Exposure
from mmats._core.ledger cimport Ledger
from mmats._core.limits cimport RATE_WINDOW_MAX, fields_of, least, lift, limits_t, set_fields, share
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_MARKET, ORDER_STOP, ORDER_STOP_LIMIT, ORDER_TAKE_PROFIT,
    ORDER_TRAILING_STOP, ROLE_FLATTEN, ROLE_STOP, ROLE_TARGET, SETTLE_SPOT,
    SIDE_BUY, SIDE_SELL, TIF_DAY, TIF_GTC, TRADING_ACTIVE, TRADING_REDUCING,
    instrument_t, lots_t, mmats_add, mmats_sub, money_t, order_t,
    price_ticks_t, ts_ns_t,
)

cdef ts_ns_t DAY_NS = 86_400_000_000_000LL


cdef inline int _deny(verdict_t* out, int reason, int64_t observed, int64_t limit) noexcept nogil:
    out.reason = reason
    out.observed = observed
    out.limit = limit
    return reason


cdef inline int _deny_unknown(verdict_t* out, int code) noexcept nogil:
    """Deny what the ledger could not compute."""
    return _deny(out, REASON_OVERFLOW if code == LEDGER_OVERFLOW else REASON_VALUATION_UNKNOWN, 0, 1)


cdef inline int64_t _loss(money_t before, money_t now) noexcept nogil:
    cdef int64_t out = 0
    if mmats_sub(before, now, &out) != 0:
        return INT64_MAX if before > now else INT64_MIN
    return out


cdef inline int64_t _distance(price_ticks_t price, price_ticks_t mark) noexcept nogil:
    """Ticks between a price and the mark; an absent price (0) is at no distance."""
    if price == 0:
        return 0
    return price - mark if price > mark else mark - price


cdef inline bint _is_strategys(const order_t* order) noexcept nogil:
    """1 where a strategy asked for this order, 0 for the order manager's and the operator's."""
    return order.role < ROLE_STOP or order.role > ROLE_FLATTEN


cdef inline bint _is_protective(const order_t* order) noexcept nogil:
    """1 for what the order manager sends to protect or to close a position."""
    return order.role == ROLE_STOP or order.role == ROLE_TARGET or order.role == ROLE_FLATTEN


cdef inline bint _passes(int state, const order_t* order, int reduces) noexcept nogil:
    """REDUCING passes reductions; HALTED only those that no strategy asked for."""
    if state == TRADING_ACTIVE:
        return True
    return reduces and (state == TRADING_REDUCING or not _is_strategys(order))


@cython.final
cdef class RiskGate(Exposure):

    def __cinit__(self, Ledger ledger not None, int market_count):
        cdef int k
        cdef int strategies = ledger.strategy_count
        cdef int instruments = ledger.instrument_count
        if market_count < 1:
            raise ValueError("risk gate: needs at least one market")
        for k in range(instruments):
            if not 0 <= ledger.instruments[k].market < market_count:
                raise ValueError(f"risk gate: instrument {k} is in market "
                                 f"{ledger.instruments[k].market} of {market_count}")
        self.market_count = market_count
        self.markets = <limits_t*>calloc(market_count, sizeof(limits_t))
        self.strategies = <limits_t*>calloc(strategies, sizeof(limits_t))
        self.symbols = <limits_t*>calloc(instruments, sizeof(limits_t))
        self.order_lots_max = <lots_t*>calloc(instruments, sizeof(lots_t))
        self.position_lots_max = <lots_t*>calloc(instruments, sizeof(lots_t))
        self.market_scopes = <scope_t*>calloc(market_count, sizeof(scope_t))
        self.strategy_scopes = <scope_t*>calloc(strategies, sizeof(scope_t))
        if (self.markets == NULL or self.strategies == NULL or self.symbols == NULL
                or self.order_lots_max == NULL or self.position_lots_max == NULL
                or self.market_scopes == NULL or self.strategy_scopes == NULL):
            raise MemoryError("risk gate: no memory")
        lift(&self.overall)
        for k in range(market_count):
            lift(&self.markets[k])
        for k in range(strategies):
            lift(&self.strategies[k])
        for k in range(instruments):
            lift(&self.symbols[k])
            self.order_lots_max[k] = self.position_lots_max[k] = INT64_MAX

    def __dealloc__(self):
        free(self.markets)
        free(self.strategies)
        free(self.symbols)
        free(self.order_lots_max)
        free(self.position_lots_max)
        free(self.market_scopes)
        free(self.strategy_scopes)

    # -- configuration; documented in risk.pyi ---------------------------------------------------

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
        cdef limits_t* scope = self._scope_limits(level, index)
        set_fields(scope, level, limits)
        if level == "strategy":
            self.watches_strategies |= (
                scope.drawdown_max != INT64_MAX or scope.drawdown_ppm != INT64_MAX)

    def limits(self, str level not None, int index=0):
        return fields_of(self._scope_limits(level, index), level)

    def set_quantity_limits(self, int instrument, lots_t order_max, lots_t position_max):
        self._scope_limits("symbol", instrument)
        if order_max < 0 or position_max < 0:
            raise ValueError(f"quantity limits {order_max} and {position_max} must not be negative")
        self.order_lots_max[instrument] = order_max
        self.position_lots_max[instrument] = position_max

    # -- what would happen to an order -----------------------------------------------------------

    def check_order(self, ts_ns_t now_ns, **fields):
        cdef order_t order
        cdef verdict_t verdict
        self.order_from(fields, &order)
        self.check(&order, now_ns, &verdict)
        out = dict(verdict)
        out["reason"] = Reason(verdict.reason)
        out["reduces"] = bool(verdict.reduces)
        return out

    def check_many(self, orders, ts_ns_t now_ns):
        from mmats._core.frames import ORDER_DTYPE, VERDICT_DTYPE

        cdef const unsigned char[::1] rows
        cdef unsigned char[::1] answers
        cdef const order_t* order
        cdef verdict_t* verdict
        cdef Py_ssize_t k, count = len(orders)
        if orders.dtype != ORDER_DTYPE or not orders.flags.c_contiguous or orders.ndim != 1:
            raise ValueError("orders must be a contiguous array of ORDER_DTYPE")
        out = np.zeros(count, dtype=VERDICT_DTYPE)
        if count == 0:
            return out
        for name, size in (("strategy", self.ledger.strategy_count),
                           ("instrument", self.ledger.instrument_count)):
            if orders[name].min() < 0 or orders[name].max() >= size:
                raise IndexError(f"an order's {name} is not one of {size}")
        rows = orders.view("u1")
        answers = out.view("u1")
        order = <const order_t*>&rows[0]
        verdict = <verdict_t*>&answers[0]
        with nogil:
            for k in range(count):
                self.check(&order[k], now_ns, &verdict[k])
        return out

    @property
    def day_start_equity(self):
        return self.account_scope.day_start

    @property
    def peak_equity(self):
        return self.account_scope.peak

    def tell_sent(self, ts_ns_t now_ns):
        self.count_message(now_ns)

    def update(self, ts_ns_t now_ns):
        if self.observe(now_ns) != LEDGER_OK:
            raise OverflowError("the account's equity does not fit in 64 bits")

    # -- equity, days and peaks ------------------------------------------------------------------

    cdef int observe(self, ts_ns_t now_ns) noexcept nogil:
        cdef money_t equity = 0
        cdef int code = equity_of(self.ledger, &equity)
        self.is_valued = 0
        if code == LEDGER_OVERFLOW:
            return code
        if code != LEDGER_OK:
            return LEDGER_OK
        if now_ns >= self.day_end_ns:
            code = self._observe_day()
            if code != LEDGER_OK:
                return code if code == LEDGER_OVERFLOW else LEDGER_OK
            if self.day_end_ns == 0:
                self.account_scope.peak = equity
                self.initial_equity = equity
            self.day_end_ns = (now_ns // DAY_NS + 1) * DAY_NS
            self.account_scope.day_start = equity
        if self.watches_strategies and self._observe_peaks() == LEDGER_OVERFLOW:
            return LEDGER_OVERFLOW
        if equity > self.account_scope.peak:
            self.account_scope.peak = equity
        self.equity = equity
        self.is_valued = 1
        return LEDGER_OK

    cdef int _observe_day(self) noexcept nogil:
        """Start a new day of every scope, or of none where one can't be valued."""
        cdef int k, code
        cdef money_t pnl = 0
        for k in range(self.market_count):
            code = self.scope_pnl(-1, k, &pnl)
            if code != LEDGER_OK:
                return code
            self.market_scopes[k].day_start = pnl
        for k in range(self.ledger.strategy_count):
            code = self.scope_pnl(k, -1, &pnl)
            if code != LEDGER_OK:
                return code
            self.strategy_scopes[k].day_start = pnl
        return LEDGER_OK

    cdef int _observe_peaks(self) noexcept nogil:
        cdef int k, code
        cdef money_t pnl = 0
        for k in range(self.ledger.strategy_count):
            code = self.scope_pnl(k, -1, &pnl)
            if code != LEDGER_OK:
                return code
            if pnl > self.strategy_scopes[k].peak:
                self.strategy_scopes[k].peak = pnl
        return LEDGER_OK

    # -- the gate --------------------------------------------------------------------------------

    cdef void count_message(self, ts_ns_t now_ns) noexcept nogil:
        self.sent_ns[self.sent_count % RATE_WINDOW_MAX] = now_ns
        self.sent_count += 1

    cdef int check(self, const order_t* order, ts_ns_t now_ns, verdict_t* out) noexcept nogil:
        cdef int reduces, reason
        cdef lots_t leaves = order.quantity_lots - order.filled_lots
        cdef money_t notional = 0
        memset(out, 0, sizeof(verdict_t))
        reason = self._check_form(order, out)
        if reason != REASON_OK:
            return reason
        reduces = self._reduces(order, leaves)
        out.reduces = reduces
        if not reduces and order.flags & FLAG_REDUCE_ONLY:
            return _deny(out, REASON_NOTHING_TO_REDUCE, leaves, 0)
        reason = self._check_states(order, reduces, out)
        if reason == REASON_OK:
            reason = self._check_messages(order, now_ns, out)
        if reason == REASON_OK:
            reason = self._check_order(order, leaves, reduces, out)
        if reason != REASON_OK:
            return reason
        if not reduces:
            return self._check_growth(order, leaves, now_ns, out)
        if _is_protective(order) or not self.grows_net(order, leaves):
            return REASON_OK
        reason = self.worst_notional(order, leaves, &notional)
        if reason != LEDGER_OK:
            return _deny_unknown(out, reason)
        reason = self._check_exposure(order, leaves, out)
        if reason != REASON_OK:
            return reason
        return self._check_buying_power(order, leaves, notional, out)

    cdef int _check_form(self, const order_t* order, verdict_t* out) noexcept nogil:
        """What no order may look like, whoever made it."""
        cdef int kind = order.type
        if order.side != SIDE_BUY and order.side != SIDE_SELL:
            return _deny(out, REASON_ORDER_INVALID, order.side, SIDE_BUY)
        if kind < ORDER_MARKET or kind > ORDER_TRAILING_STOP:
            return _deny(out, REASON_ORDER_INVALID, kind, ORDER_TRAILING_STOP)
        if order.tif < TIF_GTC or order.tif > TIF_DAY:
            return _deny(out, REASON_ORDER_INVALID, order.tif, TIF_DAY)
        if _is_protective(order) and not order.flags & FLAG_REDUCE_ONLY:
            return _deny(out, REASON_ORDER_INVALID, order.flags, FLAG_REDUCE_ONLY)
        if order.filled_lots < 0 or order.quantity_lots <= order.filled_lots:
            return _deny(out, REASON_QUANTITY_ZERO, order.quantity_lots, order.filled_lots + 1)
        if order.price_ticks < (kind == ORDER_LIMIT or kind == ORDER_STOP_LIMIT):
            return _deny(out, REASON_PRICE_INVALID, order.price_ticks, 1)
        if order.trigger_ticks < (
                kind == ORDER_STOP or kind == ORDER_STOP_LIMIT or kind == ORDER_TAKE_PROFIT):
            return _deny(out, REASON_PRICE_INVALID, order.trigger_ticks, 1)
        if order.trail_ticks < (kind == ORDER_TRAILING_STOP):
            return _deny(out, REASON_PRICE_INVALID, order.trail_ticks, 1)
        if order.stop_loss_ticks < 0 or order.take_profit_ticks < 0:
            return _deny(out, REASON_PRICE_INVALID,
                         least(order.stop_loss_ticks, order.take_profit_ticks), 0)
        return REASON_OK

    cdef int _reduces(self, const order_t* order, lots_t leaves) noexcept nogil:
        """1 where the order can only bring the strategy's position nearer to zero.

        What the strategy is closing already counts as closed, unless the order says itself that
        it only reduces.
        """
        cdef lots_t opposite = -order.side * self.ledger.cells[
            order.strategy * self.ledger.instrument_count + order.instrument].lots
        if not order.flags & FLAG_REDUCE_ONLY:
            opposite -= self.pending_lots(order)
        return leaves <= opposite

    cdef int _check_states(self, const order_t* order, int reduces, verdict_t* out) noexcept nogil:
        cdef int state = self.overall.trading_state
        if not _passes(state, order, reduces):
            return _deny(out, REASON_REDUCING if state == TRADING_REDUCING else REASON_HALTED,
                         state, TRADING_ACTIVE)
        state = self.markets[self.ledger.instruments[order.instrument].market].trading_state
        if not _passes(state, order, reduces):
            return _deny(out, REASON_MARKET_HALTED, state, TRADING_ACTIVE)
        state = self.strategies[order.strategy].trading_state
        if not _passes(state, order, reduces):
            return _deny(out, REASON_STRATEGY_HALTED, state, TRADING_ACTIVE)
        return REASON_OK

    cdef int _check_messages(self, const order_t* order, ts_ns_t now_ns,
                             verdict_t* out) noexcept nogil:
        # A position without its stop is worse than a message too many: those pass, and count.
        cdef int64_t most = self.overall.messages_max
        if _is_protective(order) or self.sent_count < most:
            return REASON_OK
        if now_ns - self.sent_ns[(self.sent_count - most) % RATE_WINDOW_MAX] \
                < self.overall.message_window_ns:
            return _deny(out, REASON_MESSAGE_RATE, most + 1, most)
        return REASON_OK

    cdef int _check_order(self, const order_t* order, lots_t leaves, int reduces,
                          verdict_t* out) noexcept nogil:
        """Rules about the order itself; a reduction needs no mark and has no collar."""
        cdef const instrument_t* terms = &self.ledger.instruments[order.instrument]
        cdef price_ticks_t mark = self.ledger.holdings[order.instrument].mark_ticks
        cdef price_ticks_t price = order.price_ticks
        cdef int64_t allowed, distance
        if mark <= 0 and not reduces:
            return _deny(out, REASON_VALUATION_UNKNOWN, mark, 1)
        if leaves < terms.quantity_min_lots:
            return _deny(out, REASON_QUANTITY_MIN, leaves, terms.quantity_min_lots)
        if terms.quantity_max_lots > 0 and leaves > terms.quantity_max_lots:
            return _deny(out, REASON_QUANTITY_MAX, leaves, terms.quantity_max_lots)
        if self.overall.price_collar_ppm != INT64_MAX and not reduces:
            allowed = share(mark, self.overall.price_collar_ppm)
            distance = _distance(order.price_ticks, mark)
            if distance > allowed:
                return _deny(out, REASON_PRICE_COLLAR, distance, allowed)
            distance = _distance(order.trigger_ticks, mark)
            if distance > allowed:
                return _deny(out, REASON_PRICE_COLLAR, distance, allowed)
        if price == 0:
            price = order.trigger_ticks if order.trigger_ticks > 0 else mark
        return self._check_notional_min(order, leaves, price, out)

    cdef int _check_notional_min(self, const order_t* order, lots_t lots, price_ticks_t price,
                                 verdict_t* out) noexcept nogil:
        """The venue's smallest notional, quote currency."""
        cdef const instrument_t* terms = &self.ledger.instruments[order.instrument]
        cdef money_t notional = 0
        cdef int code
        if terms.notional_min <= 0 or price <= 0:
            return REASON_OK
        code = self.ledger.notional(order.instrument, lots, price, &notional)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        if notional < terms.notional_min:
            return _deny(out, REASON_NOTIONAL_MIN, notional, terms.notional_min)
        return REASON_OK

    # -- rules about more exposure ---------------------------------------------------------------

    cdef int _check_growth(self, const order_t* order, lots_t leaves, ts_ns_t now_ns,
                           verdict_t* out) noexcept nogil:
        cdef int code, reason
        cdef money_t notional = 0
        cdef int unknown = self.unknown_orders[
            order.strategy * self.ledger.instrument_count + order.instrument]
        if unknown > 0:
            return _deny(out, REASON_ORDER_UNKNOWN, unknown, 0)
        if (not self.is_valued or not self.ledger._mark_is_fresh(order.instrument, now_ns)
                or not self.ledger.is_valued(order.instrument, now_ns)):
            return _deny(out, REASON_VALUATION_UNKNOWN, 0, 1)
        reason = self._check_account_losses(out)
        if reason == REASON_OK:
            reason = self._check_scope_losses(order, out)
        if reason == REASON_OK:
            reason = self._check_trade(order, leaves, out)
        if reason != REASON_OK:
            return reason
        code = self.worst_notional(order, leaves, &notional)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        reason = self._check_size(order, leaves, notional, out)
        if reason == REASON_OK:
            reason = self._check_exposure(order, leaves, out)
        if reason == REASON_OK:
            reason = self._check_buying_power(order, leaves, notional, out)
        return reason

    cdef int _check_account_losses(self, verdict_t* out) noexcept nogil:
        """A loss that reaches its limit stops entries."""
        cdef const limits_t* limits = &self.overall
        cdef int64_t loss = _loss(self.account_scope.day_start, self.equity)
        cdef int64_t allowed = least(
            limits.daily_loss_max, share(self.account_scope.day_start, limits.daily_loss_ppm))
        if loss >= allowed:
            return _deny(out, REASON_DAILY_LOSS, loss, allowed)
        loss = _loss(self.account_scope.peak, self.equity)
        allowed = least(limits.drawdown_max, share(self.account_scope.peak, limits.drawdown_ppm))
        if loss >= allowed:
            return _deny(out, REASON_DRAWDOWN, loss, allowed)
        return REASON_OK

    cdef int _check_scope_losses(self, const order_t* order, verdict_t* out) noexcept nogil:
        """The same of a market and a strategy; their percentages are of the account's equity."""
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef const limits_t* limits = &self.markets[market]
        cdef money_t start = self.account_scope.day_start, pnl = 0
        cdef int64_t daily = least(limits.daily_loss_max, share(start, limits.daily_loss_ppm))
        cdef int64_t drawdown, loss
        cdef int code
        if daily != INT64_MAX:
            code = self.scope_pnl(-1, market, &pnl)
            if code != LEDGER_OK:
                return _deny_unknown(out, code)
            loss = _loss(self.market_scopes[market].day_start, pnl)
            if loss >= daily:
                return _deny(out, REASON_MARKET_DAILY_LOSS, loss, daily)
        limits = &self.strategies[order.strategy]
        daily = least(limits.daily_loss_max, share(start, limits.daily_loss_ppm))
        drawdown = least(limits.drawdown_max,
                          share(self.account_scope.peak, limits.drawdown_ppm))
        if daily == INT64_MAX and drawdown == INT64_MAX:
            return REASON_OK
        code = self.scope_pnl(order.strategy, -1, &pnl)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        loss = _loss(self.strategy_scopes[order.strategy].day_start, pnl)
        if loss >= daily:
            return _deny(out, REASON_STRATEGY_DAILY_LOSS, loss, daily)
        loss = _loss(self.strategy_scopes[order.strategy].peak, pnl)
        if loss >= drawdown:
            return _deny(out, REASON_STRATEGY_DRAWDOWN, loss, drawdown)
        return REASON_OK

    cdef int _check_trade(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil:
        """Stop present and on the losing side, target on the winning side; the stop is an order."""
        cdef const instrument_t* terms = &self.ledger.instruments[order.instrument]
        cdef int64_t reference = order.reference_ticks
        cdef lots_t covered = 0
        if order.take_profit_ticks > 0 and (order.take_profit_ticks - reference) * order.side <= 0:
            return _deny(out, REASON_TAKE_PROFIT_SIDE, order.take_profit_ticks, reference)
        if order.stop_loss_ticks == 0:
            if self.overall.stop_loss_required or self.strategies[order.strategy].stop_loss_required:
                return _deny(out, REASON_STOP_LOSS_MISSING, 0, 1)
            return REASON_OK
        if (order.stop_loss_ticks - reference) * order.side >= 0:
            return _deny(out, REASON_STOP_LOSS_SIDE, order.stop_loss_ticks, reference)
        # One stop covers the whole position, so the venue must take an order of that size.
        if mmats_add(leaves, order.side * self.ledger.cells[
                order.strategy * self.ledger.instrument_count + order.instrument].lots, &covered):
            return _deny_unknown(out, LEDGER_OVERFLOW)
        if covered <= 0:
            return REASON_OK
        if terms.quantity_max_lots > 0 and covered > terms.quantity_max_lots:
            return _deny(out, REASON_QUANTITY_MAX, covered, terms.quantity_max_lots)
        return self._check_notional_min(order, covered, order.stop_loss_ticks, out)

    cdef int _check_size(self, const order_t* order, lots_t leaves, money_t notional,
                         verdict_t* out) noexcept nogil:
        """Size of the order and number of open ones."""
        cdef const limits_t* strategy = &self.strategies[order.strategy]
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef int64_t allowed = least(
            least(self.overall.order_notional_max, self.markets[market].order_notional_max),
            least(strategy.order_notional_max, self.symbols[order.instrument].order_notional_max))
        if notional > allowed:
            return _deny(out, REASON_NOTIONAL_MAX, notional, allowed)
        if notional < self.overall.order_notional_min:
            return _deny(out, REASON_NOTIONAL_MIN, notional, self.overall.order_notional_min)
        if leaves > self.order_lots_max[order.instrument]:
            return _deny(out, REASON_QUANTITY_MAX, leaves, self.order_lots_max[order.instrument])
        if self.open_order_count >= self.overall.open_orders_max:
            return _deny(out, REASON_OPEN_ORDERS, self.open_order_count + 1,
                         self.overall.open_orders_max)
        if self.open_orders[order.strategy] >= strategy.open_orders_max:
            return _deny(out, REASON_STRATEGY_OPEN_ORDERS, self.open_orders[order.strategy] + 1,
                         strategy.open_orders_max)
        return REASON_OK

    cdef int _check_exposure(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil:
        """Position of the instrument, then gross exposure of account, market and strategy."""
        cdef int market = self.ledger.instruments[order.instrument].market
        cdef const limits_t* strategy = &self.strategies[order.strategy]
        cdef int64_t allowed = self.position_lots_max[order.instrument]
        cdef money_t observed = 0
        cdef int code = self.worst_position(order, leaves, &observed)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        if observed > allowed:
            return _deny(out, REASON_POSITION_MAX, observed, allowed)
        allowed = least(
            least(self.overall.position_notional_max, self.markets[market].position_notional_max),
            self.symbols[order.instrument].position_notional_max)
        if allowed != INT64_MAX:
            code = self.position_notional(order, leaves, False, &observed)
            if code != LEDGER_OK:
                return _deny_unknown(out, code)
            if observed > allowed:
                return _deny(out, REASON_POSITION_MAX, observed, allowed)
        if strategy.position_notional_max != INT64_MAX:
            code = self.position_notional(order, leaves, True, &observed)
            if code != LEDGER_OK:
                return _deny_unknown(out, code)
            if observed > strategy.position_notional_max:
                return _deny(out, REASON_POSITION_MAX, observed, strategy.position_notional_max)
        code = self._check_scope_exposure(
            order, leaves, &self.overall, -1, -1, REASON_GROSS_EXPOSURE, out)
        if code == REASON_OK:
            code = self._check_scope_exposure(
                order, leaves, &self.markets[market], market, -1, REASON_MARKET_EXPOSURE, out)
        if code == REASON_OK:
            code = self._check_scope_exposure(
                order, leaves, strategy, -1, order.strategy, REASON_STRATEGY_EXPOSURE, out)
        return code

    cdef int _check_scope_exposure(self, const order_t* order, lots_t leaves,
                                   const limits_t* limits, int market, int strategy, int reason,
                                   verdict_t* out) noexcept nogil:
        cdef int64_t allowed = least(limits.exposure_max, share(self.equity, limits.exposure_ppm))
        cdef money_t observed = 0
        cdef int code
        if allowed == INT64_MAX:
            return REASON_OK
        code = self.scope_exposure(order, leaves, market, strategy, &observed)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        if observed > allowed:
            return _deny(out, reason, observed, allowed)
        return REASON_OK

    cdef int _check_buying_power(self, const order_t* order, lots_t leaves, money_t notional,
                                 verdict_t* out) noexcept nogil:
        """Free money must cover the order's worst case; a spot sale must be of what is held."""
        cdef money_t needed = 0, power = 0
        cdef lots_t held
        cdef int code
        if self.ledger.instruments[order.instrument].settlement == SETTLE_SPOT \
                and order.side == SIDE_SELL:
            # Of what the strategy holds itself: the rest belongs to others, who may be selling it.
            held = self.ledger.cells[
                order.strategy * self.ledger.instrument_count + order.instrument
            ].lots - self.pending_lots(order)
            if leaves > held:
                return _deny(out, REASON_ASSET_SHORT, leaves, held)
            return REASON_OK
        code = self.money_needed(order, leaves, notional, &needed)
        if code == LEDGER_OK:
            code = self.buying_power(order, &power)
        if code != LEDGER_OK:
            return _deny_unknown(out, code)
        if needed > power:
            return _deny(out, REASON_BUYING_POWER, needed, power)
        out.reserve = needed
        return REASON_OK
