"""A mirror that got some of the messages, in any order, equals the engine's map or says it may not.

The oracle is the engine's own map: a dict and a list, changed as the messages say.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mmats.client.mirror import Mirror
from mmats.model.messages import CHANNELS, PRIVATE, PUBLIC, Published, Snapshot

KINDS = {PUBLIC: "signal", PRIVATE: "fill"}


@dataclass
class Engine:
    """What the engine has, and what it sent."""

    run: str = "one"
    state: dict[str, dict[str, int]] = field(default_factory=lambda: {c: {} for c in CHANNELS})
    seqs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHANNELS, 0))
    events: dict[str, list[Any]] = field(default_factory=dict)
    count: int = 0

    def change(self, channel: str, key: str | None) -> Published:
        """A new value of a key, or an event where there is no key."""
        self.count += 1
        value: int | None = self.count
        if key is None:
            self.events.setdefault(KINDS[channel], []).append(self.count)
        elif self.count % 5 == 0:
            value = None
            self.state[channel].pop(key, None)
        else:
            self.state[channel][key] = self.count
        self.seqs[channel] += 1
        return self.message(channel, "event" if key is None else "state", key, value)

    def message(self, channel: str, kind: Any, key: str | None, value: Any) -> Published:
        return Published(
            run=self.run,
            channel=channel,  # type: ignore[arg-type]
            seq=self.seqs[channel],
            ts_ns=self.count,
            kind=kind,
            key=KINDS[channel] if key is None else key,
            value=value,
        )

    def beat(self, channel: str) -> Published:
        return self.message(channel, "heartbeat", "", None)

    def snapshot(self) -> Snapshot:
        merged = self.merged()
        kept = {kind: list(values) for kind, values in self.events.items()}
        return Snapshot(run=self.run, seqs=dict(self.seqs), state=merged, events=kept)

    def merged(self) -> dict[str, Any]:
        # Keys of the two channels differ, as the engine's do.
        return {f"{c}.{k}": v for c in CHANNELS for k, v in self.state[c].items()}

    def restart(self, run: str) -> None:
        self.run = run
        self.state = {c: {} for c in CHANNELS}
        self.seqs = dict.fromkeys(CHANNELS, 0)
        self.events = {}


def named(message: Published) -> Published:
    if message.kind != "state":
        return message
    return Published(
        run=message.run,
        channel=message.channel,
        seq=message.seq,
        ts_ns=message.ts_ns,
        kind="state",
        key=f"{message.channel}.{message.key}",
        value=message.value,
    )


FATES = ("sent", "sent", "sent", "lost", "twice", "late")
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("change"),
            st.sampled_from(CHANNELS),
            st.sampled_from(["a", "b", "c", None]),
            st.sampled_from(FATES),
        ),
        st.tuples(st.just("beat"), st.sampled_from(CHANNELS)),
        st.tuples(st.just("snapshot")),
        st.tuples(st.just("stale")),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


class Play:
    """Delivers messages to a mirror the way the steps say."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.mirror = Mirror()
        self.mirror.take_snapshot(self.engine.snapshot())
        self.old = self.engine.snapshot()
        self.late: list[Published] = []
        self.told: list[tuple[str, str, Any]] = []
        self.runs = 1

    def step(self, step: tuple[Any, ...]) -> None:
        if step[0] == "change":
            self._change(*step[1:])
        elif step[0] == "beat":
            self._give(self.engine.beat(step[1]))
        elif step[0] == "snapshot":
            self.old = self.engine.snapshot()
            self._note(self.mirror.take_snapshot(self.old))
        elif step[0] == "stale":
            self._note(self.mirror.take_snapshot(self.old))
        else:
            self.runs += 1
            self.engine.restart(f"run {self.runs}")

    def _change(self, channel: str, key: str | None, fate: str) -> None:
        message = named(self.engine.change(channel, key))
        if fate == "late":
            self.late.append(message)
        elif fate != "lost":
            self._give(message)
            if fate == "twice":
                self._give(message)
            if self.late:
                self._give(self.late.pop())

    def settle(self) -> None:
        for channel in CHANNELS:
            self._give(self.engine.beat(channel))
        if self.mirror.needs_snapshot:
            self._note(self.mirror.take_snapshot(self.engine.snapshot()))
            for channel in CHANNELS:
                self._give(self.engine.beat(channel))

    def _give(self, message: Published) -> None:
        self._note(self.mirror.take(message))

    def _note(self, events: list[Any]) -> None:
        self.told += [(event.run, event.kind, event.value) for event in events]


