"""A trading loop whose ends are lists: frames in, requests out, a journal that waits for a word."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import REQUEST_DTYPE
from mmats.config import load_config
from mmats.engine.clock import FeedClock
from mmats.engine.feeds_seen import FeedsSeen
from mmats.engine.kill import KillSwitch
from mmats.engine.loop import TradingLoop
from mmats.engine.metrics import EngineMetrics
from mmats.engine.publisher import Publisher
from mmats.engine.session import Session
from mmats.model import Action, MarketData, Strategy, TradeSignal
from mmats.ports.bus import FeedFrame, FrameKind, Ready
from mmats.ports.journal import Group, Head
from tests.fakes.backtests import SYMBOL, config


class EveryBar(Strategy):
    """Buys at every bar."""

    name = "every"

    def initialize(self, config: Any) -> None:
        """There is nothing to set."""

    def on_market_data(self, data: MarketData) -> TradeSignal:
        return TradeSignal(Action.BUY, SYMBOL, 1.0)


class ListBus:
    """Implements IEngineBus: what is in `frames` comes next, what was sent is in `sent`."""

    def __init__(self) -> None:
        self.frames: list[FeedFrame] = []
        self.sent: list[NDArray[np.void]] = []
        self.sequence = 0
        self.is_woken = False

    def put(self, events: NDArray[np.void]) -> None:
        """Let a frame of data arrive."""
        self.sequence += 1
        self.frames.append(FeedFrame(0, FrameKind.DATA, 1, self.sequence, 0, events))

    @property
    def orders(self) -> int:
        """Requests that have left."""
        return sum(len(rows) for rows in self.sent)

    def wait(self, timeout_ms: int) -> Ready:
        ready = Ready.WAKE if self.is_woken else Ready.NOTHING
        self.is_woken = False
        return ready | Ready.FEED if self.frames else ready

    def wake(self) -> None:
        """The next wait says so."""
        self.is_woken = True

    def feed_frames(self, frames_max: int) -> list[FeedFrame]:
        taken, self.frames = self.frames[:frames_max], self.frames[frames_max:]
        return taken

    def reports(self, messages_max: int) -> list[NDArray[np.void]]:
        return []

    def send_requests(self, requests: NDArray[np.void]) -> bool:
        assert requests.dtype == REQUEST_DTYPE
        self.sent.append(requests)
        return True

    def feed_state(self) -> dict[int, dict[str, Any]]:
        return {}

    def venue_state(self) -> dict[str, Any]:
        return {}

    def counters(self) -> dict[str, int]:
        return {"bad_frames": 0, "bad_reports": 0}

    def close(self) -> None:
        """There is nothing to close."""


class HeldWriter:
    """Implements IJournalWriter: a group is durable when `commit` is called, or at once."""

    failure: Exception | None = None
    commit_ns_last = 0
    head = Head(0, "")

    def __init__(self, is_held: bool) -> None:
        self.is_held = is_held
        self.committed = 0
        self.groups: list[Group] = []

    @property
    def is_idle(self) -> bool:
        return self.committed == len(self.groups)

    def submit(self, group: Group) -> None:
        assert self.is_idle
        self.groups.append(group)
        if not self.is_held:
            self.commit()

    def commit(self) -> None:
        """The disk has it."""
        self.committed = len(self.groups)

    def on_done(self, wake: Callable[[], None]) -> None:
        """Nobody sleeps."""

    def close(self) -> None:
        """There is nothing to close."""


class QuietControl:
    """Implements IControlServer without clients: keeps the events that were published."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def take_commands(self, commands_max: int) -> list[Any]:
        return []

    def take_audit(self, notes_max: int = 256) -> list[Any]:
        return []

    def on_command(self, wake: Callable[[], None]) -> None:
        """No command comes."""

    def publish_state(self, channel: str, changes: Sequence[tuple[str, Any]]) -> None:
        """Nobody looks."""

    def publish_event(self, channel: str, kind: str, value: dict[str, Any]) -> None:
        self.events.append((channel, kind, value))

    def set_heartbeat(self, value: dict[str, Any]) -> None:
        """Nobody listens."""


class Stage:
    """An operator session with one strategy that buys at every bar, in its loop."""

    def __init__(self, folder: Path, *, is_held: bool) -> None:
        table = {"name": "every", "source": f"{__name__}:EveryBar", "symbols": [SYMBOL]}
        engine = {"mode": "operator", "venue": "list"}
        data = {**config(), "strategies": [table], "engine": engine}
        self.session = Session(load_config(data))
        self.bus, self.writer, self.control = ListBus(), HeldWriter(is_held), QuietControl()
        self.kill = KillSwitch(folder / "kill", wake=self.bus.wake)
        seen, parts = FeedsSeen(10**9), (self.control, self.writer, self.bus)
        publisher = Publisher(self.session, *parts, seen, EngineMetrics(), {})
        self.loop = TradingLoop(
            self.session,
            self.bus,
            self.control,
            self.writer,
            FeedClock(),
            recorder=None,
            stop_asked=lambda: "",
            kill=self.kill,
            publisher=publisher,
            feeds=seen,
        )

    def turns(self, count: int = 1) -> None:
        for _ in range(count):
            self.loop.turn()
