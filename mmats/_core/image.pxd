# cython: language_level=3
"""The state that decides what happens next, as bytes that are restored exactly."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

from mmats._core.execution cimport ExecutionPort
from mmats._core.journal cimport RingJournal
from mmats._core.ledger cimport Ledger
from mmats._core.order_table cimport inquiry_t
from mmats._core.orders cimport OrderManager
from mmats._core.pipeline cimport Pipeline
from mmats._core.risk cimport RiskGate
from mmats._core.types cimport money_t, order_t, ts_ns_t

cdef enum:
    IMAGE_VERSION = 2
    IMAGE_PAGE = 1024           # the journal keeps changed pages only
    SLOT_STEP = 64              # order slots are added in steps of so many: 13 pages
    COPIES_MAX = 24

# The first part of an image. The dtype of the whole is `image_dtype`.
cdef struct image_head_t:
    uint64_t magic
    uint64_t checksum           # of everything after it
    uint64_t terms_hash         # of the instruments' terms, see Accounts
    int32_t version
    int32_t currency_count
    int32_t instrument_count
    int32_t strategy_count
    int32_t market_count
    int32_t has_port
    int32_t order_count         # slots that were ever used
    int32_t order_capacity      # the same, rounded up to a whole SLOT_STEP
    int32_t ended_first
    int32_t ended_count
    int32_t open_order_count
    int32_t is_valued
    int32_t watches_strategies
    int32_t unknown_order_count
    int32_t pending_closing_count
    int32_t pad
    ts_ns_t now_ns
    int64_t event_count
    uint64_t state_hash         # of the journal
    int64_t record_count
    int64_t order_sequence
    int64_t signal_sequence
    int64_t denied_count
    int64_t late_fill_count
    int64_t stale_report_count
    money_t conversion_paid
    money_t equity
    money_t initial_equity
    money_t day_start
    money_t peak
    ts_ns_t day_end_ns
    int64_t sent_count
    money_t reserved
    int64_t trade_count
    int64_t duplicate_count

cdef struct switch_t:           # one strategy
    int64_t enabled
    int64_t signal_count

cdef struct slots_t:            # a step of order slots
    order_t orders[SLOT_STEP]
    inquiry_t inquiries[SLOT_STEP]

cdef struct copy_t:             # a block of memory and its place in the image
    void* live
    size_t size
    size_t offset

cdef class StateImage:
    cdef Pipeline pipeline
    cdef Ledger ledger
    cdef RiskGate gate
    cdef OrderManager orders
    cdef RingJournal journal
    cdef ExecutionPort port             # None where the venue is simulated, or there is none
    cdef copy_t copies[COPIES_MAX]
    cdef int copy_count
    cdef size_t ledger_offset
    cdef size_t switches_offset
    cdef size_t ended_offset            # int16 [ORDER_SLOTS], places as in the ring
    cdef size_t slots_offset            # whole pages from here on: slots_t
    cdef size_t _add(self, void* live, size_t size) except 0
    cdef int _place(self) except -1
    cdef size_t _size(self, int order_capacity) noexcept nogil
    cdef void _write_head(self, image_head_t* head) noexcept nogil
    cdef void _write(self, char* target) noexcept nogil
    cdef int _read_head(self, const char* source, size_t size) except -1
    cdef int _check_counts(self, const image_head_t* head) noexcept nogil
    cdef int _check_books(self, const char* source) noexcept nogil
    cdef int _check_orders(self, const char* source) noexcept nogil
    cdef int _check_ended(self, const char* source) noexcept nogil
    cdef int _check_gaps(self, const char* source, size_t size) noexcept nogil
    cdef int _restore_ledger(self, const char* source) except -1
    cdef void _read(self, const char* source) noexcept nogil
