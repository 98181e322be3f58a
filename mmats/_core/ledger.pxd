# cython: language_level=3
"""Double-entry ledger: cash, holdings, positions, profit and loss in integers."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from mmats._core.accounts cimport (
    ACCOUNT_CAPITAL, ACCOUNT_CARRY, ACCOUNT_CASH, ACCOUNT_CONVERSION, ACCOUNT_COUNT, ACCOUNT_DUST,
    ACCOUNT_FEES, ACCOUNT_PNL, ACCOUNT_TRADING, LEDGER_INVALID, LEDGER_NO_RATE, LEDGER_OK,
    LEDGER_OVERFLOW, Accounts, account_e, cell_t, holding_t, leg_t,
)
from mmats._core.types cimport instrument_t, lots_t, money_t, price_ticks_t, report_t, ts_ns_t

cdef enum:
    LEGS_MAX = 8            # postings of one fill; a spot fill with fee in base needs 7

cdef struct fill_result_t:
    money_t realized              # account currency
    money_t fee                   # account currency
    lots_t position_lots          # of the cell, after
    lots_t closed_lots            # how much of the fill reduced the position

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
cdef class Ledger(Accounts):
    cdef public bint auto_convert         # buy a missing quote currency from the account currency
    cdef public int64_t conversion_cost_ppm

    # -- events ----------------------------------------------------------------------------------
    # Post one fill. Updates cell, holding, balances and value; `out` is written on success.
    # On an error nothing has changed.
    cdef int apply_fill(self, int strategy, const report_t* report, int instrument, int side,
                        ts_ns_t now_ns, fill_result_t* out) noexcept nogil
    # Swap or rollover of one position, positive = received; paid in the account currency.
    cdef int carry(self, int strategy, int instrument, money_t amount_quote) noexcept nogil

    # -- queries; equity, convert, notional, is_valued and check_balanced are of Accounts --------
    # Money that may back new orders: settlement cash - margin in use + min(0, open result of
    # margin positions), account currency. Reservations are the caller's to subtract.
    cdef int free_money(self, money_t* out) noexcept nogil
    cdef int margin_used(self, money_t* out) noexcept nogil
    # Open result of one cell in account currency (marks, rounded down).
    cdef int unrealized(self, int strategy, int instrument, money_t* out) noexcept nogil

    # -- steps of the above ----------------------------------------------------------------------
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
    cdef int _free_cash(self, int currency, money_t* out) noexcept nogil
    cdef int _check_cell(self, int strategy, int instrument) except -1
