# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The simulated venue as a counterparty: packed requests in, packed reports out.

What a venue behind a wire owes its customers is here: an order id is executed once, and whoever
asks is told everything again.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

import numpy as np

from mmats._core.desk cimport SLOT_MASK, working_t
from mmats._core.execution cimport (
    REQUEST_CANCEL, REQUEST_QUERY, REQUEST_SUBMIT, request_t,
)
from mmats._core.matching cimport SimulatedVenue
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_MARKET, REPORT_ACCEPTED, REPORT_CANCELED, REPORT_CANCEL_REJECTED,
    REPORT_EXPIRED, REPORT_FILLED, REPORT_NOT_FOUND, REPORT_REJECTED, ROLE_FLATTEN,
    SIDE_BUY, SIDE_SELL, TIF_GTC, VENUE_FULL, VENUE_UNKNOWN_ORDER, event_t, lots_t, order_t,
    report_t, ts_ns_t,
)

from mmats._core.frames import REPORT_DTYPE


cdef inline bint is_end(const report_t* report) noexcept nogil:
    return (report.kind == REPORT_REJECTED or report.kind == REPORT_CANCELED
            or report.kind == REPORT_EXPIRED
            or (report.kind == REPORT_FILLED and report.leaves_lots == 0))


@cython.final
cdef class Exchange:

    def __init__(self, SimulatedVenue venue not None, *, int64_t trade_id_base=0):
        if not 0 <= trade_id_base < 1LL << 62:
            raise ValueError(f"trade ids can't begin after {trade_id_base}")
        self.venue = venue
        self.trade_id_base = trade_id_base
        self.histories = {}
        self.instruments = {}
        self.outbox = bytearray()

    @property
    def fill_count(self):
        return self.venue.fill_count

    def open_orders(self):
        return list(self.instruments)

    def open_positions(self):
        cdef int cell, count = 0
        for cell in range(self.venue.strategy_count * self.venue.instrument_count):
            count += self.venue.positions[cell] != 0
        return count

    def on_events(self, events, on_step=None):
        cdef const uint8_t[::1] raw = events.view("u1")
        cdef Py_ssize_t k
        cdef const event_t* event
        if raw.shape[0] % sizeof(event_t) != 0:
            raise ValueError(f"{raw.shape[0]} bytes are not a whole number of events")
        for k in range(raw.shape[0] // <Py_ssize_t>sizeof(event_t)):
            event = <const event_t*>&raw[k * sizeof(event_t)]
            if event.instrument >= <unsigned int>self.venue.instrument_count:
                raise ValueError(f"event {k}: instrument {event.instrument} is unknown")
            if on_step is not None and self.venue.report_count != 0:
                on_step(event.ts_event_ns)
            if self.venue.begin(event):
                while self.venue.step():
                    if on_step is None:
                        self._collect(event.ts_event_ns)
                    elif self.venue.report_count != 0:
                        on_step(event.ts_event_ns)

    def on_requests(self, requests, int64_t now_ns):
        cdef const uint8_t[::1] raw = requests.view("u1")
        cdef Py_ssize_t count = raw.shape[0] // <Py_ssize_t>sizeof(request_t)
        cdef const request_t* request
        cdef Py_ssize_t k
        if raw.shape[0] % sizeof(request_t) != 0:
            raise ValueError(f"{raw.shape[0]} bytes are not a whole number of requests")
        for k in range(count):
            self._check(k, <const request_t*>&raw[k * sizeof(request_t)])
        for k in range(count):
            request = <const request_t*>&raw[k * sizeof(request_t)]
            if request.kind == REQUEST_QUERY:
                self._tell(request.order_id, now_ns)
            elif request.kind == REQUEST_SUBMIT:
                self._submit(request, now_ns)
            else:
                self._change(request, now_ns)

    def take_reports(self, int64_t now_ns):
        self._collect(now_ns)
        taken = self.outbox
        self.outbox = bytearray()
        return np.frombuffer(taken, dtype=REPORT_DTYPE)

    def cancel_all(self, int64_t now_ns):
        cdef int64_t order_id
        cdef int instrument, count = 0
        self._collect(now_ns)
        for order_id, instrument in list(self.instruments.items()):
            count += self.venue.cancel(order_id, instrument, now_ns) == 0
        return count

    def flatten(self, int64_t now_ns):
        cdef request_t request
        cdef int strategy, instrument
        cdef lots_t lots
        out = []
        for strategy in range(self.venue.strategy_count):
            for instrument in range(self.venue.instrument_count):
                lots = self.venue.positions[strategy * self.venue.instrument_count + instrument]
                if lots == 0:
                    continue
                memset(&request, 0, sizeof(request_t))
                request.order_id = self._own_order_id()
                request.quantity_lots = lots if lots > 0 else -lots
                request.side = SIDE_SELL if lots > 0 else SIDE_BUY
                request.strategy = strategy
                request.instrument = instrument
                request.type = ORDER_MARKET
                request.tif = TIF_GTC
                request.flags = FLAG_REDUCE_ONLY
                request.role = ROLE_FLATTEN
                self._submit(&request, now_ns)
                out.append(request.order_id)
        return out

    # -- requests --------------------------------------------------------------------------------

    cdef int _check(self, Py_ssize_t row, const request_t* request) except -1:
        if not REQUEST_SUBMIT <= request.kind <= REQUEST_QUERY:
            raise ValueError(f"request {row}: there is no kind {request.kind}")
        if request.order_id <= 0:
            raise ValueError(f"request {row}: order id {request.order_id} is not positive")
        if not 0 <= request.instrument < self.venue.instrument_count:
            raise ValueError(f"request {row}: instrument {request.instrument} is unknown")
        if not 0 <= request.strategy < self.venue.strategy_count:
            raise ValueError(f"request {row}: strategy {request.strategy} is unknown")
        return 0

    cdef int _submit(self, const request_t* request, ts_ns_t now_ns) except -1:
        cdef order_t order
        if request.order_id in self.histories:
            self.duplicate_count += 1
            return self._tell(request.order_id, now_ns)
        memset(&order, 0, sizeof(order_t))
        order.order_id = request.order_id
        order.ts_created_ns = request.ts_ns
        order.ts_expire_ns = request.ts_expire_ns
        order.quantity_lots = request.quantity_lots
        order.price_ticks = request.price_ticks
        order.trigger_ticks = request.trigger_ticks
        order.trail_ticks = request.trail_ticks
        order.stop_loss_ticks = request.stop_loss_ticks
        order.take_profit_ticks = request.take_profit_ticks
        order.strategy = request.strategy
        order.instrument = request.instrument
        order.side = request.side
        order.type = request.type
        order.tif = request.tif
        order.flags = request.flags
        order.role = request.role
        self.submit_count += 1
        self.histories[order.order_id] = bytearray()
        self.instruments[order.order_id] = order.instrument
        if self.venue.submit(&order, now_ns) != 0:
            return self._refuse(order.order_id, REPORT_REJECTED, now_ns)
        return 0

    cdef int _change(self, const request_t* request, ts_ns_t now_ns) except -1:
        cdef int sent
        if request.kind == REQUEST_CANCEL:
            sent = self.venue.cancel(request.order_id, request.instrument, now_ns)
        else:
            sent = self.venue.modify(request.order_id, request.instrument, request.quantity_lots,
                                     request.price_ticks, request.trigger_ticks, now_ns)
        if sent != 0:
            return self._refuse(request.order_id, REPORT_CANCEL_REJECTED, now_ns)
        return 0

    cdef int _refuse(self, int64_t order_id, int kind, ts_ns_t now_ns) except -1:
        """Too much is in flight: say so at once, in the order in which reports leave."""
        cdef report_t report
        self._collect(now_ns)
        memset(&report, 0, sizeof(report_t))
        report.order_id = order_id
        report.ts_event_ns = report.ts_recv_ns = now_ns
        report.kind = kind
        report.reason = VENUE_FULL
        return self._keep(&report)

    cdef int64_t _own_order_id(self) except -1:
        """An id beyond all that customers use, in a slot that is free: they are used from below."""
        cdef int64_t sequence = OWN_SEQUENCE_FIRST
        cdef int slot
        self.own_order_count += 1
        slot = <int>(-self.own_order_count & SLOT_MASK)
        while self.venue.working[slot].order_id != 0:
            slot = (slot - 1) & SLOT_MASK
        return ((sequence << 20) + self.own_order_count) << 12 | slot

    # -- reports ---------------------------------------------------------------------------------

    cdef int _collect(self, ts_ns_t now_ns) except -1:
        """Take what the venue has reported by now, and remember it."""
        cdef report_t report
        while self.venue.next_report(now_ns, &report):
            if report.kind == REPORT_FILLED:
                report.trade_id += self.trade_id_base
            self._keep(&report)
        return 0

    cdef int _keep(self, const report_t* report) except -1:
        history = self.histories.get(report.order_id)
        if history is not None and report.kind != REPORT_CANCEL_REJECTED:
            history.extend((<const char*>report)[:sizeof(report_t)])
            if is_end(report):
                self.instruments.pop(report.order_id, None)
        return self._put(report)

    cdef int _put(self, const report_t* report) except -1:
        self.outbox.extend((<const char*>report)[:sizeof(report_t)])
        return 0

    cdef int _tell(self, int64_t order_id, ts_ns_t now_ns) except -1:
        """All fills of an order again, then its state.

        Nothing more is said of a filled order, and nothing yet of one that has not arrived: what is
        on its way comes by itself.
        """
        cdef const working_t* work = &self.venue.working[order_id & SLOT_MASK]
        cdef const uint8_t[::1] raw
        cdef report_t report, state
        cdef Py_ssize_t at
        self._collect(now_ns)
        history = self.histories.get(order_id)
        memset(&state, 0, sizeof(report_t))
        if history is None:
            state.order_id = order_id
            state.ts_event_ns = state.ts_recv_ns = now_ns
            state.kind = REPORT_NOT_FOUND
            state.reason = VENUE_UNKNOWN_ORDER
            return self._put(&state)
        raw = history
        for at in range(0, raw.shape[0], sizeof(report_t)):
            report = (<const report_t*>&raw[at])[0]
            if report.kind != REPORT_FILLED:
                state = report
                continue
            report.ts_recv_ns = now_ns
            self._put(&report)
        if state.kind == 0 or (work.order_id != order_id and not is_end(&state)):
            return 0
        if work.order_id == order_id:
            state.leaves_lots = work.leaves_lots
            state.cum_lots = work.filled_lots
            state.kind = REPORT_ACCEPTED
        state.ts_recv_ns = now_ns
        return self._put(&state)
