# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The order manager: signal -> sized order -> gate -> journal -> venue -> reports -> position.

It stands on four classes: where orders live (`order_table`), how they leave (`dispatch`), how stops
and targets follow a position (`brackets`), and what is done about those that nobody answers for
(`inquiry`). Positions come from fills only.
"""

cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from mmats._core.contract cimport signal_t
from mmats._core.inquiry cimport Inquiry
from mmats._core.journal cimport (
    RECORD_ACCEPTED, RECORD_FILLED, RECORD_LATE_FILL, RECORD_SIGNAL, RECORD_TRIGGERED,
    RECORD_UPDATED, JournalPort, describe, record_t,
)
from mmats._core.ledger cimport Ledger, fill_result_t
from mmats._core.order_table cimport ORDER_SLOTS, SLOT_BITS, inquiry_t, is_done
from mmats._core.risk cimport (
    REASON_NOTHING_TO_REDUCE, REASON_OK, REASON_QUANTITY_ZERO, REASON_SIZE_UNKNOWN,
    REASON_STOP_LOSS_SIDE, RiskGate,
)
from mmats._core.sizing cimport (
    SIZING_SIGNAL, checked_sizing, lots_for_risk, risk_share_ppm, sizing_t,
)
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_STOP_LIMIT, REPORT_ACCEPTED, REPORT_CANCEL_REJECTED,
    REPORT_FILLED, REPORT_NOT_FOUND, REPORT_TRIGGERED, REPORT_UPDATED, ROLE_ENTRY, STATE_ACCEPTED,
    STATE_FILLED, STATE_PARTIALLY_FILLED, STATE_PENDING_CANCEL, STATE_SUBMITTED, STATE_TRIGGERED,
    STATE_UNKNOWN, VENUE_UNKNOWN_ORDER, lots_t, mmats_add, mmats_muldiv_ceil, mmats_muldiv_floor,
    money_t, order_t, price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.order_table import PipelineFault

cdef enum:
    PPM = 1000000


@cython.final
cdef class OrderManager(Inquiry):

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None):
        cdef int k
        self.sizings = <sizing_t*>calloc(ledger.strategy_count, sizeof(sizing_t))
        if self.sizings == NULL:
            raise MemoryError("order manager: no memory")
        for k in range(ledger.strategy_count):
            self.sizings[k].mode = SIZING_SIGNAL

    def __dealloc__(self):
        free(self.sizings)

    def set_sizing(self, int strategy, **fields):
        if not 0 <= strategy < self.ledger.strategy_count:
            raise ValueError(f"no strategy {strategy}")
        self.sizings[strategy] = checked_sizing({**self.sizings[strategy], **fields})

    # -- from signal to order --------------------------------------------------------------------

    cdef int take_signal(self, int strategy, signal_t* signal, ts_ns_t now_ns) except -1:
        """Turn one signal into one order, or into one denial."""
        cdef order_t order
        cdef int reason
        if not 0 <= signal.instrument < self.ledger.instrument_count:
            raise PipelineFault(
                f"strategy {strategy} signals instrument {signal.instrument}, which does not exist")
        self.signal_sequence += 1
        signal.signal_id = self.signal_sequence
        memset(&order, 0, sizeof(order_t))
        order.signal_id = signal.signal_id
        order.ts_created_ns = now_ns
        order.ts_expire_ns = signal.expire_ns
        order.price_ticks = signal.price_ticks
        order.trigger_ticks = signal.trigger_ticks
        order.trail_ticks = signal.trail_ticks
        order.stop_loss_ticks = signal.stop_loss_ticks
        order.take_profit_ticks = signal.take_profit_ticks
        order.reference_ticks = self._reference(signal)
        order.strategy = strategy
        order.instrument = signal.instrument
        order.side = signal.side
        order.type = signal.order_type
        order.tif = signal.tif
        order.flags = signal.flags
        order.role = ROLE_ENTRY
        reason = self._size(&order, signal)
        self._record_signal(&order, signal, now_ns)
        if reason != REASON_OK:
            return self._denied(&order, reason, order.quantity_lots, 1, now_ns)
        return self._send(&order, now_ns)

    cdef int _record_signal(self, const order_t* order, const signal_t* signal,
                            ts_ns_t now_ns) except -1:
        cdef record_t record
        describe(&record, RECORD_SIGNAL, order, now_ns, now_ns, 0)
        record.confidence_ppm = signal.confidence_ppm
        return self.journal.append(&record)

    cdef price_ticks_t _reference(self, const signal_t* signal) noexcept nogil:
        """Price at which the order is expected to trade: its own, or the mark."""
        if signal.order_type == ORDER_LIMIT or signal.order_type == ORDER_STOP_LIMIT:
            return signal.price_ticks
        if signal.trigger_ticks > 0:
            return signal.trigger_ticks
        return self.ledger.holdings[signal.instrument].mark_ticks

    cdef int _size(self, order_t* order, const signal_t* signal) noexcept nogil:
        """Set the quantity; returns a Reason where there is none."""
        cdef lots_t position = self.ledger.cells[
            order.strategy * self.ledger.instrument_count + order.instrument].lots
        cdef lots_t opposite = -position * order.side
        cdef int64_t share
        cdef money_t budget
        cdef price_ticks_t distance
        if order.flags & FLAG_REDUCE_ONLY:
            if opposite <= 0:
                return REASON_NOTHING_TO_REDUCE
            order.quantity_lots = opposite
            if 0 <= signal.size_lots < opposite:
                order.quantity_lots = signal.size_lots
            return REASON_OK
        if self.sizings[order.strategy].mode == SIZING_SIGNAL:
            if signal.size_lots < 0:
                return REASON_SIZE_UNKNOWN
            order.quantity_lots = signal.size_lots
            return REASON_OK
        if order.stop_loss_ticks <= 0 or order.reference_ticks <= 0:
            return REASON_SIZE_UNKNOWN
        distance = (order.reference_ticks - order.stop_loss_ticks) * order.side
        if distance <= 0:
            return REASON_STOP_LOSS_SIDE
        share = risk_share_ppm(&self.sizings[order.strategy], &self.tracks[order.strategy])
        if mmats_muldiv_floor(share, signal.confidence_ppm, PPM, &share, NULL) != 0:
            return REASON_SIZE_UNKNOWN
        if self.gate.equity <= 0 or mmats_muldiv_floor(
                self.gate.equity, share, PPM, &budget, NULL) != 0:
            return REASON_SIZE_UNKNOWN
        order.quantity_lots = lots_for_risk(self.ledger, order.instrument, budget, distance)
        if opposite > 0:
            order.quantity_lots += opposite
        return REASON_OK if order.quantity_lots > 0 else REASON_QUANTITY_ZERO

    # -- reports ---------------------------------------------------------------------------------

    cdef int on_report(self, const report_t* report, ts_ns_t now_ns) except -1:
        cdef order_t* order = self.find(report.order_id)
        if order == NULL:
            return self._on_forgotten(report)
        if report.kind == REPORT_FILLED:
            return self._on_fill(order, report, now_ns)
        if is_done(order):
            self.stale_report_count += 1
            return 0
        if report.cum_lots > order.filled_lots:
            self._miss_fills(order, report.cum_lots, now_ns)
        if order.state == STATE_UNKNOWN:
            return self._on_answer(order, report, now_ns)
        if order.state != STATE_PENDING_CANCEL and report.kind != REPORT_NOT_FOUND:
            self._answered(order)
        if report.kind == REPORT_ACCEPTED:
            if order.state == STATE_SUBMITTED:
                order.state = STATE_ACCEPTED
            elif order.state != STATE_PENDING_CANCEL:
                return self._on_open(order, report, now_ns)
            return self._record_order(RECORD_ACCEPTED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_TRIGGERED:
            if order.state != STATE_PENDING_CANCEL:
                order.state = STATE_TRIGGERED
            return self._record_order(RECORD_TRIGGERED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_UPDATED:
            self._note_change(order, report)
            return self._record_order(RECORD_UPDATED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_CANCEL_REJECTED:
            return self._on_refused(order, report, now_ns)
        if report.kind == REPORT_NOT_FOUND:  # the answer to an old question
            self.stale_report_count += 1
            return 0
        return self._on_end(order, report, now_ns)

    cdef int _on_forgotten(self, const report_t* report) except -1:
        """A report for an order whose slot is in use again, or that was never ours."""
        cdef int64_t sequence = report.order_id >> SLOT_BITS
        if report.kind == REPORT_FILLED or sequence < 1 or sequence > self.order_sequence:
            raise PipelineFault(f"report {report.kind} for order {report.order_id}, which is not ours")
        self.stale_report_count += 1
        return 0

    cdef int _on_refused(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        """The venue refused a cancel or a change of an order that is still open."""
        cdef bint was_cancel = order.state == STATE_PENDING_CANCEL
        if self.can_query and report.reason == VENUE_UNKNOWN_ORDER:
            # Filled or canceled before, perhaps: what happened may be on its way, or lost.
            self._record_order(RECORD_UPDATED, order, now_ns, report.ts_event_ns, report.reason)
            self._become_unknown(order, now_ns)
            return 0
        if was_cancel:
            self._answered(order)
            order.state = STATE_PARTIALLY_FILLED if order.filled_lots else STATE_ACCEPTED
        self._record_order(RECORD_UPDATED, order, now_ns, report.ts_event_ns, report.reason)
        if not was_cancel:  # its quantity at the venue is not what it must be
            self.inquiries[order.order_id & (ORDER_SLOTS - 1)].changed_ns = 0
            self.cancel(order.order_id, now_ns)
        return 0

    cdef int _on_fill(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        cdef fill_result_t result
        cdef int cell = order.strategy * self.ledger.instrument_count + order.instrument
        cdef lots_t before = self.ledger.cells[cell].lots
        cdef bint is_late = is_done(order)
        cdef int state = STATE_PARTIALLY_FILLED
        cdef int error
        if self.can_query and not self._is_due(order, report):
            self.stale_report_count += 1
            return 0
        error = self.ledger.apply_fill(
            order.strategy, report, order.instrument, order.side, now_ns, &result)
        if error != 0:
            raise PipelineFault(
                f"the ledger refused a fill of order {order.order_id >> SLOT_BITS}: error {error}")
        if is_late:
            self.late_fill_count += 1
            order.filled_lots += report.last_lots
        else:
            state = self._count_fill(order, report)
        order.commission += result.fee
        order.realized += result.realized
        self._record_fill(RECORD_LATE_FILL if is_late else RECORD_FILLED, order, report, &result,
                          now_ns)
        self._tell(order, state, 0, report.last_lots, report.last_ticks, result.fee,
                   result.realized)
        self._track(cell, order.strategy, before, &result)
        if report.cum_lots > order.filled_lots:
            self._miss_fills(order, report.cum_lots, now_ns)
        self._open_bracket(order, cell, now_ns)
        return self._sync_bracket(cell, now_ns)

    cdef int _count_fill(self, order_t* order, const report_t* report) except -1:
        """Release what a fill has used up; returns the order's state as its strategy hears it.

        The venue's word on what is left counts: a change of ours may have come too late. That of a
        fill which has been overtaken is old.
        """
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        cdef lots_t leaves = order.quantity_lots - order.filled_lots
        cdef lots_t needed = report.last_lots
        cdef money_t released = 0
        cdef bint is_newest = report.cum_lots >= order.filled_lots + report.last_lots
        if is_newest and mmats_add(
                report.cum_lots - order.filled_lots, report.leaves_lots, &needed):
            raise PipelineFault("quantity overflow")
        if leaves < needed:
            self.gate.reduce_open(order, leaves - needed, 0)
            order.quantity_lots = order.filled_lots + needed
            leaves = needed
        if mmats_muldiv_ceil(order.reserved, report.last_lots, leaves, &released):
            raise PipelineFault("reservation overflow")
        self.gate.reduce_open(order, report.last_lots, released)
        order.reserved -= released
        order.filled_lots += report.last_lots
        if is_newest and report.leaves_lots == 0:
            inquiry.is_filled = 1
        if inquiry.is_filled and order.filled_lots == max(inquiry.cum_lots, report.cum_lots):
            self._close(order, STATE_FILLED)
            return STATE_FILLED
        if order.state != STATE_PENDING_CANCEL and order.state != STATE_UNKNOWN:
            self._answered(order)
            order.state = STATE_PARTIALLY_FILLED
        return STATE_PARTIALLY_FILLED
