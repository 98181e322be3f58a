# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The way out: gate, slot, journal, venue. Cancels, and closing orders that are tried again.

Every order passes the gate here, at the last step before the venue port, and its intent is in the
journal before it leaves. Without a venue, or for a strategy that only advises, it ends here.
"""

from libc.stdint cimport int8_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from mmats._core.journal cimport (
    RECORD_ADVISED, RECORD_CANCEL_SENT, RECORD_DENIED, RECORD_SUBMITTED, JournalPort, describe,
    record_t,
)
from mmats._core.ledger cimport Ledger
from mmats._core.order_table cimport (
    ORDER_SLOTS, SLOT_BITS, OrderTable, inquiry_t, is_done,
)
from mmats._core.risk cimport (
    REASON_OK, REASON_OPEN_ORDERS, REASON_PORT_FULL, RiskGate, verdict_t,
)
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_MARKET, ROLE_ENTRY, ROLE_FLATTEN, STATE_DENIED, STATE_INITIALIZED,
    STATE_PENDING_CANCEL, STATE_SUBMITTED, STATE_UNKNOWN, TIF_GTC, lots_t, order_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.order_table import PipelineFault

cdef ts_ns_t SECOND_NS = 1_000_000_000LL


cdef class Dispatch(OrderTable):

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None):
        cdef int cells = ledger.strategy_count * ledger.instrument_count
        self.advisory = <int8_t*>calloc(ledger.strategy_count, sizeof(int8_t))
        self.closings = <closing_t*>calloc(cells, sizeof(closing_t))
        if self.advisory == NULL or self.closings == NULL:
            raise MemoryError("dispatch: no memory")
        self.closing_retry_ns = SECOND_NS
        self.closing_attempts_max = 5

    def __dealloc__(self):
        free(self.advisory)
        free(self.closings)

    def set_advisory(self, int strategy, bint is_advisory):
        if not 0 <= strategy < self.ledger.strategy_count:
            raise ValueError(f"no strategy {strategy}")
        self.advisory[strategy] = is_advisory

    def set_closing(self, *, ts_ns_t retry_ns, int attempts_max):
        if retry_ns < 0 or attempts_max < 1:
            raise ValueError("a closing needs a time of 0 or more and at least one attempt")
        self.closing_retry_ns = retry_ns
        self.closing_attempts_max = attempts_max

    # -- orders ----------------------------------------------------------------------------------

    cdef int _denied(self, order_t* order, int reason, int64_t observed, int64_t limit,
                     ts_ns_t now_ns) except -1:
        cdef record_t record
        order.state = STATE_DENIED
        self.denied_count += 1
        self.denied_reason = reason
        self.denied_observed = observed
        self.denied_limit = limit
        describe(&record, RECORD_DENIED, order, now_ns, now_ns, reason)
        record.observed = observed
        record.limit = limit
        self.journal.append(&record)
        self._tell(order, STATE_DENIED, reason, order.quantity_lots, 0, 0, 0)
        return 0

    cdef int _advise(self, order_t* order, ts_ns_t now_ns) except -1:
        """What would have left now; it counts as a message, so that denials are those of paper."""
        order.state = STATE_INITIALIZED
        self.gate.count_message(now_ns)
        self._record_order(RECORD_ADVISED, order, now_ns, now_ns, 0)
        return ADVISED

    cdef int _send(self, order_t* order, ts_ns_t now_ns) except -1:
        """Gate, slot, journal, venue: the only way an order leaves. 0 = denied, SENT or ADVISED."""
        cdef inquiry_t* inquiry
        cdef verdict_t verdict
        cdef order_t* kept
        cdef int slot
        if self.gate.check(order, now_ns, &verdict) != REASON_OK:
            return self._denied(order, verdict.reason, verdict.observed, verdict.limit, now_ns)
        if self.venue is None or (self.advisory[order.strategy] and order.role == ROLE_ENTRY):
            order.flags |= FLAG_REDUCE_ONLY if verdict.reduces else 0
            return self._advise(order, now_ns)
        slot = self._take_slot()
        if slot < 0:
            return self._denied(order, REASON_OPEN_ORDERS, ORDER_SLOTS + 1, ORDER_SLOTS, now_ns)
        if verdict.reduces:
            order.flags |= FLAG_REDUCE_ONLY
        self.order_sequence += 1
        order.order_id = (self.order_sequence << SLOT_BITS) | slot
        order.state = STATE_SUBMITTED
        order.reserved = verdict.reserve
        kept = &self.orders[slot]
        kept[0] = order[0]
        inquiry = &self.inquiries[slot]
        memset(inquiry, 0, sizeof(inquiry_t))
        inquiry.asked_ns = now_ns
        self.gate.add_open(kept)
        self.gate.count_message(now_ns)
        self._record_order(RECORD_SUBMITTED, kept, now_ns, now_ns, 0)
        if self.venue.submit(kept, now_ns) != 0:
            self._close(kept, STATE_DENIED)
            return self._denied(order, REASON_PORT_FULL, 1, 0, now_ns)
        return SENT

    # -- cancels ---------------------------------------------------------------------------------

    cdef int cancel(self, int64_t order_id, ts_ns_t now_ns) except -1:
        """Ask the venue to cancel; cancels pass no gate. 1 = asked, 0 = nothing to cancel.

        An order that is unknown stays so until the venue has told what it knows of it.
        """
        cdef order_t* order = self.find(order_id)
        cdef inquiry_t* inquiry = &self.inquiries[order_id & (ORDER_SLOTS - 1)]
        if (self.venue is None or order == NULL or is_done(order)
                or order.state == STATE_PENDING_CANCEL or inquiry.is_cancel_wanted):
            return 0
        if order.state == STATE_UNKNOWN:
            inquiry.is_cancel_wanted = 1
        else:
            order.state = STATE_PENDING_CANCEL
            inquiry.asked_ns = now_ns
        self.gate.count_message(now_ns)
        self._record_order(RECORD_CANCEL_SENT, order, now_ns, now_ns, 0)
        if self.venue.cancel(order_id, order.instrument, now_ns) != 0:
            raise PipelineFault("the venue port did not take a cancel")
        return 1

    cdef int cancel_entries(self, int strategy, ts_ns_t now_ns) except -1:
        """Cancel a strategy's working entries; what closes a position stays. Returns how many."""
        cdef int slot
        cdef int count = 0
        for slot in range(self.fresh_slot):
            if (self.orders[slot].strategy == strategy and self.orders[slot].role == ROLE_ENTRY
                    and not self.orders[slot].flags & FLAG_REDUCE_ONLY):
                count += self.cancel(self.orders[slot].order_id, now_ns)
        return count

    # -- closing a position ----------------------------------------------------------------------

    cdef int _flatten(self, int cell, int64_t signal_id, ts_ns_t now_ns) except -1:
        """Close a position at market at once; denied like any order where it can't leave."""
        cdef closing_t* closing = &self.closings[cell]
        cdef lots_t position = self.ledger.cells[cell].lots
        cdef int sent
        if position == 0:
            return 0
        self._end_closing(closing, CLOSING_NONE)
        closing.signal_id = signal_id
        closing.attempt_count = 1
        sent = self._send_closing(cell, position if position > 0 else -position, now_ns)
        if sent == SENT:  # it may still be rejected
            closing.state = CLOSING_PENDING
            closing.retry_ns = now_ns + self.closing_retry_ns
            self.pending_closing_count += 1
        return sent

    cdef int begin_closing(self, int cell, ts_ns_t now_ns) except -1:
        """Close what is there and what may still come; returns how many orders left, 0 or 1."""
        cdef closing_t* closing = &self.closings[cell]
        if closing.state != CLOSING_PENDING:
            closing.state = CLOSING_PENDING
            self.pending_closing_count += 1
        closing.signal_id = 0
        closing.attempt_count = 0
        closing.retry_ns = now_ns
        return self._step_closing(cell, now_ns)

    cdef int step_closings(self, ts_ns_t now_ns) except -1:
        cdef int cell
        cdef int count = 0
        if self.pending_closing_count == 0:
            return 0
        for cell in range(self.ledger.strategy_count * self.ledger.instrument_count):
            if self.closings[cell].state == CLOSING_PENDING:
                count += self._step_closing(cell, now_ns)
        return count

    cdef int _end_closing(self, closing_t* closing, int state) noexcept nogil:
        if closing.state == CLOSING_PENDING:
            self.pending_closing_count -= 1
        closing.state = state
        return 0

    cdef int _step_closing(self, int cell, ts_ns_t now_ns) except -1:
        """Send a closing order for what no order that is under way can close; 1 = one left."""
        cdef closing_t* closing = &self.closings[cell]
        cdef lots_t position = self.ledger.cells[cell].lots
        cdef int count = 0
        cdef lots_t lots = (position if position > 0 else -position) - self._in_flight(cell, &count)
        if position == 0:
            return 0 if count else self._end_closing(closing, CLOSING_FLAT)
        if lots <= 0 or now_ns < closing.retry_ns:
            return 0
        if closing.attempt_count >= self.closing_attempts_max:
            return 0 if count else self._end_closing(closing, CLOSING_FAILED)
        closing.attempt_count += 1
        closing.retry_ns = now_ns + self.closing_retry_ns
        return 1 if self._send_closing(cell, lots, now_ns) == SENT else 0

    cdef lots_t _in_flight(self, int cell, int* count) noexcept nogil:
        """Lots of a position that orders without a final answer may close already.

        `count` is the number of orders of the cell that are on their way to an end.
        """
        cdef int instrument_count = self.ledger.instrument_count
        cdef const order_t* order
        cdef lots_t lots = 0
        cdef int slot
        count[0] = 0
        for slot in range(self.fresh_slot):
            order = &self.orders[slot]
            if order.strategy * instrument_count + order.instrument != cell or is_done(order):
                continue
            if (order.role != ROLE_FLATTEN and order.state != STATE_PENDING_CANCEL
                    and order.state != STATE_UNKNOWN):
                continue
            count[0] += 1
            if order.side * self.ledger.cells[cell].lots < 0:
                lots += order.quantity_lots - order.filled_lots
        return lots

    cdef int _send_closing(self, int cell, lots_t lots, ts_ns_t now_ns) except -1:
        cdef order_t order
        memset(&order, 0, sizeof(order_t))
        order.signal_id = self.closings[cell].signal_id
        order.ts_created_ns = now_ns
        order.quantity_lots = lots
        order.strategy = cell // self.ledger.instrument_count
        order.instrument = cell % self.ledger.instrument_count
        order.reference_ticks = self.ledger.holdings[order.instrument].mark_ticks
        order.side = -1 if self.ledger.cells[cell].lots > 0 else 1
        order.type = ORDER_MARKET
        order.tif = TIF_GTC
        order.flags = FLAG_REDUCE_ONLY
        order.role = ROLE_FLATTEN
        return self._send(&order, now_ns)
