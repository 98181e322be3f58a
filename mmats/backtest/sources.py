"""Opens the market data of a backtest: catalog, synthetic or in memory."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats.backtest.frames import bar_chunks
from mmats.config import Config
from mmats.config.schema import FeedTable
from mmats.model.errors import ConfigError, DataError
from mmats.model.instrument import Instrument
from mmats.plugins import plugin
from mmats.ports.feed import FeedOptions, IDataFeed


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
    return _numbered(_source(config, feed).events(instrument, start, end), index, instrument)


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
            facts = _source(config, feed).describe(instrument, start, end)
        found.append({"instrument": instrument.id, **facts})
    return found


def _given(data: Mapping[str, Any], instrument: Instrument) -> Any:
    return data.get(instrument.id, data.get(instrument.symbol))


def _range(config: Config) -> tuple[int | None, int | None]:
    replay = config.backtest
    return replay.start.ns if replay.start else None, replay.end.ns if replay.end else None


def _source(config: Config, feed: FeedTable) -> IDataFeed:
    if feed.source == "memory":
        raise ConfigError(
            f"no data was given for {feed.symbol}",
            "data",
            'give it to run(config, data), or choose source = "catalog" or "synthetic"',
        )
    options = FeedOptions(
        path=config.feed_path(feed),
        kind=feed.kind,
        interval_ns=feed.interval.ns,
        seed=config.backtest.seed,
        days=feed.days,
        start_ns=feed.start.ns,
    )
    source: IDataFeed = plugin("mmats.feeds", feed.source)(options)
    return source


def _numbered(
    chunks: Iterator[NDArray[np.void]], index: int, instrument: Instrument
) -> Iterator[NDArray[np.void]]:
    found = False
    for chunk in chunks:
        found = found or len(chunk) > 0
        chunk["instrument"] = index
        yield chunk
    if not found:
        raise DataError("has no rows in the range of the run", file=instrument.id)


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
