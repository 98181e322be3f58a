# cython: language_level=3
"""What open orders can lead to: worst-case positions, exposure and the money they need."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport lots_t, money_t, order_t, price_ticks_t

# Open orders of one instrument or cell, without stops and targets: those only follow a position.
cdef struct open_t:
    lots_t buy_lots
    lots_t sell_lots

cdef class Exposure:
    cdef Ledger ledger
    cdef open_t* open                 # [instrument]
    cdef open_t* open_by_cell         # [strategy * instrument_count + instrument]
    cdef int32_t* open_orders         # [strategy]
    cdef int32_t* unknown_orders      # [cell] open orders of which nobody knows what became
    cdef readonly int open_order_count
    cdef readonly int unknown_order_count # sum of unknown_orders
    cdef readonly money_t reserved    # sum of what open orders reserve, account currency
    cdef int64_t fee_ppm              # worst fee, part of what an order reserves
    cdef int64_t market_buffer_ppm    # an order without a limit may fill this much beyond the mark

    # -- bookkeeping; the order manager calls these ----------------------------------------------
    cdef void add_open(self, const order_t* order) noexcept nogil
    # A part of an order has been filled: `lots` of it and `reserve` are open no more.
    cdef void reduce_open(self, const order_t* order, lots_t lots, money_t reserve) noexcept nogil
    # The order has ended: releases what is left of it.
    cdef void end_open(self, const order_t* order) noexcept nogil

    # An order has become unknown (1), or is unknown no more (-1).
    cdef void count_unknown(self, const order_t* order, int change) noexcept nogil

    # -- worst cases; 0 = written to `out`, otherwise a LedgerError ------------------------------
    # Lots of this order's strategy, instrument and side that are open already.
    cdef lots_t pending_lots(self, const order_t* order) noexcept nogil
    # 1 where the account's worst-case net position of the instrument grows.
    cdef int grows_net(self, const order_t* order, lots_t leaves) noexcept nogil
    cdef int worst_price(self, const order_t* order, price_ticks_t* out) noexcept nogil
    # Notional in account currency at the worst price the order may fill at, rounded up.
    cdef int worst_notional(self, const order_t* order, lots_t leaves, money_t* out) noexcept nogil
    # Largest |net position| of the order's instrument with the order added.
    cdef int worst_position(self, const order_t* order, lots_t leaves, lots_t* out) noexcept nogil
    # The same in account currency at the mark; of the strategy's own position where asked for.
    cdef int position_notional(self, const order_t* order, lots_t leaves, bint by_strategy,
                               money_t* out) noexcept nogil
    # Gross worst-case exposure of a scope with `order` added; market or strategy -1 = all.
    cdef int scope_exposure(self, const order_t* order, lots_t leaves, int market, int strategy,
                            money_t* out) noexcept nogil
    # Money to reserve while the order is open: price or initial margin, fee and conversion.
    cdef int money_needed(self, const order_t* order, lots_t leaves, money_t notional,
                          money_t* out) noexcept nogil
    # Money that can pay for the order, less all reservations.
    cdef int buying_power(self, const order_t* order, money_t* out) noexcept nogil
    # Profit and loss of a strategy (market -1) or a market (strategy -1), account currency.
    cdef int scope_pnl(self, int strategy, int market, money_t* out) noexcept nogil
    # An order from fields of order_t by name; raises TypeError or IndexError.
    cdef int order_from(self, dict fields, order_t* out) except -1
    # -- private --
    cdef int _instrument_exposure(self, int instrument, lots_t extra_buy, lots_t extra_sell,
                                  lots_t position, const open_t* pending,
                                  money_t* out) noexcept nogil
    cdef int _margin_lots(self, const order_t* order, lots_t leaves, lots_t* out) noexcept nogil
    cdef int _own_cash(self, int currency, money_t* out) noexcept nogil
