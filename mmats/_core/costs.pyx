# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""What a simulated fill costs. Every rounding goes against us; products use 128 bits."""

from libc.stdint cimport int64_t

from mmats._core.types cimport (
    instrument_t, lots_t, mmats_add, mmats_mul, mmats_muldiv_ceil, mmats_muldiv_floor, money_t,
    price_ticks_t,
)

cdef enum:
    PPM = 1000000
    DAYS_PER_YEAR = 365


cdef price_ticks_t spread_at(const cost_model_t* cost, price_ticks_t price) noexcept nogil:
    cdef int64_t share = 0
    if cost.spread_ppm != 0 and mmats_muldiv_ceil(price, cost.spread_ppm, PPM, &share) != 0:
        share = price
    return share if share > cost.spread_ticks else cost.spread_ticks


cdef price_ticks_t slippage_at(const cost_model_t* cost, price_ticks_t price, lots_t lots,
                               lots_t volume_lots) noexcept nogil:
    cdef int64_t ppm, ratio, ticks = 0
    if cost.slippage_model == SLIPPAGE_NONE:
        return 0
    if cost.slippage_model == SLIPPAGE_TICKS:
        return cost.slippage_value
    ppm = cost.slippage_value
    if cost.slippage_model == SLIPPAGE_VOLUME:
        # An order as large as the volume, or an unknown volume, has the full impact.
        ratio = PPM
        if volume_lots > lots and mmats_muldiv_ceil(lots, PPM, volume_lots, &ratio) != 0:
            ratio = PPM
        if mmats_muldiv_ceil(ppm, ratio * ratio, PPM, &ppm) != 0:
            return price
        # `ppm` is now in units of 1e-12.
        if mmats_muldiv_ceil(price, ppm, <int64_t>PPM * PPM, &ticks) != 0:
            return price
        return ticks
    if mmats_muldiv_ceil(price, ppm, PPM, &ticks) != 0:
        return price
    return ticks


cdef int notional_of(const instrument_t* instrument, lots_t lots, price_ticks_t price,
                     money_t* out) noexcept nogil:
    cdef int64_t ticklots
    if mmats_mul(lots if lots >= 0 else -lots, price, &ticklots) != 0:
        return -1
    return mmats_muldiv_ceil(ticklots, instrument.money_num, instrument.money_den, out)


cdef int fee_of(const cost_model_t* cost, const instrument_t* instrument, int is_maker,
                lots_t lots, price_ticks_t price, money_t* out) noexcept nogil:
    cdef money_t fee, part
    if notional_of(instrument, lots, price, &part) != 0:
        return -1
    if mmats_muldiv_ceil(part, cost.maker_ppm if is_maker else cost.taker_ppm, PPM, &fee) != 0:
        return -1
    if mmats_mul(lots, cost.fee_per_lot, &part) != 0 or mmats_add(fee, part, &fee) != 0:
        return -1
    if mmats_add(fee, cost.fee_fixed, &fee) != 0:
        return -1
    out[0] = cost.fee_min if cost.fee_min > 0 and fee < cost.fee_min else fee
    return 0


cdef int base_fee_of(const cost_model_t* cost, const instrument_t* instrument, int is_maker,
                     lots_t lots, price_ticks_t price, money_t* out) noexcept nogil:
    cdef int64_t units
    cdef money_t fee
    if cost.fee_fixed == 0 and cost.fee_per_lot == 0 and cost.fee_min == 0:
        # A share of the quantity needs no price, and rounds once.
        if mmats_mul(lots, instrument.lot_units, &units) != 0:
            return -1
        return mmats_muldiv_ceil(
            units, cost.maker_ppm if is_maker else cost.taker_ppm, PPM, out)
    if fee_of(cost, instrument, is_maker, lots, price, &fee) != 0:
        return -1
    return in_base(instrument, fee, price, out)


cdef int in_base(const instrument_t* instrument, money_t amount, price_ticks_t price,
                 money_t* out) noexcept nogil:
    cdef int64_t units, value
    # One lot is lot_units of the base and price * money_num / money_den of the quote.
    if mmats_mul(instrument.lot_units, instrument.money_den, &units) != 0:
        return -1
    if mmats_mul(price, instrument.money_num, &value) != 0:
        return -1
    return mmats_muldiv_ceil(amount, units, value, out)


cdef int carry_of(const cost_model_t* cost, const instrument_t* instrument, lots_t lots,
                  price_ticks_t price, int days, money_t* out) noexcept nogil:
    cdef money_t notional
    cdef int64_t ppm = cost.swap_long_ppm_year if lots > 0 else cost.swap_short_ppm_year
    if mmats_mul(ppm, days, &ppm) != 0 or notional_of(instrument, lots, price, &notional) != 0:
        return -1
    return mmats_muldiv_floor(notional, ppm, PPM * DAYS_PER_YEAR, out, NULL)


def slippage_ticks(price_ticks: int, lots: int, volume_lots: int, *, model: int, value: int) -> int:
    cdef cost_model_t cost
    if price_ticks <= 0 or lots <= 0 or volume_lots < 0 or value < 0:
        raise ValueError("slippage_ticks: price, lots must be positive; volume, value not negative")
    cost.slippage_model = model
    cost.slippage_value = value
    return slippage_at(&cost, price_ticks, lots, volume_lots)
