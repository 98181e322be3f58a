# cython: language_level=3
"""Limits of one scope of the risk gate, and which of them each level knows."""

from libc.stdint cimport INT64_MAX, int32_t, int64_t

from mmats._core.types cimport mmats_muldiv_floor, money_t, ts_ns_t

cdef enum:
    RATE_WINDOW_MAX = 1024

# Limits of one scope. NO_LIMIT switches a check off; the strictest of money and ppm counts.
cdef struct limits_t:
    int32_t trading_state         # TradingState
    int32_t stop_loss_required
    int32_t open_orders_max
    int32_t pad
    money_t daily_loss_max        # account currency
    int64_t daily_loss_ppm        # of the account's equity at the start of the UTC day
    money_t drawdown_max
    int64_t drawdown_ppm          # of the account's peak equity
    money_t exposure_max          # gross, worst case with open orders
    int64_t exposure_ppm          # of equity
    money_t order_notional_min    # entries
    money_t order_notional_max
    money_t position_notional_max # one instrument, worst case
    int64_t price_collar_ppm      # distance of a price from the mark
    int64_t messages_max          # per message_window_ns
    ts_ns_t message_window_ns

cdef inline int64_t least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b

# `amount` * ppm / 1e6, rounded down; NO_LIMIT stays NO_LIMIT.
cdef inline int64_t share(int64_t amount, int64_t ppm) noexcept nogil:
    cdef int64_t out = 0
    if ppm == INT64_MAX:
        return INT64_MAX
    if amount <= 0:
        return 0
    if mmats_muldiv_floor(amount, ppm, 1000000, &out, NULL) != 0:
        return INT64_MAX
    return out

cdef void lift(limits_t* limits) noexcept nogil
# Overwrite fields of `limits` by name; raises ValueError and then changes nothing.
cdef int set_fields(limits_t* limits, str level, dict fields) except -1
cdef dict fields_of(const limits_t* limits, str level)
