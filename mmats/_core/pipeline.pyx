# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Strategy Engine -> Risk Manager -> Order Manager -> Position Manager, as one object.

The pipeline takes one event at a time and is the single writer of everything it reaches. Time
comes with the events; orders go to a venue port; every decision goes to a journal port. Which
ports it is given makes it a backtest, paper, advisory or operator run.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_REFCNT
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cdef extern from "Python.h":
    # NULL = raised. Declared raw so that the common case pays for no try block.
    PyObject* PyObject_CallOneArg(PyObject* callable, PyObject* argument)
    PyObject* PyList_GET_ITEM(object items, Py_ssize_t index)

import traceback

from mmats._core.accounts cimport cell_t
from mmats._core.bars cimport BarBuilder
from mmats._core.book cimport OrderBook
from mmats._core.contract cimport (
    SIGNAL_OK, AccountState, CompiledStrategy, Indicators, MarketData, TradeResult, TradeSignal,
    price_of, quantity_of, scale_t, signal_t,
)
from mmats._core.journal cimport RECORD_STATE, JournalPort, record_t
from mmats._core.ledger cimport Ledger
from mmats._core.orders cimport ADVISED, OrderManager, bracket_t, outcome_t
from mmats._core.risk cimport RiskGate
from mmats._core.samples cimport Samples
from mmats._core.slots cimport Series, StrategySlot
from mmats._core.types cimport (
    DELTA_LAST, EVENT_BAR, EVENT_DELTA, EVENT_QUOTE, EVENT_TIMER, EVENT_TRADE, ROLE_ENTRY,
    STATE_CANCELED, STATE_DENIED, STATE_EXPIRED, STATE_FILLED, STATE_PARTIALLY_FILLED,
    STATE_REJECTED, event_t, money_t, price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

from mmats._core.contract import SignalError
from mmats._core.orders import PipelineFault
from mmats._core.risk import Reason

cdef ts_ns_t HOUR_NS = 3_600_000_000_000LL
cdef double UNITS_PER_MONEY = 1e8
cdef dict REASON_NAMES = {int(code): code.name.removeprefix("REASON_") for code in Reason}
cdef dict STATUS_NAMES = {
    STATE_DENIED: "DENIED", STATE_REJECTED: "REJECTED", STATE_CANCELED: "CANCELED",
    STATE_EXPIRED: "EXPIRED", STATE_FILLED: "FILLED", STATE_PARTIALLY_FILLED: "PARTIALLY_FILLED",
}
# What the user's code may raise; SystemExit would end the run without a report.
cdef tuple STRATEGY_ERRORS = (Exception, SystemExit, GeneratorExit)
cdef tuple PROBLEM_TEXTS = (
    "", "size is not a finite number above 0", "a price is not a finite number above 0",
    "a size or price is too large for an order",
)


cdef object _owned(PyObject* answer):
    """The result of a raw call as an object of ours, or the exception it raised."""
    if answer == NULL:
        _raise_pending()
    result = <object>answer
    Py_DECREF(result)
    return result


cdef int _raise_pending() except -1:
    return -1


class StrategyStopped(Exception):
    """A strategy failed and is configured to stop the run."""


@cython.final
cdef class Pipeline:
    """The compiled pipeline; see the module's docstring."""

    def __cinit__(self, Ledger ledger not None, RiskGate gate not None, VenuePort venue,
                  JournalPort journal not None, list symbols not None, scales,
                  ts_ns_t sample_interval_ns):
        cdef int k
        self.ledger = ledger
        self.gate = gate
        self.venue = venue
        self.journal = journal
        self.orders = OrderManager(ledger, gate, venue, journal)
        self.strategies = []
        self.errors = []
        self.series = [[] for _ in symbols]
        self.books = [None for _ in symbols]
        self.book_subscribers = [[] for _ in symbols]
        self.symbols = {}
        self.names = [names[0] for names in symbols]
        for k, names in enumerate(symbols):
            for name in names:
                self.symbols[name] = k
        self.scales = <scale_t*>calloc(len(symbols), sizeof(scale_t))
        self.own_series = <PyObject**>calloc(len(symbols), sizeof(PyObject*))
        if self.scales == NULL or self.own_series == NULL:
            raise MemoryError("pipeline: no memory")
        for k, (tick_num, tick_den, lot_num, lot_den) in enumerate(scales):
            self.scales[k].tick_num = tick_num
            self.scales[k].tick_den = tick_den
            self.scales[k].lot_num = lot_num
            self.scales[k].lot_den = lot_den
        self.sample_interval_ns = sample_interval_ns
        self.equity_samples = Samples(2)
        self.cell_samples = Samples(1 + ledger.strategy_count * ledger.instrument_count)

    def __dealloc__(self):
        free(self.scales)
        free(self.own_series)

    # -- wiring ----------------------------------------------------------------------------------

    def add_strategy(self, str name not None, strategy, bint stop_on_error=False):
        """Register a strategy, hand it its account view and return its index."""
        cdef int index = len(self.strategies)
        cdef StrategySlot slot = StrategySlot(index, name, strategy, stop_on_error)
        if index >= self.ledger.strategy_count:
            raise ValueError("more strategies than the ledger has room for")
        self._hand_account(strategy, index)
        self.strategies.append(slot)
        return index

    cdef int _hand_account(self, object strategy, int index) except -1:
        """Give a strategy its view of the account."""
        cdef AccountState account
        cdef CompiledStrategy compiled
        if isinstance(strategy, CompiledStrategy):
            compiled = strategy
            compiled.ledger = self.ledger
            compiled.index = index
            return 0
        account = AccountState.__new__(AccountState)
        account.ledger = self.ledger
        account.strategy = index
        account.symbols = self.symbols
        account.names = self.names
        account.scales = <scale_t*>calloc(len(self.names), sizeof(scale_t))
        if account.scales == NULL:
            raise MemoryError("pipeline: no memory")
        memcpy(account.scales, self.scales, len(self.names) * sizeof(scale_t))
        strategy.account = account
        return 0

    def add_series(self, int instrument, ts_ns_t interval_ns, specs, BarBuilder builder=None,
                   int source_kind=EVENT_BAR):
        """Register bars of an instrument with their indicators; returns their position.

        `source_kind` is the one EventKind that the bars come from; other events are passed over.
        """
        series = Series(instrument, self.names[instrument], interval_ns, list(specs), builder,
                        source_kind)
        self.series[instrument].append(series)
        alone = len(self.series[instrument]) == 1 and interval_ns == 0
        self.own_series[instrument] = <PyObject*>series if alone else NULL
        return len(self.series[instrument]) - 1

    def subscribe(self, int strategy, int instrument, int series):
        """Let a strategy hear the bars of a series."""
        cdef Series target = self.series[instrument][series]
        cdef StrategySlot slot = self.strategies[strategy]
        target.subscribers.append(slot)
        target.subscriber_count = len(target.subscribers)
        self._bind(slot, target)

    cdef int _bind(self, StrategySlot slot, Series target) except -1:
        """Tell a compiled strategy where it finds the indicators of a series."""
        cdef scale_t* scale = &self.scales[target.instrument]
        if slot.compiled is not None:
            slot.compiled.bind(target.instrument, target.symbol, dict(target.indicators.slots),
                               scale.tick_num / scale.tick_den, scale.lot_num / scale.lot_den)
        return 0

    def add_book(self, int instrument):
        """Keep an order book of an instrument on our side of the feed."""
        if self.books[instrument] is None:
            self.books[instrument] = OrderBook()
        return self.books[instrument]

    def subscribe_book(self, int strategy, int instrument):
        """Let a strategy hear every whole update of an instrument's order book."""
        self.add_book(instrument)
        self.book_subscribers[instrument].append(self.strategies[strategy])

    # -- events ----------------------------------------------------------------------------------

    cdef int on_event(self, const event_t* event) except -1:
        cdef int kind = event.kind
        cdef int instrument = event.instrument
        cdef PyObject* series
        self.event_count += 1
        self.now_ns = event.ts_recv_ns
        if kind == EVENT_BAR:
            self._mark(instrument, event.d)
            series = self.own_series[instrument]
            if series != NULL:
                return self._on_bar(<Series>series, event)
            return self._on_tick(instrument, event)
        if kind == EVENT_DELTA:
            return self._on_delta(instrument, event)
        if kind == EVENT_QUOTE:
            self._mark(instrument, (event.a + event.b) // 2)
            return self._on_tick(instrument, event)
        if kind == EVENT_TRADE:
            if self.books[instrument] is None:
                self._mark(instrument, event.a)
            return self._on_tick(instrument, event)
        if kind == EVENT_TIMER:
            return self._on_timer()
        raise PipelineFault(f"event of unknown kind {kind}")

    cdef int preview(self, const event_t* bar) except -1:
        """Take over the price of a bar whose turn comes later at the same time."""
        self.now_ns = bar.ts_recv_ns
        return self._mark(bar.instrument, bar.d)

    cdef inline int _mark(self, int instrument, price_ticks_t price) except -1:
        """Revalue the account at a new price and keep the equity curve."""
        if self.now_ns > self.sample_due_ns:
            self._sample()
        if self.ledger.mark(instrument, price, self.now_ns) != 0 or self.gate.observe(self.now_ns) != 0:
            return self._stop_unvalued(instrument, price)
        return 0

    cdef int _stop_unvalued(self, int instrument, price_ticks_t price) except -1:
        raise PipelineFault(f"the account can't be valued after {self.names[instrument]} at {price}")

    cdef int _on_tick(self, int instrument, const event_t* event) except -1:
        cdef list all_series
        cdef Series series
        cdef event_t closed[2]
        cdef int k, n, count
        all_series = <list>self.series[instrument]
        count = len(all_series)
        for k in range(count):
            series = <Series>all_series[k]
            if event.kind != series.source_kind:
                continue
            if series.interval_ns == 0:
                self._on_bar(series, event)
                continue
            n = series.builder.update(event, closed)
            if n > 0:
                self._on_bar(series, &closed[0])
            if n > 1:
                self._on_bar(series, &closed[1])
        return 0

    cdef int _on_timer(self) except -1:
        cdef Series series
        cdef event_t closed
        if self.now_ns > self.sample_due_ns:
            self._sample()
        for all_series in self.series:
            for item in all_series:
                series = <Series>item
                if series.builder is not None and series.builder.close_until(self.now_ns, &closed):
                    self._on_bar(series, &closed)
        return 0

    cdef int _on_delta(self, int instrument, const event_t* event) except -1:
        cdef OrderBook book = <OrderBook>self.books[instrument]
        if book is None:
            return 0
        book.apply(event)
        if not event.flags & DELTA_LAST or not book.is_live:
            return 0
        if book.best_bid_ticks() == 0 or book.best_ask_ticks() == 0:
            return 0
        self._mark(instrument, (book.best_bid_ticks() + book.best_ask_ticks()) // 2)
        if len(<list>self.book_subscribers[instrument]):
            return self._tell_book(instrument, book, event)
        return 0

    cdef int _tell_book(self, int instrument, OrderBook book, const event_t* event) except -1:
        cdef StrategySlot slot
        cdef int n
        for item in <list>self.book_subscribers[instrument]:
            slot = <StrategySlot>item
            if not slot.enabled:
                continue
            if slot.compiled is not None:
                n = slot.on_book(slot.compiled, event, book.best_bid_ticks(),
                                 book.best_ask_ticks(), self.buffer)
                if n != 0:
                    self._take_buffer(slot, n, "on_book")
            elif slot.on_order_book is not None:
                try:
                    answer = slot.on_order_book(self.names[instrument], book)
                    if answer is not None:
                        self._take_answer(slot, answer)
                except (PipelineFault, StrategyStopped):
                    raise
                except STRATEGY_ERRORS as error:
                    self._disable(slot, "on_order_book", error)
        return 0

    # -- the strategy engine ---------------------------------------------------------------------

    cdef int _on_bar(self, Series series, const event_t* bar) except -1:
        cdef PyObject* slot
        cdef bint is_filled = False
        cdef int k, n
        if series.indicators.output_count > 0:
            self._update_indicators(series, bar)
        for k in range(series.subscriber_count):
            slot = PyList_GET_ITEM(series.subscribers, k)  # borrowed: the list keeps it
            if not (<StrategySlot>slot).enabled:
                continue
            if (<StrategySlot>slot).compiled is not None:
                n = (<StrategySlot>slot).on_bar(
                    (<StrategySlot>slot).compiled, bar, series.indicators.values, self.buffer)
                if n != 0:
                    self._take_buffer(<StrategySlot>slot, n, "on_bar")
                continue
            if not is_filled:
                self._fill_data(series, bar)
                is_filled = True
            self._call(<StrategySlot>slot, series.data)
        return 0

    cdef inline int _update_indicators(self, Series series, const event_t* bar) except -1:
        """Feed a bar; sets that read the close only are spared the other conversions."""
        cdef const scale_t* scale = &self.scales[series.instrument]
        cdef double close = price_of(scale, bar.d)
        if series.reads_close_only:
            series.indicators.update(close, close, close, close, 0.0, bar.ts_event_ns)
        else:
            series.indicators.update(
                price_of(scale, bar.a), price_of(scale, bar.b), price_of(scale, bar.c), close,
                quantity_of(scale, bar.e), bar.ts_event_ns)
        return 0

    cdef int _renew_data(self, Series series) except -1:
        """A strategy has kept the last object: make another one to hand out."""
        series.view = Indicators(series.indicators.slots)
        series.data = MarketData(0, series.symbol, 0.0, 0.0, 0.0, 0.0, 0.0, series.view)
        return 0

    cdef inline int _fill_data(self, Series series, const event_t* bar) except -1:
        """Write the bar to the object that is handed out: the last one, if nobody has kept it."""
        cdef const scale_t* scale = &self.scales[series.instrument]
        cdef MarketData data = series.data
        cdef Indicators view = series.view
        if data is None or Py_REFCNT(data) > 2 or Py_REFCNT(view) > 3:
            self._renew_data(series)
            data, view = series.data, series.view
        memcpy(view.values, series.indicators.values, view.count * sizeof(double))
        data.ready = series.indicators.bar_count >= series.indicators.warm_up
        data.timestamp = bar.ts_event_ns
        data.open = price_of(scale, bar.a)
        data.high = price_of(scale, bar.b)
        data.low = price_of(scale, bar.c)
        data.close = price_of(scale, bar.d)
        data.volume = quantity_of(scale, bar.e)
        return 0

    cdef inline int _call(self, StrategySlot slot, MarketData data) except -1:
        cdef PyObject* answer = PyObject_CallOneArg(
            <PyObject*>slot.on_market_data, <PyObject*>data)
        if answer == <PyObject*>None:
            Py_DECREF(None)
            return 0
        return self._answered(slot, answer)

    cdef int _answered(self, StrategySlot slot, PyObject* answer) except -1:
        """Act on signals; an error of the strategy, raised or answered, disables it."""
        try:
            signals = _owned(answer)
            self._take_answer(slot, signals)
        except (PipelineFault, StrategyStopped):
            raise
        except STRATEGY_ERRORS as error:
            self._disable(slot, "on_market_data", error)
        return 0

    cdef int _take_answer(self, StrategySlot slot, object answer) except -1:
        """A strategy answered with one signal or with several."""
        if type(answer) is TradeSignal:
            return self._take(slot, <TradeSignal>answer)
        if not isinstance(answer, (list, tuple)):
            raise SignalError(
                f"returned {type(answer).__name__}; return a TradeSignal, a list of them, or None")
        for signal in answer:
            if type(signal) is not TradeSignal:
                raise SignalError(f"a list of signals holds {type(signal).__name__}")
            self._take(slot, <TradeSignal>signal)
        return 0

    cdef int _take(self, StrategySlot slot, TradeSignal signal) except -1:
        cdef signal_t core
        if signal.side == 0:
            return 0
        instrument = self.symbols.get(signal.symbol)
        if instrument is None:
            raise SignalError(
                f"signal for {signal.symbol!r}; symbols of this run are {', '.join(self.symbols)}")
        signal.to_core(&self.scales[<int>instrument], &core)
        if core.problem != SIGNAL_OK:
            raise SignalError(f"{signal!r}: {PROBLEM_TEXTS[core.problem]}")
        core.instrument = instrument
        slot.signal_count += 1
        signal.id = self.orders.signal_sequence + 1
        if slot.on_signal_result is not None:
            slot.signals[signal.id] = signal
        if self.orders.take_signal(slot.index, &core, self.now_ns) == ADVISED:
            slot.signals.pop(signal.id, None)  # nothing will become of it
        return self._tell_results()

    cdef int _take_buffer(self, StrategySlot slot, int n, str where) except -1:
        """Act on what a compiled strategy wrote; n < 0: it raised, which disables it."""
        cdef int k
        if n < 0:
            try:
                _raise_pending()
            except STRATEGY_ERRORS as error:
                return self._disable(slot, where, error)
        if n > SIGNALS_MAX:
            raise PipelineFault(f"strategy {slot.name} says it wrote {n} signals")
        for k in range(n):
            if self.buffer[k].side == 0:
                continue
            slot.signal_count += 1
            self.orders.take_signal(slot.index, &self.buffer[k], self.now_ns)
        return self._tell_results()

    cdef int _disable(self, StrategySlot slot, str where, object error) except -1:
        """Stop one strategy: its entries are canceled, protective orders stay, others go on."""
        text = "".join(traceback.format_exception(error))
        self.errors.append((slot.name, self.now_ns, where, text))
        self._enable(slot, False, self.now_ns)
        if slot.stop_on_error:
            raise StrategyStopped(
                f"strategy {slot.name!r} failed in {where}: {type(error).__name__}: {error}") from error
        return 0

    cdef int _enable(self, StrategySlot slot, bint is_enabled, ts_ns_t now_ns) except -1:
        cdef record_t record
        slot.enabled = is_enabled
        memset(&record, 0, sizeof(record_t))
        record.ts_ns = record.ts_event_ns = now_ns
        record.kind = RECORD_STATE
        record.strategy = slot.index
        record.observed = is_enabled
        self.journal.append(&record)
        if not is_enabled:
            self.orders.cancel_entries(slot.index, now_ns)
        return 0

    # -- reports and results ---------------------------------------------------------------------

    cdef int drain(self, ts_ns_t now_ns) except -1:
        cdef report_t report
        if self.venue is None:
            return 0
        while self.venue.next_report(now_ns, &report):
            if report.ts_recv_ns > self.now_ns:
                self.now_ns = report.ts_recv_ns
                if self.now_ns > self.sample_due_ns:
                    self._sample()
            # An answer is dated at its report, which may lie within a bar that another
            # instrument has already closed.
            self.orders.on_report(&report, report.ts_recv_ns)
            self._tell_results()
        return 0

    def resolve(self, ts_ns_t now_ns):
        cdef int count
        self.drain(now_ns)
        count = self.orders.resolve(now_ns)
        self._tell_results()
        return count

    cdef int _tell_results(self) except -1:
        cdef outcome_t outcome
        cdef StrategySlot slot
        while self.orders.next_outcome(&outcome):
            slot = <StrategySlot>self.strategies[outcome.strategy]
            if slot.on_signal_result is None or not slot.enabled:
                continue
            # The end of a protective order without a fill is housekeeping, no result.
            if outcome.role == ROLE_ENTRY or outcome.price_ticks != 0:
                self._tell(slot, &outcome)
            if self._is_last(&outcome):
                slot.signals.pop(outcome.signal_id, None)
        return 0

    cdef int _tell(self, StrategySlot slot, const outcome_t* outcome) except -1:
        cdef TradeResult result = TradeResult.__new__(TradeResult)
        cdef const scale_t* scale = &self.scales[outcome.instrument]
        signal = slot.signals.get(outcome.signal_id)
        result.signal_id = outcome.signal_id
        result.order_id = outcome.order_id
        result.fill_price = price_of(scale, outcome.price_ticks)
        result.quantity = quantity_of(scale, outcome.lots)
        result.commission = outcome.commission / UNITS_PER_MONEY
        result.pnl = outcome.realized / UNITS_PER_MONEY
        result.status = STATUS_NAMES[outcome.state]
        result.reason = REASON_NAMES[outcome.reason] if outcome.reason != 0 else ""
        try:
            slot.on_signal_result(signal, result)
        except STRATEGY_ERRORS as error:
            self._disable(slot, "on_signal_result", error)
        return 0

    cdef bint _is_last(self, const outcome_t* outcome) noexcept nogil:
        """1 where no further result of this signal can come: done, and nothing protects it."""
        cdef int cell = outcome.strategy * self.ledger.instrument_count + outcome.instrument
        cdef const bracket_t* bracket = &self.orders.brackets[cell]
        if outcome.state == STATE_PARTIALLY_FILLED or bracket.signal_id == outcome.signal_id:
            return 0
        # A position whose protection ended on its own is being flattened in the signal's name.
        return outcome.role == ROLE_ENTRY or bracket.side != 0 or self.ledger.cells[cell].lots == 0

    # -- samples ---------------------------------------------------------------------------------

    cdef int _sample(self) except -1:
        """Keep the equity as it stood at the sample's time: what happened then counts, no more."""
        cdef int64_t* row
        if self.sample_due_ns != 0 and self.gate.is_valued:
            row = self.equity_samples.add()
            row[0] = self.sample_due_ns
            row[1] = self.gate.equity
        self.sample_due_ns = (
            (self.now_ns - 1) // self.sample_interval_ns + 1) * self.sample_interval_ns
        if self.now_ns >= self.cells_due_ns:
            self._sample_cells()
            self.cells_due_ns = (self.now_ns // HOUR_NS + 1) * HOUR_NS
        return 0

    cdef int _sample_cells(self) except -1:
        cdef int64_t* row = self.cell_samples.add()
        cdef int s, k, column
        cdef money_t open_result
        cdef const cell_t* cell
        row[0] = self.now_ns
        for s in range(self.ledger.strategy_count):
            for k in range(self.ledger.instrument_count):
                if self.ledger.unrealized(s, k, &open_result) != 0:
                    open_result = 0
                column = s * self.ledger.instrument_count + k
                cell = &self.ledger.cells[column]
                row[1 + column] = cell.realized - cell.fees + cell.carry + open_result
        return 0

    cdef int finish(self) except -1:
        """Take the last samples; call once after the last event."""
        cdef int64_t* row
        if self.event_count == 0:
            return 0
        if self.gate.observe(self.now_ns) != 0:
            raise PipelineFault("the account can't be valued at the end")
        if self.gate.is_valued:
            row = self.equity_samples.add()
            row[0] = self.now_ns
            row[1] = self.gate.equity
        return self._sample_cells()

    def equity_curve(self):
        """Equity samples, int64, shape (n, 2): ts_ns, equity in 1e-8 account currency."""
        return self.equity_samples.to_array()

    def cell_curve(self):
        """Hourly result by strategy and instrument, int64, shape (n, 1 + cells)."""
        return self.cell_samples.to_array()

    @property
    def signal_counts(self):
        """Signals by strategy name."""
        return {slot.name: slot.signal_count for slot in self.strategies}
