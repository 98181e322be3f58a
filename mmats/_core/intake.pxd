# cython: language_level=3
"""Live market data on its way in: each event is checked, then shown to venue and pipeline."""

from libc.stdint cimport int32_t, int64_t

from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.types cimport event_t, price_ticks_t, ts_ns_t

# Why an event was not played.
cpdef enum FeedProblem:
    FEED_INSTRUMENT = 1     # no such instrument
    FEED_KIND = 2           # no kind of market data
    FEED_PRICE = 3          # a price is not positive
    FEED_RANGE = 4          # a bar's open or close lies outside its low and high
    FEED_CROSSED = 5        # bid above ask
    FEED_SIZE = 6           # a negative size
    FEED_OUT_OF_ORDER = 7   # before the instrument's last event of this kind
    FEED_DUPLICATE = 8      # the instrument's last event of this kind once more
    FEED_FUTURE = 9         # too far ahead of everything known
    FEED_JUMP = 10          # too far from the last price, and not confirmed yet

cdef enum:
    PROBLEM_KINDS = 11
    EVENT_KINDS = 5
    PROBLEMS_KEPT = 256
    JUMP_CONFIRMATIONS = 3  # prices in a row that agree with each other are a new level

# What is known of one instrument's feed.
cdef struct feed_t:
    event_t last[EVENT_KINDS]     # [EventKind] the last that was played
    event_t held                  # the last that was held back for its price
    price_ticks_t price_ticks     # the last that was accepted; 0 = none
    ts_ns_t resume_ns             # what is not after this was played before a restart; 0 = nothing
    int32_t held_count
    int32_t is_grouped            # has a bar in the moment that is being collected
    int64_t refused[PROBLEM_KINDS]

cdef struct problem_t:
    ts_ns_t ts_event_ns
    int64_t observed
    int64_t limit
    int32_t instrument
    int32_t problem               # FeedProblem

cdef class Intake:
    cdef Pipeline pipeline
    cdef SimulatedVenue venue             # None: reports come from elsewhere
    cdef readonly int64_t price_jump_ppm
    cdef readonly ts_ns_t future_ns_max
    cdef readonly int64_t event_count     # played
    cdef readonly int64_t refused_count
    cdef readonly int64_t unkept_count    # problems that nobody took in time
    cdef readonly ts_ns_t known_ns        # latest time of any event played or timer
    cdef feed_t* feeds                    # [instrument + 1]; the last is of unknown instruments
    cdef int instrument_count
    cdef event_t* together                # bars of one moment
    cdef const event_t** pointers         # to them
    cdef int together_count
    cdef problem_t problems[PROBLEMS_KEPT]
    cdef int problem_count
    # FeedProblem of an event, 0 = it may be played and counts as the instrument's last.
    cdef int _check(self, const event_t* event) noexcept nogil
    cdef int _check_time(self, feed_t* feed, const event_t* event) noexcept nogil
    cdef int _check_jump(self, feed_t* feed, const event_t* event) noexcept nogil
    cdef int _refuse(self, const event_t* event, int problem) except -1
    cdef int _collect(self, const event_t* event) except -1
    cdef int _play_collected(self) except -1
    cdef int _play(self, event_t* event) except -1
