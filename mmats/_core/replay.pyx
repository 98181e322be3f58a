# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Replays market data: merges sources by time, shows each event to the simulated venue first and
to the pipeline when the feed's latency has passed."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import numpy as np

from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.samples cimport Samples
from mmats._core.stage cimport play, play_together, show
from mmats._core.types cimport EVENT_BAR, EVENT_DELTA, EVENT_TIMER, event_t, ts_ns_t

cdef int64_t PROGRESS_EVERY = 65536
cdef enum:
    BLOCK_ROWS = 256        # 16 KiB, stays in the first-level cache
    PREFETCH_ROWS = 24
cdef ts_ns_t HOUR_NS = 3_600_000_000_000LL


cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* address) noexcept nogil

cdef extern from "mix.h":
    uint64_t mmats_mix(uint64_t state, const void* words, int word_count) noexcept nogil


class OutOfOrder(ValueError):
    """A source holds events that go back in time."""


@cython.final
cdef class Source:
    """Events of one instrument, read chunk by chunk from an iterable of 64-byte record arrays."""

    def __init__(self, int instrument, chunks):
        self.instrument = instrument
        self.chunks = iter(chunks)
        self.last_ns = -INT64_MAX
        self.count = self.ready = self.position = 0
        self.marks = Samples(2)
        self.hour_end_ns = 0

    cdef const event_t* head(self) noexcept nogil:
        return &self.rows[self.position]

    cdef bint has_bar_at(self, ts_ns_t ts) noexcept nogil:
        return self.head().ts_event_ns == ts and self.head().kind == EVENT_BAR

    cdef bint has_row(self) except -1:
        """1 = there is a row to play; makes more ready where needed."""
        return self.position < self.ready or self.advance()

    cdef bint advance(self) except -1:
        """Make more rows ready: the next block of this chunk, or the next chunk. 0 = used up."""
        if self.ready == self.count and not self._next_chunk():
            return 0
        return self._check_block()

    cdef bint _next_chunk(self) except -1:
        cdef const unsigned char[::1] view
        self.count = self.ready = self.position = 0
        while True:
            array = next(self.chunks, None)
            if array is None:
                self.held = None
                return 0
            if array.dtype.itemsize != sizeof(event_t) or not array.flags.c_contiguous:
                raise ValueError("a source must give contiguous arrays of 64-byte event records")
            if len(array):
                break
        view = array.view("u1")
        self.held = array
        self.rows = <const event_t*>&view[0]
        self.count = len(array)
        return 1

    cdef bint _check_block(self) except -1:
        """Check and fingerprint the next rows just before they are used, while they are in cache.

        Times must not go back. Keeps the last price of each hour for charts on the way.
        """
        cdef const event_t* row = &self.rows[self.ready]
        cdef ts_ns_t last_ns = self.last_ns
        cdef ts_ns_t hour_end_ns = self.hour_end_ns
        cdef uint64_t data_hash = self.data_hash
        cdef unsigned int instrument = self.instrument
        cdef int64_t k
        cdef int64_t end = self.ready + BLOCK_ROWS
        if end > self.count:
            end = self.count
        for k in range(self.ready, end):
            prefetch(row + PREFETCH_ROWS)
            if row.ts_event_ns < last_ns:
                raise OutOfOrder(f"event {k} of a chunk of instrument {instrument} is at "
                                 f"{row.ts_event_ns} ns, after one at {last_ns} ns")
            if row.instrument != instrument:
                raise ValueError(
                    f"event {k} belongs to instrument {row.instrument}, not to {instrument}")
            last_ns = row.ts_event_ns
            data_hash = mmats_mix(data_hash, row, sizeof(event_t) // 8)
            if last_ns > hour_end_ns:
                hour_end_ns = self._keep_mark(row, hour_end_ns)
            row += 1
        self.last_ns = last_ns
        self.hour_end_ns = hour_end_ns
        self.data_hash = data_hash
        self.ready = end
        return 1

    cdef ts_ns_t _keep_mark(self, const event_t* row, ts_ns_t hour_end_ns) except -1:
        """Keep the first price after an hour's end; returns the end of the hour it lies in."""
        cdef int64_t* mark
        cdef int64_t price = row.a
        if row.kind == EVENT_DELTA:
            return INT64_MAX
        if row.kind == EVENT_BAR:
            price = row.d
        mark = self.marks.add()
        mark[0] = row.ts_event_ns
        mark[1] = price
        return (row.ts_event_ns // HOUR_NS + 1) * HOUR_NS


@cython.final
cdef class DelayLine:
    """Events on their way to us: FIFO, since a feed delivers in order."""

    def __cinit__(self, uint64_t seed):
        self.rows = NULL
        self.capacity = self.head = self.tail = 0
        self.random_state = seed

    def __dealloc__(self):
        free(self.rows)

    cdef uint64_t draw(self) noexcept nogil:
        """splitmix64, Steele, Lea and Flood (2014)."""
        cdef uint64_t z
        self.random_state += 0x9e3779b97f4a7c15U
        z = self.random_state
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU
        return z ^ (z >> 31)

    cdef int push(self, const event_t* event, ts_ns_t latency_ns, ts_ns_t jitter_ns) except -1:
        cdef event_t* grown
        cdef int64_t k, wanted
        cdef ts_ns_t recv_ns = event.ts_event_ns + latency_ns
        if jitter_ns > 0:
            recv_ns += <ts_ns_t>(self.draw() % <uint64_t>(jitter_ns + 1))
        if recv_ns < self.last_recv_ns:
            recv_ns = self.last_recv_ns
        self.last_recv_ns = recv_ns
        if self.head == self.capacity:
            for k in range(self.tail, self.head):
                self.rows[k - self.tail] = self.rows[k]
            self.head -= self.tail
            self.tail = 0
            if self.head * 2 >= self.capacity:
                wanted = self.capacity * 2 if self.capacity else 4096
                grown = <event_t*>realloc(self.rows, wanted * sizeof(event_t))
                if grown == NULL:
                    raise MemoryError("no memory for delayed events")
                self.rows = grown
                self.capacity = wanted
        self.rows[self.head] = event[0]
        self.rows[self.head].ts_recv_ns = recv_ns
        self.head += 1
        return 0


@cython.final
cdef class Replay:
    """Drives one pipeline with a simulated venue; `run` returns when the data ends."""

    def __init__(self, Pipeline pipeline not None, SimulatedVenue venue not None,
                 ts_ns_t feed_latency_ns=0, ts_ns_t feed_jitter_ns=0, uint64_t seed=1):
        self.pipeline = pipeline
        self.venue = venue
        self.sources = []
        self.feed_latency_ns = feed_latency_ns
        self.feed_jitter_ns = feed_jitter_ns
        self.delayed = DelayLine(seed)

    def __dealloc__(self):
        free(self.together)

    def add_source(self, int instrument, chunks):
        """Add the events of one instrument; earlier sources come first at equal times."""
        cdef const event_t** grown = <const event_t**>realloc(
            self.together, (len(self.sources) + 1) * sizeof(event_t*))
        if grown == NULL:
            raise MemoryError("no memory for another source")
        self.together = grown
        self.sources.append(Source(instrument, chunks))

    @property
    def data_hash(self):
        """Fingerprint of all data replayed so far, by source."""
        cdef uint64_t out = 0
        for source in self.sources:
            out = (out ^ (<Source>source).data_hash) * 0x9e3779b97f4a7c15U
        return out

    def marks(self, int instrument):
        """Hourly prices of an instrument, int64, shape (n, 2): ts_ns, ticks."""
        for source in self.sources:
            if (<Source>source).instrument == instrument and (<Source>source).marks.count:
                return (<Source>source).marks.to_array()
        return np.empty((0, 2), dtype=np.int64)

    def run(self, progress=None):
        """Replay everything. `progress(events, ts_ns)` is called now and then."""
        cdef Source source
        cdef int64_t report_at = PROGRESS_EVERY
        live = [source for source in self.sources if (<Source>source).advance()]
        if live:
            source = self._earliest(live)
            self.first_ns = source.rows[source.position].ts_event_ns
        while live:
            source = self._earliest(live)
            if not self._play_together(live, source):
                self._play(source, self._next_other(live, source))
            live = [source for source in live if (<Source>source).has_row()]
            if self.event_count >= report_at:
                report_at = self.event_count + PROGRESS_EVERY
                PyErr_CheckSignals()
                if progress is not None:
                    progress(self.event_count, self.last_ns)
        self._deliver_until(INT64_MAX)
        self.pipeline.finish()
        if progress is not None:
            progress(self.event_count, self.last_ns)

    cdef Source _earliest(self, list live):
        cdef Source best = <Source>live[0]
        cdef Source other
        cdef int k
        for k in range(1, len(live)):
            other = <Source>live[k]
            if other.rows[other.position].ts_event_ns < best.rows[best.position].ts_event_ns:
                best = other
        return best

    cdef ts_ns_t _next_other(self, list live, Source source) except? -1:
        """Up to which time a source goes on before another one has its turn."""
        cdef ts_ns_t until_ns = INT64_MAX
        cdef ts_ns_t ts
        cdef int before = 1
        for item in live:
            if item is source:
                before = 0
                continue
            # At equal times the source that was added first comes first.
            ts = (<Source>item).rows[(<Source>item).position].ts_event_ns - before
            if ts < until_ns:
                until_ns = ts
        return until_ns

    cdef int _play_together(self, list live, Source first) except -1:
        """Replay bars of several instruments that close at one moment; 0 = there is one only."""
        cdef const event_t* event = first.head()
        cdef ts_ns_t ts = event.ts_event_ns
        cdef Source source
        cdef int count = 0
        if len(live) == 1 or event.kind != EVENT_BAR or self._is_delayed():
            return 0
        for item in live:
            source = <Source>item
            if source.has_bar_at(ts):
                self.together[count] = source.head()
                count += 1
        if count == 1:
            return 0
        play_together(self.pipeline, self.venue, self.together, count)
        for item in live:
            source = <Source>item
            if source.has_bar_at(ts):
                source.position += 1
        self.last_ns = ts
        self.event_count += count
        return 1

    cdef bint _is_delayed(self) noexcept nogil:
        return self.feed_latency_ns > 0 or self.feed_jitter_ns > 0

    cdef int _play(self, Source source, ts_ns_t until_ns) except -1:
        """Replay the ready rows of one source up to a time."""
        cdef const event_t* event = &source.rows[source.position]
        cdef const event_t* end = &source.rows[source.ready]
        cdef bint delayed = self._is_delayed()
        while event < end and event.ts_event_ns <= until_ns:
            self.last_ns = event.ts_event_ns
            self.event_count += 1
            source.position += 1
            if delayed:
                self._deliver_until(event.ts_event_ns)
                show(self.pipeline, self.venue, event)
                self.delayed.push(event, self.feed_latency_ns, self.feed_jitter_ns)
            else:
                play(self.pipeline, self.venue, event)
            event += 1
        return 0

    cdef int _deliver_until(self, ts_ns_t now_ns) except -1:
        """Hand the pipeline what has arrived by `now_ns`, reports and events in time order."""
        cdef DelayLine line = self.delayed
        cdef event_t event, timer
        memset(&timer, 0, sizeof(event_t))
        timer.kind = EVENT_TIMER
        while line.tail < line.head and line.rows[line.tail].ts_recv_ns <= now_ns:
            event = line.rows[line.tail]
            line.tail += 1
            timer.ts_event_ns = timer.ts_recv_ns = event.ts_recv_ns
            show(self.pipeline, self.venue, &timer)  # orders that reach the venue meanwhile
            if self.venue.report_count != 0:
                self.pipeline.drain(event.ts_recv_ns)
            self.pipeline.on_event(&event)
            if self.venue.report_count != 0:
                self.pipeline.drain(event.ts_recv_ns)
        return 0
