# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Growing tables of integers: what a run keeps of its curves."""

cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import numpy as np

cdef extern from "pages.h":
    void* mmats_grow(void* block, size_t size_bytes) noexcept nogil


@cython.final
cdef class Samples:
    """Growing table of int64 rows."""

    def __cinit__(self, int width):
        self.width = width
        self.rows = NULL
        self.count = self.capacity = 0

    def __dealloc__(self):
        free(self.rows)

    cdef int64_t* add(self) except NULL:
        cdef int64_t wanted
        cdef int64_t* grown
        if self.count == self.capacity:
            wanted = self.capacity + self.capacity // 2 if self.capacity else 1024
            grown = <int64_t*>mmats_grow(self.rows, wanted * self.width * sizeof(int64_t))
            if grown == NULL:
                raise MemoryError("no memory for more samples")
            self.rows = grown
            self.capacity = wanted
        self.count += 1
        return &self.rows[(self.count - 1) * self.width]

    def to_array(self):
        out = np.empty((self.count, self.width), dtype=np.int64)
        cdef int64_t[:, ::1] view = out
        if self.count:
            memcpy(&view[0, 0], self.rows, self.count * self.width * sizeof(int64_t))
        return out
