# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Where every open order lives: slots, ids, what is still to be told, and what is unanswered."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc

from mmats._core.journal cimport JournalPort, describe, record_t
from mmats._core.ledger cimport Ledger, fill_result_t
from mmats._core.risk cimport RiskGate
from mmats._core.sizing cimport track_t
from mmats._core.types cimport (
    STATE_UNKNOWN, lots_t, mmats_muldiv_floor, money_t, order_t, price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort


class PipelineFault(Exception):
    """The books can no longer be trusted (overflow, unknown order, full ring): trading stops."""


cdef class OrderTable:

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None):
        cdef int cells = ledger.strategy_count * ledger.instrument_count
        self.ledger = ledger
        self.gate = gate
        self.venue = venue
        self.journal = journal
        self.orders = <order_t*>calloc(ORDER_SLOTS, sizeof(order_t))
        self.inquiries = <inquiry_t*>calloc(ORDER_SLOTS, sizeof(inquiry_t))
        self.ended_slots = <int32_t*>malloc(ORDER_SLOTS * sizeof(int32_t))
        self.tracks = <track_t*>calloc(ledger.strategy_count, sizeof(track_t))
        self.open_results = <money_t*>calloc(cells, sizeof(money_t))
        self.outcomes = <outcome_t*>calloc(OUTCOMES_MAX, sizeof(outcome_t))
        if (self.orders == NULL or self.inquiries == NULL or self.ended_slots == NULL
                or self.tracks == NULL or self.open_results == NULL or self.outcomes == NULL):
            raise MemoryError("order table: no memory")

    def __dealloc__(self):
        free(self.orders)
        free(self.inquiries)
        free(self.ended_slots)
        free(self.tracks)
        free(self.open_results)
        free(self.outcomes)

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

    # -- slots -----------------------------------------------------------------------------------

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
        if order.state == STATE_UNKNOWN:
            self.gate.count_unknown(order, -1)
        self.gate.end_open(order)
        order.reserved = 0
        order.state = state
        self.ended_slots[(self.ended_first + self.ended_count) & (ORDER_SLOTS - 1)] = (
            order.order_id & (ORDER_SLOTS - 1))
        self.ended_count += 1
        return 0

    cdef inline void _answered(self, const order_t* order) noexcept nogil:
        self.inquiries[order.order_id & (ORDER_SLOTS - 1)].asked_ns = 0
