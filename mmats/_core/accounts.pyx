# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Accounts per currency: balances, rates and marks, and what all of it is worth.

Every posting moves an amount between two accounts of one currency, so each currency always sums
to zero over its accounts. Assets such as BTC are currencies here.

Rates. A currency is worth what its chain of rates says: the account currency itself, 1:1 another
currency, or through the mark of an instrument (amount * mark from base to quote, amount / mark
back). A conversion rounds once per instrument of the chain, to a unit of the currency it arrives
at: down for values, up for costs.

Equity. CASH, DUST and the open results of margin positions are summed per currency, exactly, and
each sum is converted once, rounded down. A mark adds to a currency that is worth what it says, and
otherwise only notes which currencies it values (one OR); ``equity`` converts those again. The
result depends on the state alone, never on the way to it.

All mutable state lies in one block of fixed size, which is what a snapshot copies. Single writer.
Nothing is allocated after construction. Hot path: ``mark``, ``equity``.
"""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import math
from collections import namedtuple

from mmats._core.types cimport (
    SETTLE_MARGIN, SETTLE_SPOT, instrument_t, lots_t, mmats_add, mmats_mul, mmats_muldiv_ceil,
    mmats_muldiv_floor, mmats_sub, money_t, price_ticks_t, ticklots_t, ts_ns_t,
)

cdef extern from *:
    int lowest_bit "__builtin_ctzll"(uint64_t word) noexcept nogil

cdef extern from "mix.h":
    uint64_t mmats_mix(uint64_t state, const void* words, int word_count) noexcept nogil

cdef object LOTS_MAX = 2**62
cdef int64_t DENOMINATOR_MAX = 1 << 31  # keeps the sum of two remainders far from overflow
cdef uint64_t ONE = 1
cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U

cdef struct header_t:           # of state_bytes
    uint64_t magic
    uint64_t terms_hash         # a state means nothing under other increments
    money_t conversion_paid

cdef uint64_t MAGIC = 0x3130474454414d4dU  # "MMATDG01"

Holding = namedtuple("Holding", ("lots", "cost_ticklots", "mark_ticks", "marked_ns", "value"))

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


cdef int raise_unless_ok(int code, str what) except -1:
    if code != LEDGER_OK:
        raise LedgerFault(what, code)
    return 0


# Free functions, because a method of a class with subclasses is called through a pointer.

cdef inline int _convert(Accounts self, money_t amount, int currency, int round_up,
                         money_t* out) noexcept nogil:
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


cdef inline int _value_currency(Accounts self, int currency) noexcept nogil:
    """Compute one currency's part of the equity again."""
    cdef const money_t* accounts = &self.balances[currency * ACCOUNT_COUNT]
    cdef money_t amount = 0, change = 0, total = 0
    cdef int code
    if (mmats_add(accounts[<int>ACCOUNT_CASH], accounts[<int>ACCOUNT_DUST], &amount)
            or mmats_add(amount, self.open_results[currency], &amount)):
        return LEDGER_OVERFLOW
    if amount != 0:
        touch(self.held, currency)
    else:
        self.held[currency >> 6] &= ~(ONE << (currency & 63))
    code = _convert(self, amount, currency, 0, &amount)
    if code != LEDGER_OK:
        return code
    if (mmats_sub(amount, self.values[currency], &change)
            or mmats_add(self.total, change, &total)):
        return LEDGER_OVERFLOW
    self.values[currency] = amount
    self.total = total
    return LEDGER_OK


