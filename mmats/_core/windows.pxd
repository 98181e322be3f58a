# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Running sums, averages and extremes of the last inputs: what indicators are made of.

Windows live in one block of doubles of the caller; every function is O(1) per input, amortized
for the extremes.
"""

from libc.math cimport NAN, fabs
from libc.stdint cimport int32_t, int64_t

cdef struct total_t:        # compensated sum: the value is high + low
    double high
    double low

cdef struct smooth_t:       # exponential average seeded by the mean of the first `period` inputs
    double alpha
    double value            # NaN until seeded
    double seed             # sum of the inputs before it is seeded
    int32_t period
    int32_t seen            # inputs so far, at most `period`

cdef struct ring_t:         # the last `period` inputs, in `windows`; zeros before the first
    int64_t start
    int32_t period
    int32_t head            # index of the oldest, which the next input replaces

cdef struct extreme_t:      # monotone deque: the maximum of sign * input over `period` bars
    int64_t start           # `period` values, then the `period` bar numbers they belong to
    double sign
    int32_t period
    int32_t head
    int32_t size


cdef inline void set_smooth(smooth_t* smooth, int32_t period, double alpha) noexcept nogil:
    smooth.alpha = alpha
    smooth.period = period
    smooth.value = NAN


cdef inline int64_t set_ring(ring_t* ring, int32_t period, int64_t start) noexcept nogil:
    """Return where the next window starts."""
    ring.start = start
    ring.period = period
    return start + period


cdef inline int64_t set_extreme(extreme_t* deque, int32_t period, double sign,
                                int64_t start) noexcept nogil:
    deque.start = start
    deque.period = period
    deque.sign = sign
    return start + 2 * <int64_t>period


cdef inline void add(total_t* total, double x) noexcept nogil:
    """Add x and keep the rounding error (Knuth, TAOCP 2, 4.2.2, theorem B: TwoSum)."""
    cdef double high = total.high + x
    cdef double part = high - total.high
    total.low += (total.high - (high - part)) + (x - part)
    total.high = high


cdef inline double roll(ring_t* ring, total_t* total, double* windows, double x) noexcept nogil:
    """Replace the oldest input by x; return the sum of the window."""
    cdef double* slot = windows + ring.start + ring.head
    add(total, -slot[0])
    add(total, x)
    slot[0] = x
    ring.head += 1
    if ring.head == ring.period:
        ring.head = 0
    return total.high + total.low


cdef inline double shift(ring_t* ring, double* windows, double x) noexcept nogil:
    """Replace the oldest input by x; return the oldest."""
    cdef double* slot = windows + ring.start + ring.head
    cdef double oldest = slot[0]
    slot[0] = x
    ring.head += 1
    if ring.head == ring.period:
        ring.head = 0
    return oldest


cdef inline double smooth_in(smooth_t* smooth, double x) noexcept nogil:
    if smooth.seen == smooth.period:
        smooth.value = (x - smooth.value) * smooth.alpha + smooth.value
        return smooth.value
    smooth.seen += 1
    smooth.seed += x
    if smooth.seen == smooth.period:
        smooth.value = smooth.seed / smooth.period
    return smooth.value


cdef inline double extreme_in(extreme_t* deque, double* windows, double x,
                              int64_t index) noexcept nogil:
    """Return the extreme of the last `period` inputs, x included.

    The deque holds only inputs that a later one does not beat, so its head is the extreme; each
    input enters and leaves once.
    """
    cdef double* values = windows + deque.start
    cdef double* stamps = values + deque.period
    cdef int32_t last
    x = x * deque.sign
    if deque.size > 0 and stamps[deque.head] <= <double>(index - deque.period):
        deque.size -= 1
        deque.head += 1
        if deque.head == deque.period:
            deque.head = 0
    while deque.size > 0:
        last = deque.head + deque.size - 1
        if last >= deque.period:
            last -= deque.period
        if values[last] > x:
            break
        deque.size -= 1
    last = deque.head + deque.size
    if last >= deque.period:
        last -= deque.period
    values[last] = x
    stamps[last] = <double>index
    deque.size += 1
    return values[deque.head] * deque.sign


cdef inline bint is_flat(double difference, double scale) noexcept nogil:
    """Whether a difference is only rounding of its operands (TA-Lib 0.8, TA_IS_ZERO_SCALED)."""
    return fabs(difference) <= 1e-14 * scale
