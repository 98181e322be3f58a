# cython: language_level=3
"""Growing tables of integers."""

from libc.stdint cimport int64_t

cdef class Samples:
    cdef int64_t* rows
    cdef int64_t count
    cdef int64_t capacity
    cdef int width
    cdef int64_t* add(self) except NULL
