# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Orders of which nobody knows what became: they are asked for, and never sent again.

A request without an answer for `reply_timeout_ns` makes its order UNKNOWN. It counts as open at its
worst case, blocks new risk of its strategy in its instrument, and is asked for at once and then at
growing intervals. That the venue does not know it counts only when it has been said several times
over a while: a request can be late. What arrives even later is booked as a late fill.

Reports can be lost one by one. Each says how much of its order has been filled (`cum_lots`); where we
have booked less, the order is unknown, and does not end before the fills that are missing have come.
"""

from mmats._core.brackets cimport Brackets
from mmats._core.execution cimport ExecutionPort
from mmats._core.journal cimport (
    RECORD_ACCEPTED, RECORD_CANCELED, RECORD_EXPIRED, RECORD_NOT_FOUND, RECORD_REJECTED,
    RECORD_TRIGGERED, RECORD_UNKNOWN, RECORD_UPDATED, JournalPort,
)
from mmats._core.ledger cimport Ledger
from mmats._core.order_table cimport ORDER_SLOTS, SLOT_BITS, inquiry_t, is_done
from mmats._core.risk cimport RiskGate
from mmats._core.types cimport (
    REPORT_ACCEPTED, REPORT_CANCELED, REPORT_CANCEL_REJECTED, REPORT_EXPIRED, REPORT_NOT_FOUND,
    REPORT_REJECTED, REPORT_TRIGGERED, REPORT_UPDATED, ROLE_STOP, ROLE_TARGET, STATE_ACCEPTED,
    STATE_CANCELED, STATE_EXPIRED, STATE_PARTIALLY_FILLED, STATE_PENDING_CANCEL, STATE_REJECTED,
    STATE_UNKNOWN, VENUE_FILLS_MISSING, VENUE_NOT_FOUND, lots_t, order_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.order_table import PipelineFault

cdef ts_ns_t SECOND_NS = 1_000_000_000LL


cdef class Inquiry(Brackets):

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None):
        self.can_query = isinstance(venue, ExecutionPort)
        self.reply_timeout_ns = 5 * SECOND_NS
        self.query_wait_ns = 2 * SECOND_NS
        self.query_wait_max_ns = 30 * SECOND_NS
        self.not_found_after_ns = 30 * SECOND_NS
        self.not_found_min = 3

    def set_inquiry(self, *, ts_ns_t reply_timeout_ns, ts_ns_t query_wait_ns,
                    ts_ns_t query_wait_max_ns, int not_found_min, ts_ns_t not_found_after_ns):
        if (reply_timeout_ns <= 0 or query_wait_ns <= 0 or query_wait_max_ns < query_wait_ns
                or not_found_min < 1 or not_found_after_ns < 0):
            raise ValueError("an inquiry needs times above 0, the longest wait last, "
                             "and at least one answer")
        self.reply_timeout_ns = reply_timeout_ns
        self.query_wait_ns = query_wait_ns
        self.query_wait_max_ns = query_wait_max_ns
        self.not_found_min = not_found_min
        self.not_found_after_ns = not_found_after_ns

    # -- asking ----------------------------------------------------------------------------------

    cdef int resolve(self, ts_ns_t now_ns) except -1:
        """Ask for every order that should have been answered; returns how many questions left."""
        cdef int slot
        cdef int count = 0
        cdef order_t* order
        cdef const inquiry_t* inquiry
        if not self.can_query or self.gate.open_order_count == 0:
            return 0
        for slot in range(self.fresh_slot):
            order = &self.orders[slot]
            inquiry = &self.inquiries[slot]
            if is_done(order):
                continue
            if order.state == STATE_UNKNOWN:
                if now_ns >= inquiry.query_ns:
                    count += self._ask(order, now_ns)
            elif ((inquiry.asked_ns != 0 and now_ns - inquiry.asked_ns >= self.reply_timeout_ns)
                    or (inquiry.changed_ns > 0
                        and now_ns - inquiry.changed_ns >= self.reply_timeout_ns)):
                count += self._become_unknown(order, now_ns)
        return count

    cdef int _become_unknown(self, order_t* order, ts_ns_t now_ns) except -1:
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        inquiry.is_cancel_wanted = order.state == STATE_PENDING_CANCEL
        if inquiry.changed_ns != 0:
            inquiry.changed_ns = -1
        inquiry.asked_ns = inquiry.not_found_ns = 0
        inquiry.query_count = inquiry.not_found_count = 0
        inquiry.wait_ns = self.query_wait_ns
        order.state = STATE_UNKNOWN
        self.gate.count_unknown(order, 1)
        self._record_order(RECORD_UNKNOWN, order, now_ns, now_ns, 0)
        return self._ask(order, now_ns)

    cdef int _ask(self, const order_t* order, ts_ns_t now_ns) except -1:
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        if self.venue.query(order.order_id, order.instrument, now_ns) != 0:
            inquiry.query_ns = now_ns  # no room: at the next turn
            return 0
        inquiry.query_count += 1
        inquiry.query_ns = now_ns + inquiry.wait_ns
        inquiry.wait_ns = min(2 * inquiry.wait_ns, self.query_wait_max_ns)
        if inquiry.cum_lots > order.filled_lots and inquiry.query_count == self.not_found_min + 1:
            self._record_order(RECORD_UNKNOWN, order, now_ns, now_ns, VENUE_FILLS_MISSING)
        return 1

    cdef int _miss_fills(self, order_t* order, lots_t cum_lots, ts_ns_t now_ns) except -1:
        """The venue has counted fills that have not come: they are asked for."""
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        cdef bint is_news = inquiry.cum_lots <= order.filled_lots
        if not self.can_query:
            raise PipelineFault(
                f"fills of order {order.order_id >> SLOT_BITS} are missing: {order.filled_lots} of "
                f"{cum_lots} lots have come, and this venue can't be asked")
        inquiry.cum_lots = max(inquiry.cum_lots, cum_lots)
        if is_done(order):  # it had been given up; once is all that can be asked
            self.venue.query(order.order_id, order.instrument, now_ns)
            return 0
        if order.state != STATE_UNKNOWN:
            return self._become_unknown(order, now_ns)
        if is_news:
            inquiry.query_count = inquiry.not_found_count = 0
            inquiry.wait_ns = self.query_wait_ns
            inquiry.query_ns = min(inquiry.query_ns, now_ns + inquiry.wait_ns)
        return 0

    cdef bint _is_due(self, const order_t* order, const report_t* report) noexcept nogil:
        """0 = a fill that was booked so long ago that the port has forgotten it."""
        cdef lots_t cum_lots = self.inquiries[order.order_id & (ORDER_SLOTS - 1)].cum_lots
        return order.filled_lots + report.last_lots <= max(cum_lots, report.cum_lots)

    def mark_open_unknown(self, ts_ns_t now_ns):
        cdef int slot
        cdef int count = 0
        cdef order_t* order
        if self.venue is None:
            return 0
        if not self.can_query:
            raise ValueError("this venue can't be asked what became of orders")
        for slot in range(self.fresh_slot):
            order = &self.orders[slot]
            if is_done(order):
                continue
            count += 1
            if order.state == STATE_UNKNOWN:
                self.inquiries[slot].wait_ns = self.query_wait_ns
                self._ask(order, now_ns)
            else:
                self._become_unknown(order, now_ns)
        return count

    def query_open(self, ts_ns_t now_ns):
        cdef int slot
        cdef int count = 0
        cdef const order_t* order
        cdef inquiry_t* inquiry
        if self.venue is None:
            return 0
        if not self.can_query:
            raise ValueError("this venue can't be asked what became of orders")
        for slot in range(self.fresh_slot):
            order = &self.orders[slot]
            inquiry = &self.inquiries[slot]
            if is_done(order) or order.state == STATE_UNKNOWN:  # that one is being asked about
                continue
            if self.venue.query(order.order_id, order.instrument, now_ns) == 0:
                inquiry.asked_ns = inquiry.asked_ns or now_ns
                count += 1
        return count

    # -- answers ---------------------------------------------------------------------------------

    cdef int _on_answer(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        """A report, other than a fill, of an order that is unknown."""
        if report.kind == REPORT_NOT_FOUND:
            return self._on_not_found(order, report, now_ns)
        if report.kind == REPORT_TRIGGERED:
            return self._record_order(RECORD_TRIGGERED, order, now_ns, report.ts_event_ns, 0)
        if report.kind == REPORT_UPDATED or report.kind == REPORT_CANCEL_REJECTED:
            # True, perhaps, but not all: the answer to our question is still to come.
            self._note_change(order, report)
            return self._record_order(
                RECORD_UPDATED, order, now_ns, report.ts_event_ns, report.reason)
        if self.inquiries[order.order_id & (ORDER_SLOTS - 1)].cum_lots > order.filled_lots:
            return 0  # neither open nor over before its fills have come
        if report.kind == REPORT_ACCEPTED:
            return self._on_found(order, report, now_ns)
        return self._on_end(order, report, now_ns)

    cdef void _note_change(self, const order_t* order, const report_t* report) noexcept nogil:
        """A change has arrived, if this is what it made of the order."""
        if (report.kind == REPORT_UPDATED
                and report.cum_lots + report.leaves_lots == order.quantity_lots):
            self.inquiries[order.order_id & (ORDER_SLOTS - 1)].changed_ns = 0

    cdef int _on_open(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        """The venue says that an order is open which we know to be; as what, may be news."""
        cdef const inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        if (report.leaves_lots == 0 or report.cum_lots != order.filled_lots
                or report.cum_lots + report.leaves_lots == order.quantity_lots
                or inquiry.changed_ns != 0):  # what was changed meanwhile has its own answer
            return 0
        self._take_leaves(order, report)
        self._record_order(RECORD_ACCEPTED, order, now_ns, report.ts_event_ns, 0)
        if order.role == ROLE_STOP or order.role == ROLE_TARGET:
            self._sync_bracket(
                order.strategy * self.ledger.instrument_count + order.instrument, now_ns)
        return 0

    cdef void _take_leaves(self, order_t* order, const report_t* report) noexcept nogil:
        """The venue's word on how much of an order is open counts."""
        cdef lots_t quantity = report.cum_lots + report.leaves_lots
        self.gate.reduce_open(order, order.quantity_lots - quantity, 0)
        order.quantity_lots = quantity

    cdef void _leave_unknown(self, order_t* order, int state) noexcept nogil:
        self.gate.count_unknown(order, -1)
        order.state = state
        self.inquiries[order.order_id & (ORDER_SLOTS - 1)].is_cancel_wanted = 0
        self._answered(order)

    cdef int _on_found(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        """It is open; the venue's word on how much of it counts."""
        cdef bint is_cancel_wanted = (
            self.inquiries[order.order_id & (ORDER_SLOTS - 1)].is_cancel_wanted)
        if report.leaves_lots > 0:
            if report.cum_lots + report.leaves_lots <= order.filled_lots:
                return 0  # it was, before fills that we have
            self._take_leaves(order, report)
        self._leave_unknown(
            order, STATE_PARTIALLY_FILLED if order.filled_lots else STATE_ACCEPTED)
        self._record_order(RECORD_ACCEPTED, order, now_ns, report.ts_event_ns, 0)
        if is_cancel_wanted:
            self.cancel(order.order_id, now_ns)
        elif order.role == ROLE_STOP or order.role == ROLE_TARGET:
            self._sync_bracket(
                order.strategy * self.ledger.instrument_count + order.instrument, now_ns)
        return 0

    cdef int _on_not_found(self, order_t* order, const report_t* report, ts_ns_t now_ns) except -1:
        cdef inquiry_t* inquiry = &self.inquiries[order.order_id & (ORDER_SLOTS - 1)]
        if (inquiry.cum_lots > order.filled_lots   # it did know it, and owes us fills
                or inquiry.not_found_count >= inquiry.query_count):  # one question, two answers
            self.stale_report_count += 1
            return 0
        if inquiry.not_found_count == 0:
            inquiry.not_found_ns = now_ns
        inquiry.not_found_count += 1
        if (inquiry.not_found_count < self.not_found_min
                or now_ns - inquiry.not_found_ns < self.not_found_after_ns):
            return 0
        self._close(order, STATE_REJECTED)
        self._record_order(RECORD_NOT_FOUND, order, now_ns, report.ts_event_ns, VENUE_NOT_FOUND)
        self._tell(order, STATE_REJECTED, 0, order.quantity_lots - order.filled_lots, 0, 0, 0)
        return self._bracket_order_ended(order, now_ns)

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
