# cython: language_level=3
"""Accounts per currency: balances, rates and marks, and what all of it is worth."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from mmats._core.types cimport (
    SETTLE_MARGIN, instrument_t, lots_t, mmats_mul, mmats_muldiv_floor, mmats_sub, money_t,
    price_ticks_t, ticklots_t, ts_ns_t,
)

cpdef enum Account:
    ACCOUNT_CAPITAL = 0     # where the owner's deposits come from
    ACCOUNT_CASH = 1        # free money, or sellable holding of a spot asset
    ACCOUNT_DUST = 2        # holding of an asset below one lot, pooled
    ACCOUNT_TRADING = 3     # other side of every purchase and sale
    ACCOUNT_PNL = 4         # realised result of margin instruments
    ACCOUNT_FEES = 5
    ACCOUNT_CONVERSION = 6  # other side of currency conversions
    ACCOUNT_CARRY = 7       # swap and rollover
ctypedef Account account_e
cdef enum:
    ACCOUNT_COUNT = 8
    RATE_LINKS_MAX = 4      # links from a currency to the account currency, pegs included

cpdef enum RateKind:
    RATE_NONE = 0           # no rate: a balance of this currency cannot be valued
    RATE_ACCOUNT = 1        # is the account currency
    RATE_PEG = 2            # 1:1 to another currency
    RATE_BASE = 3           # amount * mark of an instrument whose base it is
    RATE_QUOTE = 4          # amount / mark of an instrument whose quote it is

cpdef enum LedgerError:
    LEDGER_OK = 0
    LEDGER_OVERFLOW = -1    # a result does not fit in int64: the caller halts
    LEDGER_NO_RATE = -2     # a conversion needs a mark that has never been seen
    LEDGER_INVALID = -3     # lots or price not positive, index or side out of range

# Position of one strategy in one instrument. Signs: lots and cost have the position's sign.
cdef struct cell_t:
    lots_t lots
    ticklots_t cost_ticklots      # average cost with its remainder: released half-even, rest stays
    ticklots_t realized_ticklots  # exact
    money_t realized_quote        # floor of realized_ticklots in quote currency, before fees
    money_t realized              # account currency, at the rates of the time
    money_t fees                  # account currency, at the rates of the time
    money_t carry                 # account currency, swap and rollover; positive = received
    int64_t carry_quote           # spot cash below one unit, in 1/money_den: 0 <= it < den

cdef struct holding_t:            # one instrument, all strategies together
    lots_t lots
    ticklots_t cost_ticklots
    price_ticks_t mark_ticks      # 0 = never marked
    ts_ns_t marked_ns
    money_t value                 # quote currency: spot market value (equity counts it as CASH of
                                  # the base asset), margin open result
    money_t margin                # initial margin in use, account currency; as of margin_used()

cdef struct rate_t:
    int32_t kind                  # RateKind
    int32_t via                   # currency of a peg, else instrument
    int32_t step_count            # -1 = the chain does not reach the account currency
    int32_t instruments[RATE_LINKS_MAX]
    int32_t inverted[RATE_LINKS_MAX]  # 1 = divide by the mark

cdef struct scale_t:              # quote units per base unit = mark * num / den, in lowest terms
    int64_t num
    int64_t den

cdef struct leg_t:
    int32_t currency
    int32_t giver                 # Account that gets poorer
    int32_t taker
    money_t amount

# Note that a currency's value must be computed again.
cdef inline void touch(uint64_t* stale, int currency) noexcept nogil:
    stale[currency >> 6] |= (<uint64_t>1) << (currency & 63)

cdef inline int holding_value(const instrument_t* terms, const holding_t* holding, price_ticks_t mark,
                        money_t* out) noexcept nogil:
    """Value in quote currency, rounded down: spot the lots, margin their open result."""
    cdef ticklots_t ticklots = 0
    if holding.lots != 0 and mark == 0:
        out[0] = 0  # unknown until the first mark
        return LEDGER_OK
    if mmats_mul(holding.lots, mark, &ticklots):
        return LEDGER_OVERFLOW
    if terms.settlement == SETTLE_MARGIN and mmats_sub(ticklots, holding.cost_ticklots, &ticklots):
        return LEDGER_OVERFLOW
    if terms.money_den == 1:
        return mmats_mul(ticklots, terms.money_num, out)
    return mmats_muldiv_floor(ticklots, terms.money_num, terms.money_den, out, NULL)

cdef int raise_unless_ok(int code, str what) except -1

cdef class Accounts:
    cdef readonly int currency_count, instrument_count, strategy_count, account_currency
    cdef instrument_t* instruments        # copied in by add_instrument
    cdef holding_t* holdings              # [instrument]
    cdef cell_t* cells                    # [strategy * instrument_count + instrument]
    cdef money_t* balances                # [currency * ACCOUNT_COUNT + account]
    cdef money_t* dust_costs              # [currency] account currency, cost of the pooled dust
    cdef readonly money_t conversion_paid # account currency, cost of conversions so far

    cdef char* state                      # balances, dust_costs, cells, holdings in one block
    cdef size_t state_size
    cdef rate_t* rates                    # [currency]
    cdef scale_t* scales                  # [instrument]
    cdef int32_t* settles                 # [currency] 1 = orders are paid for in it
    cdef uint64_t* dependents             # [instrument * word_count + word] currencies it values
    cdef uint64_t* stale                  # [word] currencies whose value must be computed again
    cdef uint64_t* held                   # [word] currencies with an amount when last valued
    cdef money_t* values                  # [currency] account currency, cached
    cdef money_t* open_results            # [currency] sum of open results of margin positions
    cdef money_t total                    # sum of values
    cdef int word_count
    cdef int unmarked_count               # margin positions that have never been marked
    cdef bint margins_known               # holdings[].margin are up to date

    # Copy in the instrument of slot `instrument.index`; raises ValueError.
    cdef int add_instrument(self, const instrument_t* instrument) except -1

    # -- postings and marks ----------------------------------------------------------------------
    # Move an amount between two accounts of one currency.
    cdef int post(self, int currency, int giver, int taker, money_t amount) noexcept nogil
    # New mark of an instrument (index in range): O(1), revalues the holding.
    cdef int mark(self, int instrument, price_ticks_t price, ts_ns_t now_ns) noexcept nogil

    # -- values ----------------------------------------------------------------------------------
    # Everything in the account currency, rounded toward minus infinity.
    cdef int equity(self, money_t* out) noexcept nogil
    # `amount` of `currency` in the account currency; round_up != 0 rounds toward plus infinity.
    cdef int convert(self, money_t amount, int currency, int round_up, money_t* out) noexcept nogil
    # Notional of lots (>= 0) at a price in quote currency, rounded up.
    cdef int notional(self, int instrument, lots_t lots, price_ticks_t price,
                      money_t* out) noexcept nogil
    # 1 = every mark that values the account or converts this instrument's quote currency is known
    # and not older than the instrument's stale_after_ns; 0 = not so.
    cdef int is_valued(self, int instrument, ts_ns_t now_ns) noexcept nogil
    # 0 = in each currency the accounts sum to zero and each holding is the sum of its cells,
    # -1 = the books are wrong.
    cdef int check_balanced(self) noexcept nogil

    # Take over balances, dust, cells and holdings as they lie in `state`; raises ValueError where
    # they do not balance, and then changes nothing.
    cdef int restore_books(self, const char* books, money_t conversion_paid) except -1

    # -- steps of the above ----------------------------------------------------------------------
    cdef int _revalue(self, int instrument, holding_t* holding, price_ticks_t price) noexcept nogil
    cdef int _post_legs(self, const leg_t* legs, int count) noexcept nogil
    cdef int _rate_is_fresh(self, int currency, ts_ns_t now_ns) noexcept nogil
    cdef int _mark_is_fresh(self, int instrument, ts_ns_t now_ns) noexcept nogil
    cdef int _resolve_rates(self) except -1
    cdef int _rebuild(self) except -1
    cdef int _check_instrument(self, int instrument) except -1
    cdef uint64_t _terms_hash(self) noexcept nogil

# `equity` without a call where no currency must be valued again, which is most of the time.
cdef inline int equity_of(Accounts self, money_t* out) noexcept nogil:
    if self.word_count == 1 and self.stale[0] == 0 and self.unmarked_count == 0:
        out[0] = self.total
        return LEDGER_OK
    return self.equity(out)
