# cython: language_level=3
"""Where the pipeline writes down what it decided and learned: the journal port and its recorder."""

from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint64_t

from mmats._core.types cimport lots_t, money_t, order_t, price_ticks_t, ts_ns_t

cpdef enum RecordKind:
    RECORD_SIGNAL = 1       # a strategy asked for something
    RECORD_DENIED = 2       # our risk gate said no: reason, observed, limit
    RECORD_SUBMITTED = 3    # the intent, before it leaves
    RECORD_ACCEPTED = 4
    RECORD_TRIGGERED = 5
    RECORD_FILLED = 6
    RECORD_CANCELED = 7
    RECORD_EXPIRED = 8
    RECORD_REJECTED = 9
    RECORD_UPDATED = 10
    RECORD_CANCEL_SENT = 11
    RECORD_STATE = 12       # trading state or strategy state changed
    RECORD_LATE_FILL = 13   # a fill for an order we thought done
    RECORD_CONVERSION = 14
    RECORD_ADVISED = 15     # passed the gate, and would have left if there were a way out
    RECORD_UNKNOWN = 16     # nobody answered for the order in time: it is asked for
    RECORD_NOT_FOUND = 17   # the venue has said often enough that it never had the order

# What a RECORD_STATE is about (its `limit`); `observed` is the new state.
cpdef enum StateScope:
    SCOPE_ENABLED = 0       # `strategy` is enabled: 1, or not: 0
    SCOPE_GLOBAL = 1        # TradingState of the account
    SCOPE_MARKET = 2        # TradingState of the market whose index is in `instrument`
    SCOPE_STRATEGY = 3      # TradingState of `strategy`

# One fact, 160 bytes. Fields that a kind does not use are 0.
cdef struct record_t:
    ts_ns_t ts_ns             # pipeline time
    ts_ns_t ts_event_ns       # venue time for reports
    int64_t signal_id
    int64_t order_id
    int64_t trade_id
    lots_t lots               # signal/order: quantity; fill: last
    price_ticks_t price_ticks # signal/order: limit or 0; fill: last
    price_ticks_t trigger_ticks
    price_ticks_t stop_loss_ticks
    price_ticks_t take_profit_ticks
    int64_t observed          # denial; fill: position lots after
    int64_t limit             # denial
    money_t realized          # account currency, fill
    money_t fee               # account currency, fill
    money_t spread_cost       # account currency, fill: |touch - mid|
    money_t slippage_cost     # account currency, fill: worse than touch is positive
    int32_t strategy
    int32_t instrument
    int16_t reason
    int8_t kind               # RecordKind
    int8_t side
    int8_t order_type
    int8_t tif
    int8_t flags
    int8_t role
    int8_t liquidity
    int8_t state
    int16_t pad_short         # no hidden padding: every byte is part of the hash
    int32_t pad_long
    int64_t confidence_ppm    # signal

# Fill in everything that an order says; the rest of the record is 0.
cdef void describe(record_t* record, int kind, const order_t* order, ts_ns_t now_ns,
                   ts_ns_t event_ns, int reason) noexcept nogil

cdef class JournalPort:
    cdef readonly uint64_t state_hash     # running hash over every record appended
    cdef readonly int64_t record_count
    cdef int append(self, const record_t* record) except -1

cdef class MemoryJournal(JournalPort):
    cdef record_t* records
    cdef int64_t capacity
    cdef int64_t view_count

cdef class RingJournal(JournalPort):
    cdef record_t* records
    cdef int64_t capacity
    cdef int64_t taken_count
    cdef int64_t position             # where the next record goes

    # Records that nobody has taken yet.
    cdef int64_t waiting(self) noexcept nogil
    # Go on after `record_count` records of an earlier run; none may be waiting.
    cdef void resume(self, uint64_t state_hash, int64_t record_count) noexcept nogil
