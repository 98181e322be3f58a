# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The order manager: signal -> sized order -> gate -> journal -> venue -> reports -> position.

Every order passes the gate here, at the last step before the venue port, and its intent is in the
journal before it leaves. Positions come from fills only.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from mmats._core.contract cimport signal_t
from mmats._core.journal cimport (
    RECORD_ACCEPTED, RECORD_CANCEL_SENT, RECORD_CANCELED, RECORD_DENIED, RECORD_EXPIRED,
    RECORD_FILLED, RECORD_LATE_FILL, RECORD_REJECTED, RECORD_SIGNAL, RECORD_SUBMITTED,
    RECORD_TRIGGERED, RECORD_UPDATED, JournalPort, describe, record_t,
)
from mmats._core.ledger cimport Ledger, fill_result_t
from mmats._core.risk cimport (
    REASON_NOTHING_TO_REDUCE, REASON_OK, REASON_OPEN_ORDERS, REASON_PORT_FULL,
    REASON_QUANTITY_ZERO, REASON_SIZE_UNKNOWN, REASON_STOP_LOSS_SIDE, RiskGate, verdict_t,
)
from mmats._core.sizing cimport (
    SIZING_SIGNAL, checked_sizing, lots_for_risk, risk_share_ppm, sizing_t, track_t,
)
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_MARKET, ORDER_STOP, ORDER_STOP_LIMIT, REPORT_ACCEPTED,
    REPORT_CANCELED, REPORT_CANCEL_REJECTED, REPORT_EXPIRED, REPORT_FILLED, REPORT_REJECTED,
    REPORT_TRIGGERED, REPORT_UPDATED, ROLE_ENTRY, ROLE_FLATTEN, ROLE_STOP, ROLE_TARGET,
    STATE_ACCEPTED, STATE_CANCELED, STATE_DENIED, STATE_EXPIRED, STATE_FILLED,
    STATE_PARTIALLY_FILLED, STATE_PENDING_CANCEL, STATE_REJECTED, STATE_SUBMITTED,
    STATE_TRIGGERED, TIF_GTC, lots_t, mmats_add, mmats_muldiv_ceil, mmats_muldiv_floor, money_t, order_t,
    price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

cdef enum:
    PPM = 1000000


class PipelineFault(Exception):
    """The books can no longer be trusted (overflow, unknown order, full ring): trading stops."""


