# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Double-entry ledger: cash, holdings, positions, profit and loss in integers.

Nothing is rounded away:

- Cost is kept in ticks * lots. A reducing fill releases ``cost * closed / position``, half to
  even; the rest stays in the basis, so a flat position has a cost of exactly 0.
- Spot cash is the floor of the cell's exact cash flow; what is below one unit waits in
  ``carry_quote``. Realised results are exact in ticks * lots; their money is the floor of the sum.
- Values and costs in the account currency are converted as ``accounts.pyx`` says.

Fees in the base asset of a spot fill. The venue keeps ``fee`` units of the asset. The position is
kept in whole lots that can be sold, so ``lost = ceil(fee / lot_units)`` lots leave the fill at the
fill price: a purchase of ``n`` lots counts as one of ``n - lost``, a sale as one of ``n + lost``.
Their cost splits without a result: the part of ``fee`` is the fee (rounded up), the part of the
``lost * lot_units - fee`` units that move from CASH to DUST becomes the cost of the dust, pooled
per asset in the account currency (rounded down). Once the dust holds a whole lot, whole lots move
back to CASH and to the cell whose fill completed them, unless that is short. They bring their
share of the pooled cost along, turned into ticks * lots at the price and rates of that fill and
rounded down; the part below one tick * lot stays with the dust. No step realises a result, and
equity = capital + realised - fees + open results + (value - cost of dust) + carry - conversion
cost throughout, at constant rates and up to the roundings named above.

