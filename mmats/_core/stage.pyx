# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""How an event is shown: to the simulated venue first, then to the pipeline."""

from mmats._core.desk cimport carry_t
from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.types cimport event_t

from mmats._core.orders import PipelineFault


cdef int post_carry(Pipeline pipeline, SimulatedVenue venue) except -1:
    cdef carry_t carry
    while venue.next_carry(&carry):
        if pipeline.ledger.carry(carry.strategy, carry.instrument, carry.amount) != 0:
            raise PipelineFault("the ledger did not take the carry of a position")
    return 0


cdef int play_together(Pipeline pipeline, SimulatedVenue venue, const event_t** bars,
                       int count) except -1:
    cdef int k
    if venue is not None:
        for k in range(count):
            show(pipeline, venue, bars[k])
    for k in range(count):
        pipeline.preview(bars[k])
    for k in range(count):
        pipeline.on_event(bars[k])
    if venue is not None and venue.report_count != 0:
        pipeline.drain(bars[0].ts_event_ns)
    return 0
