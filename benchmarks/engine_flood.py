"""A feed process that sends as fast as the engine takes it; usage: engine_flood HOME SECONDS."""

import sys
import time
from pathlib import Path

import numpy as np

from adapters.bus.feed import FeedPublisher
from benchmarks.engine_market import ASK_TICKS, BID_TICKS, LOTS, snapshot, ticks
from mmats._core import DELTA_DTYPE, EVENT_DTYPE, QUOTE_DTYPE, EventKind
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind

BATCH = 256
BLOCK = 64 * BATCH
STEP_NS = 1_000
HIGH_WATER_MARK = 64
WAIT_MS = 20_000


def block(start_ns: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Deltas and quotes in turn, a microsecond apart."""
    rows = np.empty(BLOCK, EVENT_DTYPE)
    rows[0::2] = ticks(np.zeros(BLOCK // 2, np.bool_))
    quotes = np.zeros(BLOCK // 2, QUOTE_DTYPE)
    quotes["kind"] = EventKind.EVENT_QUOTE
    quotes["bid_ticks"], quotes["ask_ticks"] = BID_TICKS, ASK_TICKS
    quotes["bid_lots"] = quotes["ask_lots"] = LOTS
    quotes["sequence"] = 1 + np.arange(BLOCK // 2)
    rows[1::2] = quotes.view(EVENT_DTYPE)
    rows["ts_event_ns"] = rows["ts_recv_ns"] = start_ns + STEP_NS * (1 + np.arange(BLOCK))
    return rows


def flood(profile: Profile, seconds: float) -> None:
    """Send for so long; prints the number of events sent."""
    start_ns = time.time_ns()
    feed = FeedPublisher(profile, feed=0, session=1, high_water_mark=HIGH_WATER_MARK)
    feed.send(FrameKind.START, block_ms=WAIT_MS)
    feed.send(FrameKind.DATA, snapshot(start_ns))
    rows = block(start_ns)
    sent = len(snapshot(0))
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        for start in range(0, BLOCK, BATCH):
            feed.send(FrameKind.DATA, rows[start : start + BATCH])
        sent += BLOCK
        for name in ("ts_event_ns", "ts_recv_ns"):
            rows[name] += BLOCK * STEP_NS
        for name in ("first_sequence", "last_sequence"):
            rows[0::2].view(DELTA_DTYPE)[name] += BLOCK // 2
        rows[1::2].view(QUOTE_DTYPE)["sequence"] += BLOCK // 2
    feed.send(FrameKind.END)
    print(sent, flush=True)
    feed.close(WAIT_MS)


if __name__ == "__main__":
    flood(Profile.of("dev", Path(sys.argv[1])), float(sys.argv[2]))
