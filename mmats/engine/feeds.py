"""Opens the market data that a configuration names: stored, made up, or as it comes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mmats.config import Config
from mmats.config.schema import FeedTable
from mmats.model.errors import ConfigError, DataError
from mmats.model.instrument import Instrument
from mmats.plugins import plugin
from mmats.ports.feed import FeedOptions, IDataFeed, ILiveFeed, ILiveStream

Range = tuple[int | None, int | None]


def source_of(config: Config, feed: FeedTable, *, endless: bool = False) -> IDataFeed:
    """Return the source that a `[[feeds]]` table names; nothing is read yet.

    Parameters
    ----------
    endless
        Made-up data goes on without end.

    Raises
    ------
    ConfigError, DataError
        There is no such source, its data is given by the caller only, or it can't be endless.
    """
    where = f"feeds[{feed.symbol}]"
    if feed.source == "memory":
        raise ConfigError(
            f"no data was given for {feed.symbol}",
            "data",
            'give it to run(config, data), or choose source = "catalog" or "synthetic"',
        )
    if endless and feed.source != "synthetic":
        raise ConfigError(f"{feed.source} data end", where, "only synthetic data go on for ever")
    options = FeedOptions(
        path=config.feed_path(feed),
        kind=feed.kind,
        interval_ns=feed.interval.ns,
        seed=config.backtest.seed,
        days=feed.days,
        start_ns=feed.start.ns,
        stamp=feed.stamp,
        endless=endless,
    )
    source: IDataFeed = plugin("mmats.feeds", feed.source)(options)
    return source


def stored_events(
    config: Config, feed: FeedTable, span: Range, *, endless: bool = False
) -> Iterator[NDArray[np.void]]:
    """Yield event arrays of one feed in time order, with the instrument's index filled in.

    Raises
    ------
    DataError
        The feed has nothing in the range; what `IDataFeed.events` raises.
    """
    instrument = config.instrument(feed.symbol)
    chunks = source_of(config, feed, endless=endless).events(instrument, *span)
    return _numbered(chunks, config.resolved_instruments.index(instrument), instrument)


def live_stream(config: Config, feed: FeedTable, now_ns: int, from_start: bool) -> ILiveStream:
    """Open a feed as it comes from now on; its events carry instrument index 0.

    Raises
    ------
    ConfigError
        The source has stored data only.
    """
    source = source_of(config, feed)
    if not isinstance(source, ILiveFeed):
        raise ConfigError(
            f"{feed.source} is no live source",
            f"feeds[{feed.symbol}]",
            'live are source = "tail", and "synthetic" with live = true',
        )
    return source.follow(config.instrument(feed.symbol), now_ns, from_start)


def is_live(feed: FeedTable) -> bool:
    """Its events come at their own time, not as fast as we like."""
    return feed.source == "tail" or feed.live


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
