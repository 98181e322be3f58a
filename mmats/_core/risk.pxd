# cython: language_level=3
"""The one gate that every order passes before it leaves: comparisons of integers, fail closed."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.exposure cimport Exposure
from mmats._core.limits cimport RATE_WINDOW_MAX, limits_t
from mmats._core.types cimport lots_t, money_t, order_t, price_ticks_t, ts_ns_t

# Reason of a denial. To add a check: a name here, a limit in limits.pxd, and three lines in the
# level of risk.pyx that it belongs to.
cpdef enum Reason:
    REASON_OK = 0
    # global
    REASON_HALTED = 1
    REASON_REDUCING = 2
    REASON_VALUATION_UNKNOWN = 3
    REASON_DAILY_LOSS = 4
    REASON_DRAWDOWN = 5
    REASON_GROSS_EXPOSURE = 6
    REASON_MESSAGE_RATE = 7
    # market
    REASON_MARKET_HALTED = 10        # the market is reducing or halted: observed is its state
    REASON_MARKET_EXPOSURE = 11
    REASON_MARKET_DAILY_LOSS = 12
    # strategy
    REASON_STRATEGY_HALTED = 20      # the same of the strategy
    REASON_STRATEGY_EXPOSURE = 21
    REASON_STRATEGY_DAILY_LOSS = 22
    REASON_STRATEGY_DRAWDOWN = 23
    REASON_STRATEGY_OPEN_ORDERS = 24
    REASON_ORDER_UNKNOWN = 25        # an order of it in this instrument is unknown
    # trade
    REASON_STOP_LOSS_MISSING = 30
    REASON_STOP_LOSS_SIDE = 31
    REASON_TAKE_PROFIT_SIDE = 32
    REASON_SIZE_UNKNOWN = 33         # sizing needs a stop, or the signal has no size
    # order
    REASON_QUANTITY_ZERO = 40        # below one lot after rounding down
    REASON_QUANTITY_MIN = 41
    REASON_QUANTITY_MAX = 42
    REASON_NOTIONAL_MIN = 43
    REASON_NOTIONAL_MAX = 44
    REASON_PRICE_INVALID = 45
    REASON_PRICE_COLLAR = 46
    REASON_POSITION_MAX = 47
    REASON_BUYING_POWER = 48
    REASON_ASSET_SHORT = 49          # a spot sale of more than is held
    REASON_NOTHING_TO_REDUCE = 50
    REASON_OPEN_ORDERS = 51
    REASON_ORDER_INVALID = 52        # side, type or time in force that does not exist
    REASON_OVERFLOW = 53
    REASON_PORT_FULL = 54

cdef struct verdict_t:
    int32_t reason
    int32_t reduces               # 1 = passes as a reduction, so it must leave as reduce-only
    int64_t observed
    int64_t limit
    money_t reserve               # account currency to reserve while the order is open

# Profit and loss of one scope at the start of the UTC day and at its peak.
cdef struct scope_t:
    money_t day_start
    money_t peak

cdef class RiskGate(Exposure):
    cdef readonly int market_count
    cdef limits_t overall
    cdef limits_t* markets            # [market]
    cdef limits_t* strategies         # [strategy]
    cdef limits_t* symbols            # [instrument]; notional limits only
    cdef lots_t* order_lots_max       # [instrument]
    cdef lots_t* position_lots_max    # [instrument]
    cdef readonly money_t equity      # at the last mark at which it was known
    cdef readonly money_t initial_equity  # the first that was known
    cdef readonly bint is_valued      # 0 = a currency that we hold has no rate
    cdef scope_t account_scope        # of equity
    cdef scope_t* market_scopes       # of profit and loss
    cdef scope_t* strategy_scopes
    cdef bint watches_strategies      # a strategy's drawdown is limited: follow its peak
    cdef ts_ns_t day_end_ns           # 0 = the account has not been valued yet
    cdef ts_ns_t sent_ns[RATE_WINDOW_MAX]
    cdef int64_t sent_count

    # After every mark: takes over the equity, rolls the day, moves the peaks.
    cdef int observe(self, ts_ns_t now_ns) noexcept nogil
    # All checks in one pass; REASON_OK or the first reason, details in `out`.
    cdef int check(self, const order_t* order, ts_ns_t now_ns, verdict_t* out) noexcept nogil
    # Every message to the venue counts; only a strategy's own orders are refused for it.
    cdef void count_message(self, ts_ns_t now_ns) noexcept nogil
    # -- private --
    cdef limits_t* _scope_limits(self, str level, int index) except NULL
    cdef int _observe_day(self) noexcept nogil
    cdef int _observe_peaks(self) noexcept nogil
    cdef int _check_form(self, const order_t* order, verdict_t* out) noexcept nogil
    cdef int _reduces(self, const order_t* order, lots_t leaves) noexcept nogil
    cdef int _check_states(self, const order_t* order, int reduces, verdict_t* out) noexcept nogil
    cdef int _check_messages(self, const order_t* order, ts_ns_t now_ns,
                             verdict_t* out) noexcept nogil
    cdef int _check_order(self, const order_t* order, lots_t leaves, int reduces,
                          verdict_t* out) noexcept nogil
    cdef int _check_notional_min(self, const order_t* order, lots_t lots, price_ticks_t price,
                                 verdict_t* out) noexcept nogil
    cdef int _check_growth(self, const order_t* order, lots_t leaves, ts_ns_t now_ns,
                           verdict_t* out) noexcept nogil
    cdef int _check_account_losses(self, verdict_t* out) noexcept nogil
    cdef int _check_scope_losses(self, const order_t* order, verdict_t* out) noexcept nogil
    cdef int _check_trade(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil
    cdef int _check_size(self, const order_t* order, lots_t leaves, money_t notional,
                         verdict_t* out) noexcept nogil
    cdef int _check_exposure(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil
    cdef int _check_scope_exposure(self, const order_t* order, lots_t leaves,
                                   const limits_t* limits, int market, int strategy, int reason,
                                   verdict_t* out) noexcept nogil
    cdef int _check_buying_power(self, const order_t* order, lots_t leaves, money_t notional,
                                 verdict_t* out) noexcept nogil
