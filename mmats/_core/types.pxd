# cython: language_level=3
"""Integer types, enumerations and packed records that every compiled module shares."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef int64_t price_ticks_t  # price in ticks of the instrument
ctypedef int64_t lots_t         # quantity in lots of the instrument
ctypedef int64_t ticklots_t     # price_ticks * lots
ctypedef int64_t money_t        # 1e-8 units of a currency or asset
ctypedef int64_t ts_ns_t        # nanoseconds since 1970-01-01 UTC

cdef extern from "fixed.h" nogil:
    int mmats_add(int64_t a, int64_t b, int64_t* out) noexcept
    int mmats_sub(int64_t a, int64_t b, int64_t* out) noexcept
    int mmats_mul(int64_t a, int64_t b, int64_t* out) noexcept
    int mmats_muldiv_floor(int64_t a, int64_t b, int64_t d, int64_t* out, int64_t* remainder) noexcept
    int mmats_muldiv_ceil(int64_t a, int64_t b, int64_t d, int64_t* out) noexcept
    int mmats_muldiv_even(int64_t a, int64_t b, int64_t d, int64_t* out) noexcept

# -- enumerations ------------------------------------------------------------------------------

cpdef enum Side:
    SIDE_BUY = 1
    SIDE_SELL = -1

cpdef enum OrderType:
    ORDER_MARKET = 1
    ORDER_LIMIT = 2
    ORDER_STOP = 3          # becomes a market order at the trigger
    ORDER_STOP_LIMIT = 4    # becomes a limit order at the trigger
    ORDER_TAKE_PROFIT = 5   # market order once the trigger is reached from the favourable side
    ORDER_TRAILING_STOP = 6 # stop whose trigger follows the best price at trail_ticks

cpdef enum TimeInForce:
    TIF_GTC = 1
    TIF_IOC = 2
    TIF_FOK = 3
    TIF_GTD = 4
    TIF_DAY = 5

cpdef enum OrderFlag:
    FLAG_POST_ONLY = 1
    FLAG_REDUCE_ONLY = 2

cpdef enum OrderRole:
    ROLE_ENTRY = 1    # from a strategy's signal
    ROLE_STOP = 2     # protective stop of a bracket
    ROLE_TARGET = 3   # take-profit of a bracket
    ROLE_MANUAL = 4
    ROLE_FLATTEN = 5

cpdef enum OrderState:
    STATE_INITIALIZED = 1
    STATE_DENIED = 2
    STATE_SUBMITTED = 3
    STATE_UNKNOWN = 4
    STATE_ACCEPTED = 5
    STATE_TRIGGERED = 6
    STATE_PENDING_CANCEL = 7
    STATE_PENDING_UPDATE = 8
    STATE_PARTIALLY_FILLED = 9
    STATE_FILLED = 10
    STATE_CANCELED = 11
    STATE_EXPIRED = 12
    STATE_REJECTED = 13

cpdef enum TradingState:
    TRADING_ACTIVE = 1
    TRADING_REDUCING = 2
    TRADING_HALTED = 3

cpdef enum EventKind:
    EVENT_BAR = 1
    EVENT_QUOTE = 2
    EVENT_TRADE = 3
    EVENT_DELTA = 4
    EVENT_TIMER = 5

cpdef enum EventFlag:
    # deltas
    DELTA_ASK = 1          # the level is on the ask side; otherwise on the bid side
    DELTA_SNAPSHOT = 2     # belongs to a snapshot; the first row of one also carries DELTA_CLEAR
    DELTA_CLEAR = 4        # empty the book first
    DELTA_LAST = 8         # last row of one venue message: checks run, the book may be read
    # trades
    TRADE_SELLER = 1       # the aggressor sold (Binance: buyer is maker, m = true)
    # bars: which price the bar shows
    BAR_BID = 1            # bid prices; otherwise trade prices
    BAR_MID = 2
    BAR_SPREAD = 4         # spread_ticks was measured and belongs to the bar

cpdef enum ReportKind:
    REPORT_ACCEPTED = 1
    REPORT_REJECTED = 2
    REPORT_TRIGGERED = 3
    REPORT_FILLED = 4      # one execution; leaves quantity tells whether the order is done
    REPORT_CANCELED = 5
    REPORT_EXPIRED = 6
    REPORT_UPDATED = 7
    REPORT_CANCEL_REJECTED = 8
    REPORT_NOT_FOUND = 9   # answer to a query: the venue knows no such order

cpdef enum Liquidity:
    LIQUIDITY_MAKER = 1
    LIQUIDITY_TAKER = 2

cpdef enum Settlement:
    SETTLE_SPOT = 1        # quote currency pays, the base asset is held
    SETTLE_MARGIN = 2      # only profit and loss is paid, in the account currency

# Why the venue refused or ended an order; our own denials are Reason codes in risk.pxd.
cpdef enum VenueReason:
    VENUE_OK = 0
    VENUE_POST_ONLY_WOULD_TAKE = 1
    VENUE_NOTIONAL_MIN = 2
    VENUE_QUANTITY = 3
    VENUE_FOK_NOT_FILLED = 4
    VENUE_IOC_REST = 5
    VENUE_REDUCE_ONLY = 6
    VENUE_UNKNOWN_ORDER = 7
    VENUE_FULL = 8
    VENUE_PRICE = 9
    VENUE_NOT_FOUND = 10   # an order that never arrived, as several queries have found
    VENUE_FILLS_MISSING = 11  # fills that the venue has counted and, asked again, does not tell

# -- market data: 64 bytes, one cache line each ------------------------------------------------

cdef struct event_t:
    uint8_t kind            # EventKind
    uint8_t flags           # EventFlag
    uint16_t spread_ticks   # bars with BAR_SPREAD
    uint32_t instrument     # dense index
    int64_t ts_event_ns     # venue time; a bar's is its close
    int64_t ts_recv_ns      # our time of arrival; equals ts_event_ns where unknown
    int64_t a               # bar open     | quote bid price | trade price    | delta price
    int64_t b               # bar high     | quote ask price | trade lots     | delta lots (0 removes)
    int64_t c               # bar low      | quote bid lots  | trade id       | delta first sequence
    int64_t d               # bar close    | quote ask lots  |                | delta last sequence
    int64_t e               # bar volume in lots | quote sequence

# -- instruments -------------------------------------------------------------------------------

cdef struct instrument_t:
    int32_t index
    int32_t market             # dense index of the asset-class group
    int32_t base_currency      # dense index; an asset such as BTC is a currency here
    int32_t quote_currency
    int32_t settlement         # Settlement
    int32_t bar_flags          # BAR_BID or BAR_MID for bars without a spread of their own
    int64_t money_num          # one tick * one lot = money_num / money_den units of quote currency
    int64_t money_den
    int64_t lot_units          # one lot in 1e-8 units of the base asset
    lots_t quantity_min_lots
    lots_t quantity_max_lots
    money_t notional_min       # quote currency
    int64_t margin_ppm         # initial margin in millionths of notional (leverage 30 = 33334); 0 = spot
    ts_ns_t bar_interval_ns    # interval of the instrument's own bars, 0 = no bars
    ts_ns_t stale_after_ns     # a mark older than this values nothing new
    double tick_size           # for display and for strategies only
    double lot_size

# -- orders and reports ------------------------------------------------------------------------

cdef struct order_t:
    int64_t order_id           # sequence << 12 | slot
    int64_t signal_id
    ts_ns_t ts_created_ns
    ts_ns_t ts_expire_ns       # GTD; 0 = none
    lots_t quantity_lots
    lots_t filled_lots
    price_ticks_t price_ticks  # limit price; 0 = none
    price_ticks_t trigger_ticks
    price_ticks_t trail_ticks
    price_ticks_t stop_loss_ticks    # bracket that a fill of this order opens; 0 = none
    price_ticks_t take_profit_ticks
    price_ticks_t reference_ticks    # mark when the decision was taken
    money_t commission         # account currency, paid so far
    money_t realized           # account currency, realised so far by fills of this order
    money_t reserved           # account currency, worst case of what is still open
    int32_t strategy
    int32_t instrument
    int32_t side               # Side
    int8_t type                # OrderType
    int8_t tif                 # TimeInForce
    int8_t flags               # OrderFlag
    int8_t state               # OrderState
    int8_t role                # OrderRole

cdef struct report_t:
    int64_t order_id
    int64_t trade_id           # one per fill, unique at the venue
    ts_ns_t ts_event_ns        # at the venue
    ts_ns_t ts_recv_ns         # when we learn of it
    lots_t last_lots
    price_ticks_t last_ticks
    lots_t leaves_lots
    lots_t cum_lots            # filled of the order so far, with this report
    money_t fee                # units of fee_currency, positive = paid
    int64_t touch_ticks        # best opposite price when it was filled
    int64_t mid_ticks_x2       # bid + ask when it was filled
    int32_t fee_currency
    int8_t kind                # ReportKind
    int8_t liquidity           # Liquidity
    int16_t reason             # VenueReason