@cython.final
cdef class OrderManager:

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue not None,
                  JournalPort journal not None):
        cdef int k
        cdef int cells = ledger.strategy_count * ledger.instrument_count
        self.ledger = ledger
        self.gate = gate
        self.venue = venue
        self.journal = journal
        self.orders = <order_t*>calloc(ORDER_SLOTS, sizeof(order_t))
        self.ended_slots = <int32_t*>malloc(ORDER_SLOTS * sizeof(int32_t))
        self.brackets = <bracket_t*>calloc(cells, sizeof(bracket_t))
        self.sizings = <sizing_t*>calloc(ledger.strategy_count, sizeof(sizing_t))
        self.tracks = <track_t*>calloc(ledger.strategy_count, sizeof(track_t))
        self.open_results = <money_t*>calloc(cells, sizeof(money_t))
        self.outcomes = <outcome_t*>calloc(OUTCOMES_MAX, sizeof(outcome_t))
        if (self.orders == NULL or self.ended_slots == NULL or self.brackets == NULL
                or self.sizings == NULL or self.tracks == NULL or self.open_results == NULL
                or self.outcomes == NULL):
            raise MemoryError("order manager: no memory")
        for k in range(ledger.strategy_count):
            self.sizings[k].mode = SIZING_SIGNAL

    def __dealloc__(self):
        free(self.orders)
        free(self.ended_slots)
        free(self.brackets)
        free(self.sizings)
        free(self.tracks)
        free(self.open_results)
        free(self.outcomes)

    def set_sizing(self, int strategy, **fields):
        if not 0 <= strategy < self.ledger.strategy_count:
            raise ValueError(f"no strategy {strategy}")
        self.sizings[strategy] = checked_sizing({**self.sizings[strategy], **fields})

    # -- records and outcomes --------------------------------------------------------------------

    cdef int _record_order(self, int kind, const order_t* order, ts_ns_t now_ns,
                           ts_ns_t event_ns, int reason) except -1:
        cdef record_t record
        describe(&record, kind, order, now_ns, event_ns, reason)
        return self.journal.append(&record)

    cdef int _tell(self, const order_t* order, int state, int reason, lots_t lots,
                   price_ticks_t price, money_t commission, money_t realized) except -1:
        cdef outcome_t* outcome
        if self.outcome_head - self.outcome_tail >= OUTCOMES_MAX:
            raise PipelineFault(f"more than {OUTCOMES_MAX} results wait for strategies")
        outcome = &self.outcomes[self.outcome_head % OUTCOMES_MAX]
        outcome.signal_id = order.signal_id
        outcome.order_id = order.order_id
        outcome.lots = lots
        outcome.price_ticks = price
        outcome.commission = commission
        outcome.realized = realized
        outcome.strategy = order.strategy
        outcome.instrument = order.instrument
        outcome.reason = reason
        outcome.state = state
        outcome.role = order.role
        self.outcome_head += 1
        return 0

    cdef int next_outcome(self, outcome_t* out) noexcept nogil:
        if self.outcome_tail == self.outcome_head:
            return 0
        out[0] = self.outcomes[self.outcome_tail % OUTCOMES_MAX]
        self.outcome_tail += 1
        return 1

    # -- from signal to order --------------------------------------------------------------------

    cdef int take_signal(self, int strategy, signal_t* signal, ts_ns_t now_ns) except -1:
        """Turn one signal into one order, or into one denial. 1 = an order left."""
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

    cdef int _denied(self, order_t* order, int reason, int64_t observed, int64_t limit,
                     ts_ns_t now_ns) except -1:
        cdef record_t record
        order.state = STATE_DENIED
        self.denied_count += 1
        describe(&record, RECORD_DENIED, order, now_ns, now_ns, reason)
        record.observed = observed
        record.limit = limit
        self.journal.append(&record)
        self._tell(order, STATE_DENIED, reason, order.quantity_lots, 0, 0, 0)
        return 0

    cdef int _send(self, order_t* order, ts_ns_t now_ns) except -1:
        """Gate, slot, journal, venue: the only way an order leaves. 1 = it left."""
        cdef verdict_t verdict
        cdef order_t* kept
        cdef int slot
        if self.gate.check(order, now_ns, &verdict) != REASON_OK:
            return self._denied(order, verdict.reason, verdict.observed, verdict.limit, now_ns)
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
        self.gate.add_open(kept)
        self.gate.count_message(now_ns)
        self._record_order(RECORD_SUBMITTED, kept, now_ns, now_ns, 0)
        if self.venue.submit(kept, now_ns) != 0:
            self._close(kept, STATE_DENIED)
            return self._denied(order, REASON_PORT_FULL, 1, 0, now_ns)
        return 1

    cdef int _take_slot(self) noexcept nogil:
        """A slot for a new order, -1 = all are open.

        The slot that ended longest ago is used again first, and only after some others have ended:
        until then a late report still finds its order.
        """
        cdef int slot
        if self.ended_count <= REUSE_DISTANCE and self.fresh_slot < ORDER_SLOTS:
            self.fresh_slot += 1
            return self.fresh_slot - 1
        if self.ended_count == 0:
            return -1
        slot = self.ended_slots[self.ended_first]
        self.ended_first = (self.ended_first + 1) & (ORDER_SLOTS - 1)
        self.ended_count -= 1
        return slot

    cdef order_t* find(self, int64_t order_id) noexcept nogil:
        cdef order_t* order = &self.orders[order_id & (ORDER_SLOTS - 1)]
        return order if order.order_id == order_id else NULL

    cdef int _close(self, order_t* order, int state) noexcept nogil:
        """Free the slot and what the order still holds; its id stays until the slot is reused."""
        self.gate.end_open(order)
        order.reserved = 0
        order.state = state
        self.ended_slots[(self.ended_first + self.ended_count) & (ORDER_SLOTS - 1)] = (
            order.order_id & (ORDER_SLOTS - 1))
        self.ended_count += 1
        return 0

    # -- reports ---------------------------------------------------------------------------------

    cdef int on_report(self, const report_t* report, ts_ns_t now_ns) except -1:
        cdef order_t* order = self.find(report.order_id)
        if order == NULL:
            return self._on_forgotten(report)
        if report.kind == REPORT_FILLED:
            return self._on_fill(order, report, now_ns)
        if self._is_done(order):
            self.stale_report_count += 1
            return 0
        if report.kind == REPORT_ACCEPTED:
            if order.state == STATE_SUBMITTED:
                order.state = STATE_ACCEPTED
            return self._record_order(RECORD_ACCEPTED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_TRIGGERED:
            if order.state != STATE_PENDING_CANCEL:
                order.state = STATE_TRIGGERED
            return self._record_order(RECORD_TRIGGERED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_UPDATED:
            return self._record_order(RECORD_UPDATED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_CANCEL_REJECTED:
            return self._on_refused(order, report, now_ns)
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
        if was_cancel:
            order.state = STATE_PARTIALLY_FILLED if order.filled_lots else STATE_ACCEPTED
        self._record_order(RECORD_UPDATED, order, now_ns, report.ts_event_ns, report.reason)
        if not was_cancel:  # its quantity at the venue is not what it must be
            self.cancel(order.order_id, now_ns)
        return 0

    cdef int _on_end(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        """Rejected, canceled or expired."""
        cdef int state = STATE_CANCELED
        cdef int kind = RECORD_CANCELED
        if report.kind == REPORT_REJECTED:
            state, kind = STATE_REJECTED, RECORD_REJECTED
        elif report.kind == REPORT_EXPIRED:
            state, kind = STATE_EXPIRED, RECORD_EXPIRED
        elif report.kind != REPORT_CANCELED:
            raise PipelineFault(f"report of unknown kind {report.kind}")
        self._close(order, state)
        self._record_order(kind, order, now_ns, report.ts_event_ns, report.reason)
        self._tell(order, state, 0, order.quantity_lots - order.filled_lots, 0, 0, 0)
        return self._bracket_order_ended(order, now_ns)

    cdef int _on_fill(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        cdef fill_result_t result
        cdef int cell = order.strategy * self.ledger.instrument_count + order.instrument
        cdef lots_t before = self.ledger.cells[cell].lots
        cdef bint is_late = self._is_done(order)
        cdef int state = STATE_PARTIALLY_FILLED
        cdef int error = self.ledger.apply_fill(
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
        self._open_bracket(order, cell, now_ns)
        return self._sync_bracket(cell, now_ns)

    cdef int _count_fill(self, order_t* order, const report_t* report) except -1:
        """Release what a fill has used up; returns the order's state as its strategy hears it.

        The venue's word on what is left counts: a change of ours may have come too late.
        """
        cdef lots_t leaves = order.quantity_lots - order.filled_lots
        cdef lots_t needed = 0
        cdef money_t released = 0
        if mmats_add(report.last_lots, report.leaves_lots, &needed):
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
        if report.leaves_lots == 0:
            self._close(order, STATE_FILLED)
            return STATE_FILLED
        if order.state != STATE_PENDING_CANCEL:
            order.state = STATE_PARTIALLY_FILLED
        return STATE_PARTIALLY_FILLED

    cdef inline bint _is_done(self, const order_t* order) noexcept nogil:
        return (order.state == STATE_FILLED or order.state == STATE_CANCELED
                or order.state == STATE_EXPIRED or order.state == STATE_REJECTED
                or order.state == STATE_DENIED)

    cdef int _record_fill(self, int kind, const order_t* order, const report_t* report,
                          const fill_result_t* result, ts_ns_t now_ns) except -1:
        cdef record_t record
        describe(&record, kind, order, now_ns, report.ts_event_ns, report.reason)
        record.trade_id = report.trade_id
        record.lots = report.last_lots
        record.price_ticks = report.last_ticks
        record.observed = result.position_lots
        record.realized = result.realized
        record.fee = result.fee
        record.liquidity = report.liquidity
        self._price_costs(&record, order, report)
        return self.journal.append(&record)

    cdef void _price_costs(self, record_t* record, const order_t* order,
                           const report_t* report) noexcept nogil:
        """Spread paid is touch against mid; slippage is the fill against the touch."""
        cdef int64_t spread_x2, slippage
        if report.mid_ticks_x2 <= 0 or report.touch_ticks <= 0:
            return
        spread_x2 = (2 * report.touch_ticks - report.mid_ticks_x2) * order.side
        slippage = (report.last_ticks - report.touch_ticks) * order.side
        record.spread_cost = self._tick_cost(order.instrument, spread_x2, report.last_lots, 2)
        record.slippage_cost = self._tick_cost(order.instrument, slippage, report.last_lots, 1)

    cdef money_t _tick_cost(self, int instrument, int64_t ticks, lots_t lots,
                            int64_t divisor) noexcept nogil:
        cdef int64_t ticklots = ticks * lots
        cdef money_t quote, account
        if mmats_muldiv_floor(ticklots, self.ledger.instruments[instrument].money_num,
                              self.ledger.instruments[instrument].money_den * divisor,
                              &quote, NULL) != 0:
            return 0
        if self.ledger.convert(quote, self.ledger.instruments[instrument].quote_currency, 0,
                               &account) != 0:
            return 0
        return account

    cdef void _track(self, int cell, int strategy, lots_t before,
                     const fill_result_t* result) noexcept nogil:
        """Count a closed trade for Kelly when the position is flat again or has flipped."""
        cdef money_t net
        self.open_results[cell] += result.realized - result.fee
        if before == 0 or (result.position_lots != 0 and (result.position_lots > 0) == (before > 0)):
            return
        net = self.open_results[cell]
        self.open_results[cell] = 0
        if net > 0:
            self.tracks[strategy].wins += 1
            self.tracks[strategy].won += net
        else:
            self.tracks[strategy].losses += 1
            self.tracks[strategy].lost -= net

    # -- cancels ---------------------------------------------------------------------------------

    cdef int cancel(self, int64_t order_id, ts_ns_t now_ns) except -1:
        """Ask the venue to cancel; cancels pass no gate. 1 = asked, 0 = nothing to cancel."""
        cdef order_t* order = self.find(order_id)
        if order == NULL or self._is_done(order) or order.state == STATE_PENDING_CANCEL:
            return 0
        order.state = STATE_PENDING_CANCEL
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

    # -- brackets --------------------------------------------------------------------------------

    cdef int _open_bracket(self, const order_t* order, int cell, ts_ns_t now_ns) except -1:
        """A fill of an entry sets the protection of the position that it opened or added to."""
        cdef bracket_t* bracket = &self.brackets[cell]
        cdef lots_t position = self.ledger.cells[cell].lots
        if order.role != ROLE_ENTRY or position * order.side <= 0:
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
        if working != NULL and not self._is_done(working):
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
        if order.state == STATE_PENDING_CANCEL or (leaves == wanted and current == price):
            return order.order_id
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

    cdef int _flatten(self, int cell, int64_t signal_id, ts_ns_t now_ns) except -1:
        """Close one strategy's position at market; denied like any order where it can't leave."""
        cdef order_t order
        cdef lots_t position = self.ledger.cells[cell].lots
        if position == 0:
            return 0
        memset(&order, 0, sizeof(order_t))
        order.signal_id = signal_id
        order.ts_created_ns = now_ns
        order.quantity_lots = position if position > 0 else -position
        order.strategy = cell // self.ledger.instrument_count
        order.instrument = cell % self.ledger.instrument_count
        order.reference_ticks = self.ledger.holdings[order.instrument].mark_ticks
        order.side = -1 if position > 0 else 1
        order.type = ORDER_MARKET
        order.tif = TIF_GTC
        order.flags = FLAG_REDUCE_ONLY
        order.role = ROLE_FLATTEN
        return self._send(&order, now_ns)
