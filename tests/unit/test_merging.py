"""Merged sources are in the order in which the compiled replay plays them."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmats._core import EVENT_DTYPE
from mmats.engine.merging import cut, merge, ordered
from mmats.model.errors import DataError

BAR, QUOTE = 1, 2


def rows(kind: int, instrument: int, times: list[int]) -> np.ndarray:
    events = np.zeros(len(times), EVENT_DTYPE)
    events["kind"], events["instrument"], events["ts_event_ns"] = kind, instrument, times
    events["a"] = np.arange(len(times))  # place in its source
    return events


def chunks(events: np.ndarray, sizes: list[int]) -> Iterator[np.ndarray]:
    start = 0
    for size in sizes:
        yield events[start : start + size]
        start += size
    yield events[start:]


def played(sources: list[np.ndarray]) -> list[tuple[int, int]]:
    """The order of `Replay.run`, one row at a time: (instrument, place in its source)."""
    at = [0] * len(sources)
    out = []

    def head(k: int) -> np.void | None:
        return sources[k][at[k]] if at[k] < len(sources[k]) else None

    def play(k: int) -> None:
        out.append((k, at[k]))
        at[k] += 1

    while any(head(k) is not None for k in range(len(sources))):
        live = [k for k in range(len(sources)) if head(k) is not None]
        first = min(live, key=lambda k: (head(k)["ts_event_ns"], k))
        ts = head(first)["ts_event_ns"]
        if head(first)["kind"] == BAR:
            for k in live:
                if (head(k)["kind"], head(k)["ts_event_ns"]) == (BAR, ts):
                    play(k)
        else:
            play(first)
    return out


@st.composite
def markets(draw: st.DrawFn) -> list[tuple[np.ndarray, list[int]]]:
    """Up to five sources of bars (a moment once) or quotes (often), in chunks of any size."""
    out = []
    for instrument in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from([BAR, QUOTE]))
        times = sorted(draw(st.lists(st.integers(0, 8), max_size=12, unique=kind == BAR)))
        sizes = draw(st.lists(st.integers(0, 4), max_size=8))
        out.append((rows(kind, instrument, times), sizes))
    return out


@given(markets())
def test_order_is_that_of_a_replay(given_market: list[tuple[np.ndarray, list[int]]]) -> None:
    blocks = list(merge([chunks(events, sizes) for events, sizes in given_market]))
    found = np.concatenate([*blocks, np.empty(0, EVENT_DTYPE)])
    assert [(int(row["instrument"]), int(row["a"])) for row in found] == played(
        [events for events, _ in given_market]
    )
    moments = [set(block["ts_event_ns"].tolist()) for block in blocks]
    assert all(not a & b for a, b in itertools.pairwise(moments))


def test_a_source_that_goes_back_is_refused() -> None:
    for sizes in ([1], [3]):
        with pytest.raises(DataError, match="back in time"):
            list(merge([chunks(rows(QUOTE, 0, [5, 4, 6]), sizes)]))


@given(markets(), st.integers(1, 5))
def test_batches_keep_bars_of_a_moment_together(
    given_market: list[tuple[np.ndarray, list[int]]], count_max: int
) -> None:
    parts = [events for events, _ in given_market if len(events)]
    events = ordered(parts) if parts else np.empty(0, EVENT_DTYPE)
    start = 0
    while start < len(events):
        end = cut(events, start, count_max)
        assert end > start
        if end < len(events):
            pair = events[end - 1 : end + 1]
            assert len(set(pair["ts_event_ns"])) == 2 or set(pair["kind"]) != {BAR}
        # No longer than asked for, but by what belongs together.
        over = events[start + count_max - 1 : end] if end - start > count_max else events[:0]
        assert len(set(over["ts_event_ns"])) <= 1
        start = end
