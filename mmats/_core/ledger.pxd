# cython: language_level=3
"""Double-entry ledger: cash, holdings, positions, profit and loss in integers."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from mmats._core.types cimport (
    instrument_t, lots_t, money_t, price_ticks_t, report_t, ticklots_t, ts_ns_t,
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
    LEGS_MAX = 8            # postings of one fill; the longest is a spot fill with base fee

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
    int64_t carry_quote           # spot cash flow below one unit, in 1/money_den, 0 <= it < money_den

cdef struct holding_t:            # one instrument, all strategies together
    lots_t lots
    ticklots_t cost_ticklots
    price_ticks_t mark_ticks      # 0 = never marked
    ts_ns_t marked_ns
    money_t value                 # quote currency: spot market value (equity counts it as CASH of
                                  # the base asset), margin open result
    money_t margin                # initial margin in use, account currency; as of margin_used()

cdef struct fill_result_t:
    money_t realized              # account currency
    money_t fee                   # account currency
    lots_t position_lots          # of the cell, after
    lots_t closed_lots            # how much of the fill reduced the position

# -- inside the ledger -------------------------------------------------------------------------

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

cdef struct draft_t:              # everything one fill changes, before any of it is written
    cell_t cell
    holding_t holding
    fill_result_t result
    money_t open_result           # of the quote currency, after
    money_t dust_cost             # of the base asset, after
    money_t conversion_paid       # after
    int32_t leg_count
    leg_t legs[LEGS_MAX]

@cython.final
cdef class Ledger:
    cdef readonly int currency_count, instrument_count, strategy_count, account_currency
    cdef instrument_t* instruments        # copied in by add_instrument
    cdef holding_t* holdings              # [instrument]
    cdef cell_t* cells                    # [strategy * instrument_count + instrument]
    cdef money_t* balances                # [currency * ACCOUNT_COUNT + account]
    cdef money_t* dust_costs              # [currency] account currency, cost of the pooled dust
    cdef public bint auto_convert         # buy a missing quote currency from the account currency
    cdef public int64_t conversion_cost_ppm
    cdef readonly money_t conversion_paid # account currency, cost of conversions so far

    cdef char* state                      # balances, dust_costs, cells, holdings in one block
    cdef size_t state_size
    cdef rate_t* rates                    # [currency]
    cdef scale_t* scales                  # [instrument]
    cdef int32_t* settles                 # [currency] 1 = orders are paid for in it
    cdef uint64_t* dependents             # [instrument * word_count + word] currencies it values
    cdef uint64_t* stale                  # [word] currencies whose value must be computed again
    cdef money_t* values                  # [currency] account currency, cached
    cdef money_t* open_results            # [currency] sum of open results of margin positions
    cdef money_t total                    # sum of values
    cdef int word_count
    cdef int unmarked_count               # margin positions that have never been marked
    cdef bint margins_known

    # -- setting up; raise ValueError ----------------------------------------------------------
    # Copy in the instrument of slot `instrument.index`.
    cdef int add_instrument(self, const instrument_t* instrument) except -1

    # -- events --------------------------------------------------------------------------------
    # Post one fill. Updates cell, holding, balances and value; `out` is written on success.
    # On an error nothing has changed.
    cdef int apply_fill(self, int strategy, const report_t* report, int instrument, int side,
                        ts_ns_t now_ns, fill_result_t* out) noexcept nogil
    # New mark of an instrument: O(1), revalues the holding.
    cdef int mark(self, int instrument, price_ticks_t price, ts_ns_t now_ns) noexcept nogil
    # Swap or rollover of one position, positive = received; paid in the account currency.
    cdef int carry(self, int strategy, int instrument, money_t amount_quote) noexcept nogil
    # Move an amount between two accounts of one currency.
    cdef int post(self, int currency, int giver, int taker, money_t amount) noexcept nogil

    # -- queries -------------------------------------------------------------------------------
    # Everything in the account currency, rounded toward minus infinity.
    cdef int equity(self, money_t* out) noexcept nogil
    # Money that may back new orders: settlement cash - margin in use + min(0, open result of
    # margin positions), account currency. Reservations are the caller's to subtract.
    cdef int free_money(self, money_t* out) noexcept nogil
    cdef int margin_used(self, money_t* out) noexcept nogil
    # `amount` of `currency` in the account currency; round_up != 0 rounds toward plus infinity.
    cdef int convert(self, money_t amount, int currency, int round_up, money_t* out) noexcept nogil
    # Notional of lots at a price in quote currency, rounded up.
    cdef int notional(self, int instrument, lots_t lots, price_ticks_t price, money_t* out) noexcept nogil
    # 1 = every mark that values the account or converts this instrument's quote currency is known
    # and not older than the instrument's stale_after_ns; 0 = not so.
    cdef int is_valued(self, int instrument, ts_ns_t now_ns) noexcept nogil
    # Open result of one cell in account currency (marks, rounded down).
    cdef int unrealized(self, int strategy, int instrument, money_t* out) noexcept nogil
    # 0 = in each currency the accounts sum to zero and each holding is the sum of its cells,
    # -1 = the books are wrong.
    cdef int check_balanced(self) noexcept nogil

    # -- steps of the above --------------------------------------------------------------------
    cdef int _draft_fill(self, draft_t* draft, const report_t* report, int instrument,
                         int side) noexcept nogil
    cdef int _draft_base_fee(self, draft_t* draft, const instrument_t* terms, int instrument,
                             const report_t* report, lots_t* lost) noexcept nogil
    cdef int _draft_dust_return(self, draft_t* draft, const instrument_t* terms,
                                price_ticks_t price) noexcept nogil
    cdef int _draft_realized(self, draft_t* draft, const instrument_t* terms) noexcept nogil
    cdef int _draft_cash(self, draft_t* draft, const instrument_t* terms, const report_t* report,
                         int side) noexcept nogil
    cdef int _draft_conversion(self, draft_t* draft, int quote) noexcept nogil
    cdef int _draft_holding(self, draft_t* draft, const instrument_t* terms, int instrument,
                            const cell_t* before) noexcept nogil
    cdef int _post_legs(self, const leg_t* legs, int count) noexcept nogil
    cdef int _value_currency(self, int currency) noexcept nogil
    cdef void _touch(self, int currency) noexcept nogil
    cdef void _touch_dependents(self, int instrument) noexcept nogil
    cdef int _free_cash(self, int currency, money_t* out) noexcept nogil
    cdef int _rate_is_fresh(self, int currency, ts_ns_t now_ns) noexcept nogil
    cdef int _mark_is_fresh(self, int instrument, ts_ns_t now_ns) noexcept nogil
    cdef int _resolve_rates(self) except -1
    cdef int _rebuild(self) except -1
    cdef int _check_index(self, int strategy, int instrument) except -1
    cdef uint64_t _terms_hash(self) noexcept nogil
