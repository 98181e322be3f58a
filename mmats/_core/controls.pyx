# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""What an operator may do to a running pipeline: cancel, close, order by hand, switch on and off.

Everything goes the way that orders of strategies go: through the same gate, journal and venue port.
"""

cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memset

from mmats._core.brackets cimport bracket_t
from mmats._core.dispatch cimport ADVISED, CLOSING_NONE, SENT
from mmats._core.journal cimport (
    RECORD_STATE, SCOPE_GLOBAL, SCOPE_MARKET, SCOPE_STRATEGY, record_t,
)
from mmats._core.order_table cimport is_done
from mmats._core.pipeline cimport Pipeline
from mmats._core.risk cimport verdict_t
from mmats._core.slots cimport Series, StrategySlot
from mmats._core.types cimport (
    FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_MARKET, ROLE_ENTRY, ROLE_FLATTEN, ROLE_MANUAL, TIF_GTC,
    lots_t, order_t, price_ticks_t, ts_ns_t,
)

from mmats._core.dispatch import ClosingState
from mmats._core.risk import Reason

cdef dict LEVEL_SCOPES = {
    "global": SCOPE_GLOBAL, "market": SCOPE_MARKET, "strategy": SCOPE_STRATEGY,
}


class ReloadError(Exception):
    """A strategy can't take the place of another one while the engine runs."""


