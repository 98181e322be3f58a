# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, freethreading_compatible=True
"""Live market data on its way in: each event is checked, then shown to venue and pipeline.

An event that is refused changes nothing but counters; in particular it does not move the
pipeline's clock. Only a refused row of an order book has a consequence: the book is stale until its
next snapshot, because nobody knows what the row would have said.

Time. What is played never takes the pipeline's clock back: an event that arrives behind another
instrument's is dated at the later arrival. Bars of one moment that follow each other in one call
are played together, as `Replay` does; a caller must not split them over two calls.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from collections import namedtuple

from mmats._core.book cimport BOOK_STALE_INVALID, OrderBook
from mmats._core.matching cimport SimulatedVenue
from mmats._core.pipeline cimport Pipeline
from mmats._core.stage cimport play, play_together
from mmats._core.types cimport (
    EVENT_BAR, EVENT_DELTA, EVENT_QUOTE, EVENT_TIMER, EVENT_TRADE, event_t, mmats_muldiv_floor,
    price_ticks_t, ts_ns_t,
)

cdef enum:
    PPM = 1000000

cdef ts_ns_t FUTURE_NS_MAX = 366 * 86_400_000_000_000LL

FeedFault = namedtuple("FeedFault", ("instrument", "problem", "ts_event_ns", "observed", "limit"))


cdef inline int64_t _least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t _most(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


cdef inline bint _same(const event_t* one, const event_t* other) noexcept nogil:
    """1 where two events say the same, whenever they arrived."""
    return (one.kind == other.kind and one.flags == other.flags
            and one.spread_ticks == other.spread_ticks and one.ts_event_ns == other.ts_event_ns
            and one.a == other.a and one.b == other.b and one.c == other.c and one.d == other.d
            and one.e == other.e)


cdef inline bint _repeats(const event_t* event, const event_t* last) noexcept nogil:
    """1 where an event is one that has been played: the same, or an old number at its time."""
    if event.kind == EVENT_TRADE and event.c == 0:
        return False  # without a number two equal trades may be two
    if event.ts_event_ns != last.ts_event_ns:
        return False
    if event.kind == EVENT_TRADE and last.c > 0:
        return 0 < event.c <= last.c
    if event.kind == EVENT_QUOTE and last.e > 0 and 0 < event.e <= last.e:
        return True
    return _same(event, last)


cdef int _check_form(const event_t* event) noexcept nogil:
    """What no event of its kind looks like."""
    if event.kind == EVENT_BAR:
        if event.a <= 0 or event.b <= 0 or event.c <= 0 or event.d <= 0:
            return FEED_PRICE
        if event.c > _least(event.a, event.d) or event.b < _most(event.a, event.d):
            return FEED_RANGE
        return FEED_SIZE if event.e < 0 else 0
    if event.kind == EVENT_QUOTE:
        if event.a <= 0 or event.b <= 0:
            return FEED_PRICE
        if event.a > event.b:
            return FEED_CROSSED
        return FEED_SIZE if event.c < 0 or event.d < 0 else 0
    if event.kind == EVENT_TRADE or event.kind == EVENT_DELTA:
        if event.a <= 0:
            return FEED_PRICE
        return FEED_SIZE if event.b < 0 else 0
    return FEED_KIND


cdef price_ticks_t _price(const event_t* event) noexcept nogil:
    """What an event says an instrument is worth."""
    if event.kind == EVENT_BAR:
        return event.d
    if event.kind == EVENT_QUOTE:
        return event.a + (event.b - event.a) // 2
    return event.a


cdef int64_t _distance_ppm(const event_t* event, price_ticks_t price) noexcept nogil:
    """How far the event's farthest price is from another, in millionths of that."""
    cdef price_ticks_t low = event.a, high = event.a
    cdef int64_t out = 0
    if event.kind == EVENT_BAR:
        low, high = event.c, event.b
    elif event.kind == EVENT_QUOTE:
        high = event.b
    if mmats_muldiv_floor(_most(high - price, price - low), PPM, price, &out, NULL) != 0:
        return INT64_MAX
    return out


cdef int64_t _observed(const event_t* event, int problem) noexcept nogil:
    if problem == FEED_INSTRUMENT:
        return event.instrument
    if problem == FEED_KIND:
        return event.kind
    if problem == FEED_SIZE:
        return event.e if event.kind == EVENT_BAR else _least(event.b, event.c)
    if problem == FEED_OUT_OF_ORDER or problem == FEED_DUPLICATE:
        return event.ts_event_ns
    if problem == FEED_FUTURE:
        return _most(event.ts_event_ns, event.ts_recv_ns)
    if problem == FEED_PRICE and event.kind == EVENT_BAR:
        return _least(_least(event.a, event.b), _least(event.c, event.d))
    if problem == FEED_PRICE and event.kind == EVENT_QUOTE:
        return _least(event.a, event.b)
    if problem == FEED_CROSSED:
        return event.a
    return _price(event)


