# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The journal port and the recorder that keeps a run in memory."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

cdef extern from "pages.h":
    void* mmats_grow(void* block, size_t size_bytes) noexcept nogil

from mmats._core.journal cimport record_t
from mmats._core.types cimport order_t, ts_ns_t

cdef enum:
    FIRST_CAPACITY = 1024

cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U

cdef extern from "mix.h":
    uint64_t mmats_mix(uint64_t state, const void* words, int word_count) noexcept nogil


cdef void describe(record_t* record, int kind, const order_t* order, ts_ns_t now_ns,
                   ts_ns_t event_ns, int reason) noexcept nogil:
    memset(record, 0, sizeof(record_t))
    record.ts_ns = now_ns
    record.ts_event_ns = event_ns
    record.kind = kind
    record.signal_id = order.signal_id
    record.order_id = order.order_id
    record.lots = order.quantity_lots
    record.price_ticks = order.price_ticks
    record.trigger_ticks = order.trigger_ticks
    record.stop_loss_ticks = order.stop_loss_ticks
    record.take_profit_ticks = order.take_profit_ticks
    record.strategy = order.strategy
    record.instrument = order.instrument
    record.reason = reason
    record.side = order.side
    record.order_type = order.type
    record.tif = order.tif
    record.flags = order.flags
    record.role = order.role
    record.state = order.state


class JournalFull(Exception):
    """The journal's reader is too slow: trading must stop, nothing may be lost."""


cdef class JournalPort:
    """Takes every record of the pipeline in order and hashes it; subclasses also keep it."""

    def __cinit__(self):
        self.state_hash = HASH_OFFSET
        self.record_count = 0

    cdef int append(self, const record_t* record) except -1:
        self.state_hash = mmats_mix(self.state_hash, record, sizeof(record_t) // 8)
        self.record_count += 1
        return 0


@cython.final
cdef class MemoryJournal(JournalPort):
    """Keeps all records of a run in memory, for the report."""

    def __cinit__(self):
        self.records = NULL
        self.capacity = self.view_count = 0

    def __dealloc__(self):
        free(self.records)

    cdef int append(self, const record_t* record) except -1:
        cdef int64_t wanted
        cdef record_t* grown
        if self.record_count == self.capacity:
            if self.view_count:
                raise BufferError("the journal is being read; it can't grow")
            wanted = self.capacity + self.capacity // 2 if self.capacity else FIRST_CAPACITY
            grown = <record_t*>mmats_grow(self.records, wanted * sizeof(record_t))
            if grown == NULL:
                raise MemoryError("journal: no memory for more records")
            self.records = grown
            self.capacity = wanted
        memcpy(&self.records[self.record_count], record, sizeof(record_t))
        self.state_hash = mmats_mix(self.state_hash, record, sizeof(record_t) // 8)
        self.record_count += 1
        return 0

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        # Read-only bytes; a view keeps the journal alive, so it must not grow meanwhile.
        self.view_count += 1
        PyBuffer_FillInfo(buffer, self, self.records, self.record_count * sizeof(record_t), 1, flags)

    def __releasebuffer__(self, Py_buffer* buffer):
        self.view_count -= 1

    def to_array(self):
        """Return the records as a read-only array of ``RECORD_DTYPE`` without copying them."""
        from mmats._core.frames import RECORD_DTYPE

        if self.record_count == 0:
            return np.empty(0, dtype=RECORD_DTYPE)
        return np.frombuffer(self, dtype=RECORD_DTYPE)


@cython.final
cdef class RingJournal(JournalPort):
    """Keeps the last records in fixed memory until a reader takes them; full is an error."""

    def __cinit__(self, int64_t capacity):
        if capacity <= 0:
            raise ValueError("a ring journal needs room for at least one record")
        self.capacity = capacity
        self.taken_count = self.position = 0
        self.records = <record_t*>calloc(capacity, sizeof(record_t))
        if self.records == NULL:
            raise MemoryError("journal: no memory for the ring")

    def __dealloc__(self):
        free(self.records)

    cdef int append(self, const record_t* record) except -1:
        if self.record_count - self.taken_count >= self.capacity:
            raise JournalFull(f"{self.capacity} records wait for the journal's reader")
        memcpy(&self.records[self.position], record, sizeof(record_t))
        self.position += 1
        if self.position == self.capacity:
            self.position = 0
        self.state_hash = mmats_mix(self.state_hash, record, sizeof(record_t) // 8)
        self.record_count += 1
        return 0

    @property
    def waiting_count(self):
        """Records that nobody has taken yet."""
        return self.record_count - self.taken_count

    def take(self):
        """Return all records that wait, in order, as a read-only array of ``RECORD_DTYPE``."""
        from mmats._core.frames import RECORD_DTYPE

        return np.frombuffer(self.take_bytes(), dtype=RECORD_DTYPE)

    def take_bytes(self):
        """Return all records that wait, in order, as bytes of ``RECORD_DTYPE``."""
        cdef int64_t count = self.record_count - self.taken_count
        cdef int64_t first = self.taken_count % self.capacity
        cdef int64_t to_end = min(count, self.capacity - first)
        cdef int64_t size = sizeof(record_t)
        cdef bytes out = PyBytes_FromStringAndSize(NULL, count * size)
        cdef char* target = PyBytes_AsString(out)
        memcpy(target, &self.records[first], to_end * size)
        memcpy(target + to_end * size, self.records, (count - to_end) * size)
        self.taken_count = self.record_count
        return out

    cdef int64_t waiting(self) noexcept nogil:
        return self.record_count - self.taken_count

    cdef void resume(self, uint64_t state_hash, int64_t record_count) noexcept nogil:
        self.state_hash = state_hash
        self.record_count = self.taken_count = record_count
        self.position = record_count % self.capacity
