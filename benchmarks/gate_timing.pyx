# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Every call of the risk gate timed by itself, from C."""

from libc.stdint cimport int64_t, uint64_t

import numpy as np

from mmats._core.risk cimport RiskGate, verdict_t
from mmats._core.types cimport order_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    #if defined(__x86_64__)
    #include <x86intrin.h>
    static inline uint64_t mmats_ticks(void) { unsigned core; return __rdtscp(&core); }
    #else
    static inline uint64_t mmats_ticks(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    #endif
    static inline uint64_t mmats_wall_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    """
    uint64_t mmats_ticks() noexcept nogil
    uint64_t mmats_wall_ns() noexcept nogil


def time_checks(RiskGate gate not None, orders, int64_t now_ns):
    """Return ns of each check (the timer's own cost taken off) and how many orders passed."""
    cdef const unsigned char[::1] rows = orders.view("u1")
    cdef const order_t* order = <const order_t*>&rows[0]
    cdef Py_ssize_t k, count = len(orders)
    cdef verdict_t verdict
    cdef uint64_t start, first, first_ns
    cdef int64_t passed = 0
    spent = np.empty(count, dtype=np.uint64)
    empty = np.empty(count, dtype=np.uint64)
    cdef uint64_t[::1] ticks = spent
    cdef uint64_t[::1] nothing = empty
    with nogil:
        first = mmats_ticks()
        first_ns = mmats_wall_ns()
        for k in range(count):
            start = mmats_ticks()
            nothing[k] = mmats_ticks() - start
        for k in range(count):
            start = mmats_ticks()
            passed += gate.check(&order[k], now_ns, &verdict) == 0
            ticks[k] = mmats_ticks() - start
        first = mmats_ticks() - first
        first_ns = mmats_wall_ns() - first_ns
    ns_per_tick = <double>first_ns / <double>first
    return (spent.astype(np.float64) - np.median(empty)) * ns_per_tick, passed
