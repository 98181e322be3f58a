# cython: language_level=3
"""Market data in time order through the simulated venue and the pipeline."""

from libc.stdint cimport int64_t, uint64_t

from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.samples cimport Samples
from mmats._core.types cimport event_t, ts_ns_t

cdef class Source:
    cdef object chunks              # iterator of event arrays
    cdef object held                # the array that `rows` points into
    cdef const event_t* rows
    cdef int64_t count
    cdef int64_t ready              # rows before it are checked
    cdef int64_t position           # next row
    cdef int instrument
    cdef ts_ns_t last_ns
    cdef uint64_t data_hash
    cdef Samples marks              # ts_ns and price ticks, the last of each hour
    cdef ts_ns_t hour_end_ns
    cdef const event_t* head(self) noexcept nogil
    cdef bint has_bar_at(self, ts_ns_t ts) noexcept nogil
    cdef bint has_row(self) except -1
    cdef bint advance(self) except -1
    cdef bint _next_chunk(self) except -1
    cdef bint _check_block(self) except -1
    cdef ts_ns_t _keep_mark(self, const event_t* row, ts_ns_t hour_end_ns) except -1

cdef class DelayLine:
    cdef event_t* rows
    cdef int64_t capacity
    cdef int64_t head
    cdef int64_t tail
    cdef ts_ns_t last_recv_ns
    cdef uint64_t random_state
    cdef uint64_t draw(self) noexcept nogil
    cdef int push(self, const event_t* event, ts_ns_t latency_ns, ts_ns_t jitter_ns) except -1

cdef class Replay:
    cdef Pipeline pipeline
    cdef SimulatedVenue venue
    cdef list sources
    cdef readonly int64_t event_count
    cdef readonly ts_ns_t first_ns
    cdef readonly ts_ns_t last_ns
    cdef ts_ns_t feed_latency_ns
    cdef ts_ns_t feed_jitter_ns
    cdef DelayLine delayed
    cdef const event_t** together   # room for one bar a source
    cdef Source _earliest(self, list live)
    cdef int _play_together(self, list live, Source first) except -1
    cdef bint _is_delayed(self) noexcept nogil
    cdef ts_ns_t _next_other(self, list live, Source source) except? -1
    cdef int _play(self, Source source, ts_ns_t until_ns) except -1
    cdef int _deliver_until(self, ts_ns_t now_ns) except -1
