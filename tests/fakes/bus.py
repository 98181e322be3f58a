"""Ends of the bus for tests: bounded waits for what must come, never sleeps."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from adapters.bus.engine_bus import EngineBus
from mmats._core import EVENT_DTYPE
from mmats.ports.bus import FeedFrame, FrameKind

WAIT_S = 10.0


def quotes(count: int, first: int = 0, instrument: int = 0) -> np.ndarray[Any, Any]:
    """Quotes at 1 ns distance; their prices count up."""
    events = np.zeros(count, EVENT_DTYPE)
    events["kind"] = 2
    events["instrument"] = instrument
    events["ts_event_ns"] = events["ts_recv_ns"] = first + np.arange(count)
    events["a"] = 1 + first + np.arange(count)
    events["b"] = events["a"] + 1
    return events


def bars(times: list[int], instrument: int = 0) -> np.ndarray[Any, Any]:
    """Bars that close at the times."""
    events = np.zeros(len(times), EVENT_DTYPE)
    events["kind"] = 1
    events["instrument"] = instrument
    events["ts_event_ns"] = events["ts_recv_ns"] = times
    for name in "abcd":
        events[name] = 100
    return events


def until(condition: Callable[[], Any], what: str = "condition") -> Any:
    """Poll a condition that another thread or process will make true; its value."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.0005)
    raise AssertionError(f"{what} did not come true in {WAIT_S} s")


def frames_until(
    bus: EngineBus, done: Callable[[list[FeedFrame]], bool], frames_max: int = 64
) -> list[FeedFrame]:
    """Take frames until a condition on all of them holds."""
    frames: list[FeedFrame] = []
    deadline = time.monotonic() + WAIT_S
    while not done(frames):
        assert time.monotonic() < deadline, f"only {len(frames)} frames came"
        bus.wait(100)
        frames += bus.feed_frames(frames_max)
    return frames


def data_of(frames: list[FeedFrame]) -> np.ndarray[Any, Any]:
    """Events of all frames, in order."""
    found = [frame.events for frame in frames if frame.kind is FrameKind.DATA]
    return np.concatenate(found) if found else np.empty(0, EVENT_DTYPE)
