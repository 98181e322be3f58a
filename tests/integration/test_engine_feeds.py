"""Feeds with everything that goes wrong with feeds, at a real engine."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from adapters.bus.feed import FeedPublisher
from mmats._core import EVENT_DTYPE, EventFlag, EventKind
from mmats.client import Client
from mmats.ports.bus import FrameKind
from tests.fakes.engines import Place, ended, place, until

WAIT_S = 20.0
START_NS = 1_704_067_200 * 10**9
MINUTE_NS = 60 * 10**9
BTC = "market:BTCUSDT.BINANCE"
BOOK = """
[[feeds]]
symbol = "BTCUSDT.BINANCE"
source = "catalog"
kind = "delta"
"""
SNAPSHOT = EventFlag.DELTA_SNAPSHOT | EventFlag.DELTA_CLEAR


def event(kind: EventKind, at_ns: int, *values: int, flags: int = 0, of: int = 0) -> Any:
    row = np.zeros(1, EVENT_DTYPE)
    row["kind"], row["flags"], row["instrument"] = kind, flags, of
    row["ts_event_ns"] = row["ts_recv_ns"] = at_ns
    for name, value in zip("abcde", values, strict=False):
        row[name] = value
    return row


def bar(minute: int, close: int, of: int = 0) -> Any:
    at_ns = START_NS + minute * MINUTE_NS
    return event(EventKind.EVENT_BAR, at_ns, close, close + 10, close - 10, close, 5000, of=of)


def book(at_ns: int, bid: int, ask: int) -> NDArray[np.void]:
    """A snapshot of two levels."""
    last = EventFlag.DELTA_SNAPSHOT | EventFlag.DELTA_ASK | EventFlag.DELTA_LAST
    return np.concatenate(
        [
            event(EventKind.EVENT_DELTA, at_ns, bid, 100, 0, 0, flags=SNAPSHOT),
            event(EventKind.EVENT_DELTA, at_ns, ask, 100, 0, 0, flags=last),
        ]
    )


class Feed:
    """A feed process that says what it is told."""

    def __init__(self, here: Place, session: int) -> None:
        self.publisher = FeedPublisher(here.profile, feed=0, session=session)

    def say(self, kind: FrameKind, *events: Any) -> None:
        rows = np.concatenate(events) if events else None
        assert self.publisher.send(kind, rows, 0, 10_000)

    def data(self, *events: Any) -> None:
        self.say(FrameKind.DATA, *events)


@contextmanager
def fed(**changes: Any) -> Iterator[tuple[Place, Client, Feed]]:
    """An engine, a client, and a feed that this test plays."""
    with place(**changes) as here:
        text = here.config.read_text()
        here.config.write_text(text.replace("[[strategies]]", BOOK + "[[strategies]]", 1))
        here.engine = here.start("engine")
        with here.client() as client:
            feed = Feed(here, 7)
            try:
                yield here, client, feed
            finally:
                feed.publisher.close(linger_ms=0)


def sees(client: Client, **values: Any) -> bool:
    """Whether the published market comes to have these values."""
    return client.wait_for(lambda state: {**state[BTC], **values} == state[BTC], timeout_s=WAIT_S)


def test_a_book_begins_anew_wherever_its_feed_breaks() -> None:
    with fed(engine='feed_timeout = "1s"') as (here, client, feed):
        run, at_ns = client.run, START_NS + 10**9
        feed.say(FrameKind.START)

        def live(bid: int) -> None:
            nonlocal at_ns
            at_ns += 10**9
            feed.data(book(at_ns, bid, bid + 2))
            assert sees(client, book="live", bid=f"{bid / 100:g}")

        live(4_000_000)
        feed.say(FrameKind.STALE)
        assert sees(client, book="stale", bid="", ask="")
        live(4_000_100)
        assert client.wait_for(lambda s: s["feed:0"]["state"] == "live", timeout_s=WAIT_S)
        feed.publisher._sequence += 3  # frames that never arrive
        feed.say(FrameKind.HEARTBEAT)
        assert sees(client, book="stale")
        assert client.wait_for(lambda s: s["feed:0"]["gaps"] == 1, timeout_s=WAIT_S)
        live(4_000_200)
        assert client.wait_for(lambda s: s["feed:0"]["state"] == "lost", timeout_s=WAIT_S)
        assert sees(client, book="stale")  # it was silent for a second
        live(4_000_300)
        feed.publisher.close()
        feed.publisher = FeedPublisher(here.profile, feed=0, session=8)
        feed.say(FrameKind.START)
        assert sees(client, book="stale")
        live(4_000_400)
        assert client.down().done
        assert ended(here.engine)[0] == 0
        problems = [note["problem"] for note in here.notes("feed")]
        for part in ("session 7 begins", "live -> stale", "stale -> live", "3 frames are missing",
                     "lost", "lost -> live", "session 8 begins"):  # fmt: skip
            assert any(part in problem for problem in problems), (part, problems)
        again = here.mmats("replay", run, "--diff", "--json", "--profile", "paper")
        assert again.returncode == 0, again.stdout + again.stderr


def test_what_can_not_be_true_is_refused_and_written_down() -> None:
    with fed() as (here, client, feed):
        feed.say(FrameKind.START)
        feed.data(bar(1, 4_000_000))
        assert sees(client, last="40000")
        feed.data(bar(1, 4_000_000))  # once more
        feed.data(bar(0, 3_990_000))  # from the past
        feed.data(bar(2, 400_000_000))  # a hundred times as much
        feed.data(bar(3, 1))
        feed.data(bar(60 * 24 * 400, 4_000_000))  # of next year
        feed.data(event(EventKind.EVENT_BAR, START_NS + 4 * MINUTE_NS, -5, -5, -5, -5, 1))
        feed.data(event(EventKind.EVENT_BAR, START_NS + 4 * MINUTE_NS, 9, 1, 5, 9, 1))
        feed.data(event(EventKind.EVENT_QUOTE, START_NS + 4 * MINUTE_NS, 9, 8, 1, 1))
        feed.data(bar(4, 4_000_000, of=77))
        feed.data(event(99, START_NS + 4 * MINUTE_NS, 1))  # type: ignore[arg-type]
        feed.data(bar(5, 4_000_500))
        assert sees(client, last="40005")
        refused = client.state["intake"]
        assert refused["refused"] == 10, refused
        for name in ("DUPLICATE", "OUT_OF_ORDER", "JUMP", "FUTURE", "PRICE", "RANGE", "CROSSED",
                     "INSTRUMENT", "KIND"):  # fmt: skip
            assert refused[f"FEED_{name}"], name
        noise = np.random.default_rng(5)
        rows = np.frombuffer(noise.bytes(64 * 16_000), EVENT_DTYPE)
        for part in np.array_split(rows, 16):
            feed.data(part)
        assert client.wait_for(lambda s: s["intake"]["refused"] >= 16_000, timeout_s=WAIT_S)
        assert client.ping().done
        feed.data(bar(6, 4_000_600))
        assert sees(client, last="40006")
        assert client.state["engine"]["state"] == "trading"
        assert client.down().done
        assert ended(here.engine)[0] == 0
        told = {note.get("problem") for note in here.notes("feed")}
        assert len(told) > 8
        assert here.findings() == []


def test_garbage_on_the_socket_of_the_feeds_is_counted_and_noted() -> None:
    with fed() as (here, client, feed):
        context: zmq.Context[Any] = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.connect(here.profile.endpoint("feed"))
        noise = np.random.default_rng(6)
        for size in (0, 1, 39, 40, 41, 104, 5000):
            push.send(noise.bytes(size))
        push.send_multipart([b"one", b"two", noise.bytes(40)])
        push.send(b"FMM1" + bytes(36))
        feed.say(FrameKind.START)
        feed.data(bar(1, 4_000_000))
        assert sees(client, last="40000")
        push.close(linger=0)
        context.term()
        count = until(lambda: sum(n.get("count", 0) for n in here.notes("feed")) >= 9)
        assert count
        feed.data(bar(2, 4_000_100))
        assert sees(client, last="40001")


def test_a_stopped_feed_is_lost_and_comes_back() -> None:
    with place(speed="600x", days=30, engine='feed_timeout = "1s"') as here:
        here.start("engine")
        feed = here.start("feed", "--quiet", "--loop")
        with here.client() as client:

            def is_in(state: str) -> bool:
                return client.wait_for(
                    lambda s: s.get("feed:0", {}).get("state") == state, timeout_s=WAIT_S
                )

            assert is_in("live")
            feed.send_signal(signal.SIGSTOP)
            assert is_in("lost")
            assert client.ping().done
            feed.send_signal(signal.SIGCONT)
            assert is_in("live")
            feed.kill()
            feed.wait()
            assert is_in("lost")
            before = client.state[BTC]["ts_ns"]
            here.start("feed", "--quiet", "--loop")  # from its beginning: all is old
            assert is_in("live")
            assert client.wait_for(lambda s: s["intake"]["refused"] > 10, timeout_s=WAIT_S)
            assert client.state[BTC]["ts_ns"] >= before
