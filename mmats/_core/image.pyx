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

from mmats._core.accounts cimport holding_t
from mmats._core.brackets cimport bracket_t
from mmats._core.dispatch cimport CLOSING_FAILED, CLOSING_NONE, CLOSING_PENDING, closing_t
from mmats._core.execution cimport TRADES_SEEN_MAX, ExecutionPort, trade_t
from mmats._core.exposure cimport open_t
from mmats._core.journal cimport RingJournal
from mmats._core.limits cimport RATE_WINDOW_MAX, limits_t
from mmats._core.order_table cimport ORDER_SLOTS, SLOT_BITS, inquiry_t, is_done
from mmats._core.pipeline cimport Pipeline
from mmats._core.risk cimport scope_t
from mmats._core.sizing cimport track_t
from mmats._core.slots cimport StrategySlot
from mmats._core.types cimport (
    ORDER_MARKET, ORDER_TRAILING_STOP, ROLE_ENTRY, ROLE_FLATTEN, SIDE_BUY, SIDE_SELL,
    STATE_INITIALIZED, STATE_REJECTED, STATE_UNKNOWN, TRADING_ACTIVE, TRADING_HALTED, lots_t,
    money_t, order_t,
)

from mmats._core.image_layout import HEAD_DTYPE, image_dtype

cdef extern from "mix.h":
    uint64_t mmats_mix(uint64_t state, const void* words, int word_count) noexcept nogil

cdef uint64_t MAGIC = 0x31474d495354414dU  # "MATSIMG1"
cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U
cdef enum:
    SEALED = 16                 # bytes before what the checksum covers
    SLOT_WORDS = 64             # one bit for each order slot

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
    FLAW_CLOSING = 10

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
    ("pending closings or unknown orders and their counts differ", "closings"),
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


