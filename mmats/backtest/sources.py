"""Opens the market data of a backtest: catalog, synthetic or in memory."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats.backtest.frames import bar_chunks
from mmats.config import Config
from mmats.config.schema import FeedTable
from mmats.engine.feeds import source_of, stored_events
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument


def open_feed(
    config: Config, feed: FeedTable, index: int, data: Mapping[str, Any]
) -> Iterator[NDArray[np.void]]:
    """Return an iterator of event arrays of one feed, in time order, within the run's range."""
    instrument = config.resolved_instruments[index]
    given = _given(data, instrument)
    start, end = _range(config)
    if given is not None:
        chunks = bar_chunks(given, instrument, index, feed.interval.ns, feed.stamp)
        return _within(chunks, start, end, instrument)
    return stored_events(config, feed, (start, end))


def describe_feeds(config: Config, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say what each feed of a run is, in their order, before anything is read from it.

    Returns
    -------
    What `IDataFeed.describe` returns, each with the `instrument` it is for.

    Raises
    ------
    ConfigError, DataError
        A feed can't serve its instrument.
    """
    start, end = _range(config)
    found = []
    for feed in config.feeds:
        instrument = config.instrument(feed.symbol)
        if _given(data, instrument) is not None:
            facts: dict[str, Any] = {"source": "memory", "synthetic": False}
        else:
            facts = source_of(config, feed).describe(instrument, start, end)
        found.append({"instrument": instrument.id, **facts})
    return found


def _given(data: Mapping[str, Any], instrument: Instrument) -> Any:
    return data.get(instrument.id, data.get(instrument.symbol))


def _range(config: Config) -> tuple[int | None, int | None]:
    replay = config.backtest
    return replay.start.ns if replay.start else None, replay.end.ns if replay.end else None


def _within(
    chunks: Iterator[NDArray[np.void]], start: int | None, end: int | None, instrument: Instrument
) -> Iterator[NDArray[np.void]]:
    """Keep the bars that lie in [start, end]: start < close <= end."""
    found = False
    for chunk in chunks:
        ts = chunk["ts_event_ns"]
        first = 0 if start is None else int(np.searchsorted(ts, start, side="right"))
        last = len(ts) if end is None else int(np.searchsorted(ts, end, side="right"))
        if first < last:
            found = True
            yield np.ascontiguousarray(chunk[first:last])
    if not found:
        raise DataError("has no rows in the range of the run", file=instrument.id)
