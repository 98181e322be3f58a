# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The execution port: orders wait until their intent is durable, then leave as packed requests.

The pipeline puts requests into a ring; whoever owns the port takes them out once the journal is
durable, sends them, and gives back what the venue answers. What comes from outside is checked
here, so that a broken or hostile venue process can't break the books.
"""

cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from mmats._core.order_table cimport ORDER_SLOTS
from mmats._core.types cimport (
    REPORT_ACCEPTED, REPORT_FILLED, REPORT_NOT_FOUND, ROLE_ENTRY, ROLE_MANUAL, lots_t, order_t,
    price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

cdef int64_t QUANTITY_MAX = 1LL << 48   # more lots or ticks than any real fill has
cdef int64_t MONEY_MAX = 1LL << 60


class ReportsFull(Exception):
    """More reports than the port has room for: take what waits first. Nothing was taken over."""


@cython.final
cdef class ExecutionPort(VenuePort):

    def __cinit__(self, int currency_count, int64_t request_capacity=16384,
                  int64_t report_capacity=16384):
        if currency_count < 1 or request_capacity < 8 or report_capacity < 1:
            raise ValueError("execution port: needs a currency, 8 requests and one report")
        self.currency_count = currency_count
        self.request_capacity = request_capacity
        self.report_capacity = report_capacity
        self.requests = <request_t*>calloc(request_capacity, sizeof(request_t))
        self.reports = <report_t*>calloc(report_capacity, sizeof(report_t))
        if self.requests == NULL or self.reports == NULL:
            raise MemoryError("execution port: no memory")

    def __dealloc__(self):
        free(self.requests)
        free(self.reports)

    # -- requests --------------------------------------------------------------------------------

    cdef request_t* _next_request(self, int kind, int64_t order_id, int instrument,
                                  ts_ns_t now_ns, int64_t capacity) noexcept nogil:
        """Room for one more request where fewer than `capacity` wait, otherwise NULL."""
        cdef request_t* request
        if self.request_count - self.taken_count >= capacity:
            return NULL
        request = &self.requests[self.request_count % self.request_capacity]
        self.request_count += 1
        memset(request, 0, sizeof(request_t))
        request.kind = kind
        request.order_id = order_id
        request.instrument = instrument
        request.ts_ns = now_ns
        return request

    cdef int submit(self, const order_t* order, ts_ns_t now_ns) except -2:
        # New risk may fill half of the ring: the rest is for what lowers it.
        cdef bint is_risk = order.role == ROLE_ENTRY or order.role == ROLE_MANUAL
        cdef int slot = order.order_id & (ORDER_SLOTS - 1)
        cdef request_t* request = self._next_request(
            REQUEST_SUBMIT, order.order_id, order.instrument, now_ns,
            self.request_capacity // 2 if is_risk else self.request_capacity)
        if request == NULL:
            return -1
        request.ts_expire_ns = order.ts_expire_ns
        request.quantity_lots = order.quantity_lots
        request.price_ticks = order.price_ticks
        request.trigger_ticks = order.trigger_ticks
        request.trail_ticks = order.trail_ticks
        request.stop_loss_ticks = order.stop_loss_ticks
        request.take_profit_ticks = order.take_profit_ticks
        request.strategy = order.strategy
        request.side = order.side
        request.type = order.type
        request.tif = order.tif
        request.flags = order.flags
        request.role = order.role
        self.order_ids[slot] = order.order_id
        self.instruments[slot] = order.instrument
        return 0

    cdef int cancel(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2:
        if self._next_request(REQUEST_CANCEL, order_id, instrument, now_ns,
                              self.request_capacity) == NULL:
            return -1
        return 0

    cdef int modify(self, int64_t order_id, int instrument, lots_t quantity_lots,
                    price_ticks_t price_ticks, price_ticks_t trigger_ticks, ts_ns_t now_ns) except -2:
        cdef request_t* request = self._next_request(
            REQUEST_MODIFY, order_id, instrument, now_ns, self.request_capacity)
        if request == NULL:
            return -1
        request.quantity_lots = quantity_lots
        request.price_ticks = price_ticks
        request.trigger_ticks = trigger_ticks
        return 0

    cdef int query(self, int64_t order_id, int instrument, ts_ns_t now_ns) except -2:
        # Where the venue is away queries would pile up; a later one asks the same.
        if self._next_request(REQUEST_QUERY, order_id, instrument, now_ns,
                              self.request_capacity // 4) == NULL:
            return -1
        self.order_ids[order_id & (ORDER_SLOTS - 1)] = order_id
        self.instruments[order_id & (ORDER_SLOTS - 1)] = instrument
        return 0

    @property
    def waiting(self):
        return self.request_count - self.taken_count

    def take_requests(self, int64_t count):
        from mmats._core.frames import REQUEST_DTYPE

        cdef int64_t taken = min(count, self.request_count - self.taken_count)
        cdef int64_t k
        cdef unsigned char[::1] view
        if count < 0:
            raise ValueError(f"can't take {count} requests")
        out = np.zeros(taken, dtype=REQUEST_DTYPE)
        if taken:
            view = out.view("u1")
            for k in range(taken):
                memcpy(&view[k * <int64_t>sizeof(request_t)],
                       &self.requests[(self.taken_count + k) % self.request_capacity],
                       sizeof(request_t))
            self.taken_count += taken
        return out

    def drop_requests(self):
        cdef int64_t dropped = self.request_count - self.taken_count
        self.taken_count = self.request_count
        return dropped

    # -- reports ---------------------------------------------------------------------------------

    def give_reports(self, reports):
        from mmats._core.frames import REPORT_DTYPE

        cdef const unsigned char[::1] rows
        cdef const report_t* report
        cdef Py_ssize_t k, count = len(reports)
        cdef int64_t before = self.report_head
        if reports.dtype != REPORT_DTYPE or not reports.flags.c_contiguous or reports.ndim != 1:
            raise ValueError("reports must be a contiguous array of REPORT_DTYPE")
        if count > self.report_capacity - (self.report_head - self.report_tail):
            raise ReportsFull(
                f"{self.report_head - self.report_tail} reports of {self.report_capacity} wait; "
                f"there is no room for {count} more")
        if count == 0:
            return 0
        rows = reports.view("u1")
        report = <const report_t*>&rows[0]
        for k in range(count):
            if not self._is_valid(&report[k]):
                self.refused_count += 1
            elif self.order_ids[report[k].order_id & (ORDER_SLOTS - 1)] != report[k].order_id:
                self.foreign_count += 1
            else:
                self.reports[self.report_head % self.report_capacity] = report[k]
                self.report_head += 1
        return self.report_head - before

    cdef bint _is_valid(self, const report_t* report) noexcept nogil:
        """What any venue may say; sums of it stay far from overflow."""
        if (report.kind < REPORT_ACCEPTED or report.kind > REPORT_NOT_FOUND
                or report.order_id <= 0 or report.ts_event_ns < 0 or report.reason < 0
                or report.leaves_lots < 0 or report.leaves_lots > QUANTITY_MAX
                or report.cum_lots < 0 or report.cum_lots > QUANTITY_MAX):
            return False
        if report.kind != REPORT_FILLED:
            return True
        return (report.trade_id != 0 and 0 < report.last_lots <= report.cum_lots
                and 0 < report.last_ticks <= QUANTITY_MAX
                and -MONEY_MAX <= report.fee <= MONEY_MAX
                and 0 <= report.fee_currency < self.currency_count
                and 0 <= report.touch_ticks <= QUANTITY_MAX
                and 0 <= report.mid_ticks_x2 <= QUANTITY_MAX
                and 0 <= report.liquidity <= 2)

    cdef bint _is_new(self, const report_t* report) noexcept nogil:
        """1 and remembered, where this fill has not come before."""
        cdef int64_t instrument = self.instruments[report.order_id & (ORDER_SLOTS - 1)]
        cdef trade_t* trade
        cdef int k
        for k in range(TRADES_SEEN_MAX):
            trade = &self.trades_seen[k]
            if trade.trade_id == report.trade_id and trade.instrument == instrument:
                return False
        trade = &self.trades_seen[self.trade_count % TRADES_SEEN_MAX]
        trade.trade_id = report.trade_id
        trade.instrument = instrument
        self.trade_count += 1
        return True

    cdef int next_report(self, ts_ns_t now_ns, report_t* out) noexcept nogil:
        cdef const report_t* report
        while self.report_tail < self.report_head:
            report = &self.reports[self.report_tail % self.report_capacity]
            self.report_tail += 1
            if self.order_ids[report.order_id & (ORDER_SLOTS - 1)] != report.order_id:
                self.foreign_count += 1  # its slot went to another order while it waited
                continue
            if report.kind == REPORT_FILLED and not self._is_new(report):
                self.duplicate_count += 1
                continue
            out[0] = report[0]
            out.ts_recv_ns = now_ns
            return 1
        return 0
