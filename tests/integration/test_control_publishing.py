"""The published state: what clients see is what the engine said, whatever was lost on the way."""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bus.control_mirror import EVENTS_KEPT, Mirror, PublicationQueue
from mmats.model.messages import PRIVATE, PUBLIC, Answer, Outcome, Published, Role
from tests.fakes.control import FakeClock, RawClient, Stage, Subscriber, control_stage, until


@pytest.fixture
def stage() -> Iterator[Stage]:
    with control_stage() as made:
        yield made
        assert made.server.counters()["errors"] == 0


class Replica:
    """The rule of the protocol in its shortest form, for one channel."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.seq = 0
        self.events = 0
        self.is_whole = True

    def take(self, message: Published) -> None:
        if message.kind == "heartbeat":
            self.is_whole = self.is_whole and message.seq == self.seq
        elif message.seq > self.seq:
            self.is_whole = self.is_whole and message.seq == self.seq + 1
            if self.is_whole:
                self.seq = message.seq
                self._apply(message)

    def take_snapshot(self, seq: int, state: dict[str, Any]) -> None:
        if seq >= self.seq:
            self.seq, self.state, self.is_whole = seq, state, True

    def _apply(self, message: Published) -> None:
        if message.kind == "event":
            self.events += 1
        elif message.value is None:
            self.state.pop(message.key, None)
        else:
            self.state[message.key] = message.value


def joined(stage: Stage, channel: str, **options: Any) -> Subscriber:
    """A subscriber that is known to receive: a heartbeat came."""
    made = stage.subscriber(channel, **options)
    stage.server.set_heartbeat({"state": "test"})
    made.receive()
    return made


def next_message(subscriber: Subscriber) -> Published:
    """The next message that is no heartbeat."""
    while (message := subscriber.receive()).kind == "heartbeat":
        pass
    return message


def test_a_message_has_run_channel_number_and_time(stage: Stage) -> None:
    subscriber = joined(stage, PUBLIC)
    stage.server.publish_state(PUBLIC, [("engine", {"state": "running"})])
    stage.server.publish_event(PUBLIC, "signal", {"symbol": "BTCUSDT"})
    first, second = next_message(subscriber), next_message(subscriber)
    assert (first.run, first.channel, first.seq, first.kind, first.key, first.value) == (
        ("run1", PUBLIC, 1, "state", "engine", {"state": "running"})
    )
    assert (second.seq, second.kind, second.key) == (2, "event", "signal")
    assert first.ts_ns > 0


def test_channels_are_numbered_apart_and_roles_see_theirs(stage: Stage) -> None:
    public, private = joined(stage, PUBLIC), joined(stage, PRIVATE)
    stage.server.publish_state(PRIVATE, [("account", {"equity": "100"}), ("order:1", {})])
    stage.server.publish_state(PUBLIC, [("engine", {"state": "running"})])
    stage.server.publish_event(PRIVATE, "fill", {"order": 1})
    assert [next_message(private).key for _ in range(3)] == ["account", "order:1", "fill"]
    assert next_message(public).seq == 1
    snapshot = stage.client(Role.VIEWER).ask("snapshot").body
    assert snapshot == {
        "run": "run1",
        "seqs": {PUBLIC: 1},
        "state": {"engine": {"state": "running"}},
        "events": {},
    }
    for role in (Role.TRADER, Role.ADMIN):
        snapshot = stage.client(role).ask("snapshot").body
        assert snapshot["seqs"] == {PUBLIC: 1, PRIVATE: 3}
        assert set(snapshot["state"]) == {"engine", "account", "order:1"}
        assert snapshot["events"] == {"fill": [{"order": 1}]}


def test_a_reply_finds_the_state_published(stage: Stage) -> None:
    client = stage.client(Role.TRADER)
    client.send(client.payload("halt"))
    until(lambda: stage.server.counters()["commands_queued"] == 1)
    (command,) = stage.server.take_commands(1)
    stage.server.publish_state(PRIVATE, [("trading", {"global": "halted"})])
    stage.server.answer(command, Answer(outcome=Outcome.DONE))
    client.receive()
    assert client.ask("snapshot").body["state"]["trading"] == {"global": "halted"}


def test_hello_tells_the_mode_that_is_published(stage: Stage) -> None:
    stage.server.publish_state(PUBLIC, [("engine", {"mode": "advisory"})])
    until(lambda: stage.server.counters()["published"] > 0)
    assert stage.client().hello(stage.tokens[Role.VIEWER]).body["mode"] == "advisory"


def test_changes_of_a_burst_leave_as_one() -> None:
    queue = PublicationQueue(100)
    sent: list[bytes] = []
    mirror = Mirror("run", lambda: 0, lambda channel, message: sent.append(message))
    for value in range(50):
        queue.put_state(PUBLIC, [("a", value), ("b", -value)])
    queue.put_event(PUBLIC, "signal", {})
    queue.put_state(PUBLIC, [("a", None), ("c", None)])
    mirror.apply(queue.take())
    assert len(sent) == 4  # a, b, the event, a is gone; c never was
    assert mirror.channels[PUBLIC].state == {"b": -49}


def test_the_last_events_are_kept(stage: Stage) -> None:
    for number in range(EVENTS_KEPT + 50):
        stage.server.publish_event(PUBLIC, "signal", {"number": number})
    until(lambda: stage.server.counters()["published"] >= EVENTS_KEPT + 50)
    events = stage.client(Role.VIEWER).ask("snapshot").body["events"]["signal"]
    assert [event["number"] for event in events] == list(range(50, EVENTS_KEPT + 50))


def test_what_is_not_json_is_counted_and_leaves_no_gap(stage: Stage) -> None:
    subscriber = joined(stage, PUBLIC)
    stage.server.publish_state(PUBLIC, [("odd", object()), ("engine", 1)])
    stage.server.publish_event(PUBLIC, "signal", {"odd": object()})
    stage.server.publish_event(PUBLIC, "signal", {"even": 2})
    assert [next_message(subscriber).seq for _ in range(2)] == [1, 2]
    assert stage.server.counters()["publications_unfit"] == 2
    assert stage.client(Role.VIEWER).ask("snapshot").body["state"] == {"engine": 1}


def test_an_unknown_channel_is_the_callers_error(stage: Stage) -> None:
    with pytest.raises(ValueError, match="no channel"):
        stage.server.publish_state("secret", [("a", 1)])
    with pytest.raises(ValueError, match="no channel"):
        stage.server.publish_event("secret", "a", {})


# -- loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_after_loss_a_replica_is_equal_to_the_engine(stage: Stage, seed: int) -> None:
    """A tenth of the messages is thrown away, the last ones too; heartbeats tell of those."""
    chance = random.Random(seed)
    truth: dict[str, Any] = {}
    subscriber = joined(stage, PUBLIC)
    client = stage.client(Role.VIEWER)
    replica = Replica()
    lost = resyncs = 0
    for _ in range(20):
        for _ in range(50):
            key = f"market:{chance.randrange(30)}"
            value = None if chance.random() < 0.2 else {"last": str(chance.random())}
            stage.server.publish_state(PUBLIC, [(key, value)])
            truth[key] = value
            if chance.random() < 0.2:
                stage.server.publish_event(PUBLIC, "signal", {"at": str(chance.random())})
        while subscriber.socket.poll(5):
            if chance.random() < 0.1:
                subscriber.socket.recv()
                lost += 1
            else:
                replica.take(subscriber.receive())
        if not replica.is_whole and chance.random() < 0.1:
            resyncs += resync(client, replica)
    stage.server.set_heartbeat({"state": "test"})
    until(lambda: stage.server.counters()["publications_queued"] == 0)
    while not (message := subscriber.receive()).kind == "heartbeat" or subscriber.socket.poll(0):
        replica.take(message)
    replica.take(message)
    if not replica.is_whole:
        resyncs += resync(client, replica)
    assert lost
    assert resyncs
    assert replica.state == {key: value for key, value in truth.items() if value is not None}


def resync(client: RawClient, replica: Replica) -> int:
    reply = client.ask("snapshot")
    if reply.outcome is not Outcome.DONE:  # at most four a second
        assert reply.code == "RATE"
        until(lambda: client.ask("ping").outcome is Outcome.DONE)
        return resync(client, replica)
    replica.take_snapshot(reply.body["seqs"][PUBLIC], reply.body["state"])
    return 1


def test_a_subscriber_that_does_not_read_holds_nobody_up(stage: Stage) -> None:
    stalled = joined(stage, PUBLIC, high_water_mark=1)
    reader = joined(stage, PUBLIC)
    count, padding = 40_000, "x" * 500
    for start in range(0, count, 500):
        for number in range(start, start + 500):
            stage.server.publish_event(PUBLIC, "signal", {"number": number, "padding": padding})
        for number in range(start, start + 500):
            assert next_message(reader).value["number"] == number
    seen = []
    while stalled.socket.poll(100):
        message = stalled.receive()
        if message.kind == "event":
            seen.append(message.seq)
        elif message.seq == count:
            break
    assert len(seen) < count
    assert seen == sorted(set(seen))
    assert stage.server.counters()["events_lost"] == 0


Change = tuple[str, str, int | None]
CHANGES = st.lists(
    st.one_of(
        st.tuples(
            st.just("state"), st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 9))
        ),
        st.just(("event", "signal", 0)),
        st.just(("take", "", 0)),
    ),
    max_size=60,
)


@given(CHANGES, st.integers(1, 4))
def test_a_full_queue_loses_no_state_and_tells_of_lost_events(
    changes: list[Change], room: int
) -> None:
    queue = PublicationQueue(room)
    replica = Replica()
    gaps = 0

    def receive(channel: str, encoded: bytes) -> None:
        nonlocal gaps
        message = decode(encoded)
        gaps += message.seq - replica.seq - 1
        replica.seq = message.seq - 1
        replica.take(message)

    mirror = Mirror("run", lambda: 0, receive)
    truth: dict[str, int] = {}
    events = 0
    for kind, key, value in changes:
        if kind == "take":
            mirror.apply(queue.take())
        elif kind == "event":
            queue.put_event(PUBLIC, key, {})
            events += 1
        else:
            queue.put_state(PUBLIC, [(key, value)])
            if value is None:
                truth.pop(key, None)
            else:
                truth[key] = value
    mirror.apply(queue.take())
    queue.flush()
    mirror.apply(queue.take())
    queue.put_event(PUBLIC, "signal", {})
    mirror.apply(queue.take())
    assert replica.state == mirror.snapshot(Role.VIEWER).state == truth
    assert gaps == queue.events_lost
    assert replica.events + queue.events_lost == events + 1


def decode(encoded: bytes) -> Published:
    return msgspec.json.decode(encoded, type=Published)


# -- heartbeats ------------------------------------------------------------------------------------


def test_heartbeats_stop_when_the_trading_thread_hangs() -> None:
    clock = FakeClock()
    with control_stage(clock) as stage:
        subscribers = [joined(stage, channel) for channel in (PUBLIC, PRIVATE)]
        stage.server.publish_state(PRIVATE, [("account", 1)])
        assert next_message(subscribers[1]).seq == 1
        stage.server.set_heartbeat({"head": [7, "ab"], "uptime_s": 1, "state": "running"})
        for subscriber, seq in zip(subscribers, (0, 1), strict=True):
            while (message := subscriber.receive()).value["state"] != "running":
                pass
            assert (message.kind, message.seq) == ("heartbeat", seq)
            assert message.value["head"] == [7, "ab"]
        clock.advance(2)
        for subscriber in subscribers:
            while subscriber.socket.poll(0):
                subscriber.receive()
            assert not subscriber.socket.poll(600)
        stage.server.set_heartbeat({"state": "back"})
        assert all(s.receive().value == {"state": "back"} for s in subscribers)


def test_there_are_four_heartbeats_a_second(stage: Stage) -> None:
    subscriber = joined(stage, PUBLIC)
    stamps = [subscriber.receive().ts_ns for _ in range(6)]
    pauses_ns = sorted(after - before for before, after in pairwise(stamps))
    assert pauses_ns[2] == pytest.approx(0.25e9, rel=0.5)