@given(STEPS)
def test_equal_after_a_heartbeat_or_flagged(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    for step in steps:
        play.step(step)
    for channel in CHANNELS:
        play._give(play.engine.beat(channel))
    if not play.mirror.needs_snapshot:
        assert play.mirror.copy() == play.engine.merged()


@given(STEPS)
def test_one_snapshot_makes_it_equal_again(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    for step in steps:
        play.step(step)
    play.settle()
    assert not play.mirror.needs_snapshot
    assert dict(play.mirror) == play.engine.merged()
    assert play.mirror.run == play.engine.run


@given(STEPS)
def test_events_come_once_and_in_order(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    for step in steps:
        play.step(step)
    play.settle()
    for kind, values in play.engine.events.items():
        told = [v for run, k, v in play.told if k == kind and run == play.engine.run]
        assert told == values
        assert play.mirror.recent(kind) == values


def test_a_gap_is_seen_by_the_next_message_and_by_the_heartbeat() -> None:
    play = Play()
    play.step(("change", PUBLIC, "a", "lost"))
    seen = [play.mirror.needs_snapshot]
    play.step(("change", PUBLIC, "b", "sent"))
    seen.append(play.mirror.needs_snapshot)
    assert seen == [False, True]  # nobody can know before the next message
    assert play.mirror.gaps == 1
    play.settle()
    play.step(("change", PRIVATE, "a", "lost"))
    play.step(("beat", PRIVATE))
    assert play.mirror.needs_snapshot
    assert play.mirror.gaps == 2


def test_a_late_message_closes_the_gap_without_a_snapshot() -> None:
    play = Play()
    play.step(("change", PUBLIC, "a", "late"))
    play.step(("change", PUBLIC, "b", "sent"))
    assert not play.mirror.needs_snapshot
    assert play.mirror.copy() == play.engine.merged()
    assert play.mirror.snapshots == 1


def test_a_snapshot_older_than_the_mirror_changes_nothing() -> None:
    play = Play()
    old = play.engine.snapshot()
    play.step(("change", PUBLIC, "a", "sent"))
    assert play.mirror.take_snapshot(old) == []
    assert play.mirror.copy() == play.engine.merged()


def test_a_new_run_drops_the_old_state() -> None:
    play = Play()
    play.step(("change", PUBLIC, "a", "sent"))
    play.step(("restart",))
    play.step(("beat", PUBLIC))
    assert play.mirror.needs_snapshot
    play.settle()
    assert play.mirror.copy() == {}


def test_events_lost_beyond_what_the_engine_keeps_are_counted() -> None:
    mirror = Mirror()
    mirror.take_snapshot(Snapshot(run="r", seqs={PUBLIC: 1}, state={}, events={"signal": [1]}))
    new = Snapshot(run="r", seqs={PUBLIC: 9}, state={}, events={"signal": [8, 9]})
    assert [event.value for event in mirror.take_snapshot(new)] == [8, 9]
    assert mirror.events_lost == 1


def test_keys_below_a_prefix() -> None:
    mirror = Mirror()
    state = {"position:a:X": 1, "positions": 2, "position:b": 3}
    mirror.take_snapshot(Snapshot(run="r", seqs={PUBLIC: 0}, state=state, events={}))
    assert mirror.below("position") == {"a:X": 1, "b": 3}
