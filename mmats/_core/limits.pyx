# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Limits of one scope of the risk gate, and which of them each level knows."""

from libc.stdint cimport INT64_MAX

from mmats._core.types cimport TRADING_ACTIVE, TRADING_HALTED

NO_LIMIT = INT64_MAX

# The limits that a level knows; any other would be taken and never checked.
_NOTIONALS = frozenset({"order_notional_max", "position_notional_max"})
_MARKET = _NOTIONALS | {
    "trading_state", "daily_loss_max", "daily_loss_ppm", "exposure_max", "exposure_ppm",
}
_STRATEGY = _MARKET | {"stop_loss_required", "open_orders_max", "drawdown_max", "drawdown_ppm"}
_GLOBAL = _STRATEGY | {
    "order_notional_min", "price_collar_ppm", "messages_max", "message_window_ns",
}
LEVEL_LIMITS = {
    "global": _GLOBAL, "market": _MARKET, "strategy": _STRATEGY, "symbol": _NOTIONALS | {"trading_state"},
}


cdef void lift(limits_t* limits) noexcept nogil:
    limits.trading_state = TRADING_ACTIVE
    limits.stop_loss_required = 0
    limits.open_orders_max = 0x7fffffff
    limits.daily_loss_max = INT64_MAX
    limits.daily_loss_ppm = INT64_MAX
    limits.drawdown_max = INT64_MAX
    limits.drawdown_ppm = INT64_MAX
    limits.exposure_max = INT64_MAX
    limits.exposure_ppm = INT64_MAX
    limits.order_notional_min = 0
    limits.order_notional_max = INT64_MAX
    limits.position_notional_max = INT64_MAX
    limits.price_collar_ppm = INT64_MAX
    limits.messages_max = INT64_MAX
    limits.message_window_ns = 0


cdef int set_fields(limits_t* limits, str level, dict fields) except -1:
    cdef dict merged = limits[0]
    unknown = set(fields) - LEVEL_LIMITS[level]
    if unknown:
        raise ValueError(f"no such limit at level {level}: {', '.join(sorted(unknown))}")
    negative = [name for name, value in fields.items() if value < 0]
    if negative:
        raise ValueError(f"a limit is not negative: {', '.join(sorted(negative))}")
    merged.update(fields)
    if not TRADING_ACTIVE <= merged["trading_state"] <= TRADING_HALTED:
        raise ValueError(f"trading_state {merged['trading_state']} is no TradingState")
    if merged["messages_max"] != NO_LIMIT and not (
            0 < merged["messages_max"] <= RATE_WINDOW_MAX and merged["message_window_ns"] > 0):
        raise ValueError(
            f"messages_max must be 1 to {RATE_WINDOW_MAX}, with a message_window_ns above 0")
    limits[0] = merged
    return 0


cdef dict fields_of(const limits_t* limits, str level):
    cdef dict every = limits[0]
    return {name: every[name] for name in sorted(LEVEL_LIMITS[level])}
