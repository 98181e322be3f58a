# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""What open orders can lead to.

The worst case of an instrument is that all open orders of one side fill and none of the other.
Protective stops and targets are left out: they are reduce-only and follow the position, so they
can't make it larger.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from mmats._core.accounts cimport LEDGER_OK, LEDGER_OVERFLOW, cell_t
from mmats._core.ledger cimport Ledger
from mmats._core.types cimport (
    ORDER_LIMIT, ORDER_MARKET, ORDER_STOP_LIMIT, ORDER_TRAILING_STOP, ROLE_ENTRY, ROLE_STOP,
    ROLE_TARGET, SETTLE_SPOT, SIDE_BUY, TIF_GTC, instrument_t, lots_t, mmats_add, mmats_muldiv_ceil, mmats_sub, money_t, order_t,
    price_ticks_t,
)

cdef enum:
    PPM = 1000000           # a constant: the compiler divides by multiplying


cdef inline int _worst_lots(lots_t position, const open_t* pending, lots_t extra_buy,
                            lots_t extra_sell, lots_t* out) noexcept nogil:
    """Largest |position| that open orders and the new one can lead to."""
    cdef lots_t long_case = 0, short_case = 0
    if (mmats_add(pending.buy_lots, extra_buy, &long_case)
            or mmats_add(long_case, position, &long_case)
            or mmats_add(pending.sell_lots, extra_sell, &short_case)
            or mmats_sub(short_case, position, &short_case)):
        return LEDGER_OVERFLOW
    out[0] = long_case if long_case > short_case else short_case
    return LEDGER_OK


cdef inline bint _is_protective(const order_t* order) noexcept nogil:
    return order.role == ROLE_STOP or order.role == ROLE_TARGET


