# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Position sizing in integers.

Fixed fractional: Vince, R. (1990), *Portfolio Management Formulas*. Kelly: Kelly, J. L. (1956), "A
New Interpretation of Information Rate", Bell System Technical Journal 35; for a bet that wins W on
average with probability p and loses L otherwise, f* = p - (1 - p) * L / W.
"""

from libc.stdint cimport int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport (
    instrument_t, lots_t, mmats_mul, mmats_muldiv_floor, money_t, price_ticks_t,
)

cdef int64_t PPM = 1_000_000


cdef lots_t lots_for_risk(Ledger ledger, int instrument, money_t budget,
                          price_ticks_t stop_distance_ticks) noexcept nogil:
    cdef const instrument_t* traits = &ledger.instruments[instrument]
    cdef int64_t scale = 1_000_000
    cdef money_t quote, account
    cdef int64_t lots
    if budget <= 0 or stop_distance_ticks <= 0:
        return 0
    # Loss of `scale` lots, so that the per-lot figure keeps its digits; rounded up, lots go down.
    if mmats_mul(stop_distance_ticks, scale, &quote) != 0:
        return 0
    if mmats_muldiv_floor(quote, traits.money_num, traits.money_den, &quote, NULL) != 0:
        return 0
    if ledger.convert(quote + 1, traits.quote_currency, 1, &account) != 0 or account <= 0:
        return 0
    if mmats_muldiv_floor(budget, scale, account, &lots, NULL) != 0:
        return 0
    return lots


cdef int64_t risk_share_ppm(const sizing_t* sizing, const track_t* track) noexcept nogil:
    cdef int64_t trades = track.wins + track.losses
    cdef int64_t p_ppm, ratio_ppm, kelly_ppm
    if sizing.mode != SIZING_KELLY or trades < sizing.kelly_trades_min:
        return sizing.risk_ppm
    if track.wins == 0 or track.won <= 0:
        return 0
    p_ppm = track.wins * PPM // trades
    if track.losses == 0:
        kelly_ppm = PPM
    else:
        # L / W with W = won / wins and L = lost / losses.
        if mmats_muldiv_floor(track.lost // track.losses, PPM, track.won // track.wins + 1,
                              &ratio_ppm, NULL) != 0:
            return 0
        kelly_ppm = p_ppm - (PPM - p_ppm) * ratio_ppm // PPM
    if kelly_ppm <= 0:
        return 0
    kelly_ppm = kelly_ppm * sizing.kelly_fraction_ppm // PPM
    return kelly_ppm if kelly_ppm < sizing.kelly_cap_ppm else sizing.kelly_cap_ppm