def read_image(bytes data not None):
    if len(data) < <Py_ssize_t>sizeof(image_head_t):
        raise ImageError(f"{len(data)} bytes are too few", "head")
    head = np.frombuffer(data, HEAD_DTYPE, 1)[0]
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
        self.ledger = pipeline.ledger
        self.gate = pipeline.gate
        self.orders = pipeline.orders
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
        cdef size_t instruments = self.ledger.instrument_count, strategies = self.ledger.strategy_count
        cdef size_t markets = self.gate.market_count, cells = instruments * strategies
        self.copy_count = 0
        self.ledger_offset = self._add(self.ledger.state, self.ledger.state_size)
        self._add(&self.gate.overall, sizeof(limits_t))
        self._add(self.gate.markets, markets * sizeof(limits_t))
        self._add(self.gate.strategies, strategies * sizeof(limits_t))
        self._add(self.gate.symbols, instruments * sizeof(limits_t))
        self._add(self.gate.order_lots_max, instruments * sizeof(lots_t))
        self._add(self.gate.position_lots_max, instruments * sizeof(lots_t))
        self._add(self.gate.market_scopes, markets * sizeof(scope_t))
        self._add(self.gate.strategy_scopes, strategies * sizeof(scope_t))
        self._add(self.gate.open, instruments * sizeof(open_t))
        self._add(self.gate.open_by_cell, cells * sizeof(open_t))
        self._add(self.gate.open_orders, strategies * sizeof(int32_t))
        self._add(self.gate.unknown_orders, cells * sizeof(int32_t))
        self._add(self.orders.closings, cells * sizeof(closing_t))
        self._add(self.orders.brackets, cells * sizeof(bracket_t))
        self._add(self.orders.tracks, strategies * sizeof(track_t))
        self._add(self.orders.open_results, cells * sizeof(money_t))
        self.switches_offset = self._add(NULL, strategies * sizeof(switch_t))
        self._add(self.gate.sent_ns, RATE_WINDOW_MAX * sizeof(int64_t))
        if self.port is not None:
            self._add(self.port.trades_seen, TRADES_SEEN_MAX * sizeof(trade_t))
        self.ended_offset = self._add(NULL, ORDER_SLOTS * sizeof(int16_t))
        self.slots_offset = _round_up(
            self.ended_offset + ORDER_SLOTS * sizeof(int16_t), IMAGE_PAGE)
        dtype = image_dtype({
            "currency_count": self.ledger.currency_count, "instrument_count": instruments,
            "strategy_count": strategies, "market_count": markets,
            "has_port": self.port is not None, "order_capacity": SLOT_STEP,
        })
        inside = {"head", "dust_costs", "cells", "holdings", "slots"}
        if self.port is None:
            inside.add("trades_seen")
        places = [dtype.fields[name][1] for name in dtype.names if name not in inside]
        if (dtype.itemsize != self._size(SLOT_STEP) or dtype["head"].itemsize != sizeof(image_head_t)
                or dtype.fields["slots"][1] != self.slots_offset
                or places != [self.copies[k].offset for k in range(self.copy_count)]):
            raise AssertionError("the layout differs from image_layout.py")
        return 0

    cdef size_t _size(self, int order_capacity) noexcept nogil:
        return self.slots_offset + order_capacity // SLOT_STEP * sizeof(slots_t)

    # -- taking ----------------------------------------------------------------------------------

    def to_bytes(self):
        cdef size_t size = self._size(_capacity(self.orders.fresh_slot))
        cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
        cdef char* target = PyBytes_AsString(out)
        cdef switch_t* switches
        cdef int k
        memset(target, 0, size)
        switches = <switch_t*>(target + self.switches_offset)
        for k in range(self.ledger.strategy_count):
            switches[k].enabled = (<StrategySlot>self.pipeline.strategies[k]).enabled
            switches[k].signal_count = (<StrategySlot>self.pipeline.strategies[k]).signal_count
        self._write(target)
        (<image_head_t*>target).checksum = _checksum(target, size)
        return out

    cdef void _write(self, char* target) noexcept nogil:
        cdef holding_t* holdings
        cdef slots_t* slots
        cdef int16_t* ended = <int16_t*>(target + self.ended_offset)
        cdef int k, place, used
        self._write_head(<image_head_t*>target)
        for k in range(self.copy_count):
            if self.copies[k].live != NULL:
                memcpy(target + self.copies[k].offset, self.copies[k].live, self.copies[k].size)
        holdings = <holding_t*>(target + self.ledger_offset + (
            <char*>self.ledger.holdings - self.ledger.state))
        for k in range(self.ledger.instrument_count):
            holdings[k].margin = 0  # a cache, filled only when somebody asked
        for k in range(self.orders.ended_count):
            place = (self.orders.ended_first + k) & (ORDER_SLOTS - 1)
            ended[place] = self.orders.ended_slots[place]
        slots = <slots_t*>(target + self.slots_offset)
        for k in range(_capacity(self.orders.fresh_slot) // SLOT_STEP):
            used = self.orders.fresh_slot - k * SLOT_STEP
            used = used if used < SLOT_STEP else SLOT_STEP
            memcpy(slots[k].orders, &self.orders.orders[k * SLOT_STEP], used * sizeof(order_t))
            memcpy(slots[k].inquiries, &self.orders.inquiries[k * SLOT_STEP],
                   used * sizeof(inquiry_t))

    cdef void _write_head(self, image_head_t* head) noexcept nogil:
        head.magic = MAGIC
        head.version = IMAGE_VERSION
        head.terms_hash = self.ledger._terms_hash()
        head.currency_count = self.ledger.currency_count
        head.instrument_count = self.ledger.instrument_count
        head.strategy_count = self.ledger.strategy_count
        head.market_count = self.gate.market_count
        head.order_count = self.orders.fresh_slot
        head.order_capacity = _capacity(self.orders.fresh_slot)
        head.ended_first = self.orders.ended_first
        head.ended_count = self.orders.ended_count
        head.open_order_count = self.gate.open_order_count
        head.unknown_order_count = self.gate.unknown_order_count
        head.pending_closing_count = self.orders.pending_closing_count
        head.is_valued = self.gate.is_valued
        head.watches_strategies = self.gate.watches_strategies
        head.now_ns = self.pipeline.now_ns
        head.event_count = self.pipeline.event_count
        head.state_hash = self.journal.state_hash
        head.record_count = self.journal.record_count
        head.order_sequence = self.orders.order_sequence
        head.signal_sequence = self.orders.signal_sequence
        head.denied_count = self.orders.denied_count
        head.late_fill_count = self.orders.late_fill_count
        head.stale_report_count = self.orders.stale_report_count
        head.conversion_paid = self.ledger.conversion_paid
        head.equity = self.gate.equity
        head.initial_equity = self.gate.initial_equity
        head.day_start = self.gate.account_scope.day_start
        head.peak = self.gate.account_scope.peak
        head.day_end_ns = self.gate.day_end_ns
        head.sent_count = self.gate.sent_count
        head.reserved = self.gate.reserved
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
        for k in range(self.ledger.strategy_count):
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
        cdef const bracket_t* brackets
        cdef const closing_t* closings
        cdef const int32_t* unknown
        cdef int64_t pending_count = 0, unknown_count = 0
        cdef const holding_t* holdings = <const holding_t*>(
            source + self.ledger_offset + (<char*>self.ledger.holdings - self.ledger.state))
        cdef const switch_t* switches = <const switch_t*>(source + self.switches_offset)
        cdef const limits_t* limits
        cdef int k, block
        for block in range(self.copy_count):
            if (self.copies[block].live == &self.gate.overall or self.copies[block].live == self.gate.markets
                    or self.copies[block].live == self.gate.strategies
                    or self.copies[block].live == self.gate.symbols):
                limits = <const limits_t*>(source + self.copies[block].offset)
                for k in range(<int>(self.copies[block].size // sizeof(limits_t))):
                    if not _limits_are_possible(&limits[k]):
                        return FLAW_LIMIT
            elif self.copies[block].live == self.orders.brackets:
                brackets = <const bracket_t*>(source + self.copies[block].offset)
                for k in range(self.ledger.strategy_count * self.ledger.instrument_count):
                    if brackets[k].side < -1 or brackets[k].side > 1:
                        return FLAW_BRACKET
            elif self.copies[block].live == self.orders.closings:
                closings = <const closing_t*>(source + self.copies[block].offset)
                for k in range(self.ledger.strategy_count * self.ledger.instrument_count):
                    if closings[k].state < CLOSING_NONE or closings[k].state > CLOSING_FAILED:
                        return FLAW_CLOSING
                    pending_count += closings[k].state == CLOSING_PENDING
            elif self.copies[block].live == self.gate.unknown_orders:
                unknown = <const int32_t*>(source + self.copies[block].offset)
                for k in range(self.ledger.strategy_count * self.ledger.instrument_count):
                    unknown_count += unknown[k]
        if (pending_count != (<const image_head_t*>source).pending_closing_count
                or unknown_count != (<const image_head_t*>source).unknown_order_count):
            return FLAW_CLOSING
        for k in range(self.ledger.strategy_count):
            if switches[k].enabled < 0 or switches[k].enabled > 1:
                return FLAW_SWITCH
        for k in range(self.ledger.instrument_count):
            if holdings[k].mark_ticks < 0 or holdings[k].margin != 0:
                return FLAW_MARK
        return FLAW_NONE

    cdef int _check_orders(self, const char* source) noexcept nogil:
        cdef const image_head_t* head = <const image_head_t*>source
        cdef const slots_t* slots = <const slots_t*>(source + self.slots_offset)
        cdef const order_t* order
        cdef int k, done = 0, unknown = 0
        for k in range(head.order_capacity):
            order = &slots[k // SLOT_STEP].orders[k % SLOT_STEP]
            if k >= head.order_count:
                if not (_is_zero(<const char*>order, sizeof(order_t)) and _is_zero(
                        <const char*>&slots[k // SLOT_STEP].inquiries[k % SLOT_STEP],
                        sizeof(inquiry_t))):
                    return FLAW_GAP
                continue
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
            done += is_done(order)
            unknown += order.state == STATE_UNKNOWN
        if (done != head.ended_count or head.open_order_count != head.order_count - done
                or head.unknown_order_count != unknown):
            return FLAW_ORDER_COUNT
        return FLAW_NONE

    cdef int _check_ended(self, const char* source) noexcept nogil:
        """The ring names each ended order once, and nothing beside it."""
        cdef const image_head_t* head = <const image_head_t*>source
        cdef const slots_t* slots = <const slots_t*>(source + self.slots_offset)
        cdef const int16_t* ended = <const int16_t*>(source + self.ended_offset)
        cdef uint64_t[SLOT_WORDS] named
        cdef uint64_t bit
        cdef int k, slot
        memset(named, 0, sizeof(named))
        for k in range(ORDER_SLOTS):
            slot = ended[(head.ended_first + k) & (ORDER_SLOTS - 1)]
            if k >= head.ended_count:
                if slot != 0:
                    return FLAW_ENDED
                continue
            if slot < 0 or slot >= head.order_count or not is_done(
                    &slots[slot // SLOT_STEP].orders[slot % SLOT_STEP]):
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
            end = self.slots_offset if k == self.copy_count - 1 else self.copies[k + 1].offset
            if not _is_zero(source + start, end - start):
                return FLAW_GAP
        return FLAW_NONE

    cdef int _restore_ledger(self, const char* source) except -1:
        """The ledger checks its books itself, and takes them or changes nothing."""
        try:
            self.ledger.restore_books(
                source + self.ledger_offset, (<const image_head_t*>source).conversion_paid)
        except ValueError as error:
            raise ImageError(str(error), "ledger") from error
        return 0

    cdef void _read(self, const char* source) noexcept nogil:
        cdef const image_head_t* head = <const image_head_t*>source
        cdef const slots_t* slots = <const slots_t*>(source + self.slots_offset)
        cdef const int16_t* ended = <const int16_t*>(source + self.ended_offset)
        cdef int k
        for k in range(1, self.copy_count):  # the first is the ledger's
            if self.copies[k].live != NULL:
                memcpy(self.copies[k].live, source + self.copies[k].offset, self.copies[k].size)
        memset(self.orders.orders, 0, ORDER_SLOTS * sizeof(order_t))
        memset(self.orders.inquiries, 0, ORDER_SLOTS * sizeof(inquiry_t))
        for k in range(head.order_count):
            self.orders.orders[k] = slots[k // SLOT_STEP].orders[k % SLOT_STEP]
            self.orders.inquiries[k] = slots[k // SLOT_STEP].inquiries[k % SLOT_STEP]
        for k in range(ORDER_SLOTS):
            self.orders.ended_slots[k] = ended[k]
        self.orders.fresh_slot = head.order_count
        self.orders.ended_first = head.ended_first
        self.orders.ended_count = head.ended_count
        self.orders.order_sequence = head.order_sequence
        self.orders.signal_sequence = head.signal_sequence
        self.orders.denied_count = head.denied_count
        self.orders.late_fill_count = head.late_fill_count
        self.orders.stale_report_count = head.stale_report_count
        self.orders.outcome_tail = self.orders.outcome_head
        self.gate.open_order_count = head.open_order_count
        self.gate.unknown_order_count = head.unknown_order_count
        self.orders.pending_closing_count = head.pending_closing_count
        self.gate.is_valued = head.is_valued
        self.gate.watches_strategies = head.watches_strategies
        self.gate.equity = head.equity
        self.gate.initial_equity = head.initial_equity
        self.gate.account_scope.day_start = head.day_start
        self.gate.account_scope.peak = head.peak
        self.gate.day_end_ns = head.day_end_ns
        self.gate.sent_count = head.sent_count
        self.gate.reserved = head.reserved
        self.pipeline.now_ns = head.now_ns
        self.pipeline.event_count = head.event_count
        self.journal.resume(head.state_hash, head.record_count)
        if self.port is not None:
            self.port.trade_count = head.trade_count
            self.port.duplicate_count = head.duplicate_count
            for k in range(ORDER_SLOTS):
                self.port.order_ids[k] = self.orders.orders[k].order_id
                self.port.instruments[k] = self.orders.orders[k].instrument