@cython.final
cdef class Controls:

    def __init__(self, Pipeline pipeline not None):
        self.pipeline = pipeline
        self.orders = pipeline.orders
        self.ledger = pipeline.ledger

    # -- scopes ----------------------------------------------------------------------------------

    cdef int _check_index(self, int index) except -1:
        if not 0 <= index < len(self.pipeline.strategies):
            raise ValueError(f"no strategy {index} of {len(self.pipeline.strategies)}")
        return 0

    cdef int _scope(self, int strategy, int instrument, int market, scope_filter_t* out) except -1:
        for name, index, count in (("strategy", strategy, self.ledger.strategy_count),
                                   ("instrument", instrument, self.ledger.instrument_count),
                                   ("market", market, self.pipeline.gate.market_count)):
            if not -1 <= index < count:
                raise ValueError(f"no {name} {index} of {count}")
        out.strategy = strategy
        out.instrument = instrument
        out.market = market
        return 0

    cdef bint _covers(self, const scope_filter_t* scope, int strategy, int instrument) noexcept nogil:
        return ((scope.strategy < 0 or scope.strategy == strategy)
                and (scope.instrument < 0 or scope.instrument == instrument)
                and (scope.market < 0
                     or scope.market == self.ledger.instruments[instrument].market))

    cdef list _orders_of(self, const scope_filter_t* scope, bint entries_only):
        """Ids of the open orders of a scope, in the order in which they left."""
        cdef const order_t* order
        cdef int slot
        cdef list ids = []
        for slot in range(self.orders.fresh_slot):
            order = &self.orders.orders[slot]
            if is_done(order) or not self._covers(scope, order.strategy, order.instrument):
                continue
            if not entries_only or (not order.flags & FLAG_REDUCE_ONLY
                                    and (order.role == ROLE_ENTRY or order.role == ROLE_MANUAL)):
                ids.append(order.order_id)
        return sorted(ids)

    # -- cancels ---------------------------------------------------------------------------------

    cdef int _cancel(self, int64_t order_id, ts_ns_t now_ns) except -1:
        """A stop or target that goes this way has no successor, and its position no flattening."""
        cdef const order_t* order = self.orders.find(order_id)
        if order == NULL or is_done(order):
            return 0
        self.orders.release(order)
        return self.orders.cancel(order_id, now_ns)

    def preview_cancel(self, int strategy=-1, int instrument=-1, int market=-1,
                       bint entries_only=False):
        cdef scope_filter_t scope
        self._scope(strategy, instrument, market, &scope)
        return self._orders_of(&scope, entries_only)

    def cancel_all(self, ts_ns_t now_ns, int strategy=-1, int instrument=-1, int market=-1,
                   bint entries_only=False):
        cdef scope_filter_t scope
        cdef int count = 0
        self._scope(strategy, instrument, market, &scope)
        for order_id in self._orders_of(&scope, entries_only):
            count += self._cancel(order_id, now_ns)
        return count

    def cancel_order(self, int64_t order_id, ts_ns_t now_ns):
        return self._cancel(order_id, now_ns) == 1

    # -- closing positions -----------------------------------------------------------------------

    def preview_flatten(self, int strategy=-1, int instrument=-1, int market=-1):
        cdef scope_filter_t scope
        cdef int s, k
        cdef lots_t lots
        cdef list out = []
        self._scope(strategy, instrument, market, &scope)
        for s in range(self.ledger.strategy_count):
            for k in range(self.ledger.instrument_count):
                lots = self.ledger.cells[s * self.ledger.instrument_count + k].lots
                if lots != 0 and self._covers(&scope, s, k):
                    out.append((s, k, lots, self.ledger.holdings[k].mark_ticks))
        return out

    def flatten(self, ts_ns_t now_ns, int strategy=-1, int instrument=-1, int market=-1):
        cdef scope_filter_t scope
        cdef int s, k
        cdef int count = 0
        self._scope(strategy, instrument, market, &scope)
        for s in range(self.ledger.strategy_count):
            for k in range(self.ledger.instrument_count):
                if self._covers(&scope, s, k):
                    count += self._flatten_cell(s * self.ledger.instrument_count + k, now_ns)
        self.pipeline._tell_results()
        return count

    cdef int _flatten_cell(self, int cell, ts_ns_t now_ns) except -1:
        cdef scope_filter_t scope
        cdef bracket_t* bracket = &self.orders.brackets[cell]
        scope.strategy = cell // self.ledger.instrument_count
        scope.instrument = cell % self.ledger.instrument_count
        scope.market = -1
        ids = self._orders_of(&scope, False)
        if self.ledger.cells[cell].lots == 0 and not ids:
            return 0
        self.orders._drop_bracket(bracket, now_ns)
        for order_id in ids:
            if self.orders.find(order_id).role != ROLE_FLATTEN:
                self._cancel(order_id, now_ns)
        return self.orders.begin_closing(cell, now_ns)

    def step(self, ts_ns_t now_ns):
        cdef int count
        if self.orders.pending_closing_count == 0:
            return 0
        count = self.orders.step_closings(now_ns)
        self.pipeline._tell_results()
        return count

    def flatten_state(self):
        cdef int cell
        cdef int stride = self.ledger.instrument_count
        return {
            (cell // stride, cell % stride): (
                ClosingState(self.orders.closings[cell].state), self.ledger.cells[cell].lots,
                self.orders.closings[cell].attempt_count)
            for cell in range(self.ledger.strategy_count * stride)
            if self.orders.closings[cell].state != CLOSING_NONE
        }

    # -- orders by hand --------------------------------------------------------------------------

    cdef int _manual(self, order_t* out, ts_ns_t now_ns, int strategy, int instrument, int side,
                     lots_t lots, price_ticks_t price_ticks, price_ticks_t stop_loss_ticks,
                     price_ticks_t take_profit_ticks, bint reduce_only) except -1:
        cdef scope_filter_t scope
        cdef lots_t opposite
        if strategy < 0 or instrument < 0:
            raise ValueError("an order needs a strategy and an instrument")
        self._scope(strategy, instrument, -1, &scope)
        memset(out, 0, sizeof(order_t))
        out.ts_created_ns = now_ns
        out.quantity_lots = lots
        out.price_ticks = price_ticks
        out.stop_loss_ticks = stop_loss_ticks
        out.take_profit_ticks = take_profit_ticks
        out.reference_ticks = price_ticks
        if price_ticks == 0:
            out.reference_ticks = self.ledger.holdings[instrument].mark_ticks
        out.strategy = strategy
        out.instrument = instrument
        out.side = side
        out.type = ORDER_MARKET if price_ticks == 0 else ORDER_LIMIT
        out.tif = TIF_GTC
        out.role = ROLE_MANUAL
        if reduce_only:
            out.flags = FLAG_REDUCE_ONLY
            opposite = -side * self.ledger.cells[
                strategy * self.ledger.instrument_count + instrument].lots
            if 0 < opposite < lots:
                out.quantity_lots = opposite
        return 0

    def preview_manual(self, ts_ns_t now_ns, int strategy, int instrument, int side, lots_t lots,
                       price_ticks_t price_ticks=0, price_ticks_t stop_loss_ticks=0,
                       price_ticks_t take_profit_ticks=0, bint reduce_only=False):
        cdef order_t order
        cdef verdict_t verdict
        self._manual(&order, now_ns, strategy, instrument, side, lots, price_ticks,
                     stop_loss_ticks, take_profit_ticks, reduce_only)
        self.pipeline.gate.check(&order, now_ns, &verdict)
        return Reason(verdict.reason), verdict.observed, verdict.limit

    def submit_manual(self, ts_ns_t now_ns, int strategy, int instrument, int side, lots_t lots,
                      price_ticks_t price_ticks=0, price_ticks_t stop_loss_ticks=0,
                      price_ticks_t take_profit_ticks=0, bint reduce_only=False):
        cdef order_t order
        cdef int sent
        self._manual(&order, now_ns, strategy, instrument, side, lots, price_ticks,
                     stop_loss_ticks, take_profit_ticks, reduce_only)
        sent = self.orders._send(&order, now_ns)
        self.pipeline._tell_results()
        if sent == SENT:
            return order.order_id, Reason.REASON_OK, 0, 0
        if sent == ADVISED:
            return 0, Reason.REASON_OK, 0, 0
        return (0, Reason(self.orders.denied_reason), self.orders.denied_observed,
                self.orders.denied_limit)

    # -- strategies and states -------------------------------------------------------------------

    def set_enabled(self, int strategy, bint is_enabled, ts_ns_t now_ns):
        cdef StrategySlot slot
        self._check_index(strategy)
        slot = <StrategySlot>self.pipeline.strategies[strategy]
        if slot.enabled == is_enabled:
            return False
        self.pipeline._enable(slot, is_enabled, now_ns)
        return True

    def set_trading_state(self, str level not None, int index, int state, ts_ns_t now_ns):
        cdef record_t record
        if level not in LEVEL_SCOPES:
            raise ValueError(f"level {level!r} has no trading state: {', '.join(LEVEL_SCOPES)}")
        self.pipeline.gate.set_limits(level, index, trading_state=state)
        memset(&record, 0, sizeof(record_t))
        record.ts_ns = record.ts_event_ns = now_ns
        record.kind = RECORD_STATE
        record.observed = state
        record.limit = LEVEL_SCOPES[level]
        record.strategy = index if level == "strategy" else -1
        record.instrument = index if level == "market" else -1
        self.pipeline.journal.append(&record)

    def lend_account(self, int index, strategy):
        self._check_index(index)
        self.pipeline._hand_account(strategy, index)

    def replace_strategy(self, int index, strategy):
        cdef StrategySlot slot
        cdef Series series
        self._check_index(index)
        slot = <StrategySlot>self.pipeline.strategies[index]
        heard = [item for every in self.pipeline.series for item in every
                 if slot in (<Series>item).subscribers]
        wanted = set(getattr(strategy, "indicators", None) or ())
        for item in heard:
            series = <Series>item
            missing = wanted - set(series.indicators.specs)
            if missing:
                raise ReloadError(
                    f"strategy {slot.name!r} asks for {', '.join(sorted(missing))}, which the "
                    f"running series of {series.symbol} does not have: restart the engine")
        self.pipeline._hand_account(strategy, index)
        slot.attach(strategy)
        for item in heard:
            self.pipeline._bind(slot, <Series>item)
