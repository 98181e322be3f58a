# cython: language_level=3
"""How an event is shown: to the simulated venue first, then to the pipeline."""

from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.types cimport event_t

# Swap and rollover of a day's end goes to the ledger.
cdef int post_carry(Pipeline pipeline, SimulatedVenue venue) except -1
# Bars of several instruments that close at one moment. All of them reach the venue before the
# pipeline hears of any, so that nothing depends on their order and no decision at the close trades
# within a bar of that close.
cdef int play_together(Pipeline pipeline, SimulatedVenue venue, const event_t** bars,
                       int count) except -1

# The venue sees the event; the pipeline answers reports in the middle of a bar's path.
cdef inline int show(Pipeline pipeline, SimulatedVenue venue, const event_t* event) except -1:
    if venue.report_count != 0:
        pipeline.drain(event.ts_event_ns)
    if venue.begin(event):
        while venue.step():
            if venue.report_count != 0:
                pipeline.drain(event.ts_event_ns)
    if venue.carry_count != 0:
        post_carry(pipeline, venue)
    return 0

# One event, or a timer, without a delay between venue and pipeline.
cdef inline int play(Pipeline pipeline, SimulatedVenue venue, const event_t* event) except -1:
    show(pipeline, venue, event)
    pipeline.on_event(event)
    if venue.report_count != 0:
        pipeline.drain(event.ts_event_ns)
    return 0
