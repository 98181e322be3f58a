# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Objects of the strategy contract.

Strategies see floats; the floats that come back in a signal are turned into ticks and lots here,
toward the safe side, and nowhere else.
"""

cimport cython
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.math cimport NAN, ceil, fabs, floor, isfinite, rint
from libc.stdint cimport int8_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from collections.abc import Mapping
from enum import IntEnum

from mmats._core.accounts cimport cell_t
from mmats._core.types cimport (
    FLAG_POST_ONLY, FLAG_REDUCE_ONLY, ORDER_LIMIT, ORDER_MARKET, ORDER_STOP, ORDER_STOP_LIMIT,
    ORDER_TAKE_PROFIT, ORDER_TRAILING_STOP, TIF_DAY, TIF_FOK, TIF_GTC,
    TIF_GTD, TIF_IOC, event_t, lots_t, money_t, price_ticks_t,
)

cdef double UNITS_PER_MONEY = 1e8
cdef double GRID_TOLERANCE = 1e-6   # of one tick or lot; a float this near to the grid is on it
cdef double INTEGER_MAX = 4e18


class Action(IntEnum):
    """What a signal asks for."""

    SELL = -1
    HOLD = 0
    BUY = 1


cdef dict ACTIONS = {action.name: int(action) for action in Action}
cdef dict ORDER_TYPES = {
    "market": ORDER_MARKET, "limit": ORDER_LIMIT, "stop": ORDER_STOP,
    "stop_limit": ORDER_STOP_LIMIT, "take_profit": ORDER_TAKE_PROFIT,
    "trailing_stop": ORDER_TRAILING_STOP,
}
cdef dict TIMES_IN_FORCE = {
    "GTC": TIF_GTC, "IOC": TIF_IOC, "FOK": TIF_FOK, "GTD": TIF_GTD, "DAY": TIF_DAY,
}
cdef dict ORDER_TYPE_NAMES = {code: name for name, code in ORDER_TYPES.items()}
cdef dict TIF_NAMES = {code: name for name, code in TIMES_IN_FORCE.items()}


class SignalError(ValueError):
    """A signal that says something impossible; raised where the strategy builds it."""


@cython.final
@cython.no_gc
cdef class Indicators:
    """Read-only mapping from indicator name to its current value (NaN until warmed up)."""

    def __cinit__(self, dict slots not None):
        self.slots = slots
        self.count = len(slots)
        self.values = <double*>malloc(max(self.count, 1) * sizeof(double))
        if self.values == NULL:
            raise MemoryError("indicators: no memory")
        for k in range(self.count):
            self.values[k] = NAN
        for k in range(KEY_CACHE_SIZE):
            self.cached_keys[k] = NULL

    def __dealloc__(self):
        cdef int k
        for k in range(KEY_CACHE_SIZE):
            Py_XDECREF(self.cached_keys[k])
        free(self.values)

    def __getitem__(self, name):
        # A strategy asks with the same string object on every bar: its address finds the slot.
        cdef PyObject* key = <PyObject*>name
        cdef int place = (<size_t>key >> 4) & (KEY_CACHE_SIZE - 1)
        if self.cached_keys[place] == key:
            return self.values[self.cached_slots[place]]
        return self.values[self._find(name, place)]

    cdef int _find(self, object name, int place) except -1:
        """Slot of a name, remembered by the address of the string that asked."""
        cdef PyObject* slot = PyDict_GetItem(self.slots, name)
        if slot == NULL:
            raise KeyError(f"{name!r} is not declared; declared are {', '.join(self.slots) or 'none'}")
        Py_XDECREF(self.cached_keys[place])
        Py_INCREF(name)
        self.cached_keys[place] = <PyObject*>name
        self.cached_slots[place] = <object>slot
        return self.cached_slots[place]

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(self.slots)

    def __contains__(self, name):
        return name in self.slots

    def get(self, name, default=None):
        """Return the value of `name`, or `default` where it is not declared."""
        return self[name] if name in self.slots else default

    def keys(self):
        return self.slots.keys()

    def items(self):
        return [(name, self.values[<int>slot]) for name, slot in self.slots.items()]

    def values_list(self):
        """Return the current values in the order of the names."""
        return [self.values[k] for k in range(self.count)]

    def __repr__(self):
        return f"Indicators({dict(self.items())!r})"


Mapping.register(Indicators)


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class MarketData:
    """One closed bar (or one tick) of one symbol; `timestamp` is its close in ns UTC."""

    def __init__(self, int64_t timestamp, str symbol not None, double open, double high,
                 double low, double close, double volume, indicators=None, bint ready=True):
        self.timestamp = timestamp
        self.symbol = symbol
        self.open = open
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.indicators = indicators if indicators is not None else {}
        self.ready = ready

    def __repr__(self):
        return (f"MarketData({self.symbol} {self.timestamp} o={self.open} h={self.high} "
                f"l={self.low} c={self.close} v={self.volume})")


cdef object _number(object value):
    """A size or price as a float; numpy and Decimal numbers are welcome, text is not."""
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise SignalError(f"{value!r} is no number; sizes and prices are numbers")
    return float(value)


cdef inline int _to_grid(object value, double num, double den, int direction, int64_t* out) except -1:
    """Write `value` in grid steps; direction -1 rounds down, 1 up. Returns a SignalProblem."""
    cdef double steps, nearest
    if not isinstance(value, (float, int)):
        value = _number(value)
    steps = <double>value * den / num
    if not isfinite(steps) or steps <= 0.0:
        return SIGNAL_PRICE
    if steps > INTEGER_MAX:
        return SIGNAL_TOO_LARGE
    nearest = rint(steps)
    if fabs(steps - nearest) > GRID_TOLERANCE:
        nearest = floor(steps) if direction < 0 else ceil(steps)
    out[0] = <int64_t>nearest
    return SIGNAL_OK


cdef int8_t _side_of(object action) except -2:
    """Side of an Action or its name."""
    cdef PyObject* code
    cdef long number
    if isinstance(action, int):
        number = action
        if -1 <= number <= 1:
            return <int8_t>number
    elif isinstance(action, str):
        code = PyDict_GetItem(ACTIONS, action)
        if code != NULL:
            return <int8_t><object>code
    raise SignalError(f"action is {action!r}; it must be Action.BUY, Action.SELL or Action.HOLD")


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class TradeSignal:
    """What a strategy wants done.

    Parameters
    ----------
    action
        `Action.BUY`, `Action.SELL` or `Action.HOLD` (or their names).
    symbol
        `BTCUSDT` where unique, `BTCUSDT.BINANCE` always.
    size
        Quantity in units of the base (0.001 BTC, 1000 EUR). With `reduce_only` and no size: the
        whole position. Ignored as a quantity where the strategy's sizing is not "signal".
    stop_loss, take_profit
        Prices of the bracket that protects the position which this signal opens.
    confidence
        0 < confidence <= 1; scales the size of sized signals.
    order_type, price, trigger, trail
        "market", "limit" (price), "stop" (trigger), "stop_limit" (both), "take_profit" (trigger),
        "trailing_stop" (trail: distance in price units).
    time_in_force, expire_ns
        GTC, IOC, FOK, DAY, or GTD with `expire_ns`.
    post_only, reduce_only
        Flags as at the venues.

    Raises
    ------
    SignalError
        Unknown action, order type or time in force; a price that the order type needs is missing;
        confidence outside (0, 1].
    """

    def __init__(self, action, str symbol not None, size=None, stop_loss=None, take_profit=None,
                 double confidence=1.0, str order_type not None="market", price=None, trigger=None,
                 trail=None, str time_in_force not None="GTC", int64_t expire_ns=0,
                 bint post_only=False, bint reduce_only=False):
        self.side = _side_of(action)
        self.symbol = symbol
        self.size = size
        self.stop_loss = stop_loss
        self.take_profit = take_profit
        self.price = price
        self.trigger = trigger
        self.trail = trail
        self.confidence = confidence
        self.expire_ns = expire_ns
        self.flags = (FLAG_POST_ONLY if post_only else 0) | (FLAG_REDUCE_ONLY if reduce_only else 0)
        if not 0.0 < confidence <= 1.0:
            raise SignalError(f"confidence is {confidence}; it must be above 0 and at most 1")
        self.type_code = ORDER_MARKET
        self.tif_code = TIF_GTC
        if order_type is not "market":
            self._set_type(order_type)
        if time_in_force is not "GTC":
            self._set_tif(time_in_force)
        if post_only and self.type_code != ORDER_LIMIT and self.type_code != ORDER_STOP_LIMIT:
            raise SignalError(f"a {order_type} order takes liquidity; post_only is for limit orders")

    cdef int _set_type(self, str order_type) except -1:
        if order_type not in ORDER_TYPES:
            raise SignalError(f"order_type is {order_type!r}; known are {', '.join(ORDER_TYPES)}")
        self.type_code = ORDER_TYPES[order_type]
        if self.type_code in (ORDER_LIMIT, ORDER_STOP_LIMIT) and self.price is None:
            raise SignalError(f"a {order_type} order needs a price")
        if self.type_code in (ORDER_STOP, ORDER_STOP_LIMIT, ORDER_TAKE_PROFIT) and self.trigger is None:
            raise SignalError(f"a {order_type} order needs a trigger")
        if self.type_code == ORDER_TRAILING_STOP and self.trail is None:
            raise SignalError("a trailing_stop order needs a trail, a distance in price units")
        return 0

    cdef int _set_tif(self, str time_in_force) except -1:
        if time_in_force not in TIMES_IN_FORCE:
            raise SignalError(
                f"time_in_force is {time_in_force!r}; known are {', '.join(TIMES_IN_FORCE)}")
        self.tif_code = TIMES_IN_FORCE[time_in_force]
        if self.tif_code == TIF_GTD and self.expire_ns <= 0:
            raise SignalError("a GTD order needs expire_ns, nanoseconds since 1970 UTC")
        return 0

    @property
    def action(self):
        return Action(self.side)

    @property
    def order_type(self):
        return ORDER_TYPE_NAMES[self.type_code]

    @property
    def time_in_force(self):
        return TIF_NAMES[self.tif_code]

    @property
    def post_only(self):
        return bool(self.flags & FLAG_POST_ONLY)

    @property
    def reduce_only(self):
        return bool(self.flags & FLAG_REDUCE_ONLY)

    cdef int to_core(self, const scale_t* scale, signal_t* out) except -1:
        """Write the signal in ticks and lots; `out.problem` tells what could not be converted.

        Quantity goes down, limit prices to the passive side, stops toward the entry.
        """
        memset(out, 0, sizeof(signal_t))
        cdef int passive = -1 if self.side > 0 else 1
        cdef int problem = SIGNAL_OK
        out.side = self.side
        out.order_type = self.type_code
        out.tif = self.tif_code
        out.flags = self.flags
        out.expire_ns = self.expire_ns
        out.confidence_ppm = <int64_t>(self.confidence * 1e6)
        if self.size is not None:
            problem = _to_grid(self.size, scale.lot_num, scale.lot_den, -1, &out.size_lots)
            problem = SIGNAL_SIZE if problem == SIGNAL_PRICE else problem
        else:
            out.size_lots = WHOLE_POSITION if self.flags & FLAG_REDUCE_ONLY else SIZE_UNSET
        if self.stop_loss is not None and problem == SIGNAL_OK:
            problem = _to_grid(self.stop_loss, scale.tick_num, scale.tick_den, -passive,
                               &out.stop_loss_ticks)
        if self.take_profit is not None and problem == SIGNAL_OK:
            problem = _to_grid(self.take_profit, scale.tick_num, scale.tick_den, -passive,
                               &out.take_profit_ticks)
        if self.type_code != ORDER_MARKET and problem == SIGNAL_OK:
            problem = self._prices_to_core(scale, passive, out)
        out.problem = problem
        return 0

    cdef int _prices_to_core(self, const scale_t* scale, int passive, signal_t* out) except -1:
        cdef int problem = SIGNAL_OK
        if self.price is not None:
            problem = _to_grid(self.price, scale.tick_num, scale.tick_den, passive, &out.price_ticks)
        if self.trigger is not None and problem == SIGNAL_OK:
            problem = _to_grid(self.trigger, scale.tick_num, scale.tick_den, -passive,
                               &out.trigger_ticks)
        if self.trail is not None and problem == SIGNAL_OK:
            problem = _to_grid(self.trail, scale.tick_num, scale.tick_den, 1, &out.trail_ticks)
        return problem

    def __repr__(self):
        return (f"TradeSignal({self.action.name} {self.symbol} size={self.size} "
                f"{self.order_type} stop_loss={self.stop_loss} take_profit={self.take_profit})")


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class TradeResult:
    """What became of a signal: one call for each fill, denial, rejection, cancel or expiry.

    `pnl` is what the fill realised and `commission` its fee, both in the account currency;
    `status` is DENIED, REJECTED, PARTIALLY_FILLED, FILLED, CANCELED or EXPIRED.
    """

    def __init__(self, int64_t signal_id, double fill_price=NAN, double commission=0.0,
                 double pnl=0.0, str status not None="FILLED", double quantity=0.0,
                 int64_t order_id=0, str reason not None=""):
        self.signal_id = signal_id
        self.order_id = order_id
        self.fill_price = fill_price
        self.quantity = quantity
        self.commission = commission
        self.pnl = pnl
        self.status = status
        self.reason = reason

    def __repr__(self):
        return (f"TradeResult({self.status} signal={self.signal_id} quantity={self.quantity} "
                f"price={self.fill_price} commission={self.commission} pnl={self.pnl} {self.reason})")


class Position:
    """A strategy's position in one symbol: signed quantity and average entry price."""

    __slots__ = ("average_price", "quantity", "symbol", "unrealized_pnl")

    def __init__(self, symbol, quantity, average_price, unrealized_pnl):
        self.symbol = symbol
        self.quantity = quantity
        self.average_price = average_price
        self.unrealized_pnl = unrealized_pnl

    def __repr__(self):
        return f"Position({self.symbol} {self.quantity} @ {self.average_price})"


