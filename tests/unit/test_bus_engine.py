"""The engine's end of the bus: frames in order, what is wrong counted, requests and reports."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import zmq

from adapters.bus.engine_bus import EngineBus
from adapters.bus.feed import FeedPublisher
from adapters.bus.frames import encode_frame
from adapters.bus.sockets import BusError, open_connected
from adapters.bus.tracks import Track
from adapters.bus.venue import VenueServer
from mmats._core import REPORT_DTYPE, REQUEST_DTYPE
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind, Ready
from tests.fakes.bus import data_of, frames_until, quotes, until
from tests.fakes.profiles import temporary_profile

WAIT_MS = 10_000


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile() as made:
        yield made


@pytest.fixture
def bus(profile: Profile) -> Iterator[EngineBus]:
    made = EngineBus(profile, venue="sim")
    yield made
    made.close()


@pytest.fixture
def feed(profile: Profile) -> Iterator[FeedPublisher]:
    made = FeedPublisher(profile, feed=3, session=11)
    yield made
    made.close()


@pytest.fixture
def venue(profile: Profile) -> Iterator[VenueServer]:
    made = VenueServer(profile, name="sim")
    yield made
    made.close()


class RawFeed:
    """Sends bytes as they are."""

    def __init__(self, profile: Profile) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._push = open_connected(self._context, zmq.PUSH, profile.endpoint("feed"))
        assert self._push.poll(WAIT_MS, zmq.POLLOUT)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self._push.send(message)

    def frame(self, session: int, sequence: int, kind: FrameKind = FrameKind.HEARTBEAT) -> None:
        events = quotes(1, sequence) if kind is FrameKind.DATA else None
        self.send(encode_frame(kind, events, feed=3, session=session, sequence=sequence, sent_ns=1))

    def close(self) -> None:
        self._push.close(linger=0)
        self._context.term()


@pytest.fixture
def raw(profile: Profile, bus: EngineBus) -> Iterator[RawFeed]:
    made = RawFeed(profile)
    yield made
    made.close()


def test_frames_come_in_order(bus: EngineBus, feed: FeedPublisher) -> None:
    assert feed.send(FrameKind.START)
    for first in range(0, 1000, 10):
        assert feed.send(FrameKind.DATA, quotes(10, first), sent_ns=first + 1)
    assert feed.send(FrameKind.END)
    frames = frames_until(bus, lambda frames: len(frames) == 102)
    assert [frame.sequence for frame in frames] == list(range(1, 103))
    assert data_of(frames).tobytes() == quotes(1000).tobytes()
    assert {frame.feed for frame in frames} == {3}
    assert [frame.sent_ns for frame in frames[1:-1]] == list(range(1, 1000, 10))
    state = bus.feed_state()[3]
    assert (state["session"], state["sequence"], state["state"]) == (11, 102, "ended")
    assert (state["gaps"], state["lost_frames"], state["duplicates"]) == (0, 0, 0)
    assert state["last_recv_monotonic_ns"] > 0
    assert bus.counters()["feed_events"] == 1000


def test_as_many_frames_as_asked_for(bus: EngineBus, feed: FeedPublisher) -> None:
    for _ in range(10):
        assert feed.send(FrameKind.HEARTBEAT)
    assert bus.wait(WAIT_MS) == Ready.FEED
    found = frames_until(bus, lambda frames: len(frames) == 4, frames_max=4)
    found += frames_until(bus, lambda frames: len(frames) == 6, frames_max=4)
    assert [frame.sequence for frame in found] == list(range(1, 11))


def test_wait_ends_by_time(bus: EngineBus) -> None:
    assert bus.wait(0) == Ready.NOTHING
    assert bus.wait(5) == Ready.NOTHING


def test_wake_ends_a_wait_once(bus: EngineBus) -> None:
    threads = [threading.Thread(target=lambda: [bus.wake() for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert bus.wait(WAIT_MS) == Ready.WAKE
    for thread in threads:
        thread.join()
    bus.wait(0)
    assert bus.wait(0) == Ready.NOTHING


def test_wake_after_close_does_nothing(profile: Profile) -> None:
    bus = EngineBus(profile)
    bus.close()
    bus.wake()
    bus.close()


def test_bad_frames_are_counted(bus: EngineBus, raw: RawFeed) -> None:
    good = encode_frame(FrameKind.HEARTBEAT, None, feed=3, session=1, sequence=1, sent_ns=1)
    unknown = encode_frame(FrameKind.HEARTBEAT, None, feed=64, session=1, sequence=1, sent_ns=1)
    raw.send(b"", b"garbage", good[:-1], unknown, good)
    frames = frames_until(bus, lambda frames: len(frames) == 1)
    assert frames[0].sequence == 1
    assert bus.counters()["bad_frames"] == 4
    assert list(bus.feed_state()) == [3]


def test_a_message_over_the_limit_cuts_the_peer_and_not_the_others(
    profile: Profile, bus: EngineBus, feed: FeedPublisher, raw: RawFeed
) -> None:
    raw.send(b"\0" * (4 << 20))
    assert feed.send(FrameKind.START)
    assert len(frames_until(bus, lambda frames: len(frames) == 1)) == 1
    assert bus.counters()["bad_frames"] == 0


def test_gaps_and_duplicates_are_told(bus: EngineBus, raw: RawFeed) -> None:
    for sequence in (1, 2, 5, 5, 4, 6, 10):
        raw.frame(8, sequence)
    frames = frames_until(bus, lambda frames: len(frames) == 5)
    assert [frame.sequence for frame in frames] == [1, 2, 5, 6, 10]
    state = bus.feed_state()[3]
    assert (state["gaps"], state["lost_frames"], state["duplicates"]) == (2, 5, 2)
    assert bus.counters()["feed_gaps"] == 2


def test_a_new_session_ends_the_old_one(bus: EngineBus, raw: RawFeed) -> None:
    for session, sequence in ((8, 1), (8, 2), (9, 1), (8, 3), (9, 2)):
        raw.frame(session, sequence)
    frames = frames_until(bus, lambda frames: len(frames) == 4)
    assert [(frame.session, frame.sequence) for frame in frames] == [(8, 1), (8, 2), (9, 1), (9, 2)]
    state = bus.feed_state()[3]
    assert (state["superseded"], state["gaps"]) == (1, 0)


def test_a_session_that_is_joined_late_has_a_gap() -> None:
    track = Track()
    assert track.accept(5, 100)
    assert (track.gaps, track.lost) == (1, 99)


def test_stale_lasts_until_data(bus: EngineBus, raw: RawFeed) -> None:
    states = []
    kinds = [FrameKind.START, FrameKind.STALE, FrameKind.HEARTBEAT, FrameKind.DATA, FrameKind.END]
    for sequence, kind in enumerate(kinds, 1):
        raw.frame(8, sequence, kind)
        frames_until(bus, lambda frames: len(frames) == 1)
        states.append(bus.feed_state()[3]["state"])
    assert states == ["live", "stale", "stale", "live", "ended"]


def test_one_process_has_a_feed(profile: Profile, bus: EngineBus, feed: FeedPublisher) -> None:
    with pytest.raises(BusError, match="feed 3"):
        FeedPublisher(profile, feed=3, session=12)
    feed.close()
    FeedPublisher(profile, feed=3, session=12).close()


def test_nothing_is_sent_without_an_engine(profile: Profile, feed: FeedPublisher) -> None:
    assert not feed.send(FrameKind.START, block_ms=0)
    assert not feed.send(FrameKind.START, block_ms=5)
    bus = EngineBus(profile)
    assert feed.send(FrameKind.START, block_ms=WAIT_MS)
    assert frames_until(bus, lambda frames: len(frames) == 1)[0].sequence == 1
    bus.close()


def test_a_feed_goes_on_with_the_next_engine(profile: Profile, feed: FeedPublisher) -> None:
    first = EngineBus(profile)
    assert feed.send(FrameKind.START, block_ms=WAIT_MS)
    frames_until(first, lambda frames: len(frames) == 1)
    first.close()
    second = EngineBus(profile)

    def arrived() -> bool:
        feed.send(FrameKind.HEARTBEAT, block_ms=0)
        return bool(second.feed_frames(64))

    until(arrived, "a frame at the second engine")
    assert second.feed_state()[3]["gaps"] == 1  # what the first engine took
    second.close()


def test_a_full_pipe_is_told(profile: Profile) -> None:
    bus = EngineBus(profile)
    feed = FeedPublisher(profile, feed=0, session=1, high_water_mark=4)
    assert feed.send(FrameKind.START, block_ms=WAIT_MS)
    big = quotes(16_384)
    sent = 0
    while feed.send(FrameKind.DATA, big, block_ms=20):
        sent += 1
        assert sent < 2000
    frames = frames_until(bus, lambda frames: len(frames) == sent + 1)
    assert sum(len(frame.events) for frame in frames) == sent * len(big)
    assert feed.send(FrameKind.END, block_ms=WAIT_MS)
    feed.close()
    bus.close()


def test_a_second_engine_is_refused(profile: Profile, bus: EngineBus) -> None:
    with pytest.raises(BusError, match="holds it"):
        EngineBus(profile)


def requests(count: int) -> np.ndarray:
    rows = np.zeros(count, REQUEST_DTYPE)
    rows["order_id"] = 1 + np.arange(count)
    return rows


def reports(count: int) -> np.ndarray:
    rows = np.zeros(count, REPORT_DTYPE)
    rows["trade_id"] = 1 + np.arange(count)
    return rows


def asked(venue: VenueServer) -> list[tuple[bytes, np.ndarray]]:
    return until(lambda: venue.wait(100) and venue.requests(), "requests")


def test_requests_and_reports(bus: EngineBus, venue: VenueServer) -> None:
    assert until(lambda: bus.send_requests(requests(0)))  # makes itself known
    ((peer, rows),) = asked(venue)
    assert len(rows) == 0
    assert bus.send_requests(requests(3))
    ((again, rows),) = asked(venue)
    assert again == peer
    assert rows.tobytes() == requests(3).tobytes()
    assert venue.send_reports(peer, reports(0))
    assert venue.send_reports(peer, reports(2))
    found = until(lambda: bus.wait(100) and bus.reports(10), "reports")
    assert [rows.tobytes() for rows in found] == [reports(2).tobytes()]
    assert bus.venue_state()["sequence"] == 2
    assert (bus.counters()["requests"], bus.counters()["reports"]) == (3, 2)
    assert venue.counters() == {
        "bad_messages": 0, "requests": 3, "reports": 2, "peers": 1, "request_gaps": 0
    }  # fmt: skip


def test_no_venue_takes_no_requests(profile: Profile, bus: EngineBus) -> None:
    assert not bus.send_requests(requests(1))
    assert bus.reports(10) == []
    bus.close()
    without = EngineBus(profile)
    assert not without.send_requests(requests(1))
    assert without.reports(10) == []
    without.close()


def test_reports_to_a_peer_that_is_gone(profile: Profile, venue: VenueServer) -> None:
    bus = EngineBus(profile, venue="sim")
    assert until(lambda: bus.send_requests(requests(1)))
    ((peer, _),) = asked(venue)
    bus.close()
    assert until(lambda: not venue.send_reports(peer, reports(1)))
    assert venue.counters()["peers"] == 0
    assert not venue.send_reports(b"nobody", reports(1))


def test_a_peer_that_does_not_read_does_not_hold_the_venue_up(
    bus: EngineBus, venue: VenueServer
) -> None:
    assert until(lambda: bus.send_requests(requests(1)))
    ((peer, _),) = asked(venue)
    sent = 0
    while venue.send_reports(peer, reports(1000)):
        sent += 1
        assert sent < 10_000
    taken = 0
    while taken < sent:
        assert bus.wait(WAIT_MS) == Ready.VENUE
        taken += len(bus.reports(64))
    assert bus.venue_state()["gaps"] == 0  # what was refused took no number


def test_bad_messages_at_the_venue_are_counted(profile: Profile, venue: VenueServer) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = open_connected(context, zmq.DEALER, profile.endpoint("venue-sim"))
    dealer.send(b"garbage")
    dealer.send_multipart([b"a", b"b"])
    until(lambda: venue.wait(100) and venue.requests() == [] and counted(venue, 2))
    dealer.close(linger=0)
    context.term()


def counted(venue: VenueServer, count: int) -> bool:
    return venue.counters()["bad_messages"] == count


def test_wake_ends_the_wait_of_a_venue(venue: VenueServer) -> None:
    thread = threading.Thread(target=venue.wake)
    thread.start()
    assert venue.wait(WAIT_MS) is False
    thread.join()
