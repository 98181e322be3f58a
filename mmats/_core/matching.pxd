# cython: language_level=3
"""The simulated venue: orders meet market data under written fill conditions."""

from libc.stdint cimport int64_t

from mmats._core.costs cimport FeeAsset, SlippageModel, cost_model_t
from mmats._core.crossing cimport Crossing
from mmats._core.desk cimport carry_t, fill_model_t, market_t
from mmats._core.path cimport PathRule, path_t
from mmats._core.types cimport event_t, lots_t, price_ticks_t, ts_ns_t

cdef enum Stage:
    STAGE_IDLE = 0
    STAGE_ARRIVALS = 1      # actions due before the event
    STAGE_MATCH = 2         # a quote, a trade or a book: orders trade one by one
    STAGE_PATH = 3          # along a bar
    STAGE_CLOSE = 4         # actions that arrive with the bar's close

cdef class SimulatedVenue(Crossing):
    cdef event_t event                    # what begin() was given
    cdef market_t* market                 # its market
    cdef path_t path
    cdef ts_ns_t open_ns                  # of the bar
    cdef int stage
    cdef readonly int64_t cut_count       # events not matched to the end: too many reports unread

    # Bar handling is in steps so that reports can be answered in the middle of a bar's path:
    #   if venue.begin(event): while venue.step(): <drain next_report into the pipeline>
    # For quotes, trades and deltas begin()/step() work the same way.
    # Between two steps the driver calls next_report(venue.now_ns or later) and answers a report at
    # its ts_recv_ns; an answer dated later than that misses the rest of the bar's path.
    # begin: 1 = step() has work, 0 = nothing can happen; the event is taken in either way.
    cdef int begin(self, const event_t* event) noexcept nogil
    # step: 1 = reports may be waiting, call again; 0 = done.
    cdef int step(self) noexcept nogil
    cdef int has_reports(self) noexcept nogil

    # The kind of data that fills this instrument's orders; 0 = the finest seen so far.
    cdef int set_source(self, int instrument, int kind) except -1
    # When the instrument's day ends, ns after UTC midnight.
    cdef int set_day_end(self, int instrument, ts_ns_t offset_ns) except -1
    # The feed of an L2 book broke: nothing fills on it until the next snapshot.
    cdef int mark_stale(self, int instrument) except -1

    cdef int _begin_bar(self, market_t* market, const event_t* bar) noexcept nogil
    cdef int _begin_tick(self, market_t* market, const event_t* event) noexcept nogil
    cdef int _wait_for(self, market_t* market, const event_t* event) noexcept nogil
    cdef int _learn_source(self, market_t* market, int kind) noexcept nogil
    cdef int _absorb(self, market_t* market, const event_t* event) noexcept nogil
    cdef void _absorb_bar(self, market_t* market, const event_t* bar) noexcept nogil
    cdef void _absorb_quote(self, market_t* market, const event_t* quote) noexcept nogil
    cdef void _absorb_trade(self, market_t* market, const event_t* trade) noexcept nogil
    cdef void _offer_volume(self, market_t* market, lots_t volume_lots,
                            lots_t unlimited) noexcept nogil
    cdef void _set_offsets(self, market_t* market, price_ticks_t price) noexcept nogil
    cdef void _read_bar(self, market_t* market, const event_t* bar) noexcept nogil
    cdef int _can_act(self, market_t* market) noexcept nogil
    cdef int _start_path(self, market_t* market) noexcept nogil
    cdef int _step_arrivals(self) noexcept nogil
    cdef int _step_match(self) noexcept nogil
    cdef int _step_path(self) noexcept nogil
    cdef int _step_close(self) noexcept nogil
    cdef int _high_first(self, const market_t* market) noexcept nogil
    cdef int _is_live(self, const market_t* market) noexcept nogil
    cdef void _stand(self, market_t* market) noexcept nogil
