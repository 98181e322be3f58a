# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""The journal port and the recorder that keeps a run in memory."""

cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

import numpy as np

from mmats._core.journal cimport record_t

cdef enum:
    FIRST_CAPACITY = 1024

cdef uint64_t HASH_OFFSET = 0xcbf29ce484222325U
cdef uint64_t HASH_PRIME = 0x100000001b3U


cdef inline uint64_t _mix(uint64_t state, const record_t* record) noexcept nogil:
    """FNV-1a over the record's 64-bit words, with a shift so that high bits reach low ones."""
    cdef const uint64_t* words = <const uint64_t*>record
    cdef size_t k
    for k in range(sizeof(record_t) // 8):
        state = (state ^ words[k]) * HASH_PRIME
        state ^= state >> 29
    return state


cdef class JournalPort:
    """Takes every record of the pipeline in order and hashes it; subclasses also keep it."""

    def __cinit__(self):
        self.state_hash = HASH_OFFSET
        self.record_count = 0

    cdef int append(self, const record_t* record) except -1:
        self.state_hash = _mix(self.state_hash, record)
        self.record_count += 1
        return 0


@cython.final
cdef class MemoryJournal(JournalPort):
    """Keeps all records of a run in memory, for the report."""

    def __cinit__(self):
        self.records = NULL
        self.capacity = 0

    def __dealloc__(self):
        free(self.records)

    cdef int append(self, const record_t* record) except -1:
        cdef int64_t wanted
        cdef record_t* grown
        if self.record_count == self.capacity:
            wanted = self.capacity * 2 if self.capacity else FIRST_CAPACITY
            grown = <record_t*>realloc(self.records, wanted * sizeof(record_t))
            if grown == NULL:
                raise MemoryError("journal: no memory for more records")
            self.records = grown
            self.capacity = wanted
        memcpy(&self.records[self.record_count], record, sizeof(record_t))
        self.state_hash = _mix(self.state_hash, record)
        self.record_count += 1
        return 0

    def to_array(self):
        """Copy the records into an array of ``RECORD_DTYPE``."""
        from mmats._core.frames import RECORD_DTYPE

        out = np.empty(self.record_count, dtype=RECORD_DTYPE)
        cdef char[::1] view
        if self.record_count:
            view = out.view("i1")
            memcpy(&view[0], self.records, self.record_count * sizeof(record_t))
        return out
