# cython: language_level=3
"""The simulated venue: orders meet market data under written fill conditions."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from mmats._core.types cimport event_t, instrument_t, money_t, price_ticks_t, ts_ns_t
from mmats._core.venue cimport VenuePort

cpdef enum PathRule:
    PATH_WORST = 1        # the extreme that hurts the open position comes first
    PATH_NEAREST = 2      # the extreme nearer to the open comes first
    PATH_HIGH_FIRST = 3
    PATH_LOW_FIRST = 4

cpdef enum FeeAsset:
    FEE_QUOTE = 1
    FEE_BASE = 2          # always the base asset
    FEE_RECEIVED = 3      # the asset that the fill brings in (Binance): base on buys, quote on sells
    FEE_THIRD = 4         # a named asset (BNB)
    FEE_ACCOUNT = 5       # the account currency (OANDA)

cpdef enum SlippageModel:
    SLIPPAGE_NONE = 0
    SLIPPAGE_TICKS = 1    # slippage_value ticks
    SLIPPAGE_PPM = 2      # millionths of the price
    SLIPPAGE_VOLUME = 3   # impact = slippage_value ppm * (lots / bar volume)^2

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
    int64_t swap_long_ppm_year      # carry of margin positions held over the day's end
    int64_t swap_short_ppm_year

cdef struct fill_model_t:
    int32_t market_on_close         # 1: market orders that arrive with a bar fill at its close
    int32_t path                    # PathRule
    int32_t queue                   # 1: limit orders wait behind the displayed size (L2)
    ts_ns_t order_latency_ns        # one way, base
    ts_ns_t order_jitter_ns         # uniform 0..jitter on top
    uint64_t seed

cdef class SimulatedVenue(VenuePort):
    # Bar handling is in steps so that reports can be answered in the middle of a bar's path:
    #   if venue.begin(event): while venue.step(): <drain next_report into the pipeline>
    # For quotes, trades and deltas begin()/step() work the same way.
    cdef int begin(self, const event_t* event) noexcept nogil    # 1 = step() has work, 0 = nothing can happen
    cdef int step(self) noexcept nogil                           # 1 = reports may be waiting, call again; 0 = done
    cdef int has_reports(self) noexcept nogil
