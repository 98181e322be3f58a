"""A wall clock that jumps: the engine's time never goes back, and trading is paused."""

from typing import Any

import pytest

from mmats.engine.clock import WallClock
from mmats.engine.feeds_seen import FeedsSeen
from mmats.engine.loop import TradingLoop
from mmats.engine.metrics import EngineMetrics
from mmats.engine.publisher import Publisher
from mmats.engine.session import Session
from mmats.ports.bus import Ready
from mmats.ports.journal import Group, Head
from tests.fakes.feeding import FakeClock
from tests.fakes.sessions import small_config

HOUR_NS = 3600 * 10**9


class NoBus:
    """Nobody is there."""

    def wait(self, timeout_ms: int) -> Ready:
        return Ready.NOTHING

    def wake(self) -> None: ...

    def counters(self) -> dict[str, int]:
        return {"bad_frames": 0}

    def venue_state(self) -> dict[str, Any]:
        return {}

    def feed_state(self) -> dict[int, dict[str, Any]]:
        return {}

    def reports(self, messages_max: int) -> list[Any]:
        return []


class NoKill:
    """A kill switch that nobody touches."""

    def tripped(self) -> str:
        return ""


class NoControl:
    """Nobody asks; keeps the published state."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def on_command(self, wake: Any) -> None: ...

    def take_commands(self, commands_max: int) -> list[Any]:
        return []

    def take_audit(self) -> list[Any]:
        return []

    def publish_state(self, channel: str, changes: list[tuple[str, Any]]) -> None:
        self.state.update(changes)

    def publish_event(self, channel: str, kind: str, value: Any) -> None: ...

    def set_heartbeat(self, value: Any) -> None: ...


class MemoryWriter:
    """A journal that is durable at once."""

    failure = None
    is_idle = True
    commit_ns_last = 0
    head = Head(0, "")

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def on_done(self, wake: Any) -> None: ...

    def submit(self, group: Group) -> None:
        self.groups.append(group)

    @property
    def committed(self) -> int:
        return len(self.groups)


def make(clock: FakeClock) -> tuple[TradingLoop, NoControl, MemoryWriter]:
    session, bus, control, writer = Session(small_config()), NoBus(), NoControl(), MemoryWriter()
    seen = FeedsSeen(10**9)
    publisher = Publisher(
        session,
        control,
        writer,
        bus,
        seen,
        EngineMetrics(),
        {},  # type: ignore[arg-type]
    )
    loop = TradingLoop(
        session,
        bus,  # type: ignore[arg-type]
        control,  # type: ignore[arg-type]
        writer,  # type: ignore[arg-type]
        WallClock(clock.now_ns, clock.monotonic_ns),
        recorder=None,
        stop_asked=str,
        kill=NoKill(),  # type: ignore[arg-type]
        publisher=publisher,
        feeds=seen,
    )
    return loop, control, writer


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS, 6 * 10**9, -6 * 10**9])
def test_a_jump_pauses_trading_and_is_written_down(jump_ns: int) -> None:
    clock = FakeClock()
    loop, _, writer = make(clock)
    loop.turn()
    loop.turn()
    assert loop.session.gate.limits("global", 0)["trading_state"] == 1
    before_ns = loop.session.pipeline.now_ns
    clock.wall_ns += jump_ns
    loop._timer_due_ns = 0
    loop.turn()
    loop.turn()
    assert loop.session.gate.limits("global", 0)["trading_state"] == 2
    assert loop.session.pipeline.now_ns >= before_ns
    notes = [note for group in writer.groups for note in group.notes]
    assert [note.data["jump_ns"] for note in notes if note.kind == "clock"] == [jump_ns]
    loop._timer_due_ns = 0
    loop.turn()
    assert [note.kind for group in writer.groups for note in group.notes].count("clock") == 1


def test_time_that_was_set_back_goes_on_from_what_was_told_last() -> None:
    clock = FakeClock()
    wall = WallClock(clock.now_ns, clock.monotonic_ns)
    first_ns = wall.now_ns()
    clock.wall_ns -= HOUR_NS
    assert wall.now_ns() == first_ns
    clock.advance(10**9)
    assert wall.now_ns() == first_ns + 10**9
    clock.wall_ns += 2 * HOUR_NS
    assert wall.now_ns() == clock.wall_ns


def test_small_corrections_are_no_jump() -> None:
    clock = FakeClock()
    wall = WallClock(clock.now_ns, clock.monotonic_ns)
    for _ in range(20):
        clock.advance(60 * 10**9)
        clock.wall_ns += 10**8
        assert wall.take_jump_ns() == 0 or clock.wall_ns > 5 * 10**9
