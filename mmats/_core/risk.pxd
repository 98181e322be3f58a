# cython: language_level=3
"""The one gate that every order passes before it leaves: comparisons of integers, fail closed."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport instrument_t, lots_t, money_t, order_t, price_ticks_t, ts_ns_t

# Reason of a denial. To add a check: a name here, a limit in limits_t, and three lines in the
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
    REASON_MARKET_HALTED = 10
    REASON_MARKET_EXPOSURE = 11
    REASON_MARKET_DAILY_LOSS = 12
    # strategy
    REASON_STRATEGY_HALTED = 20
    REASON_STRATEGY_EXPOSURE = 21
    REASON_STRATEGY_DAILY_LOSS = 22
    REASON_STRATEGY_DRAWDOWN = 23
    REASON_STRATEGY_OPEN_ORDERS = 24
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
    REASON_OFF_GRID = 52             # price or quantity between ticks or lots, where that is refused
    REASON_OVERFLOW = 53
    REASON_MARKET_CLOSED = 54
    REASON_PORT_FULL = 55

cdef enum:
    RATE_WINDOW_MAX = 1024

# Limits of one scope. NO_LIMIT switches a check off; the strictest of money and ppm counts.
cdef struct limits_t:
    int32_t trading_state         # TradingState
    int32_t stop_loss_required
    int32_t open_orders_max
    int32_t off_grid_denied
    money_t daily_loss_max        # account currency
    int64_t daily_loss_ppm        # of the equity at the start of the UTC day
    money_t drawdown_max
    int64_t drawdown_ppm          # of the peak equity
    money_t exposure_max          # gross, worst case with open orders
    int64_t exposure_ppm          # of equity
    money_t order_notional_min    # entries
    money_t order_notional_max
    money_t position_notional_max # one instrument, worst case
    int64_t price_collar_ppm      # distance of a price from the mark
    int64_t messages_max          # per message_window_ns
    ts_ns_t message_window_ns

cdef struct verdict_t:
    int32_t reason
    int64_t observed
    int64_t limit
    money_t reserve               # account currency to reserve while the order is open

# Worst case of one instrument from open orders.
cdef struct open_t:
    lots_t buy_lots
    lots_t sell_lots

# Profit and loss of one scope within the day and since its peak.
cdef struct scope_t:
    money_t day_start
    money_t peak

cdef class RiskGate:
    cdef Ledger ledger
    cdef readonly int market_count
    cdef limits_t overall
    cdef limits_t* markets            # [market]
    cdef limits_t* strategies         # [strategy]
    cdef limits_t* symbols            # [instrument]; notional limits only
    cdef lots_t* order_lots_max       # [instrument]
    cdef lots_t* position_lots_max    # [instrument]
    cdef open_t* open                 # [instrument]
    cdef open_t* open_by_cell         # [strategy * instrument_count + instrument]
    cdef int32_t* open_orders         # [strategy]
    cdef int open_order_count
    cdef money_t reserved             # Σ reserve of open orders, account currency
    cdef readonly money_t equity      # at the last mark at which it was known
    cdef readonly money_t initial_equity  # the first that was known
    cdef readonly bint is_valued      # 0 = a currency that we hold has no rate
    cdef scope_t account_scope        # of equity
    cdef scope_t* market_scopes       # of profit and loss
    cdef scope_t* strategy_scopes
    cdef bint watches_strategies      # a strategy's drawdown is limited: follow its peak
    cdef ts_ns_t day_end_ns
    cdef int64_t fee_ppm              # worst fee, part of what a purchase reserves
    cdef int64_t market_buffer_ppm    # a market order may fill this much beyond the mark
    cdef ts_ns_t sent_ns[RATE_WINDOW_MAX]
    cdef int64_t sent_count

    # After every mark: takes over the equity, rolls the day, moves the peaks.
    cdef int observe(self, ts_ns_t now_ns) noexcept nogil
    # All checks in one pass; REASON_OK or the first reason, details in `out`.
    cdef int check(self, const order_t* order, ts_ns_t now_ns, verdict_t* out) noexcept nogil
    # Bookkeeping of what is open; the order manager calls these.
    cdef void add_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil
    cdef void remove_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil
    cdef void count_message(self, ts_ns_t now_ns) noexcept nogil
    cdef int scope_pnl(self, int strategy, int market, money_t* out) noexcept nogil
    # -- private --
    cdef limits_t* _scope_limits(self, str level, int index) except NULL
    cdef int _observe_scopes(self, int new_day) noexcept nogil
    cdef int _reduces(self, const order_t* order, lots_t leaves) noexcept nogil
    cdef int _check_states(self, const order_t* order, int reducing, verdict_t* out) noexcept nogil
    cdef int _check_messages(self, ts_ns_t now_ns, verdict_t* out) noexcept nogil
    cdef int _check_order(self, const order_t* order, lots_t leaves, int reducing,
                          verdict_t* out) noexcept nogil
    cdef int _check_notional_min(self, const order_t* order, lots_t leaves, price_ticks_t mark,
                                 verdict_t* out) noexcept nogil
    cdef int _check_growth(self, const order_t* order, lots_t leaves, ts_ns_t now_ns,
                           verdict_t* out) noexcept nogil
    cdef money_t _strictest_order_notional(self, const order_t* order) noexcept nogil
    cdef int _check_losses(self, const order_t* order, verdict_t* out) noexcept nogil
    cdef int _check_trade(self, const order_t* order, verdict_t* out) noexcept nogil
    cdef int _worst_notional(self, const order_t* order, lots_t leaves, money_t* out) noexcept nogil
    cdef int _instrument_exposure(self, int instrument, lots_t extra_buy, lots_t extra_sell,
                                  lots_t position, open_t* pending, money_t* out) noexcept nogil
    cdef int _scope_exposure(self, const order_t* order, lots_t leaves, int market, int strategy,
                             money_t* out) noexcept nogil
    cdef int64_t _exposure_limit(self, const limits_t* limits) noexcept nogil
    cdef int _check_exposure(self, const order_t* order, lots_t leaves, verdict_t* out) noexcept nogil
    cdef int _check_buying_power(self, const order_t* order, lots_t leaves, money_t notional,
                                 verdict_t* out) noexcept nogil
    cdef int _margin_needed(self, const order_t* order, lots_t leaves, money_t notional,
                            money_t* out) noexcept nogil
    # -- private --
    cdef lots_t _worst_lots(self, lots_t position, const open_t* pending, lots_t extra_buy,
                            lots_t extra_sell) noexcept nogil
