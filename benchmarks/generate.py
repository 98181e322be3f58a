"""Seeded synthetic data for the benchmarks, in the layouts of the core."""

import numpy as np
from numpy.typing import NDArray

from mmats._core.frames import DELTA_DTYPE
from mmats._core.types import EventFlag, EventKind

MID_TICKS = 6_000_000
DEPTH_TICKS = 103  # a side's levels lie 1..DEPTH_TICKS from the mid
MOVE_SHARE = 0.02  # steps that move the mid by one tick
DELETE_SHARE = 0.126  # of the touches of a live level
MESSAGE_ROWS_MEAN = 5
SIZE_LOTS_MAX = 1_000_000
STEP_NS = 20_000_000


def l2_deltas(n: int, seed: int) -> NDArray[np.void]:
    """Return `n` book updates of one instrument, a valid stream in messages of about 5 rows.

    The first rows are a snapshot. The rest is about 12.7 % new levels, 74.6 % changes and 12.7 %
    removals on about 180 live levels, more often near the top; the mid moves a tick in 2 % of
    the steps, and the level it runs over and the one it leaves behind are then removed.
    """
    rng = np.random.default_rng(seed)
    touch, ticks, is_ask = _touches(rng, n + n // 4 + 1000)
    kept, lots = _resolve(rng, touch, ticks * 2 + is_ask)
    rows = np.flatnonzero(kept)[:n]
    if rows.size < n:
        raise ValueError(f"l2_deltas: made {rows.size} rows of {n}; raise the reserve")
    return _pack(rng, ticks[rows], is_ask[rows], lots[rows])


TOUCH, KILL, SET = 0, 1, 2  # what a step does to its level: random, remove, snapshot row


def _touches(
    rng: np.random.Generator, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Which level each step touches: kinds, prices and sides."""
    offsets = np.arange(1, DEPTH_TICKS + 1)
    move = np.where(rng.random(steps) < MOVE_SHARE, rng.choice([-1, 1], steps), 0)
    mid = MID_TICKS + np.cumsum(move)
    # A move takes two rows of its own: the level run over, then the one left behind.
    width = np.where(move != 0, 2, 1)
    step = np.repeat(np.arange(steps), width)
    second = np.concatenate(([False], step[1:] == step[:-1]))
    moved = move[step]
    is_ask = np.where(moved == 0, rng.integers(0, 2, step.size), (moved > 0) ^ second)
    distance = 1 + (DEPTH_TICKS * rng.random(step.size) ** 2).astype(np.int64)
    distance = np.where(moved == 0, distance, np.where(second, DEPTH_TICKS + 1, 0))
    ticks = mid[step] + np.where(is_ask == 1, distance, -distance)
    touch = np.where(moved == 0, TOUCH, KILL)
    return (
        np.concatenate((np.full(2 * DEPTH_TICKS, SET), touch)),
        np.concatenate((MID_TICKS - offsets, MID_TICKS + offsets, ticks)),
        np.concatenate((offsets * 0, offsets * 0 + 1, is_ask)),
    )


def _resolve(
    rng: np.random.Generator, touch: NDArray[np.int64], level: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which steps change something, and to which size, given what each does to its level.

    A random touch adds a missing level; it removes a live one if it is drawn to, so in a run of
    such draws the level goes and comes in turn.
    """
    order = np.argsort(level, kind="stable")
    kind = touch[order]
    flip = (kind == TOUCH) & (rng.random(touch.size) < DELETE_SHARE)
    first = np.concatenate(([True], level[order][1:] != level[order][:-1]))
    # State before a row: that which the last decisive row of its level left, flipped since.
    index = np.arange(touch.size)
    decisive = np.where(~flip | first, index, -1)
    live_after = np.where(flip, first, kind != KILL)
    before = np.concatenate(([0], np.maximum.accumulate(decisive)[:-1]))
    flips = np.concatenate(([0], np.cumsum(flip)[:-1]))
    since = flips - np.where(flip, flips + 1, flips)[before]
    live_before = (live_after[before] ^ (since % 2 == 1)) & ~first
    removes = (kind == KILL) | (flip & live_before)
    kept = np.empty(touch.size, dtype=bool)
    lots = np.empty(touch.size, dtype=np.int64)
    kept[order] = ~((kind == KILL) & ~live_before)
    lots[order] = np.where(removes, 0, rng.integers(1, SIZE_LOTS_MAX, touch.size))
    return kept, lots


def _pack(
    rng: np.random.Generator,
    ticks: NDArray[np.int64],
    is_ask: NDArray[np.int64],
    lots: NDArray[np.int64],
) -> NDArray[np.void]:
    snapshot = np.arange(ticks.size) < 2 * DEPTH_TICKS
    last = rng.random(ticks.size) < 1 / MESSAGE_ROWS_MEAN
    last[snapshot] = False
    last[2 * DEPTH_TICKS - 1 :: ticks.size - 2 * DEPTH_TICKS] = True
    last[-1] = True
    sequence = 1 + np.cumsum(last) - last
    out = np.zeros(ticks.size, dtype=DELTA_DTYPE)
    out["kind"] = EventKind.EVENT_DELTA
    out["flags"] = (
        is_ask * int(EventFlag.DELTA_ASK)
        + snapshot * int(EventFlag.DELTA_SNAPSHOT)
        + last * int(EventFlag.DELTA_LAST)
    )
    out["flags"][0] |= EventFlag.DELTA_CLEAR
    out["ts_event_ns"] = np.arange(ticks.size) * STEP_NS
    out["ts_recv_ns"] = out["ts_event_ns"]
    out["price_ticks"] = ticks
    out["size_lots"] = lots
    out["first_sequence"] = sequence
    out["last_sequence"] = sequence
    return out