Single writer. Nothing is allocated after construction. Hot path: ``apply_fill``.
"""

cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memset

from collections import namedtuple

from mmats._core.accounts cimport Accounts, holding_value, raise_unless_ok, touch
from mmats._core.types cimport (
    SETTLE_MARGIN, SETTLE_SPOT, SIDE_BUY, SIDE_SELL, instrument_t, lots_t, mmats_add, mmats_mul,
    mmats_muldiv_ceil, mmats_muldiv_even, mmats_muldiv_floor, mmats_sub, money_t, price_ticks_t,
    report_t, ticklots_t, ts_ns_t,
)

cdef enum:
    PPM = 1000000

Cell = namedtuple("Cell", (
    "lots", "cost_ticklots", "realized_ticklots", "realized_quote", "realized", "fees", "carry",
    "carry_quote",
))
FillResult = namedtuple("FillResult", ("realized", "fee", "position_lots", "closed_lots"))


cdef int _close(cell_t* cell, lots_t closed, price_ticks_t price) noexcept nogil:
    """Close ``closed`` lots (0 < closed <= |position|) at ``price``."""
    cdef lots_t sign = 1 if cell.lots > 0 else -1
    cdef lots_t size = sign * cell.lots
    cdef ticklots_t released = cell.cost_ticklots
    cdef ticklots_t proceeds = 0, gain = 0, total = 0
    if closed < size and mmats_muldiv_even(cell.cost_ticklots, closed, size, &released):
        return LEDGER_OVERFLOW
    if (mmats_mul(sign * closed, price, &proceeds) or mmats_sub(proceeds, released, &gain)
            or mmats_add(cell.realized_ticklots, gain, &total)):
        return LEDGER_OVERFLOW
    cell.realized_ticklots = total
    cell.cost_ticklots -= released
    cell.lots -= sign * closed
    return LEDGER_OK


cdef int _net(cell_t* cell, lots_t delta, price_ticks_t price, lots_t* closed) noexcept nogil:
    """Move the position by ``delta`` lots at ``price``; a flip closes, then opens the rest."""
    cdef lots_t size = 0, step = 0
    cdef ticklots_t added = 0
    if mmats_sub(0, cell.lots, &size) or mmats_sub(0, delta, &step):
        return LEDGER_OVERFLOW  # only the most negative integer has no opposite
    closed[0] = 0
    if (cell.lots > 0 and delta < 0) or (cell.lots < 0 and delta > 0):
        size = size if size > 0 else -size
        step = step if step > 0 else -step
        closed[0] = step if step < size else size
        if _close(cell, closed[0], price):
            return LEDGER_OVERFLOW
        delta += -closed[0] if delta > 0 else closed[0]
    if delta == 0:
        return LEDGER_OK
    if (mmats_mul(delta, price, &added) or mmats_add(cell.cost_ticklots, added, &cell.cost_ticklots)
            or mmats_add(cell.lots, delta, &cell.lots)):
        return LEDGER_OVERFLOW
    return LEDGER_OK


cdef inline void _leg(draft_t* draft, int currency, int giver, int taker,
                      money_t amount) noexcept nogil:
    cdef leg_t* leg = &draft.legs[draft.leg_count]
    leg.currency = currency
    leg.giver = giver
    leg.taker = taker
    leg.amount = amount
    draft.leg_count += 1


cdef int _drafted(const draft_t* draft, int currency, int account, money_t* balance) noexcept nogil:
    """Add to ``balance`` what the drafted legs move in or out of one account."""
    cdef const leg_t* leg
    cdef int k
    for k in range(draft.leg_count):
        leg = &draft.legs[k]
        if leg.currency != currency:
            continue
        if leg.taker == account and mmats_add(balance[0], leg.amount, balance):
            return LEDGER_OVERFLOW
        if leg.giver == account and mmats_sub(balance[0], leg.amount, balance):
            return LEDGER_OVERFLOW
    return LEDGER_OK


@cython.final
cdef class Ledger(Accounts):
    """Positions, fees and results of one trading account; the module's docstring has the rules."""

    # -- fills -----------------------------------------------------------------------------------

    cdef int apply_fill(self, int strategy, const report_t* report, int instrument, int side,
                        ts_ns_t now_ns, fill_result_t* out) noexcept nogil:
        cdef draft_t draft
        cdef cell_t* cell
        cdef const instrument_t* terms
        cdef int code, k
        if (strategy < 0 or strategy >= self.strategy_count or instrument < 0
                or instrument >= self.instrument_count
                or self.instruments[instrument].settlement == 0
                or (side != SIDE_BUY and side != SIDE_SELL)
                or report.last_lots <= 0 or report.last_ticks <= 0):
            return LEDGER_INVALID
        if report.fee != 0 and not 0 <= report.fee_currency < self.currency_count:
            return LEDGER_INVALID
        terms = &self.instruments[instrument]
        cell = &self.cells[strategy * self.instrument_count + instrument]
        draft.cell = cell[0]
        draft.leg_count = 0
        code = self._draft_fill(&draft, report, instrument, side)
        if code == LEDGER_OK:
            code = self._draft_holding(&draft, terms, instrument, cell)
        if code == LEDGER_OK:
            code = self._post_legs(draft.legs, draft.leg_count)
        if code != LEDGER_OK:
            return code
        if terms.settlement == SETTLE_MARGIN and draft.holding.mark_ticks == 0:
            self.unmarked_count += (draft.holding.lots != 0) - (self.holdings[instrument].lots != 0)
        cell[0] = draft.cell
        self.holdings[instrument] = draft.holding
        self.open_results[terms.quote_currency] = draft.open_result
        self.dust_costs[terms.base_currency] = draft.dust_cost
        self.conversion_paid = draft.conversion_paid
        self.margins_known = False
        touch(self.stale, terms.quote_currency)
        for k in range(draft.leg_count):
            touch(self.stale, draft.legs[k].currency)
        out[0] = draft.result
        return LEDGER_OK

    cdef int _draft_fill(self, draft_t* draft, const report_t* report, int instrument,
                         int side) noexcept nogil:
        """Compute the whole effect of a fill on its cell and on the accounts."""
        cdef const instrument_t* terms = &self.instruments[instrument]
        cdef lots_t lost = 0, delta = 0
        cdef bint base_fee = (terms.settlement == SETTLE_SPOT and report.fee != 0
                              and report.fee_currency == terms.base_currency)
        cdef int code
        draft.dust_cost = self.dust_costs[terms.base_currency]
        draft.conversion_paid = self.conversion_paid
        draft.result.fee = 0
        if base_fee:
            code = self._draft_base_fee(draft, terms, instrument, report, &lost)
        else:
            code = self.convert(report.fee, report.fee_currency, 1, &draft.result.fee)
            if report.fee != 0:
                _leg(draft, report.fee_currency, ACCOUNT_CASH, ACCOUNT_FEES, report.fee)
        if code != LEDGER_OK:
            return code
        if (mmats_sub(side * report.last_lots, lost, &delta)
                or mmats_add(draft.cell.fees, draft.result.fee, &draft.cell.fees)
                or _net(&draft.cell, delta, report.last_ticks, &draft.result.closed_lots)):
            return LEDGER_OVERFLOW
        if base_fee and draft.cell.lots >= 0:
            code = self._draft_dust_return(draft, terms, report.last_ticks)
        if code == LEDGER_OK:
            code = self._draft_realized(draft, terms)
        if code == LEDGER_OK and terms.settlement == SETTLE_SPOT:
            code = self._draft_cash(draft, terms, report, side)
        if code == LEDGER_OK and self.auto_convert and terms.settlement == SETTLE_SPOT:
            code = self._draft_conversion(draft, terms.quote_currency)
        draft.result.position_lots = draft.cell.lots
        return code

    cdef int _draft_base_fee(self, draft_t* draft, const instrument_t* terms, int instrument,
                             const report_t* report, lots_t* lost) noexcept nogil:
        """Take the fee out of the bought asset; what is left of its last lot becomes dust."""
        cdef money_t units = 0, dust = 0, worth = 0
        cdef int64_t scaled = 0
        cdef int code
        if (mmats_muldiv_ceil(report.fee, 1, terms.lot_units, lost)
                or mmats_mul(lost[0], terms.lot_units, &units)
                or mmats_sub(units, report.fee, &dust)
                or mmats_mul(report.last_ticks, self.scales[instrument].num, &scaled)
                or mmats_muldiv_ceil(report.fee, scaled, self.scales[instrument].den, &worth)):
            return LEDGER_OVERFLOW
        code = self.convert(worth, terms.quote_currency, 1, &draft.result.fee)
        if code != LEDGER_OK:
            return code
        if mmats_muldiv_floor(dust, scaled, self.scales[instrument].den, &worth, NULL):
            return LEDGER_OVERFLOW
        code = self.convert(worth, terms.quote_currency, 0, &worth)
        if code != LEDGER_OK:
            return code
        _leg(draft, terms.base_currency, ACCOUNT_CASH, ACCOUNT_FEES, report.fee)
        _leg(draft, terms.base_currency, ACCOUNT_CASH, ACCOUNT_DUST, dust)
        return mmats_add(draft.dust_cost, worth, &draft.dust_cost)

    cdef int _draft_dust_return(self, draft_t* draft, const instrument_t* terms,
                                price_ticks_t price) noexcept nogil:
        """Give whole lots of dust back to the cell, with their share of the dust's cost."""
        cdef money_t pool = self.balances[terms.base_currency * ACCOUNT_COUNT + ACCOUNT_DUST]
        cdef money_t worth = 0, share = 0
        cdef lots_t lots
        cdef ticklots_t ticklots = 0, cost = 0
        cdef int code
        if _drafted(draft, terms.base_currency, ACCOUNT_DUST, &pool):
            return LEDGER_OVERFLOW
        if pool < terms.lot_units:
            return LEDGER_OK
        lots = pool // terms.lot_units
        if (mmats_mul(lots, price, &ticklots)
                or mmats_muldiv_even(draft.dust_cost, lots * terms.lot_units, pool, &share)
                or mmats_muldiv_floor(ticklots, terms.money_num, terms.money_den, &worth, NULL)):
            return LEDGER_OVERFLOW
        code = self.convert(worth, terms.quote_currency, 0, &worth)
        if code != LEDGER_OK:
            return code
        if worth == 0:
            cost = ticklots
        elif (mmats_muldiv_floor(ticklots, share, worth, &cost, NULL)
                or mmats_muldiv_ceil(cost, worth, ticklots, &share)):
            return LEDGER_OVERFLOW
        if (mmats_sub(draft.dust_cost, share, &draft.dust_cost)
                or mmats_add(draft.cell.cost_ticklots, cost, &draft.cell.cost_ticklots)
                or mmats_add(draft.cell.lots, lots, &draft.cell.lots)):
            return LEDGER_OVERFLOW
        _leg(draft, terms.base_currency, ACCOUNT_DUST, ACCOUNT_CASH, lots * terms.lot_units)
        return LEDGER_OK

    cdef int _draft_realized(self, draft_t* draft, const instrument_t* terms) noexcept nogil:
        """Turn newly realised ticks * lots into money; margin pays it in the account currency."""
        cdef money_t total = 0, quote = 0
        cdef int code
        draft.result.realized = 0
        if draft.result.closed_lots == 0:
            return LEDGER_OK
        if (mmats_muldiv_floor(draft.cell.realized_ticklots, terms.money_num, terms.money_den,
                               &total, NULL)
                or mmats_sub(total, draft.cell.realized_quote, &quote)):
            return LEDGER_OVERFLOW
        code = self.convert(quote, terms.quote_currency, 0, &draft.result.realized)
        if code != LEDGER_OK:
            return code
        if mmats_add(draft.cell.realized, draft.result.realized, &draft.cell.realized):
            return LEDGER_OVERFLOW
        draft.cell.realized_quote = total
        if terms.settlement == SETTLE_MARGIN and draft.result.realized != 0:
            _leg(draft, self.account_currency, ACCOUNT_PNL, ACCOUNT_CASH, draft.result.realized)
        return LEDGER_OK

    cdef int _draft_cash(self, draft_t* draft, const instrument_t* terms, const report_t* report,
                         int side) noexcept nogil:
        """Swap quote currency for the base asset, both against TRADING."""
        cdef ticklots_t ticklots = 0
        cdef money_t units = 0, paid = 0
        cdef int64_t rest = 0
        if (mmats_mul(-side * report.last_lots, report.last_ticks, &ticklots)
                or mmats_mul(side * report.last_lots, terms.lot_units, &units)
                or mmats_muldiv_floor(ticklots, terms.money_num, terms.money_den, &paid, &rest)):
            return LEDGER_OVERFLOW
        rest += draft.cell.carry_quote
        if rest >= terms.money_den:
            rest -= terms.money_den
            paid += 1  # paid was rounded down from a smaller fraction, so it can grow by one
        draft.cell.carry_quote = rest
        _leg(draft, terms.quote_currency, ACCOUNT_TRADING, ACCOUNT_CASH, paid)
        _leg(draft, terms.base_currency, ACCOUNT_TRADING, ACCOUNT_CASH, units)
        return LEDGER_OK

    cdef int _draft_conversion(self, draft_t* draft, int quote) noexcept nogil:
        """Buy what CASH of the quote currency lacks from the account currency."""
        cdef money_t cash = self.balances[quote * ACCOUNT_COUNT + ACCOUNT_CASH]
        cdef money_t price = 0, cost = 0
        cdef int code
        if quote == self.account_currency:
            return LEDGER_OK
        if _drafted(draft, quote, ACCOUNT_CASH, &cash):
            return LEDGER_OVERFLOW
        if cash >= 0:
            return LEDGER_OK
        if mmats_sub(0, cash, &cash):
            return LEDGER_OVERFLOW
        code = self.convert(cash, quote, 1, &price)
        if code != LEDGER_OK:
            return code
        if (mmats_muldiv_ceil(price, self.conversion_cost_ppm, PPM, &cost)
                or mmats_add(price, cost, &price)
                or mmats_add(draft.conversion_paid, cost, &draft.conversion_paid)):
            return LEDGER_OVERFLOW
        _leg(draft, quote, ACCOUNT_CONVERSION, ACCOUNT_CASH, cash)
        _leg(draft, self.account_currency, ACCOUNT_CASH, ACCOUNT_CONVERSION, price)
        return LEDGER_OK

    cdef int _draft_holding(self, draft_t* draft, const instrument_t* terms, int instrument,
                            const cell_t* before) noexcept nogil:
        """Carry the cell's change over to the instrument's holding and its value."""
        cdef lots_t lots = 0
        cdef ticklots_t cost = 0
        cdef money_t value = 0
        draft.holding = self.holdings[instrument]
        draft.open_result = self.open_results[terms.quote_currency]
        if (mmats_sub(draft.cell.lots, before.lots, &lots)
                or mmats_sub(draft.cell.cost_ticklots, before.cost_ticklots, &cost)
                or mmats_add(draft.holding.lots, lots, &draft.holding.lots)
                or mmats_add(draft.holding.cost_ticklots, cost, &draft.holding.cost_ticklots)
                or holding_value(terms, &draft.holding, draft.holding.mark_ticks, &value)):
            return LEDGER_OVERFLOW
        if terms.settlement == SETTLE_MARGIN and (
                mmats_sub(draft.open_result, draft.holding.value, &draft.open_result)
                or mmats_add(draft.open_result, value, &draft.open_result)):
            return LEDGER_OVERFLOW
        draft.holding.value = value
        return LEDGER_OK

    cdef int carry(self, int strategy, int instrument, money_t amount_quote) noexcept nogil:
        cdef cell_t* cell
        cdef money_t amount = 0, total = 0
        cdef int code
        if (strategy < 0 or strategy >= self.strategy_count or instrument < 0
                or instrument >= self.instrument_count
                or self.instruments[instrument].settlement == 0):
            return LEDGER_INVALID
        cell = &self.cells[strategy * self.instrument_count + instrument]
        code = self.convert(amount_quote, self.instruments[instrument].quote_currency, 0, &amount)
        if code == LEDGER_OK and mmats_add(cell.carry, amount, &total):
            code = LEDGER_OVERFLOW
        if code == LEDGER_OK:
            code = self.post(self.account_currency, ACCOUNT_CARRY, ACCOUNT_CASH, amount)
        if code == LEDGER_OK:
            cell.carry = total
        return code

    # -- queries ---------------------------------------------------------------------------------

    cdef int margin_used(self, money_t* out) noexcept nogil:
        cdef const instrument_t* terms
        cdef holding_t* holding
        cdef money_t margin = 0, total = 0
        cdef int k, code
        for k in range(self.instrument_count):
            terms = &self.instruments[k]
            if terms.margin_ppm == 0:
                continue
            holding = &self.holdings[k]
            if not self.margins_known:
                margin = 0
                if holding.lots != 0 and terms.settlement == SETTLE_MARGIN:
                    if holding.mark_ticks == 0:
                        return LEDGER_NO_RATE
                    code = self.notional(k, holding.lots if holding.lots > 0 else -holding.lots,
                                         holding.mark_ticks, &margin)
                    if code != LEDGER_OK:
                        return code
                    if mmats_muldiv_ceil(margin, terms.margin_ppm, PPM, &margin):
                        return LEDGER_OVERFLOW
                    code = self.convert(margin, terms.quote_currency, 1, &margin)
                    if code != LEDGER_OK:
                        return code
                holding.margin = margin
            if mmats_add(total, holding.margin, &total):
                return LEDGER_OVERFLOW
        self.margins_known = True
        out[0] = total
        return LEDGER_OK

    cdef int _free_cash(self, int currency, money_t* out) noexcept nogil:
        """CASH that can pay for something: of settlement currencies, without spot positions."""
        cdef money_t units = 0
        cdef int k
        out[0] = self.balances[currency * ACCOUNT_COUNT + ACCOUNT_CASH]
        if out[0] < 0:
            return LEDGER_OK  # a debt counts, whatever it is owed in
        if not self.settles[currency]:
            out[0] = 0
            return LEDGER_OK
        for k in range(self.instrument_count):
            if (self.instruments[k].settlement == SETTLE_SPOT and self.holdings[k].lots > 0
                    and self.instruments[k].base_currency == currency
                    and (mmats_mul(self.holdings[k].lots, self.instruments[k].lot_units, &units)
                         or mmats_sub(out[0], units, out))):
                return LEDGER_OVERFLOW
        if out[0] < 0:
            out[0] = 0  # a position that CASH does not back is no debt
        return LEDGER_OK

    cdef int free_money(self, money_t* out) noexcept nogil:
        cdef money_t total = 0, amount = 0, open_sum = 0
        cdef int k, code
        code = self.margin_used(&amount)
        if code != LEDGER_OK:
            return code
        total = -amount
        for k in range(self.currency_count):
            code = self.convert(self.open_results[k], k, 0, &amount)
            if code == LEDGER_OK and mmats_add(open_sum, amount, &open_sum):
                code = LEDGER_OVERFLOW
            if code == LEDGER_OK:
                code = self._free_cash(k, &amount)
            if code == LEDGER_OK:
                code = self.convert(amount, k, 0, &amount)
            if code == LEDGER_OK and mmats_add(total, amount, &total):
                code = LEDGER_OVERFLOW
            if code != LEDGER_OK:
                return code
        if open_sum < 0 and mmats_add(total, open_sum, &total):
            return LEDGER_OVERFLOW
        out[0] = total
        return LEDGER_OK

    cdef int unrealized(self, int strategy, int instrument, money_t* out) noexcept nogil:
        cdef const instrument_t* terms = &self.instruments[instrument]
        cdef const cell_t* cell = &self.cells[strategy * self.instrument_count + instrument]
        cdef ticklots_t result = 0
        cdef money_t quote = 0
        if cell.lots == 0:
            out[0] = 0
            return LEDGER_OK
        if self.holdings[instrument].mark_ticks == 0:
            return LEDGER_NO_RATE
        if (mmats_mul(cell.lots, self.holdings[instrument].mark_ticks, &result)
                or mmats_sub(result, cell.cost_ticklots, &result)
                or mmats_muldiv_floor(result, terms.money_num, terms.money_den, &quote, NULL)):
            return LEDGER_OVERFLOW
        return self.convert(quote, terms.quote_currency, 0, out)

    # -- Python face; documented in ledger.pyi ---------------------------------------------------

    def apply(self, *, int strategy, int instrument, int side, lots_t lots, price_ticks_t price,
              money_t fee=0, int fee_currency=0, ts_ns_t now_ns=0):
        cdef report_t report
        cdef fill_result_t result
        memset(&report, 0, sizeof(report_t))
        report.last_lots = lots
        report.last_ticks = price
        report.fee = fee
        report.fee_currency = fee_currency
        raise_unless_ok(
            self.apply_fill(strategy, &report, instrument, side, now_ns, &result),
            f"fill of strategy {strategy} in instrument {instrument}",
        )
        return FillResult(result.realized, result.fee, result.position_lots, result.closed_lots)

    def pay_carry(self, int strategy, int instrument, money_t amount_quote):
        raise_unless_ok(self.carry(strategy, instrument, amount_quote), "carry")

    @property
    def account_free_money(self):
        cdef money_t out = 0
        raise_unless_ok(self.free_money(&out), "free money")
        return out

    @property
    def account_margin_used(self):
        cdef money_t out = 0
        raise_unless_ok(self.margin_used(&out), "margin in use")
        return out

    def open_result(self, int strategy, int instrument):
        cdef money_t out = 0
        self._check_cell(strategy, instrument)
        code = self.unrealized(strategy, instrument, &out)
        raise_unless_ok(code, f"open result of instrument {instrument}")
        return out

    def cell(self, int strategy, int instrument):
        self._check_cell(strategy, instrument)
        cdef cell_t c = self.cells[strategy * self.instrument_count + instrument]
        return Cell(c.lots, c.cost_ticklots, c.realized_ticklots, c.realized_quote, c.realized,
                    c.fees, c.carry, c.carry_quote)

    cdef int _check_cell(self, int strategy, int instrument) except -1:
        if not (0 <= strategy < self.strategy_count and 0 <= instrument < self.instrument_count):
            raise IndexError(f"ledger: no cell of strategy {strategy} in instrument {instrument}")
        return 0