cdef class Accounts:
    """Balances per currency and account, marks, and their value; positions are the ledger's."""

    # -- setting up ------------------------------------------------------------------------------

    def __cinit__(self, int currency_count, int instrument_count, int strategy_count,
                  int account_currency):
        if currency_count < 1 or instrument_count < 1 or strategy_count < 1:
            raise ValueError("ledger: needs at least one currency, instrument and strategy")
        if not 0 <= account_currency < currency_count:
            raise ValueError(f"ledger: no currency {account_currency} of {currency_count}")
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
        self.held = <uint64_t*>calloc(words, sizeof(uint64_t))
        if (self.state == NULL or self.instruments == NULL or self.scales == NULL
                or self.rates == NULL or self.settles == NULL or self.values == NULL
                or self.open_results == NULL or self.dependents == NULL or self.stale == NULL
                or self.held == NULL):
            raise MemoryError("ledger: no memory for the books")
        self.balances = <money_t*>self.state
        self.dust_costs = self.balances + currencies * ACCOUNT_COUNT
        self.cells = <cell_t*>(self.dust_costs + currencies)
        self.holdings = <holding_t*>(self.cells + cells)

    cdef int _check_instrument(self, int instrument) except -1:
        if not 0 <= instrument < self.instrument_count:
            raise IndexError(f"ledger: no instrument {instrument} of {self.instrument_count}")
        return 0

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
        free(self.held)

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
            raise ValueError(f"{where}: settlement must be spot or margin")
        if instrument.money_num < 1 or not 1 <= instrument.money_den <= DENOMINATOR_MAX:
            raise ValueError(f"{where}: money_num and money_den must be in range")
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
                    raise ValueError(f"ledger: the rates {[*path, at]} run in a circle")
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
            touch(self.stale, k)
        for k in range(self.instrument_count):
            holding = &self.holdings[k]
            if self.instruments[k].settlement == SETTLE_MARGIN:
                self.unmarked_count += holding.lots != 0 and holding.mark_ticks == 0
                self.open_results[self.instruments[k].quote_currency] += holding.value
        return 0

    # -- postings and marks ----------------------------------------------------------------------

    cdef int post(self, int currency, int giver, int taker, money_t amount) noexcept nogil:
        cdef leg_t leg
        if (currency < 0 or currency >= self.currency_count or giver < 0 or taker < 0
                or giver >= ACCOUNT_COUNT or taker >= ACCOUNT_COUNT or giver == taker):
            return LEDGER_INVALID
        leg = leg_t(currency, giver, taker, amount)
        touch(self.stale, currency)
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

    cdef int mark(self, int instrument, price_ticks_t price, ts_ns_t now_ns) noexcept nogil:
        cdef holding_t* holding = &self.holdings[instrument]
        cdef int word
        if price <= 0:
            return LEDGER_INVALID
        if holding.lots != 0 and self._revalue(instrument, holding, price):
            return LEDGER_OVERFLOW
        holding.mark_ticks = price
        holding.marked_ns = now_ns
        self.margins_known = False
        for word in range(self.word_count):
            self.stale[word] |= (
                self.dependents[instrument * self.word_count + word] & self.held[word])
        return LEDGER_OK

    cdef inline int _revalue(self, int instrument, holding_t* holding,
                             price_ticks_t price) noexcept nogil:
        """The holding at a new price; a margin position's result reaches its currency at once."""
        cdef const instrument_t* terms = &self.instruments[instrument]
        cdef int quote = terms.quote_currency
        cdef money_t value = 0, change = 0, result = 0, amount = 0, total = 0
        if holding_value(terms, holding, price, &value):
            return LEDGER_OVERFLOW
        if terms.settlement == SETTLE_MARGIN:
            if (mmats_sub(value, holding.value, &change)
                    or mmats_add(self.open_results[quote], change, &result)):
                return LEDGER_OVERFLOW
            if self.rates[quote].step_count != 0:
                touch(self.stale, quote)
            elif (mmats_add(self.values[quote], change, &amount)
                    or mmats_add(self.total, change, &total)):
                return LEDGER_OVERFLOW
            else:
                self.values[quote] = amount
                self.total = total
            self.open_results[quote] = result
            self.unmarked_count -= holding.mark_ticks == 0
        holding.value = value
        return LEDGER_OK

    # -- values ----------------------------------------------------------------------------------

    cdef int convert(self, money_t amount, int currency, int round_up, money_t* out) noexcept nogil:
        return _convert(self, amount, currency, round_up, out)

    cdef int equity(self, money_t* out) noexcept nogil:
        cdef int word, code
        if self.unmarked_count:
            return LEDGER_NO_RATE
        for word in range(self.word_count):
            while self.stale[word]:
                code = _value_currency(self, word * 64 + lowest_bit(self.stale[word]))
                if code != LEDGER_OK:
                    return code
                self.stale[word] &= self.stale[word] - 1
        out[0] = self.total
        return LEDGER_OK

    cdef int notional(self, int instrument, lots_t lots, price_ticks_t price,
                      money_t* out) noexcept nogil:
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
            if ((accounts[<int>ACCOUNT_CASH] != 0 or accounts[<int>ACCOUNT_DUST] != 0
                 or self.open_results[k] != 0) and not self._rate_is_fresh(k, now_ns)):
                return False
        for k in range(self.instrument_count):
            terms = &self.instruments[k]
            if (terms.settlement == SETTLE_MARGIN and self.holdings[k].lots != 0
                    and not (self._mark_is_fresh(k, now_ns)
                             and self._rate_is_fresh(terms.quote_currency, now_ns))):
                return False
        return True

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

    # -- Python face; documented in accounts.pyi -------------------------------------------------

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
        terms.quantity_min_lots = fields.pop("quantity_min_lots", 1)
        terms.quantity_max_lots = fields.pop("quantity_max_lots", LOTS_MAX)
        terms.notional_min = fields.pop("notional_min", 0)
        terms.bar_flags = fields.pop("bar_flags", 0)
        terms.bar_interval_ns = fields.pop("bar_interval_ns", 0)
        if fields:
            raise TypeError(f"ledger: unknown instrument fields {sorted(fields)}")
        self.add_instrument(&terms)

    def set_rate(self, int currency, int kind, int via):
        if not 0 <= currency < self.currency_count or currency == self.account_currency:
            raise ValueError(f"ledger: currency {currency} is out of range or the account currency")
        if kind == RATE_PEG:
            if not 0 <= via < self.currency_count:
                raise ValueError(f"ledger: peg of currency {currency} to unknown currency {via}")
        elif kind in (RATE_BASE, RATE_QUOTE):
            if not 0 <= via < self.instrument_count or self.instruments[via].settlement == 0:
                raise ValueError(f"ledger: rate of currency {currency}: no instrument {via}")
            side = (self.instruments[via].base_currency if kind == RATE_BASE
                    else self.instruments[via].quote_currency)
            if side != currency:
                raise ValueError(f"ledger: instrument {via} has another currency than {currency}")
        else:
            raise ValueError(f"ledger: rate of currency {currency} has unknown kind {kind}")
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
        raise_unless_ok(self.post(currency, ACCOUNT_CAPITAL, ACCOUNT_CASH, amount), "deposit")

    def mark_price(self, int instrument, price_ticks_t price, ts_ns_t now_ns=0):
        self._check_instrument(instrument)
        raise_unless_ok(self.mark(instrument, price, now_ns), f"mark of instrument {instrument}")

    @property
    def account_equity(self):
        cdef money_t out = 0
        raise_unless_ok(self.equity(&out), "equity")
        return out

    def to_account(self, money_t amount, int currency, bint round_up=False):
        cdef money_t out = 0
        code = self.convert(amount, currency, round_up, &out)
        raise_unless_ok(code, f"value of currency {currency}")
        return out

    def notional_of(self, int instrument, lots_t lots, price_ticks_t price):
        cdef money_t out = 0
        self._check_instrument(instrument)
        raise_unless_ok(self.notional(instrument, lots, price, &out), "notional")
        return out

    def valued(self, int instrument, ts_ns_t now_ns):
        self._check_instrument(instrument)
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

    def holding(self, int instrument):
        self._check_instrument(instrument)
        cdef holding_t h = self.holdings[instrument]
        return Holding(h.lots, h.cost_ticklots, h.mark_ticks, h.marked_ns, h.value)

    # -- state as bytes --------------------------------------------------------------------------

    cdef uint64_t _terms_hash(self) noexcept nogil:
        """Hash of the sizes of the books and of the terms that give the integers a meaning."""
        cdef const instrument_t* terms = self.instruments
        cdef int64_t[4] sizes = [self.currency_count, self.instrument_count, self.strategy_count,
                                 self.account_currency]
        cdef int64_t[8] words
        cdef uint64_t state = mmats_mix(HASH_OFFSET, sizes, 4)
        cdef int k
        for k in range(self.instrument_count):
            words = [terms[k].base_currency, terms[k].quote_currency, terms[k].settlement,
                     terms[k].money_num, terms[k].money_den, terms[k].lot_units,
                     terms[k].margin_ppm, 0]
            state = mmats_mix(state, words, 8)
        return state

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
        self.restore_books(source + sizeof(header_t), header.conversion_paid)

    cdef int restore_books(self, const char* books, money_t conversion_paid) except -1:
        cdef bytes before = self.state_bytes()
        memcpy(self.state, books, self.state_size)
        if self.check_balanced() != 0:
            memcpy(self.state, PyBytes_AsString(before) + sizeof(header_t), self.state_size)
            raise ValueError("ledger: the books of the state do not balance")
        self.conversion_paid = conversion_paid
        return self._rebuild()
