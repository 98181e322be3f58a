# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Position sizing in integers.

Fixed fractional: Vince, R. (1990), *Portfolio Management Formulas*. Kelly: Kelly, J. L. (1956), "A
New Interpretation of Information Rate", Bell System Technical Journal 35; for a bet that wins W on
average with probability p and loses L otherwise, f* = p - (1 - p) * L / W.
"""

from libc.stdint cimport int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport (
    instrument_t, lots_t, mmats_mul, mmats_muldiv_ceil, mmats_muldiv_floor, money_t, price_ticks_t,
)

cdef int64_t PPM = 1_000_000


cdef int _loss_of(Ledger ledger, int instrument, lots_t lots, price_ticks_t distance_ticks,
                  money_t* out) noexcept nogil:
    """Loss of `lots` over a distance in account currency, rounded up; -1 = it can't be computed."""
    cdef const instrument_t* traits = &ledger.instruments[instrument]
    cdef money_t quote
    if mmats_mul(distance_ticks, lots, &quote) != 0:
        return -1
    if mmats_muldiv_ceil(quote, traits.money_num, traits.money_den, &quote) != 0:
        return -1
    if ledger.convert(quote, traits.quote_currency, 1, out) != 0 or out[0] <= 0:
        return -1
    return 0


cdef lots_t lots_for_risk(Ledger ledger, int instrument, money_t budget,
                          price_ticks_t stop_distance_ticks) noexcept nogil:
    # The loss of many lots at once keeps the digits of one; where that is too large for 64 bits,
    # one lot is dear enough to be priced alone. Rounded up, so that the lots go down.
    cdef lots_t scale = 1_000_000
    cdef money_t loss
    cdef int64_t lots
    if budget <= 0 or stop_distance_ticks <= 0:
        return 0
    if _loss_of(ledger, instrument, scale, stop_distance_ticks, &loss) != 0:
        scale = 1
        if _loss_of(ledger, instrument, scale, stop_distance_ticks, &loss) != 0:
            return 0
    if mmats_muldiv_floor(budget, scale, loss, &lots, NULL) != 0:
        return 0
    return lots


cdef int64_t risk_share_ppm(const sizing_t* sizing, const track_t* track) noexcept nogil:
    cdef int64_t trades = track.wins + track.losses
    cdef int64_t kelly_ppm
    cdef money_t edge = 0
    if sizing.mode != SIZING_KELLY:
        return sizing.risk_ppm
    kelly_ppm = sizing.risk_ppm
    if trades > 0 and trades >= sizing.kelly_trades_min:
        # p - (1 - p) * L / W with p = wins / trades, L = lost / losses and W = won / wins.
        if (track.won <= track.lost
                or mmats_muldiv_floor(track.won - track.lost, track.wins, trades, &edge, NULL)
                or mmats_muldiv_floor(edge, PPM, track.won, &kelly_ppm, NULL)):
            return 0
        kelly_ppm = kelly_ppm * sizing.kelly_fraction_ppm // PPM
    return kelly_ppm if kelly_ppm < sizing.kelly_cap_ppm else sizing.kelly_cap_ppm


cdef sizing_t checked_sizing(dict fields) except *:
    known = {"mode", "risk_ppm", "kelly_fraction_ppm", "kelly_cap_ppm", "kelly_trades_min"}
    if set(fields) != known:
        raise ValueError(f"no such sizing field: {', '.join(sorted(set(fields) - known))}")
    if not SIZING_SIGNAL <= fields["mode"] <= SIZING_KELLY:
        raise ValueError(f"sizing mode {fields['mode']} is no Sizing")
    for name in ("risk_ppm", "kelly_fraction_ppm", "kelly_cap_ppm"):
        if not 0 <= fields[name] <= PPM:
            raise ValueError(f"{name} is {fields[name]}; it must be 0 to {PPM}")
    if fields["kelly_trades_min"] < 0:
        raise ValueError("kelly_trades_min must not be negative")
    return fields


def risk_lots(Ledger ledger not None, int instrument, money_t budget,
              price_ticks_t stop_distance_ticks):
    if not 0 <= instrument < ledger.instrument_count:
        raise IndexError(f"no instrument {instrument} of {ledger.instrument_count}")
    return lots_for_risk(ledger, instrument, budget, stop_distance_ticks)


def risk_share(int64_t wins, int64_t losses, money_t won, money_t lost, **sizing):
    cdef sizing_t settings = checked_sizing(sizing)
    cdef track_t track
    track.wins = wins
    track.losses = losses
    track.won = won
    track.lost = lost
    return risk_share_ppm(&settings, &track)
