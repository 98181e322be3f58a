# cython: language_level=3
"""What a simulated fill costs: spread, slippage and fee as pure functions."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.types cimport instrument_t, lots_t, money_t, price_ticks_t

cpdef enum FeeAsset:
    FEE_QUOTE = 1
    FEE_BASE = 2          # always the base asset
    FEE_RECEIVED = 3      # what the fill brings in (Binance): base on buys, quote on sells
    FEE_THIRD = 4         # a named asset (BNB)
    FEE_ACCOUNT = 5       # the account currency (OANDA)

cpdef enum SlippageModel:
    SLIPPAGE_NONE = 0
    SLIPPAGE_TICKS = 1    # slippage_value ticks
    SLIPPAGE_PPM = 2      # millionths of the price
    SLIPPAGE_VOLUME = 3   # impact = slippage_value ppm * (lots / volume)^2

cdef struct cost_model_t:
    int64_t maker_ppm               # of notional; negative = rebate
    int64_t taker_ppm
    money_t fee_fixed               # per fill, in the fee asset's quote value (quote currency)
    money_t fee_per_lot             # quote currency
    money_t fee_min                 # per fill, quote currency
    int32_t fee_asset               # FeeAsset
    int32_t fee_currency            # dense index, FEE_THIRD and FEE_ACCOUNT
    int64_t spread_ticks            # full spread where the data has none
    int64_t spread_ppm              # or as millionths of the price; the larger of both counts
    int32_t slippage_model          # SlippageModel
    int64_t slippage_value
    int64_t volume_share_ppm        # of a bar's volume that one run may take; 0 = unlimited
    int64_t swap_long_ppm_year      # carry of margin positions held over the day's end:
    int64_t swap_short_ppm_year     # positive = received, negative = paid

# Full spread in ticks at a price, rounded up.
cdef price_ticks_t spread_at(const cost_model_t* cost, price_ticks_t price) noexcept nogil
# Ticks (>= 0) by which a taker of `lots` trades worse than the touch; `volume_lots` 0 = unknown.
cdef price_ticks_t slippage_at(const cost_model_t* cost, price_ticks_t price, lots_t lots,
                               lots_t volume_lots) noexcept nogil
# |lots| * price in quote currency, rounded up. 0 = written, -1 = does not fit.
cdef int notional_of(const instrument_t* instrument, lots_t lots, price_ticks_t price,
                     money_t* out) noexcept nogil
# Fee of one fill in quote currency, rounded up (a rebate is negative). 0 = written, -1 = overflow.
cdef int fee_of(const cost_model_t* cost, const instrument_t* instrument, int is_maker,
                lots_t lots, price_ticks_t price, money_t* out) noexcept nogil
# Fee of one fill in 1e-8 units of the base asset, rounded up. 0 = written, -1 = overflow.
cdef int base_fee_of(const cost_model_t* cost, const instrument_t* instrument, int is_maker,
                     lots_t lots, price_ticks_t price, money_t* out) noexcept nogil
# A quote amount in 1e-8 units of the base asset at a price, rounded up. 0 = written, -1 = overflow.
cdef int in_base(const instrument_t* instrument, money_t amount, price_ticks_t price,
                 money_t* out) noexcept nogil
# Carry in quote currency of a signed position over `days` day ends, rounded toward minus infinity.
cdef int carry_of(const cost_model_t* cost, const instrument_t* instrument, lots_t lots,
                  price_ticks_t price, int days, money_t* out) noexcept nogil