@cython.final
cdef class AccountState:
    """Live view of the account as one strategy sees it; money in the account currency."""

    def __cinit__(self):
        self.scales = NULL

    def __dealloc__(self):
        free(self.scales)

    def __init__(self):
        raise TypeError("AccountState is made by the engine and reached as self.account")

    cdef inline int _index(self, str symbol) except -1:
        cdef PyObject* index = PyDict_GetItem(self.symbols, symbol)
        if index == NULL:
            raise KeyError(f"{symbol!r} is not a symbol of this run")
        return <int><object>index

    @property
    def equity(self):
        """Everything at current marks."""
        return self.ledger.account_equity / UNITS_PER_MONEY

    @property
    def balance(self):
        """Money that is not bound in spot holdings, less open losses of margin positions."""
        return (self.ledger.account_free_money + self.ledger.account_margin_used) / UNITS_PER_MONEY

    @property
    def margin_used(self):
        return self.ledger.account_margin_used / UNITS_PER_MONEY

    def position(self, str symbol not None):
        """Return this strategy's signed quantity in `symbol`."""
        cdef int instrument = self._index(symbol)
        cdef cell_t* cell = &self.ledger.cells[
            self.strategy * self.ledger.instrument_count + instrument]
        return quantity_of(&self.scales[instrument], cell.lots)

    @property
    def positions(self):
        """Open positions of this strategy: symbol -> Position."""
        cdef int k
        cdef cell_t* cell
        cdef money_t unrealized
        out = {}
        for k in range(self.ledger.instrument_count):
            cell = &self.ledger.cells[self.strategy * self.ledger.instrument_count + k]
            if cell.lots != 0:
                if self.ledger.unrealized(self.strategy, k, &unrealized) != 0:
                    unrealized = 0
                    value = NAN
                else:
                    value = unrealized / UNITS_PER_MONEY
                average = (<double>cell.cost_ticklots / <double>cell.lots
                           * self.scales[k].tick_num / self.scales[k].tick_den)
                out[self.names[k]] = Position(
                    self.names[k], quantity_of(&self.scales[k], cell.lots), average, value)
        return out


cdef class CompiledStrategy:
    """Base of strategies in Cython: cimport it, override `on_bar` and/or `on_book`."""

    supported_symbols = ()
    hears_book = False            # True: `on_book` is called for order book data

    def __init__(self, str name not None=""):
        self.name = name or type(self).__name__
        self.index = -1
        self.indicators = ()

    def initialize(self, config):
        """Take the parameters of the configuration; called once before the first event."""

    def bind(self, int instrument, str symbol, dict slots, double tick_size, double lot_size):
        """Learn where each declared indicator is in the `indicators` of an instrument's bars."""

    def on_market_data(self, data):
        """Never called: a compiled strategy decides in `on_bar`."""

    def on_signal_result(self, signal, result):
        """Never called: a compiled strategy reads its position from the ledger."""

    cdef int on_bar(self, const event_t* bar, const double* indicators, signal_t* out) except -1:
        return 0

    cdef int on_book(self, const event_t* delta, price_ticks_t bid, price_ticks_t ask,
                     signal_t* out) except -1:
        return 0

    cdef lots_t position_lots(self, int instrument) noexcept nogil:
        return self.ledger.cells[self.index * self.ledger.instrument_count + instrument].lots
