# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The state that decides what happens next, as bytes that are restored exactly.

In it are the ledger with its marks, the orders, brackets and results, the gate with limits, trading
states, days and peaks, the strategies' switches, the journal's running hash, and the fills that the
execution port has seen. Not in it is what market data brings back: indicators, bars, order books.
Results that no strategy has been told yet are not in it either, nor what was given to the port and
not taken: a restart asks the venue again.

The layout depends on the configuration and on how many order slots were ever used, in steps of 64;
everything else keeps its place, so that little of an image changes from one to the next. A change
of the layout needs another IMAGE_VERSION.
"""

cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from mmats._core.accounts cimport Accounts, cell_t, holding_t
from mmats._core.execution cimport TRADES_SEEN_MAX, ExecutionPort, trade_t
from mmats._core.exposure cimport open_t
from mmats._core.journal cimport RingJournal
from mmats._core.ledger cimport Ledger
from mmats._core.limits cimport RATE_WINDOW_MAX, limits_t
from mmats._core.orders cimport ORDER_SLOTS, OrderManager, bracket_t
from mmats._core.pipeline cimport Pipeline, StrategySlot
from mmats._core.risk cimport RiskGate, scope_t
from mmats._core.sizing cimport track_t
from mmats._core.types cimport (
    ORDER_MARKET, ORDER_TRAILING_STOP, ROLE_ENTRY, ROLE_FLATTEN, SIDE_BUY, SIDE_SELL,
    STATE_CANCELED, STATE_DENIED, STATE_EXPIRED, STATE_FILLED, STATE_INITIALIZED, STATE_REJECTED,
    TRADING_ACTIVE, TRADING_HALTED, lots_t, money_t, order_t,
)

from mmats._core.frames import ORDER_DTYPE

cdef extern from "mix.h":
    uint64_t mmats_mix(uint64_t state, const void* words, int word_count) noexcept nogil

cdef uint64_t MAGIC = 0x31474d495354414dU  # "MATSIMG1"
cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U
cdef enum:
    SEALED = 16                 # bytes before what the checksum covers
    SLOT_BITS = 12

cdef enum Flaw:
    FLAW_NONE = 0
    FLAW_COUNT = 1
    FLAW_LIMIT = 2
    FLAW_BRACKET = 3
    FLAW_SWITCH = 4
    FLAW_MARK = 5
    FLAW_ORDER = 6
    FLAW_ORDER_COUNT = 7
    FLAW_ENDED = 8
    FLAW_GAP = 9

cdef tuple FLAWS = (
    ("", ""),
    ("a count is out of range", "head"),
    ("a limit is negative, or no TradingState", "limits"),
    ("a side is neither bought nor sold", "brackets"),
    ("a switch is neither on nor off", "switches"),
    ("a mark is negative, or a cache is filled", "holdings"),
    ("an order is out of range", "orders"),
    ("open orders and their counts differ", "orders"),
    ("the ended slots are not those of ended orders", "ended_slots"),
    ("bytes that mean nothing are not 0", "padding"),
)
_RESTORE_HINT = "restore an image of this configuration, or recover the journal"


class ImageError(ValueError):
    """An image that can't be restored; nothing was changed.

    `message` says what is wrong, `where` the part of the image, `hint` what to do.
    """

    def __init__(self, message, where, hint=_RESTORE_HINT):
        super().__init__(f"state image, {where}: {message} ({hint})")
        self.message = message
        self.where = where
        self.hint = hint


# -- layout as numpy dtypes; the C side is checked against it ---------------------------------------

def _record(size_t size, long_names, int_names=""):
    names = [(name, "<i8") for name in long_names.split()]
    names += [(name, "<i4") for name in int_names.split()]
    dtype = np.dtype(names, align=True)
    if dtype.itemsize != size:
        raise AssertionError("a layout of the image differs from the core's")
    return dtype


_HEAD = np.dtype(
    [(name, "<u8") for name in ("magic", "checksum", "terms_hash")]
    + [(name, "<i4") for name in (
        "version", "currency_count", "instrument_count", "strategy_count", "market_count",
        "has_port", "order_count", "order_capacity", "ended_first", "ended_count",
        "open_order_count", "is_valued", "watches_strategies", "pad")]
    + [(name, "<u8" if name == "state_hash" else "<i8") for name in (
        "now_ns", "event_count", "state_hash", "record_count", "order_sequence",
        "signal_sequence", "denied_count", "late_fill_count", "stale_report_count",
        "conversion_paid", "equity", "initial_equity", "day_start", "peak", "day_end_ns",
        "sent_count", "reserved", "trade_count", "duplicate_count")])
if _HEAD.itemsize != sizeof(image_head_t):
    raise AssertionError("the image's head differs from image.pxd")
_LIMITS = np.dtype(
    [(name, "<i4") for name in ("trading_state", "stop_loss_required", "open_orders_max", "pad")]
    + [(name, "<i8") for name in (
        "daily_loss_max", "daily_loss_ppm", "drawdown_max", "drawdown_ppm", "exposure_max",
        "exposure_ppm", "order_notional_min", "order_notional_max", "position_notional_max",
        "price_collar_ppm", "messages_max", "message_window_ns")])
if _LIMITS.itemsize != sizeof(limits_t):
    raise AssertionError("limits differ from limits.pxd")
_CELL = _record(sizeof(cell_t), "lots cost_ticklots realized_ticklots realized_quote realized fees "
                "carry carry_quote")
_HOLDING = _record(sizeof(holding_t), "lots cost_ticklots mark_ticks marked_ns value margin")
_SCOPE = _record(sizeof(scope_t), "day_start peak")
_OPEN = _record(sizeof(open_t), "buy_lots sell_lots")
_BRACKET = _record(sizeof(bracket_t), "signal_id stop_order_id target_order_id stop_ticks "
                   "target_ticks", "side")
_TRACK = _record(sizeof(track_t), "wins losses won lost")
_SWITCH = _record(sizeof(switch_t), "enabled signal_count")
_TRADE = _record(sizeof(trade_t), "trade_id instrument")


def image_dtype(head):
    currencies, markets = int(head["currency_count"]), int(head["market_count"])
    instruments, strategies = int(head["instrument_count"]), int(head["strategy_count"])
    cells = (strategies, instruments)
    fields = [
        ("head", _HEAD, ()), ("balances", "<i8", (currencies, 8)),
        ("dust_costs", "<i8", (currencies,)), ("cells", _CELL, cells),
        ("holdings", _HOLDING, (instruments,)), ("overall", _LIMITS, ()),
        ("markets", _LIMITS, (markets,)), ("strategies", _LIMITS, (strategies,)),
        ("symbols", _LIMITS, (instruments,)), ("order_lots_max", "<i8", (instruments,)),
        ("position_lots_max", "<i8", (instruments,)), ("market_scopes", _SCOPE, (markets,)),
        ("strategy_scopes", _SCOPE, (strategies,)), ("open", _OPEN, (instruments,)),
        ("open_by_cell", _OPEN, cells), ("open_orders", "<i4", (strategies,)),
        ("brackets", _BRACKET, cells), ("tracks", _TRACK, (strategies,)),
        ("open_results", "<i8", cells), ("switches", _SWITCH, (strategies,)),
        ("sent_ns", "<i8", (RATE_WINDOW_MAX,)),
        ("trades_seen", _TRADE, (TRADES_SEEN_MAX if head["has_port"] else 0,)),
        ("ended_slots", "<i2", (ORDER_SLOTS,)),
        ("orders", ORDER_DTYPE, (int(head["order_capacity"]),)),
    ]
    offsets, offset = [], 0
    for name, kind, shape in fields:
        offset = -(-offset // (IMAGE_PAGE if name == "orders" else 8)) * (
            IMAGE_PAGE if name == "orders" else 8)
        offsets.append(offset)
        offset += np.dtype((kind, shape)).itemsize
    return np.dtype({
        "names": [name for name, _, _ in fields],
        "formats": [(kind, shape) for _, kind, shape in fields],
        "offsets": offsets, "itemsize": offset,
    })


def read_image(bytes data not None):
    if len(data) < <Py_ssize_t>sizeof(image_head_t):
        raise ImageError(f"{len(data)} bytes are too few", "head")
    head = np.frombuffer(data, _HEAD, 1)[0]
    if head["magic"] != MAGIC or head["version"] != IMAGE_VERSION:
        raise ImageError(f"version {head['version']} of something, not {IMAGE_VERSION} of an image",
                         "head", "use the version of the program that wrote it")
    dtype = image_dtype(head)
    if dtype.itemsize != len(data):
        raise ImageError(f"{len(data)} bytes, not {dtype.itemsize}", "size")
    return np.frombuffer(bytearray(data), dtype)[0:1]


def seal_image(image):
    cdef bytearray out = bytearray(image.tobytes())
    cdef char* target = out
    (<image_head_t*>target).checksum = _checksum(target, len(out))
    return bytes(out)


cdef inline uint64_t _checksum(const char* image, size_t size) noexcept nogil:
    return mmats_mix(HASH_OFFSET, image + SEALED, <int>((size - SEALED) // 8))


cdef inline size_t _round_up(size_t size, size_t step) noexcept nogil:
    return (size + step - 1) // step * step


cdef inline int _capacity(int order_count) noexcept nogil:
    return <int>_round_up(order_count, SLOT_STEP)


cdef inline bint _is_done(const order_t* order) noexcept nogil:
    return (order.state == STATE_FILLED or order.state == STATE_CANCELED
            or order.state == STATE_EXPIRED or order.state == STATE_REJECTED
            or order.state == STATE_DENIED)


cdef bint _is_zero(const char* start, size_t size) noexcept nogil:
    cdef size_t k
    for k in range(size):
        if start[k] != 0:
            return False
    return True


cdef bint _limits_are_possible(const limits_t* limits) noexcept nogil:
    cdef const int64_t* values = &limits.daily_loss_max
    cdef int k
    for k in range(12):
        if values[k] < 0:
            return False
    return (TRADING_ACTIVE <= limits.trading_state <= TRADING_HALTED
            and limits.open_orders_max >= 0
            and (limits.messages_max == INT64_MAX or 0 < limits.messages_max <= RATE_WINDOW_MAX))


@cython.final
cdef class StateImage:
    """Takes and restores the image of one pipeline; documented in image.pyi."""

    def __init__(self, Pipeline pipeline not None, ExecutionPort port=None):
        if not isinstance(pipeline.journal, RingJournal):
            raise TypeError("a state image needs a pipeline with a RingJournal")
        if len(pipeline.strategies) != pipeline.ledger.strategy_count:
            raise ValueError("a state image needs all strategies of its pipeline")
        self.pipeline = pipeline
        self.journal = pipeline.journal
        self.port = port
        self._place()

    cdef size_t _add(self, void* live, size_t size) except 0:
        """Put a block behind the others; returns its place."""
        cdef copy_t* last
        cdef copy_t* added = &self.copies[self.copy_count]
        if self.copy_count == COPIES_MAX:
            raise AssertionError("more blocks than an image has room for")
        added.live = live
        added.size = size
        added.offset = sizeof(image_head_t)
        if self.copy_count > 0:
            last = &self.copies[self.copy_count - 1]
            added.offset = _round_up(last.offset + last.size, 8)
        self.copy_count += 1
        return added.offset

    cdef int _place(self) except -1:
        """Lay the image out; `image_dtype` says the same by name."""
        cdef Ledger ledger = self.pipeline.ledger
        cdef RiskGate gate = self.pipeline.gate
        cdef OrderManager orders = self.pipeline.orders
        cdef size_t instruments = ledger.instrument_count, strategies = ledger.strategy_count
        cdef size_t markets = gate.market_count, cells = instruments * strategies
        self.copy_count = 0
        self.ledger_offset = self._add(ledger.state, ledger.state_size)
        self._add(&gate.overall, sizeof(limits_t))
        self._add(gate.markets, markets * sizeof(limits_t))
        self._add(gate.strategies, strategies * sizeof(limits_t))
        self._add(gate.symbols, instruments * sizeof(limits_t))
        self._add(gate.order_lots_max, instruments * sizeof(lots_t))
        self._add(gate.position_lots_max, instruments * sizeof(lots_t))
        self._add(gate.market_scopes, markets * sizeof(scope_t))
        self._add(gate.strategy_scopes, strategies * sizeof(scope_t))
        self._add(gate.open, instruments * sizeof(open_t))
        self._add(gate.open_by_cell, cells * sizeof(open_t))
        self._add(gate.open_orders, strategies * sizeof(int32_t))
        self._add(orders.brackets, cells * sizeof(bracket_t))
        self._add(orders.tracks, strategies * sizeof(track_t))
        self._add(orders.open_results, cells * sizeof(money_t))
        self.switches_offset = self._add(NULL, strategies * sizeof(switch_t))
        self._add(gate.sent_ns, RATE_WINDOW_MAX * sizeof(int64_t))
        if self.port is not None:
            self._add(self.port.trades_seen, TRADES_SEEN_MAX * sizeof(trade_t))
        self.ended_offset = self._add(NULL, ORDER_SLOTS * sizeof(int16_t))
        self.orders_offset = _round_up(self.ended_offset + ORDER_SLOTS * sizeof(int16_t), IMAGE_PAGE)
        dtype = image_dtype({
            "currency_count": ledger.currency_count, "instrument_count": instruments,
            "strategy_count": strategies, "market_count": markets,
            "has_port": self.port is not None, "order_capacity": SLOT_STEP,
        })
        if (dtype.itemsize != self._size(SLOT_STEP)
                or dtype.fields["ended_slots"][1] != self.ended_offset
                or dtype.fields["switches"][1] != self.switches_offset):
            raise AssertionError("image_dtype differs from the image")
        return 0

    cdef size_t _size(self, int order_capacity) noexcept nogil:
        return self.orders_offset + order_capacity * sizeof(order_t)

    # -- taking ----------------------------------------------------------------------------------

    def to_bytes(self):
        cdef size_t size = self._size(_capacity(self.pipeline.orders.fresh_slot))
        cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
        cdef char* target = PyBytes_AsString(out)
        cdef switch_t* switches
        cdef int k
        memset(target, 0, size)
        switches = <switch_t*>(target + self.switches_offset)
        for k in range(self.pipeline.ledger.strategy_count):
            switches[k].enabled = (<StrategySlot>self.pipeline.strategies[k]).enabled
            switches[k].signal_count = (<StrategySlot>self.pipeline.strategies[k]).signal_count
        self._write(target)
        (<image_head_t*>target).checksum = _checksum(target, size)
        return out

    cdef void _write(self, char* target) noexcept nogil:
        cdef OrderManager orders = self.pipeline.orders
        cdef holding_t* holdings
        cdef int16_t* ended = <int16_t*>(target + self.ended_offset)
        cdef int k, place
        self._write_head(<image_head_t*>target)
        for k in range(self.copy_count):
            if self.copies[k].live != NULL:
                memcpy(target + self.copies[k].offset, self.copies[k].live, self.copies[k].size)
        holdings = <holding_t*>(target + self.ledger_offset + (
            <char*>self.pipeline.ledger.holdings - self.pipeline.ledger.state))
        for k in range(self.pipeline.ledger.instrument_count):
            holdings[k].margin = 0  # a cache, filled only when somebody asked
        for k in range(orders.ended_count):
            place = (orders.ended_first + k) & (ORDER_SLOTS - 1)
            ended[place] = orders.ended_slots[place]
        memcpy(target + self.orders_offset, orders.orders, orders.fresh_slot * sizeof(order_t))

    cdef void _write_head(self, image_head_t* head) noexcept nogil:
        cdef RiskGate gate = self.pipeline.gate
        cdef OrderManager orders = self.pipeline.orders
        head.magic = MAGIC
        head.version = IMAGE_VERSION
        head.terms_hash = self.pipeline.ledger._terms_hash()
        head.currency_count = self.pipeline.ledger.currency_count
        head.instrument_count = self.pipeline.ledger.instrument_count
        head.strategy_count = self.pipeline.ledger.strategy_count
        head.market_count = gate.market_count
        head.order_count = orders.fresh_slot
        head.order_capacity = _capacity(orders.fresh_slot)
        head.ended_first = orders.ended_first
        head.ended_count = orders.ended_count
        head.open_order_count = gate.open_order_count
        head.is_valued = gate.is_valued
        head.watches_strategies = gate.watches_strategies
        head.now_ns = self.pipeline.now_ns
        head.event_count = self.pipeline.event_count
        head.state_hash = self.journal.state_hash
        head.record_count = self.journal.record_count
        head.order_sequence = orders.order_sequence
        head.signal_sequence = orders.signal_sequence
        head.denied_count = orders.denied_count
        head.late_fill_count = orders.late_fill_count
        head.stale_report_count = orders.stale_report_count
        head.conversion_paid = self.pipeline.ledger.conversion_paid
        head.equity = gate.equity
        head.initial_equity = gate.initial_equity
        head.day_start = gate.account_scope.day_start
        head.peak = gate.account_scope.peak
        head.day_end_ns = gate.day_end_ns
        head.sent_count = gate.sent_count
        head.reserved = gate.reserved
        if self.port is not None:
            head.has_port = 1
            head.trade_count = self.port.trade_count
            head.duplicate_count = self.port.duplicate_count

    # -- restoring -------------------------------------------------------------------------------

    def restore(self, bytes data not None):
        cdef const char* source = PyBytes_AsString(data)
        cdef size_t size = len(data)
        cdef const switch_t* switches
        cdef StrategySlot slot
        cdef int k, flaw
        self._read_head(source, size)
        flaw = self._check_counts(<const image_head_t*>source)
        if flaw == FLAW_NONE:
            flaw = self._check_books(source)
        if flaw == FLAW_NONE:
            flaw = self._check_orders(source)
        if flaw == FLAW_NONE:
            flaw = self._check_ended(source)
        if flaw == FLAW_NONE:
            flaw = self._check_gaps(source, size)
        if flaw != FLAW_NONE:
            message, where = FLAWS[flaw]
            raise ImageError(message, where)
        if self.journal.waiting() != 0:
            raise ImageError(f"{self.journal.waiting()} records wait to be taken", "journal",
                             "restore before the first event")
        self._restore_ledger(source)
        self._read(source)
        switches = <const switch_t*>(source + self.switches_offset)
        for k in range(self.pipeline.ledger.strategy_count):
            slot = self.pipeline.strategies[k]
            slot.enabled = switches[k].enabled != 0
            slot.signal_count = switches[k].signal_count
            slot.signals.clear()

    cdef int _read_head(self, const char* source, size_t size) except -1:
        """Raise unless the image has the right form for this pipeline."""
        cdef const image_head_t* head = <const image_head_t*>source
        cdef image_head_t own
        if size < sizeof(image_head_t):
            raise ImageError(f"{size} bytes are too few", "head")
        if head.magic != MAGIC:
            raise ImageError("these bytes are no image", "head")
        if head.version != IMAGE_VERSION:
            raise ImageError(f"version {head.version}, not {IMAGE_VERSION}", "head",
                             "use the version of the program that wrote it")
        memset(&own, 0, sizeof(image_head_t))
        self._write_head(&own)
        for name, found, wanted in (
                ("currencies", head.currency_count, own.currency_count),
                ("instruments", head.instrument_count, own.instrument_count),
                ("strategies", head.strategy_count, own.strategy_count),
                ("markets", head.market_count, own.market_count),
                ("execution ports", head.has_port, own.has_port)):
            if found != wanted:
                raise ImageError(f"made for {found} {name}, not {wanted}", "head",
                                 "map it to the new configuration first, or go back to the old one")
        if head.terms_hash != own.terms_hash:
            raise ImageError("made for instruments with other terms", "head",
                             "map it to the new configuration first, or go back to the old one")
        if not 0 <= head.order_count <= ORDER_SLOTS or head.order_capacity != _capacity(
                head.order_count) or size != self._size(head.order_capacity):
            raise ImageError(f"{size} bytes do not hold {head.order_count} orders", "size")
        if head.checksum != _checksum(source, size):
            raise ImageError("the checksum is wrong: the image is damaged", "checksum")
        return 0

    cdef int _check_counts(self, const image_head_t* head) noexcept nogil:
        if (head.ended_first < 0 or head.ended_first >= ORDER_SLOTS
                or head.ended_count < 0 or head.ended_count > head.order_count
                or head.is_valued < 0 or head.is_valued > 1 or head.pad != 0
                or head.watches_strategies < 0 or head.watches_strategies > 1
                or head.event_count < 0 or head.record_count < 0 or head.order_sequence < 0
                or head.order_sequence > (INT64_MAX >> SLOT_BITS) or head.signal_sequence < 0
                or head.sent_count < 0 or head.reserved < 0 or head.trade_count < 0
                or (head.has_port == 0 and (head.trade_count != 0 or head.duplicate_count != 0))):
            return FLAW_COUNT
        return FLAW_NONE

    cdef int _check_books(self, const char* source) noexcept nogil:
        """Limits, brackets, switches and marks."""
        cdef RiskGate gate = self.pipeline.gate
        cdef Ledger ledger = self.pipeline.ledger
        cdef const bracket_t* brackets
        cdef const holding_t* holdings = <const holding_t*>(
            source + self.ledger_offset + (<char*>ledger.holdings - ledger.state))
        cdef const switch_t* switches = <const switch_t*>(source + self.switches_offset)
        cdef const limits_t* limits
        cdef int k, block
        for block in range(self.copy_count):
            if (self.copies[block].live == &gate.overall or self.copies[block].live == gate.markets
                    or self.copies[block].live == gate.strategies
                    or self.copies[block].live == gate.symbols):
                limits = <const limits_t*>(source + self.copies[block].offset)
                for k in range(<int>(self.copies[block].size // sizeof(limits_t))):
                    if not _limits_are_possible(&limits[k]):
                        return FLAW_LIMIT
            elif self.copies[block].live == self.pipeline.orders.brackets:
                brackets = <const bracket_t*>(source + self.copies[block].offset)
                for k in range(ledger.strategy_count * ledger.instrument_count):
                    if brackets[k].side < -1 or brackets[k].side > 1:
                        return FLAW_BRACKET
        for k in range(ledger.strategy_count):
            if switches[k].enabled < 0 or switches[k].enabled > 1:
                return FLAW_SWITCH
        for k in range(ledger.instrument_count):
            if holdings[k].mark_ticks < 0 or holdings[k].margin != 0:
                return FLAW_MARK
        return FLAW_NONE

    cdef int _check_orders(self, const char* source) noexcept nogil:
        cdef const image_head_t* head = <const image_head_t*>source
        cdef const order_t* order = <const order_t*>(source + self.orders_offset)
        cdef int k, done = 0
        for k in range(head.order_count):
            if ((order.order_id & (ORDER_SLOTS - 1)) != k or (order.order_id >> SLOT_BITS) < 1
                    or (order.order_id >> SLOT_BITS) > head.order_sequence
                    or order.strategy < 0 or order.strategy >= head.strategy_count
                    or order.instrument < 0 or order.instrument >= head.instrument_count
                    or (order.side != SIDE_BUY and order.side != SIDE_SELL)
                    or order.state < STATE_INITIALIZED or order.state > STATE_REJECTED
                    or order.role < ROLE_ENTRY or order.role > ROLE_FLATTEN
                    or order.type < ORDER_MARKET or order.type > ORDER_TRAILING_STOP
                    or order.filled_lots < 0 or order.reserved < 0):
                return FLAW_ORDER
            done += _is_done(order)
            order += 1
        if done != head.ended_count or head.open_order_count != head.order_count - done:
            return FLAW_ORDER_COUNT
        if not _is_zero(<const char*>order,
                        (head.order_capacity - head.order_count) * sizeof(order_t)):
            return FLAW_GAP
        return FLAW_NONE

    cdef int _check_ended(self, const char* source) noexcept nogil:
        """The ring names each ended order once, and nothing beside it."""
        cdef const image_head_t* head = <const image_head_t*>source
        cdef const order_t* orders = <const order_t*>(source + self.orders_offset)
        cdef const int16_t* ended = <const int16_t*>(source + self.ended_offset)
        cdef uint64_t[ORDER_SLOTS // 64] named
        cdef uint64_t bit
        cdef int k, slot
        memset(named, 0, sizeof(named))
        for k in range(ORDER_SLOTS):
            slot = ended[(head.ended_first + k) & (ORDER_SLOTS - 1)]
            if k >= head.ended_count:
                if slot != 0:
                    return FLAW_ENDED
                continue
            if slot < 0 or slot >= head.order_count or not _is_done(&orders[slot]):
                return FLAW_ENDED
            bit = (<uint64_t>1) << (slot & 63)
            if named[slot >> 6] & bit:
                return FLAW_ENDED
            named[slot >> 6] |= bit
        return FLAW_NONE

    cdef int _check_gaps(self, const char* source, size_t size) noexcept nogil:
        cdef size_t end, start
        cdef int k
        for k in range(self.copy_count):
            start = self.copies[k].offset + self.copies[k].size
            end = self.orders_offset if k == self.copy_count - 1 else self.copies[k + 1].offset
            if not _is_zero(source + start, end - start):
                return FLAW_GAP
        return FLAW_NONE

    cdef int _restore_ledger(self, const char* source) except -1:
        """The ledger checks its books itself, and takes them or changes nothing."""
        cdef Ledger ledger = self.pipeline.ledger
        cdef bytes books = source[self.ledger_offset:self.ledger_offset + ledger.state_size]
        try:
            ledger.restore_books(books, (<const image_head_t*>source).conversion_paid)
        except ValueError as error:
            raise ImageError(str(error), "ledger") from error
        return 0

    cdef void _read(self, const char* source) noexcept nogil:
        cdef const image_head_t* head = <const image_head_t*>source
        cdef RiskGate gate = self.pipeline.gate
        cdef OrderManager orders = self.pipeline.orders
        cdef const int16_t* ended = <const int16_t*>(source + self.ended_offset)
        cdef int k
        for k in range(1, self.copy_count):  # the first is the ledger's
            if self.copies[k].live != NULL:
                memcpy(self.copies[k].live, source + self.copies[k].offset, self.copies[k].size)
        memset(orders.orders, 0, ORDER_SLOTS * sizeof(order_t))
        memcpy(orders.orders, source + self.orders_offset, head.order_count * sizeof(order_t))
        for k in range(ORDER_SLOTS):
            orders.ended_slots[k] = ended[k]
        orders.fresh_slot = head.order_count
        orders.ended_first = head.ended_first
        orders.ended_count = head.ended_count
        orders.order_sequence = head.order_sequence
        orders.signal_sequence = head.signal_sequence
        orders.denied_count = head.denied_count
        orders.late_fill_count = head.late_fill_count
        orders.stale_report_count = head.stale_report_count
        orders.outcome_tail = orders.outcome_head
        gate.open_order_count = head.open_order_count
        gate.is_valued = head.is_valued
        gate.watches_strategies = head.watches_strategies
        gate.equity = head.equity
        gate.initial_equity = head.initial_equity
        gate.account_scope.day_start = head.day_start
        gate.account_scope.peak = head.peak
        gate.day_end_ns = head.day_end_ns
        gate.sent_count = head.sent_count
        gate.reserved = head.reserved
        self.pipeline.now_ns = head.now_ns
        self.pipeline.event_count = head.event_count
        self.journal.resume(head.state_hash, head.record_count)
        if self.port is not None:
            self.port.trade_count = head.trade_count
            self.port.duplicate_count = head.duplicate_count
            self.port.know_orders(orders.orders, head.order_count)
