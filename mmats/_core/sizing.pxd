# cython: language_level=3
"""How many lots a signal becomes: as asked, fixed fractional, or Kelly; never rounded up."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport lots_t, money_t, price_ticks_t

cpdef enum Sizing:
    SIZING_SIGNAL = 1            # the signal's size is the quantity
    SIZING_FIXED_FRACTIONAL = 2  # risk_ppm of equity is lost if the stop is hit
    SIZING_KELLY = 3             # the fraction risked comes from the strategy's own record

cdef struct sizing_t:
    int32_t mode                 # Sizing
    int64_t risk_ppm             # fixed fractional; Kelly before kelly_trades_min trades, capped
    int64_t kelly_fraction_ppm   # share of full Kelly, e.g. 500000 = half
    int64_t kelly_cap_ppm        # never risk more than this of equity
    int64_t kelly_trades_min

# Closed trades of one strategy, for Kelly.
cdef struct track_t:
    int64_t wins
    int64_t losses
    money_t won                  # account currency
    money_t lost                 # account currency, positive

# Lots for a risk budget given the distance to the stop; 0 where it can't be computed.
cdef lots_t lots_for_risk(Ledger ledger, int instrument, money_t budget,
                          price_ticks_t stop_distance_ticks) noexcept nogil
# Share of equity to risk now, in millionths.
cdef int64_t risk_share_ppm(const sizing_t* sizing, const track_t* track) noexcept nogil
# Raises ValueError for unknown fields and for values out of range.
cdef sizing_t checked_sizing(dict fields) except *
