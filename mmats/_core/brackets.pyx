# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Stops and targets: they follow the position that they protect."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from mmats._core.dispatch cimport Dispatch
from mmats._core.journal cimport JournalPort
from mmats._core.ledger cimport Ledger
from mmats._core.order_table cimport ORDER_SLOTS, inquiry_t, is_done
from mmats._core.risk cimport RiskGate
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_STOP, ROLE_ENTRY, ROLE_MANUAL, ROLE_STOP, ROLE_TARGET,
    STATE_PENDING_CANCEL, STATE_UNKNOWN, TIF_GTC, lots_t, order_t, price_ticks_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.order_table import PipelineFault


cdef class Brackets(Dispatch):

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None):
        self.brackets = <bracket_t*>calloc(
            ledger.strategy_count * ledger.instrument_count, sizeof(bracket_t))
        if self.brackets == NULL:
            raise MemoryError("brackets: no memory")

    def __dealloc__(self):
        free(self.brackets)

    cdef int _open_bracket(self, const order_t* order, int cell, ts_ns_t now_ns) except -1:
        """A fill of an entry sets the protection of the position that it opened or added to."""
        cdef bracket_t* bracket = &self.brackets[cell]
        cdef lots_t position = self.ledger.cells[cell].lots
        if (order.role != ROLE_ENTRY and order.role != ROLE_MANUAL) or position * order.side <= 0:
            return 0
        if bracket.side != 0 and bracket.side != order.side:
            self._drop_bracket(bracket, now_ns)
        if order.stop_loss_ticks == 0 and order.take_profit_ticks == 0:
            return 0
        bracket.side = order.side
        bracket.signal_id = order.signal_id
        if order.stop_loss_ticks > 0:
            bracket.stop_ticks = order.stop_loss_ticks
        if order.take_profit_ticks > 0:
            bracket.target_ticks = order.take_profit_ticks
        return 0

    cdef int _drop_bracket(self, bracket_t* bracket, ts_ns_t now_ns) except -1:
        cdef int64_t stop_order_id = bracket.stop_order_id
        cdef int64_t target_order_id = bracket.target_order_id
        memset(bracket, 0, sizeof(bracket_t))
        if stop_order_id != 0:
            self.cancel(stop_order_id, now_ns)
        if target_order_id != 0:
            self.cancel(target_order_id, now_ns)
        return 0

    cdef int release(self, const order_t* order) noexcept nogil:
        cdef bracket_t* bracket = &self.brackets[
            order.strategy * self.ledger.instrument_count + order.instrument]
        if order.role == ROLE_STOP and bracket.stop_order_id == order.order_id:
            bracket.stop_order_id = bracket.stop_ticks = 0
        elif order.role == ROLE_TARGET and bracket.target_order_id == order.order_id:
            bracket.target_order_id = bracket.target_ticks = 0
        if bracket.stop_ticks == 0 and bracket.target_ticks == 0:
            memset(bracket, 0, sizeof(bracket_t))
        return 0

    cdef int _sync_bracket(self, int cell, ts_ns_t now_ns) except -1:
        """Make stop and target cover exactly the position; drop them when it is gone."""
        cdef bracket_t* bracket = &self.brackets[cell]
        cdef lots_t position = self.ledger.cells[cell].lots
        if bracket.side == 0:
            return 0
        if position * bracket.side <= 0:
            return self._drop_bracket(bracket, now_ns)
        if bracket.stop_ticks > 0:
            bracket.stop_order_id = self._protect(
                cell, bracket, bracket.stop_order_id, ROLE_STOP, bracket.stop_ticks, now_ns)
            if bracket.stop_order_id == 0:
                return self._give_up(cell, now_ns)
        if bracket.target_ticks > 0:
            bracket.target_order_id = self._protect(
                cell, bracket, bracket.target_order_id, ROLE_TARGET, bracket.target_ticks, now_ns)
        return 0

    cdef int64_t _protect(self, int cell, const bracket_t* bracket, int64_t order_id, int role,
                          price_ticks_t price, ts_ns_t now_ns) except -1:
        """Submit or adjust one leg of a bracket; returns its order id."""
        cdef lots_t position = self.ledger.cells[cell].lots
        cdef lots_t wanted = position if position > 0 else -position
        cdef order_t* working = self.find(order_id) if order_id != 0 else NULL
        cdef order_t order
        if working != NULL and not is_done(working):
            return self._adjust(working, wanted, price, now_ns)
        memset(&order, 0, sizeof(order_t))
        order.signal_id = bracket.signal_id
        order.ts_created_ns = now_ns
        order.quantity_lots = wanted
        order.reference_ticks = self.ledger.holdings[cell % self.ledger.instrument_count].mark_ticks
        order.strategy = cell // self.ledger.instrument_count
        order.instrument = cell % self.ledger.instrument_count
        order.side = -bracket.side
        order.type = ORDER_STOP if role == ROLE_STOP else ORDER_LIMIT
        if role == ROLE_STOP:
            order.trigger_ticks = price
        else:
            order.price_ticks = price
        order.tif = TIF_GTC
        order.flags = FLAG_REDUCE_ONLY
        order.role = role
        if self._send(&order, now_ns) == 0:
            return 0
        return order.order_id

    cdef int64_t _adjust(self, order_t* order, lots_t wanted, price_ticks_t price,
                         ts_ns_t now_ns) except -1:
        cdef lots_t leaves = order.quantity_lots - order.filled_lots
        cdef price_ticks_t current = (
            order.trigger_ticks if order.role == ROLE_STOP else order.price_ticks)
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        if (order.state == STATE_PENDING_CANCEL or order.state == STATE_UNKNOWN
                or (leaves == wanted and current == price and inquiry.changed_ns >= 0)):
            return order.order_id  # one that is unknown is adjusted when it has been found
        inquiry.changed_ns = now_ns
        self.gate.count_message(now_ns)
        order.quantity_lots = order.filled_lots + wanted
        if order.role == ROLE_STOP:
            order.trigger_ticks = price
        else:
            order.price_ticks = price
        if self.venue.modify(order.order_id, order.instrument, wanted, order.price_ticks,
                             order.trigger_ticks, now_ns) != 0:
            raise PipelineFault("the venue port did not take a change of a protective order")
        return order.order_id

    cdef int _bracket_order_ended(self, const order_t* order, ts_ns_t now_ns) except -1:
        """A protective order ended without our asking: a position must not stay unprotected."""
        cdef int cell = order.strategy * self.ledger.instrument_count + order.instrument
        cdef bracket_t* bracket = &self.brackets[cell]
        if order.role == ROLE_TARGET and bracket.target_order_id == order.order_id:
            bracket.target_order_id = 0
            bracket.target_ticks = 0
        elif order.role == ROLE_STOP and bracket.stop_order_id == order.order_id:
            bracket.stop_order_id = 0
            return self._give_up(cell, now_ns)
        return 0

    cdef int _give_up(self, int cell, ts_ns_t now_ns) except -1:
        """The stop can't be had: close the position instead. What can't be closed is kept."""
        cdef bracket_t* bracket = &self.brackets[cell]
        if self._flatten(cell, bracket.signal_id, now_ns) == 0:
            return 0
        return self._drop_bracket(bracket, now_ns)
