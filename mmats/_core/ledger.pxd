# cython: language_level=3
"""Double-entry ledger: cash, holdings, positions, profit and loss in integers."""

from libc.stdint cimport int32_t, int64_t

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

cpdef enum LedgerError:
    LEDGER_OK = 0
    LEDGER_OVERFLOW = -1    # a result does not fit in int64: the caller halts
    LEDGER_NO_RATE = -2     # a conversion needs a mark that has never been seen
    LEDGER_INVALID = -3     # lots or price not positive

# Position of one strategy in one instrument. Signs: lots and cost have the position's sign.
cdef struct cell_t:
    lots_t lots
    ticklots_t cost_ticklots      # average cost with its remainder: released half-even, rest stays
    money_t realized_quote        # quote currency, before fees
    money_t realized              # account currency, at the rates of the time
    money_t fees                  # account currency, at the rates of the time
    int64_t carry_quote           # remainder of ticklots * money_num below one unit, in 1/money_den

cdef struct holding_t:            # one instrument, all strategies together
    lots_t lots
    ticklots_t cost_ticklots
    price_ticks_t mark_ticks      # 0 = never marked
    ts_ns_t marked_ns
    money_t value                 # contribution to equity in quote currency (see Ledger.mark)
    money_t margin                # initial margin in use, account currency

cdef struct fill_result_t:
    money_t realized              # account currency
    money_t fee                   # account currency
    lots_t position_lots          # of the cell, after
    lots_t closed_lots            # how much of the fill reduced the position

cdef class Ledger:
    cdef readonly int currency_count, instrument_count, strategy_count, account_currency
    cdef instrument_t* instruments        # copied in by add_instrument
    cdef holding_t* holdings              # [instrument]
    cdef cell_t* cells                    # [strategy * instrument_count + instrument]
    cdef money_t* balances                # [currency * ACCOUNT_COUNT + account]
    cdef public bint auto_convert         # buy a missing quote currency from the account currency
    cdef public int64_t conversion_cost_ppm
    cdef readonly money_t conversion_paid # account currency, cost of conversions so far

    # Post one fill. Updates cell, holding, balances and value; `out` is written on success.
    cdef int apply_fill(self, int strategy, const report_t* report, int instrument, int side,
                        ts_ns_t now_ns, fill_result_t* out) noexcept nogil
    # New mark of an instrument: O(1), revalues the holding.
    cdef int mark(self, int instrument, price_ticks_t price, ts_ns_t now_ns) noexcept nogil
    # Everything in the account currency, rounded toward minus infinity.
    cdef int equity(self, money_t* out) noexcept nogil
    # Money that may back new orders: cash in account currency - margin in use + min(0, open
    # result of margin positions). Reservations are the caller's to subtract.
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
    # Σ over accounts of each currency; 0 = the books balance, -1 = they don't.
    cdef int check_balanced(self) noexcept nogil