@cython.final
cdef class Intake:
    """Checks live events and plays the good ones; the module's docstring has the rules."""

    def __cinit__(self, Pipeline pipeline not None, SimulatedVenue venue=None, *,
                  int64_t price_jump_ppm=300_000, ts_ns_t future_ns_max=604_800_000_000_000):
        if price_jump_ppm < 1:
            raise ValueError(f"price_jump_ppm {price_jump_ppm} must be at least 1")
        if not 1 <= future_ns_max <= FUTURE_NS_MAX:
            raise ValueError(f"future_ns_max {future_ns_max} must be 1 to {FUTURE_NS_MAX}")
        self.pipeline = pipeline
        self.venue = venue
        self.price_jump_ppm = price_jump_ppm
        self.future_ns_max = future_ns_max
        self.instrument_count = pipeline.ledger.instrument_count
        self.feeds = <feed_t*>calloc(self.instrument_count + 1, sizeof(feed_t))
        self.together = <event_t*>calloc(self.instrument_count, sizeof(event_t))
        self.pointers = <const event_t**>calloc(self.instrument_count, sizeof(event_t*))
        if self.feeds == NULL or self.together == NULL or self.pointers == NULL:
            raise MemoryError("intake: no memory")
        for k in range(self.instrument_count):
            self.pointers[k] = &self.together[k]

    def __dealloc__(self):
        free(self.feeds)
        free(self.together)
        free(self.pointers)

    # -- Python face; documented in intake.pyi ---------------------------------------------------

    def on_events(self, events):
        cdef const unsigned char[::1] view
        cdef const event_t* row
        cdef int64_t before = self.event_count
        cdef Py_ssize_t k, count = len(events)
        cdef int problem
        if (events.dtype.itemsize != sizeof(event_t) or events.ndim != 1
                or not events.flags.c_contiguous):
            raise ValueError("events must be a contiguous array of 64-byte event records")
        if count == 0:
            return 0
        view = events.view("u1")
        row = <const event_t*>&view[0]
        for k in range(count):
            problem = self._check(&row[k])
            if problem != 0:
                self._refuse(&row[k], problem)
            else:
                self._collect(&row[k])
        self._play_collected()
        return self.event_count - before

    def resume(self):
        cdef int k
        for k in range(self.instrument_count):
            self.feeds[k].resume_ns = self.pipeline.ledger.holdings[k].marked_ns

    def on_timer(self, ts_ns_t now_ns):
        cdef event_t timer
        memset(&timer, 0, sizeof(event_t))
        timer.kind = EVENT_TIMER
        now_ns = _most(now_ns, self.pipeline.now_ns)
        timer.ts_event_ns = timer.ts_recv_ns = now_ns
        self.known_ns = _most(self.known_ns, now_ns)
        self._play(&timer)

    def on_reports(self, ts_ns_t now_ns):
        self.pipeline.drain(_most(now_ns, self.pipeline.now_ns))

    @property
    def refused(self):
        cdef int k
        counts = {}
        for k in range(PROBLEM_KINDS):
            total = sum([self.feeds[n].refused[k] for n in range(self.instrument_count + 1)])
            if total:
                counts[FeedProblem(k).name] = total
        return counts

    def refused_of(self, int instrument):
        cdef int k
        cdef const feed_t* feed
        if not -1 <= instrument < self.instrument_count:
            raise IndexError(f"no instrument {instrument} of {self.instrument_count}")
        feed = &self.feeds[instrument if instrument >= 0 else self.instrument_count]
        return {
            FeedProblem(k).name: feed.refused[k] for k in range(PROBLEM_KINDS) if feed.refused[k]
        }

    def take_problems(self):
        cdef int k
        cdef const problem_t* problem
        taken = []
        for k in range(self.problem_count):
            problem = &self.problems[k]
            taken.append(FeedFault(problem.instrument, FeedProblem(problem.problem),
                                   problem.ts_event_ns, problem.observed, problem.limit))
        self.problem_count = 0
        return taken

    # -- checks ----------------------------------------------------------------------------------

    cdef int _check(self, const event_t* event) noexcept nogil:
        cdef feed_t* feed
        cdef int problem
        if event.instrument >= <unsigned int>self.instrument_count:
            return FEED_INSTRUMENT
        feed = &self.feeds[event.instrument]
        problem = _check_form(event)
        if problem == 0:
            problem = self._check_time(feed, event)
        if problem == 0 and event.kind != EVENT_DELTA:
            problem = self._check_jump(feed, event)
            if problem == 0:
                feed.price_ticks = _price(event)
                feed.held_count = 0
        if problem == 0:
            feed.last[event.kind] = event[0]
            self.known_ns = _most(self.known_ns, _most(event.ts_event_ns, event.ts_recv_ns))
        return problem

    cdef int _check_time(self, feed_t* feed, const event_t* event) noexcept nogil:
        cdef const event_t* last = &feed.last[event.kind]
        cdef ts_ns_t latest = _most(event.ts_event_ns, event.ts_recv_ns)
        if (event.ts_event_ns <= 0 or event.ts_recv_ns <= 0
                or event.ts_event_ns < last.ts_event_ns or event.ts_event_ns <= feed.resume_ns):
            return FEED_OUT_OF_ORDER
        if last.kind != 0 and _repeats(event, last):
            return FEED_DUPLICATE
        if self.known_ns != 0 and latest - self.known_ns > self.future_ns_max:
            return FEED_FUTURE
        return 0

    cdef int _check_jump(self, feed_t* feed, const event_t* event) noexcept nogil:
        """Hold a far price back until enough others in a row say the same."""
        cdef price_ticks_t price = feed.price_ticks
        cdef const event_t* held = &feed.held
        if price == 0:  # a restored account knows a price before the first event
            price = self.pipeline.ledger.holdings[event.instrument].mark_ticks
        if price == 0 or _distance_ppm(event, price) <= self.price_jump_ppm:
            return 0
        if feed.held_count > 0 and _repeats(event, held) and event.kind == held.kind:
            return FEED_DUPLICATE
        if (feed.held_count > 0 and event.ts_event_ns >= held.ts_event_ns
                and _distance_ppm(event, _price(held)) <= self.price_jump_ppm):
            feed.held_count += 1
        else:
            feed.held_count = 1
        feed.held = event[0]
        return FEED_JUMP if feed.held_count < JUMP_CONFIRMATIONS else 0

    cdef int _refuse(self, const event_t* event, int problem) except -1:
        """Count and note an event that is not played."""
        cdef int instrument = -1 if problem == FEED_INSTRUMENT else <int>event.instrument
        cdef feed_t* feed = &self.feeds[instrument if instrument >= 0 else self.instrument_count]
        cdef problem_t* kept
        self.refused_count += 1
        feed.refused[problem] += 1
        if instrument >= 0 and event.kind == EVENT_DELTA and problem != FEED_DUPLICATE:
            self._play_collected()
            book = <OrderBook>self.pipeline.books[instrument]
            if book is not None:
                (<OrderBook>book).mark_stale(BOOK_STALE_INVALID)
                if self.venue is not None:
                    self.venue.mark_stale(instrument)
        if self.problem_count == PROBLEMS_KEPT:
            self.unkept_count += 1
            return 0
        kept = &self.problems[self.problem_count]
        self.problem_count += 1
        kept.ts_event_ns = event.ts_event_ns
        kept.instrument = instrument
        kept.problem = problem
        kept.observed = _observed(event, problem)
        kept.limit = 0
        if problem == FEED_INSTRUMENT:
            kept.limit = self.instrument_count
        elif problem == FEED_OUT_OF_ORDER or problem == FEED_DUPLICATE:
            kept.limit = feed.last[event.kind].ts_event_ns
        elif problem == FEED_FUTURE:
            kept.limit = self.known_ns + self.future_ns_max
        elif problem == FEED_CROSSED:
            kept.limit = event.b
        elif problem == FEED_RANGE:
            kept.limit = event.b if event.d > event.b else event.c
        elif problem == FEED_JUMP:
            kept.limit = feed.price_ticks
        return 0

    # -- playing ---------------------------------------------------------------------------------

    cdef int _collect(self, const event_t* event) except -1:
        """Play an event, but keep a bar until all bars of its moment are there."""
        cdef feed_t* feed = &self.feeds[event.instrument]
        cdef event_t single
        self.event_count += 1
        if self.together_count > 0 and (
                event.kind != EVENT_BAR or feed.is_grouped
                or event.ts_event_ns != self.together[0].ts_event_ns):
            self._play_collected()
        if event.kind == EVENT_BAR:
            self.together[self.together_count] = event[0]
            self.together_count += 1
            feed.is_grouped = True
            return 0
        single = event[0]
        return self._play(&single)

    cdef int _play_collected(self) except -1:
        cdef int k, count = self.together_count
        cdef ts_ns_t recv_ns = self.pipeline.now_ns
        self.together_count = 0
        for k in range(count):
            self.feeds[self.together[k].instrument].is_grouped = False
            recv_ns = _most(recv_ns, self.together[k].ts_recv_ns)
        if count == 0:
            return 0
        if count == 1:
            return self._play(&self.together[0])
        for k in range(count):
            self.together[k].ts_recv_ns = recv_ns
        return play_together(self.pipeline, self.venue, self.pointers, count)

    cdef int _play(self, event_t* event) except -1:
        event.ts_recv_ns = _most(event.ts_recv_ns, self.pipeline.now_ns)
        if self.venue is None:
            return self.pipeline.on_event(event)
        return play(self.pipeline, self.venue, event)