cdef class Exposure:

    def __cinit__(self, Ledger ledger not None, *args):
        cdef size_t strategies = ledger.strategy_count
        cdef size_t instruments = ledger.instrument_count
        self.ledger = ledger
        self.open = <open_t*>calloc(instruments, sizeof(open_t))
        self.open_by_cell = <open_t*>calloc(strategies * instruments, sizeof(open_t))
        self.open_orders = <int32_t*>calloc(strategies, sizeof(int32_t))
        self.unknown_orders = <int32_t*>calloc(strategies * instruments, sizeof(int32_t))
        if (self.open == NULL or self.open_by_cell == NULL or self.open_orders == NULL
                or self.unknown_orders == NULL):
            raise MemoryError("exposure: no memory")

    def __dealloc__(self):
        free(self.open)
        free(self.open_by_cell)
        free(self.open_orders)
        free(self.unknown_orders)

    def set_reserve(self, int64_t fee_ppm, int64_t market_buffer_ppm):
        if not 0 <= fee_ppm <= PPM or not 0 <= market_buffer_ppm <= PPM:
            raise ValueError(f"fee {fee_ppm} and buffer {market_buffer_ppm} must be 0 to 1000000 ppm")
        self.fee_ppm = fee_ppm
        self.market_buffer_ppm = market_buffer_ppm

    def open_lots(self, int instrument):
        if not 0 <= instrument < self.ledger.instrument_count:
            raise IndexError(f"no instrument {instrument} of {self.ledger.instrument_count}")
        return self.open[instrument].buy_lots, self.open[instrument].sell_lots

    cdef int order_from(self, dict fields, order_t* out) except -1:
        known = {**ORDER_DEFAULTS, **fields}
        if len(known) != len(ORDER_DEFAULTS):
            raise TypeError(f"unknown order fields {sorted(set(fields) - set(ORDER_DEFAULTS))}")
        out[0] = known
        if not (0 <= out.strategy < self.ledger.strategy_count
                and 0 <= out.instrument < self.ledger.instrument_count):
            raise IndexError(f"no strategy {out.strategy} or no instrument {out.instrument}")
        if out.reference_ticks == 0:
            out.reference_ticks = self.ledger.holdings[out.instrument].mark_ticks
        return 0

    def hold(self, **fields):
        cdef order_t order
        self.order_from(fields, &order)
        self.add_open(&order)

    def release(self, **fields):
        cdef order_t order
        self.order_from(fields, &order)
        self.end_open(&order)

    # -- bookkeeping -----------------------------------------------------------------------------

    cdef void reduce_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil:
        cdef open_t* cell = &self.open_by_cell[
            order.strategy * self.ledger.instrument_count + order.instrument]
        self.reserved -= reserve
        if _is_protective(order):
            return
        if order.side == SIDE_BUY:
            self.open[order.instrument].buy_lots -= lots
            cell.buy_lots -= lots
        else:
            self.open[order.instrument].sell_lots -= lots
            cell.sell_lots -= lots

    cdef void add_open(self, const order_t* order) noexcept nogil:
        self.reduce_open(order, order.filled_lots - order.quantity_lots, -order.reserved)
        self.open_order_count += 1
        self.open_orders[order.strategy] += 1

    cdef void end_open(self, const order_t* order) noexcept nogil:
        self.reduce_open(order, order.quantity_lots - order.filled_lots, order.reserved)
        self.open_order_count -= 1
        self.open_orders[order.strategy] -= 1

    cdef void count_unknown(self, const order_t* order, int change) noexcept nogil:
        self.unknown_orders[
            order.strategy * self.ledger.instrument_count + order.instrument] += change
        self.unknown_order_count += change

    # -- lots ------------------------------------------------------------------------------------

    cdef lots_t pending_lots(self, const order_t* order) noexcept nogil:
        cdef const open_t* cell = &self.open_by_cell[
            order.strategy * self.ledger.instrument_count + order.instrument]
        return cell.buy_lots if order.side == SIDE_BUY else cell.sell_lots

    cdef int worst_position(self, const order_t* order, lots_t leaves, lots_t* out) noexcept nogil:
        cdef lots_t extra_buy = leaves if order.side == SIDE_BUY else 0
        return _worst_lots(self.ledger.holdings[order.instrument].lots,
                           &self.open[order.instrument], extra_buy, leaves - extra_buy, out)

    cdef int grows_net(self, const order_t* order, lots_t leaves) noexcept nogil:
        cdef lots_t before = 0, after = 0
        if (self.worst_position(order, 0, &before) != LEDGER_OK
                or self.worst_position(order, leaves, &after) != LEDGER_OK):
            return True
        return after > before

    # -- notional and exposure -------------------------------------------------------------------

    cdef int worst_price(self, const order_t* order, price_ticks_t* out) noexcept nogil:
        cdef price_ticks_t mark = self.ledger.holdings[order.instrument].mark_ticks
        cdef price_ticks_t price = order.trigger_ticks
        if order.type == ORDER_LIMIT or order.type == ORDER_STOP_LIMIT:
            # A purchase never pays more than its limit; a sale may get more.
            price = order.price_ticks
            out[0] = price if order.side == SIDE_BUY or price > mark else mark
            return LEDGER_OK
        if order.type == ORDER_TRAILING_STOP and price == 0 and order.side == SIDE_BUY:
            if mmats_add(mark, order.trail_ticks, &price):
                return LEDGER_OVERFLOW
        if price < mark:
            price = mark  # a trigger that the market has passed fills at the market
        if mmats_muldiv_ceil(price, PPM + self.market_buffer_ppm, PPM, out):
            return LEDGER_OVERFLOW
        return LEDGER_OK

    cdef int worst_notional(self, const order_t* order, lots_t leaves, money_t* out) noexcept nogil:
        cdef price_ticks_t price = 0
        cdef money_t quote = 0
        cdef int code = self.worst_price(order, &price)
        if code == LEDGER_OK:
            code = self.ledger.notional(order.instrument, leaves, price, &quote)
        if code != LEDGER_OK:
            return code
        return self.ledger.convert(
            quote, self.ledger.instruments[order.instrument].quote_currency, 1, out)

    cdef int _instrument_exposure(self, int instrument, lots_t extra_buy, lots_t extra_sell,
                                  lots_t position, const open_t* pending,
                                  money_t* out) noexcept nogil:
        """The worst case of one instrument in account currency."""
        cdef lots_t worst = 0
        cdef money_t quote = 0
        cdef int code = _worst_lots(position, pending, extra_buy, extra_sell, &worst)
        if code != LEDGER_OK:
            return code
        code = self.ledger.notional(instrument, worst, self.ledger.holdings[instrument].mark_ticks,
                                    &quote)
        if code != LEDGER_OK:
            return code
        return self.ledger.convert(quote, self.ledger.instruments[instrument].quote_currency, 1, out)

    cdef int position_notional(self, const order_t* order, lots_t leaves, bint by_strategy,
                               money_t* out) noexcept nogil:
        cdef int cell = order.strategy * self.ledger.instrument_count + order.instrument
        cdef lots_t extra_buy = leaves if order.side == SIDE_BUY else 0
        cdef lots_t position = self.ledger.holdings[order.instrument].lots
        cdef const open_t* pending = &self.open[order.instrument]
        if by_strategy:
            position = self.ledger.cells[cell].lots
            pending = &self.open_by_cell[cell]
        return self._instrument_exposure(
            order.instrument, extra_buy, leaves - extra_buy, position, pending, out)

    cdef int scope_exposure(self, const order_t* order, lots_t leaves, int market, int strategy,
                            money_t* out) noexcept nogil:
        cdef int k, code
        cdef lots_t position, extra_buy, extra_sell
        cdef const open_t* pending
        cdef money_t one = 0, total = 0
        cdef int stride = self.ledger.instrument_count
        for k in range(stride):
            if market >= 0 and self.ledger.instruments[k].market != market:
                continue
            position = self.ledger.holdings[k].lots
            pending = &self.open[k]
            if strategy >= 0:
                position = self.ledger.cells[strategy * stride + k].lots
                pending = &self.open_by_cell[strategy * stride + k]
            extra_buy = leaves if k == order.instrument and order.side == SIDE_BUY else 0
            extra_sell = leaves if k == order.instrument and order.side != SIDE_BUY else 0
            if position == 0 and pending.buy_lots == 0 and pending.sell_lots == 0 \
                    and extra_buy == 0 and extra_sell == 0:
                continue
            code = self._instrument_exposure(k, extra_buy, extra_sell, position, pending, &one)
            if code != LEDGER_OK:
                return code
            if mmats_add(total, one, &total):
                return LEDGER_OVERFLOW
        out[0] = total
        return LEDGER_OK

    # -- money -----------------------------------------------------------------------------------

    cdef int _margin_lots(self, const order_t* order, lots_t leaves, lots_t* out) noexcept nogil:
        """How many lots the order adds to what margin is in use or reserved for.

        Margin is in use for the net position and reserved for what orders of one side can add to
        it, so lots that only close or turn the position round need no more.
        """
        cdef lots_t position = self.ledger.holdings[order.instrument].lots
        cdef lots_t used = position if position > 0 else -position
        cdef lots_t before = self.open[order.instrument].sell_lots
        cdef lots_t after = 0
        if order.side == SIDE_BUY:
            before = self.open[order.instrument].buy_lots
        if (mmats_add(before, position * order.side, &before)
                or mmats_add(before, leaves, &after)):
            return LEDGER_OVERFLOW
        before = before if before > used else used
        out[0] = after - before if after > before else 0
        return LEDGER_OK

    cdef int money_needed(self, const order_t* order, lots_t leaves, money_t notional,
                          money_t* out) noexcept nogil:
        cdef const instrument_t* terms = &self.ledger.instruments[order.instrument]
        cdef bint is_spot = terms.settlement == SETTLE_SPOT
        cdef lots_t added = 0
        cdef money_t needed = notional, extra = 0
        cdef int code
        if not is_spot:
            code = self._margin_lots(order, leaves, &added)
            if code != LEDGER_OK:
                return code
            if (mmats_muldiv_ceil(notional, added, leaves, &needed)
                    or mmats_muldiv_ceil(needed, terms.margin_ppm, PPM, &needed)):
                return LEDGER_OVERFLOW
        if (mmats_muldiv_ceil(notional, self.fee_ppm, PPM, &extra)
                or mmats_add(needed, extra, &needed)):
            return LEDGER_OVERFLOW
        if is_spot and terms.quote_currency != self.ledger.account_currency \
                and self.ledger.auto_convert:
            if (mmats_muldiv_ceil(needed, self.ledger.conversion_cost_ppm, PPM, &extra)
                    or mmats_add(needed, extra, &needed)):
                return LEDGER_OVERFLOW
        out[0] = needed
        return LEDGER_OK

    cdef int _own_cash(self, int currency, money_t* out) noexcept nogil:
        """Cash of one currency that is not a position, in account currency."""
        cdef money_t cash = 0
        cdef int code = self.ledger._free_cash(currency, &cash)
        if code != LEDGER_OK:
            return code
        return self.ledger.convert(cash, currency, 0, out)

    cdef int buying_power(self, const order_t* order, money_t* out) noexcept nogil:
        cdef const instrument_t* terms = &self.ledger.instruments[order.instrument]
        cdef money_t free_money = 0, payable = 0, more = 0
        cdef int code = self.ledger.free_money(&free_money)
        if code == LEDGER_OK and terms.settlement == SETTLE_SPOT:
            # A purchase is paid in its quote currency, which may be bought with the account's own.
            code = self._own_cash(terms.quote_currency, &payable)
            if code == LEDGER_OK and self.ledger.auto_convert \
                    and terms.quote_currency != self.ledger.account_currency:
                code = self._own_cash(self.ledger.account_currency, &more)
            if code == LEDGER_OK and mmats_add(payable, more, &payable):
                code = LEDGER_OVERFLOW
            free_money = payable if payable < free_money else free_money
        if code != LEDGER_OK:
            return code
        if mmats_sub(free_money, self.reserved, out):
            return LEDGER_OVERFLOW
        return LEDGER_OK

    cdef int scope_pnl(self, int strategy, int market, money_t* out) noexcept nogil:
        cdef int s, k, code
        cdef int first = strategy if strategy >= 0 else 0
        cdef int last = strategy + 1 if strategy >= 0 else self.ledger.strategy_count
        cdef const cell_t* cell
        cdef money_t open_result = 0, total = 0
        for s in range(first, last):
            for k in range(self.ledger.instrument_count):
                if market >= 0 and self.ledger.instruments[k].market != market:
                    continue
                cell = &self.ledger.cells[s * self.ledger.instrument_count + k]
                code = self.ledger.unrealized(s, k, &open_result)
                if code != LEDGER_OK:
                    return code
                if (mmats_add(total, cell.realized, &total) or mmats_sub(total, cell.fees, &total)
                        or mmats_add(total, cell.carry, &total)
                        or mmats_add(total, open_result, &total)):
                    return LEDGER_OVERFLOW
        out[0] = total
        return LEDGER_OK


cdef order_t _no_order
memset(&_no_order, 0, sizeof(order_t))
cdef dict ORDER_DEFAULTS = {
    **_no_order, "side": SIDE_BUY, "type": ORDER_MARKET, "tif": TIF_GTC, "role": ROLE_ENTRY,
}
