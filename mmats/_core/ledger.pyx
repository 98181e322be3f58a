# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Double-entry ledger: cash, holdings, positions, profit and loss in integers.

Every posting moves an amount between two accounts of one currency, so each currency always sums
to zero over its accounts. Assets such as BTC are currencies here. Nothing is rounded away:

- Cost is kept in ticks * lots. A reducing fill releases ``cost * closed / position``, half to
  even; the rest stays in the basis, so a flat position has a cost of exactly 0.
- Spot cash is the floor of the cell's exact cash flow; what is below one unit waits in
  ``carry_quote``. Realised results are exact in ticks * lots; their money is the floor of the sum.
- A conversion rounds once per link of its chain, down for values and up for costs, to a unit of
  the currency it arrives at.

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

Equity. CASH, DUST and the open results of margin positions are summed per currency, exactly, and
each sum is converted once, rounded down. A mark only notes which currencies it values (one OR);
``equity`` converts those again. The result depends on the state alone, never on the way to it.

Single writer. Nothing is allocated after construction. Hot path: ``mark``, ``equity``.
"""

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import math
from collections import namedtuple

from mmats._core.types cimport (
    SETTLE_MARGIN, SETTLE_SPOT, SIDE_BUY, SIDE_SELL, instrument_t, lots_t, mmats_add, mmats_mul,
    mmats_muldiv_ceil, mmats_muldiv_even, mmats_muldiv_floor, mmats_sub, money_t, price_ticks_t,
    report_t, ticklots_t, ts_ns_t,
)

cdef extern from *:
    int lowest_bit "__builtin_ctzll"(uint64_t word) noexcept nogil

cdef int64_t PPM = 1_000_000
cdef int64_t DENOMINATOR_MAX = 1 << 31  # keeps the sum of two remainders far from overflow
cdef uint64_t ONE = 1
cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U
cdef uint64_t HASH_PRIME = 0x100000001b3U

cdef struct header_t:           # of state_bytes
    uint64_t magic
    uint64_t terms_hash         # a state means nothing under other increments
    money_t conversion_paid

cdef uint64_t MAGIC = 0x3130474454414d4dU  # "MMATDG01"

Cell = namedtuple("Cell", (
    "lots", "cost_ticklots", "realized_ticklots", "realized_quote", "realized", "fees", "carry",
    "carry_quote",
))
Holding = namedtuple("Holding", (
    "lots", "cost_ticklots", "mark_ticks", "marked_ns", "value",
))
FillResult = namedtuple("FillResult", ("realized", "fee", "position_lots", "closed_lots"))

_MESSAGES = {
    LEDGER_OVERFLOW: "a result does not fit in 64 bits; nothing was posted, stop trading",
    LEDGER_NO_RATE: "a needed mark has never been seen; mark the instruments of the rate chain",
    LEDGER_INVALID: "lots and price must be positive, indexes and side in range",
}


class LedgerFault(Exception):
    """The ledger refused: ``code`` is a ``LedgerError``."""

    def __init__(self, what, code):
        super().__init__(f"ledger: {what}: {_MESSAGES[code]}")
        self.code = LedgerError(code)


cdef int _raise_unless_ok(int code, str what) except -1:
    if code != LEDGER_OK:
        raise LedgerFault(what, code)
    return 0


# -- arithmetic of one cell --------------------------------------------------------------------

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


cdef int _holding_value(const instrument_t* terms, const holding_t* holding, price_ticks_t mark,
                        money_t* out) noexcept nogil:
    """Value in quote currency, rounded down: spot the lots, margin their open result."""
    cdef ticklots_t ticklots = 0
    if holding.lots == 0 or mark == 0:
        out[0] = 0
        return LEDGER_OK
    if mmats_mul(holding.lots, mark, &ticklots):
        return LEDGER_OVERFLOW
    if terms.settlement == SETTLE_MARGIN and mmats_sub(ticklots, holding.cost_ticklots, &ticklots):
        return LEDGER_OVERFLOW
    if terms.money_den == 1:
        return mmats_mul(ticklots, terms.money_num, out)
    return mmats_muldiv_floor(ticklots, terms.money_num, terms.money_den, out, NULL)


cdef inline void _leg(draft_t* draft, int currency, int giver, int taker, money_t amount) noexcept nogil:
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


cdef class Ledger:
    """Books of one trading account; see the module's docstring for its rules."""

    def __cinit__(self, int currency_count, int instrument_count, int strategy_count,
                  int account_currency):
        if currency_count < 1 or instrument_count < 1 or strategy_count < 1:
            raise ValueError("ledger: needs at least one currency, instrument and strategy")
        if not 0 <= account_currency < currency_count:
            raise ValueError(f"ledger: account currency {account_currency} is not below {currency_count}")
        self.currency_count = currency_count
        self.instrument_count = instrument_count
        self.strategy_count = strategy_count
        self.account_currency = account_currency
        self.word_count = (currency_count + 63) // 64
        cdef size_t currencies = currency_count, holdings = instrument_count
        cdef size_t cells = holdings * strategy_count, words = self.word_count
        self.state_size = (
            currencies * (ACCOUNT_COUNT + 1) * sizeof(money_t)
            + cells * sizeof(cell_t) + holdings * sizeof(holding_t)
        )
        self.state = <char*>calloc(1, self.state_size)
        self.instruments = <instrument_t*>calloc(holdings, sizeof(instrument_t))
        self.scales = <scale_t*>calloc(holdings, sizeof(scale_t))
        self.rates = <rate_t*>calloc(currencies, sizeof(rate_t))
        self.settles = <int32_t*>calloc(currencies, sizeof(int32_t))
        self.values = <money_t*>calloc(currencies, sizeof(money_t))
        self.open_results = <money_t*>calloc(currencies, sizeof(money_t))
        self.dependents = <uint64_t*>calloc(holdings * words, sizeof(uint64_t))
        self.stale = <uint64_t*>calloc(words, sizeof(uint64_t))
        if (self.state == NULL or self.instruments == NULL or self.scales == NULL
                or self.rates == NULL or self.settles == NULL or self.values == NULL or self.open_results == NULL
                or self.dependents == NULL or self.stale == NULL):
            raise MemoryError("ledger: no memory for the books")
        self.balances = <money_t*>self.state
        self.dust_costs = self.balances + currencies * ACCOUNT_COUNT
        self.cells = <cell_t*>(self.dust_costs + currencies)
        self.holdings = <holding_t*>(self.cells + cells)

    def __init__(self, currency_count, instrument_count, strategy_count, account_currency):
        self.rates[self.account_currency].kind = RATE_ACCOUNT
        self.settles[self.account_currency] = True
        self._resolve_rates()

    def __dealloc__(self):
        free(self.state)
        free(self.instruments)
        free(self.scales)
        free(self.rates)
        free(self.settles)
        free(self.values)
        free(self.open_results)
        free(self.dependents)
        free(self.stale)

    # -- setting up ----------------------------------------------------------------------------

    cdef int add_instrument(self, const instrument_t* instrument) except -1:
        cdef int index = instrument.index
        where = f"ledger: instrument {index}"
        if not 0 <= index < self.instrument_count:
            raise ValueError(f"{where} is not below {self.instrument_count}")
        if self.instruments[index].settlement != 0:
            raise ValueError(f"{where} is declared already")
        if not (0 <= instrument.base_currency < self.currency_count
                and 0 <= instrument.quote_currency < self.currency_count):
            raise ValueError(f"{where}: base and quote must be below {self.currency_count}")
        if instrument.base_currency == instrument.quote_currency:
            raise ValueError(f"{where}: base and quote are the same currency")
        if instrument.settlement not in (SETTLE_SPOT, SETTLE_MARGIN):
            raise ValueError(f"{where}: settlement {instrument.settlement} is neither spot nor margin")
        if instrument.money_num < 1 or not 1 <= instrument.money_den <= DENOMINATOR_MAX:
            raise ValueError(f"{where}: money_num must be positive, money_den in 1..{DENOMINATOR_MAX}")
        if instrument.lot_units < 1 or instrument.margin_ppm < 0:
            raise ValueError(f"{where}: lot_units must be positive, margin_ppm not negative")
        num, den = int(instrument.money_num), int(instrument.lot_units) * int(instrument.money_den)
        common = math.gcd(num, den)
        if den // common > (1 << 62):
            raise ValueError(f"{where}: lot_units * money_den is too large")
        self.scales[index].num = num // common
        self.scales[index].den = den // common
        self.instruments[index] = instrument[0]
        self.settles[instrument.quote_currency] = True
        return 0

    cdef uint64_t _terms_hash(self) noexcept nogil:
        """FNV-1a over the sizes of the books and the terms that give the integers a meaning."""
        cdef uint64_t state = HASH_OFFSET
        cdef int64_t words[7]
        cdef int k, word
        for k in range(-1, self.instrument_count):
            memset(words, 0, sizeof(words))
            if k < 0:
                words[0] = self.currency_count
                words[1] = self.instrument_count
                words[2] = self.strategy_count
                words[3] = self.account_currency
            else:
                words[0] = self.instruments[k].base_currency
                words[1] = self.instruments[k].quote_currency
                words[2] = self.instruments[k].settlement
                words[3] = self.instruments[k].money_num
                words[4] = self.instruments[k].money_den
                words[5] = self.instruments[k].lot_units
                words[6] = self.instruments[k].margin_ppm
            for word in range(7):
                state = (state ^ <uint64_t>words[word]) * HASH_PRIME
                state ^= state >> 29
        return state

    cdef int _check_index(self, int strategy, int instrument) except -1:
        if not (0 <= strategy < self.strategy_count and 0 <= instrument < self.instrument_count):
            raise IndexError(f"ledger: no cell of strategy {strategy} in instrument {instrument}")
        return 0

    cdef int _resolve_rates(self) except -1:
        """Flatten every chain into its conversions, and list which currencies a mark values."""
        cdef int currency, at, links
        cdef rate_t* rate
        cdef rate_t* link
        memset(self.dependents, 0, self.instrument_count * self.word_count * sizeof(uint64_t))
        for currency in range(self.currency_count):
            rate = &self.rates[currency]
            rate.step_count = 0
            at, links, path = currency, 0, [currency]
            while self.rates[at].kind not in (RATE_ACCOUNT, RATE_NONE):
                link = &self.rates[at]
                if link.kind == RATE_PEG:
                    at = link.via
                else:
                    rate.instruments[rate.step_count] = link.via
                    rate.inverted[rate.step_count] = link.kind == RATE_QUOTE
                    rate.step_count += 1
                    at = (self.instruments[link.via].base_currency if link.kind == RATE_QUOTE
                          else self.instruments[link.via].quote_currency)
                links += 1
                if at in path:
                    raise ValueError(f"ledger: the rates of currencies {[*path, at]} run in a circle")
                path.append(at)
                if links == RATE_LINKS_MAX and self.rates[at].kind not in (RATE_ACCOUNT, RATE_NONE):
                    raise ValueError(
                        f"ledger: the rate chain {path} of currency {currency} is longer than "
                        f"{RATE_LINKS_MAX} links"
                    )
            for links in range(rate.step_count):
                self.dependents[rate.instruments[links] * self.word_count + currency // 64] |= (
                    ONE << (currency % 64)
                )
            if self.rates[at].kind == RATE_NONE:
                rate.step_count = -1
        self._rebuild()
        return 0

    cdef int _rebuild(self) except -1:
        """Compute everything that is derived from the state again."""
        cdef int k
        cdef holding_t* holding
        self.total = 0
        self.unmarked_count = 0
        self.margins_known = False
        memset(self.open_results, 0, self.currency_count * sizeof(money_t))
        memset(self.values, 0, self.currency_count * sizeof(money_t))
        for k in range(self.currency_count):
            self._touch(k)
        for k in range(self.instrument_count):
            holding = &self.holdings[k]
            if self.instruments[k].settlement == SETTLE_MARGIN and holding.lots != 0:
                self.unmarked_count += holding.mark_ticks == 0
                self.open_results[self.instruments[k].quote_currency] += holding.value
        return 0

    # -- events --------------------------------------------------------------------------------

    cdef int mark(self, int instrument, price_ticks_t price, ts_ns_t now_ns) noexcept nogil:
        cdef holding_t* holding = &self.holdings[instrument]
        cdef const instrument_t* terms
        cdef money_t value = 0, result = 0
        if price <= 0:
            return LEDGER_INVALID
        if holding.lots != 0:
            terms = &self.instruments[instrument]
            if _holding_value(terms, holding, price, &value):
                return LEDGER_OVERFLOW
            if terms.settlement == SETTLE_MARGIN:
                if (mmats_sub(value, holding.value, &result)
                        or mmats_add(self.open_results[terms.quote_currency], result, &result)):
                    return LEDGER_OVERFLOW
                self.open_results[terms.quote_currency] = result
                self.unmarked_count -= holding.mark_ticks == 0
                self._touch(terms.quote_currency)
            holding.value = value
        holding.mark_ticks = price
        holding.marked_ns = now_ns
        self.margins_known = False
        self._touch_dependents(instrument)
        return LEDGER_OK

    cdef int apply_fill(self, int strategy, const report_t* report, int instrument, int side,
                        ts_ns_t now_ns, fill_result_t* out) noexcept nogil:
        cdef draft_t draft
        cdef cell_t* cell
        cdef int code, quote, k
        if (strategy < 0 or strategy >= self.strategy_count or instrument < 0
                or instrument >= self.instrument_count
                or self.instruments[instrument].settlement == 0
                or (side != SIDE_BUY and side != SIDE_SELL)
                or report.last_lots <= 0 or report.last_ticks <= 0):
            return LEDGER_INVALID
        if report.fee != 0 and (report.fee_currency < 0 or report.fee_currency >= self.currency_count):
            return LEDGER_INVALID
        cell = &self.cells[strategy * self.instrument_count + instrument]
        draft.cell = cell[0]
        draft.leg_count = 0
        code = self._draft_fill(&draft, report, instrument, side)
        if code == LEDGER_OK:
            code = self._draft_holding(&draft, &self.instruments[instrument], instrument, cell)
        if code == LEDGER_OK:
            code = self._post_legs(draft.legs, draft.leg_count)
        if code != LEDGER_OK:
            return code
        quote = self.instruments[instrument].quote_currency
        if self.instruments[instrument].settlement == SETTLE_MARGIN and draft.holding.mark_ticks == 0:
            self.unmarked_count += (draft.holding.lots != 0) - (self.holdings[instrument].lots != 0)
        cell[0] = draft.cell
        self.holdings[instrument] = draft.holding
        self.open_results[quote] = draft.open_result
        self.dust_costs[self.instruments[instrument].base_currency] = draft.dust_cost
        self.conversion_paid = draft.conversion_paid
        self.margins_known = False
        self._touch(quote)
        for k in range(draft.leg_count):
            self._touch(draft.legs[k].currency)
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
        if (mmats_muldiv_floor(draft.cell.realized_ticklots, terms.money_num, terms.money_den, &total,
                               NULL)
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
                or _holding_value(terms, &draft.holding, draft.holding.mark_ticks, &value)):
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

    cdef int post(self, int currency, int giver, int taker, money_t amount) noexcept nogil:
        cdef leg_t leg
        if (currency < 0 or currency >= self.currency_count or giver < 0 or taker < 0
                or giver >= ACCOUNT_COUNT or taker >= ACCOUNT_COUNT):
            return LEDGER_INVALID
        leg.currency = currency
        leg.giver = giver
        leg.taker = taker
        leg.amount = amount
        self._touch(currency)
        return self._post_legs(&leg, 1)

    cdef int _post_legs(self, const leg_t* legs, int count) noexcept nogil:
        """Post all legs, or none when one overflows."""
        cdef money_t* accounts
        cdef money_t given = 0, taken = 0
        cdef int k
        for k in range(count):
            accounts = &self.balances[legs[k].currency * ACCOUNT_COUNT]
            if (mmats_sub(accounts[legs[k].giver], legs[k].amount, &given)
                    or mmats_add(accounts[legs[k].taker], legs[k].amount, &taken)):
                break
            accounts[legs[k].giver] = given
            accounts[legs[k].taker] = taken
        else:
            return LEDGER_OK
        for k in range(k - 1, -1, -1):
            accounts = &self.balances[legs[k].currency * ACCOUNT_COUNT]
            accounts[legs[k].giver] += legs[k].amount
            accounts[legs[k].taker] -= legs[k].amount
        return LEDGER_OVERFLOW

    cdef void _touch(self, int currency) noexcept nogil:
        self.stale[currency >> 6] |= ONE << (currency & 63)

    cdef void _touch_dependents(self, int instrument) noexcept nogil:
        cdef const uint64_t* words = &self.dependents[instrument * self.word_count]
        cdef int word
        for word in range(self.word_count):
            self.stale[word] |= words[word]

    # -- queries -------------------------------------------------------------------------------

    cdef int convert(self, money_t amount, int currency, int round_up, money_t* out) noexcept nogil:
        cdef const rate_t* rate
        cdef price_ticks_t mark
        cdef int64_t times = 0, over = 0
        cdef int k, instrument, code
        if amount == 0:
            out[0] = 0
            return LEDGER_OK
        if currency < 0 or currency >= self.currency_count:
            return LEDGER_INVALID
        rate = &self.rates[currency]
        if rate.step_count < 0:
            return LEDGER_NO_RATE
        for k in range(rate.step_count):
            instrument = rate.instruments[k]
            mark = self.holdings[instrument].mark_ticks
            if mark == 0:
                return LEDGER_NO_RATE
            if mmats_mul(mark, self.scales[instrument].num, &times):
                return LEDGER_OVERFLOW
            over = self.scales[instrument].den
            if rate.inverted[k]:
                times, over = over, times
            if round_up:
                code = mmats_muldiv_ceil(amount, times, over, &amount)
            else:
                code = mmats_muldiv_floor(amount, times, over, &amount, NULL)
            if code:
                return LEDGER_OVERFLOW
        out[0] = amount
        return LEDGER_OK

    cdef int _value_currency(self, int currency) noexcept nogil:
        """Compute one currency's part of the equity again."""
        cdef const money_t* accounts = &self.balances[currency * ACCOUNT_COUNT]
        cdef money_t amount = 0, change = 0, total = 0
        cdef int code
        if (mmats_add(accounts[<int>ACCOUNT_CASH], accounts[<int>ACCOUNT_DUST], &amount)
                or mmats_add(amount, self.open_results[currency], &amount)):
            return LEDGER_OVERFLOW
        code = self.convert(amount, currency, 0, &amount)
        if code != LEDGER_OK:
            return code
        if (mmats_sub(amount, self.values[currency], &change)
                or mmats_add(self.total, change, &total)):
            return LEDGER_OVERFLOW
        self.values[currency] = amount
        self.total = total
        return LEDGER_OK

    cdef int equity(self, money_t* out) noexcept nogil:
        cdef int word, code
        if self.unmarked_count:
            return LEDGER_NO_RATE
        for word in range(self.word_count):
            while self.stale[word]:
                code = self._value_currency(word * 64 + lowest_bit(self.stale[word]))
                if code != LEDGER_OK:
                    return code
                self.stale[word] &= self.stale[word] - 1
        out[0] = self.total
        return LEDGER_OK

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

    cdef int notional(self, int instrument, lots_t lots, price_ticks_t price, money_t* out) noexcept nogil:
        cdef const instrument_t* terms = &self.instruments[instrument]
        cdef ticklots_t ticklots = 0
        if lots < 0 or price <= 0:
            return LEDGER_INVALID
        if mmats_mul(lots, price, &ticklots):
            return LEDGER_OVERFLOW
        if terms.money_den == 1:
            return mmats_mul(ticklots, terms.money_num, out)
        return mmats_muldiv_ceil(ticklots, terms.money_num, terms.money_den, out)

    cdef int _mark_is_fresh(self, int instrument, ts_ns_t now_ns) noexcept nogil:
        cdef const holding_t* holding = &self.holdings[instrument]
        cdef ts_ns_t allowed = self.instruments[instrument].stale_after_ns
        return holding.mark_ticks != 0 and (allowed == 0 or now_ns - holding.marked_ns <= allowed)

    cdef int _rate_is_fresh(self, int currency, ts_ns_t now_ns) noexcept nogil:
        cdef const rate_t* rate = &self.rates[currency]
        cdef int k
        for k in range(rate.step_count):
            if not self._mark_is_fresh(rate.instruments[k], now_ns):
                return False
        return rate.step_count >= 0

    cdef int is_valued(self, int instrument, ts_ns_t now_ns) noexcept nogil:
        cdef const money_t* accounts
        cdef const instrument_t* terms
        cdef int k
        if not self._rate_is_fresh(self.instruments[instrument].quote_currency, now_ns):
            return False
        for k in range(self.currency_count):
            accounts = &self.balances[k * ACCOUNT_COUNT]
            if ((accounts[<int>ACCOUNT_CASH] != 0 or accounts[<int>ACCOUNT_DUST] != 0)
                    and not self._rate_is_fresh(k, now_ns)):
                return False
        for k in range(self.instrument_count):
            terms = &self.instruments[k]
            if (terms.settlement == SETTLE_MARGIN and self.holdings[k].lots != 0
                    and not (self._mark_is_fresh(k, now_ns)
                             and self._rate_is_fresh(terms.quote_currency, now_ns))):
                return False
        return True

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

    cdef int check_balanced(self) noexcept nogil:
        # Unsigned sums wrap without harm: each leg adds and takes the same amount.
        cdef uint64_t amount, lots, cost
        cdef const cell_t* cell
        cdef int k, other
        for k in range(self.currency_count):
            amount = 0
            for other in range(ACCOUNT_COUNT):
                amount += <uint64_t>self.balances[k * ACCOUNT_COUNT + other]
            if amount != 0:
                return -1
        for k in range(self.instrument_count):
            lots = <uint64_t>self.holdings[k].lots
            cost = <uint64_t>self.holdings[k].cost_ticklots
            for other in range(self.strategy_count):
                cell = &self.cells[other * self.instrument_count + k]
                lots -= <uint64_t>cell.lots
                cost -= <uint64_t>cell.cost_ticklots
            if lots != 0 or cost != 0:
                return -1
        return 0

    # -- Python face; documented in ledger.pyi -------------------------------------------------

    def declare_instrument(self, **fields):
        cdef instrument_t terms
        memset(&terms, 0, sizeof(instrument_t))
        terms.index = fields.pop("index")
        terms.market = fields.pop("market", 0)
        terms.base_currency = fields.pop("base_currency")
        terms.quote_currency = fields.pop("quote_currency")
        terms.settlement = fields.pop("settlement")
        terms.money_num = fields.pop("money_num")
        terms.money_den = fields.pop("money_den", 1)
        terms.lot_units = fields.pop("lot_units")
        terms.margin_ppm = fields.pop("margin_ppm", 0)
        terms.stale_after_ns = fields.pop("stale_after_ns", 0)
        if fields:
            raise TypeError(f"ledger: unknown instrument fields {sorted(fields)}")
        self.add_instrument(&terms)

    def set_rate(self, int currency, int kind, int via):
        if not 0 <= currency < self.currency_count or currency == self.account_currency:
            raise ValueError(f"ledger: currency {currency} is out of range or the account currency")
        if kind == RATE_PEG:
            if not 0 <= via < self.currency_count:
                raise ValueError(f"ledger: currency {currency} is pegged to the unknown currency {via}")
        elif kind in (RATE_BASE, RATE_QUOTE):
            if not 0 <= via < self.instrument_count or self.instruments[via].settlement == 0:
                raise ValueError(f"ledger: currency {currency} is valued by the undeclared instrument {via}")
            side = (self.instruments[via].base_currency if kind == RATE_BASE
                    else self.instruments[via].quote_currency)
            if side != currency:
                raise ValueError(f"ledger: instrument {via} does not trade currency {currency} on that side")
        else:
            raise ValueError(f"ledger: currency {currency} needs a peg or an instrument, not kind {kind}")
        cdef rate_t before = self.rates[currency]
        self.rates[currency].kind = kind
        self.rates[currency].via = via
        try:
            self._resolve_rates()
        except ValueError:
            self.rates[currency] = before
            self._resolve_rates()
            raise

    def deposit(self, int currency, money_t amount):
        _raise_unless_ok(self.post(currency, ACCOUNT_CAPITAL, ACCOUNT_CASH, amount), "deposit")

    def mark_price(self, int instrument, price_ticks_t price, ts_ns_t now_ns=0):
        self._check_index(0, instrument)
        _raise_unless_ok(self.mark(instrument, price, now_ns), f"mark of instrument {instrument}")

    def apply(self, *, int strategy, int instrument, int side, lots_t lots, price_ticks_t price,
              money_t fee=0, int fee_currency=0, ts_ns_t now_ns=0):
        cdef report_t report
        cdef fill_result_t result
        memset(&report, 0, sizeof(report_t))
        report.last_lots = lots
        report.last_ticks = price
        report.fee = fee
        report.fee_currency = fee_currency
        _raise_unless_ok(
            self.apply_fill(strategy, &report, instrument, side, now_ns, &result),
            f"fill of strategy {strategy} in instrument {instrument}",
        )
        return FillResult(result.realized, result.fee, result.position_lots, result.closed_lots)

    def pay_carry(self, int strategy, int instrument, money_t amount_quote):
        _raise_unless_ok(self.carry(strategy, instrument, amount_quote), "carry")

    @property
    def account_equity(self):
        cdef money_t out = 0
        _raise_unless_ok(self.equity(&out), "equity")
        return out

    @property
    def account_free_money(self):
        cdef money_t out = 0
        _raise_unless_ok(self.free_money(&out), "free money")
        return out

    @property
    def account_margin_used(self):
        cdef money_t out = 0
        _raise_unless_ok(self.margin_used(&out), "margin in use")
        return out

    def to_account(self, money_t amount, int currency, bint round_up=False):
        cdef money_t out = 0
        _raise_unless_ok(self.convert(amount, currency, round_up, &out), f"value of currency {currency}")
        return out

    def notional_of(self, int instrument, lots_t lots, price_ticks_t price):
        cdef money_t out = 0
        self._check_index(0, instrument)
        _raise_unless_ok(self.notional(instrument, lots, price, &out), "notional")
        return out

    def open_result(self, int strategy, int instrument):
        cdef money_t out = 0
        self._check_index(strategy, instrument)
        _raise_unless_ok(self.unrealized(strategy, instrument, &out), f"open result of instrument {instrument}")
        return out

    def valued(self, int instrument, ts_ns_t now_ns):
        self._check_index(0, instrument)
        return bool(self.is_valued(instrument, now_ns))

    def balanced(self):
        return self.check_balanced() == 0

    def balance(self, int currency, int account):
        if not (0 <= currency < self.currency_count and 0 <= account < ACCOUNT_COUNT):
            raise IndexError(f"ledger: no account {account} of currency {currency}")
        return self.balances[currency * ACCOUNT_COUNT + account]

    def cash(self, int currency):
        return self.balance(currency, ACCOUNT_CASH)

    def dust(self, int currency):
        return self.balance(currency, ACCOUNT_DUST)

    def dust_cost(self, int currency):
        self.balance(currency, ACCOUNT_DUST)
        return self.dust_costs[currency]

    def cell(self, int strategy, int instrument):
        self._check_index(strategy, instrument)
        cdef cell_t c = self.cells[strategy * self.instrument_count + instrument]
        return Cell(c.lots, c.cost_ticklots, c.realized_ticklots, c.realized_quote, c.realized, c.fees,
                    c.carry, c.carry_quote)

    def holding(self, int instrument):
        self._check_index(0, instrument)
        cdef holding_t h = self.holdings[instrument]
        return Holding(h.lots, h.cost_ticklots, h.mark_ticks, h.marked_ns, h.value)

    def state_bytes(self):
        cdef header_t header
        cdef bytes out = PyBytes_FromStringAndSize(NULL, sizeof(header_t) + self.state_size)
        cdef char* target = PyBytes_AsString(out)
        cdef int k
        for k in range(self.instrument_count):
            self.holdings[k].margin = 0  # a cache, filled only when somebody asked
        self.margins_known = False
        header.magic = MAGIC
        header.terms_hash = self._terms_hash()
        header.conversion_paid = self.conversion_paid
        memcpy(target, &header, sizeof(header_t))
        memcpy(target + sizeof(header_t), self.state, self.state_size)
        return out

    def restore(self, bytes state):
        cdef header_t header
        cdef const char* source = PyBytes_AsString(state)
        if <size_t>len(state) != sizeof(header_t) + self.state_size:
            raise ValueError("ledger: the state is of a ledger of another size")
        memcpy(&header, source, sizeof(header_t))
        if header.magic != MAGIC or header.terms_hash != self._terms_hash():
            raise ValueError("ledger: the state belongs to other instruments, or is not a ledger's")
        cdef bytes before = self.state_bytes()
        memcpy(self.state, source + sizeof(header_t), self.state_size)
        if self.check_balanced() != 0:
            memcpy(self.state, PyBytes_AsString(before) + sizeof(header_t), self.state_size)
            raise ValueError("ledger: the books of the state do not balance")
        self.conversion_paid = header.conversion_paid
        self._rebuild()
