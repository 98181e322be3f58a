# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Copies of the order manager's state for those outside, and what a restart does with it."""

from libc.string cimport memcpy

import numpy as np

from mmats._core.orders cimport OrderManager
from mmats._core.pipeline cimport Pipeline
from mmats._core.types cimport (
    STATE_CANCELED, STATE_DENIED, STATE_EXPIRED, STATE_FILLED, STATE_INITIALIZED,
    STATE_PENDING_CANCEL, STATE_REJECTED, order_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.frames import ORDER_DTYPE


cdef bint _is_open(const order_t* order) noexcept nogil:
    cdef int state = order.state
    return order.order_id != 0 and state > STATE_INITIALIZED and not (
        state == STATE_FILLED or state == STATE_CANCELED or state == STATE_EXPIRED
        or state == STATE_REJECTED or state == STATE_DENIED)


def open_orders(OrderManager orders not None):
    """Return a copy of every order that is not done, ORDER_DTYPE, by slot."""
    cdef int slot, count = 0
    cdef char[::1] view
    for slot in range(orders.fresh_slot):
        count += _is_open(&orders.orders[slot])
    out = np.zeros(count, dtype=ORDER_DTYPE)
    if count == 0:
        return out
    view = out.view("i1")
    count = 0
    for slot in range(orders.fresh_slot):
        if _is_open(&orders.orders[slot]):
            memcpy(&view[count * sizeof(order_t)], &orders.orders[slot], sizeof(order_t))
            count += 1
    return out


def resubmit_open(Pipeline pipeline not None, ts_ns_t now_ns):
    """Give a fresh simulated venue the orders that a recovered engine has open; returns how many.

    Only what is left of them, in the order in which they were first sent. One whose cancel was on
    its way is canceled again. Nothing is journaled: the engine's own state does not change.
    """
    cdef OrderManager orders = pipeline.orders
    cdef VenuePort venue = pipeline.venue
    cdef order_t rest
    cdef order_t* order
    found = open_orders(orders)
    for order_id in np.sort(found["order_id"]):
        order = orders.find(order_id)
        rest = order[0]
        rest.quantity_lots -= rest.filled_lots
        if venue.submit(&rest, now_ns) != 0:
            raise RuntimeError(f"the simulated venue did not take order {order_id} again")
        if order.state == STATE_PENDING_CANCEL:
            venue.cancel(order_id, order.instrument, now_ns)
    return len(found)
