"""The last price that a configuration's stored data has of each instrument."""

import numpy as np
from numpy.typing import NDArray

from mmats._core import BAR_DTYPE, QUOTE_DTYPE, TRADE_DTYPE
from mmats.config import Config
from mmats.config.marks import Mark
from mmats.config.schema import FeedTable
from mmats.config.units import Instant
from mmats.engine.feeds import source_of, stored_events

_DTYPES = {"bar": BAR_DTYPE, "quote": QUOTE_DTYPE, "trade": TRADE_DTYPE}
_PRICES = {"bar": "close_ticks", "quote": "bid_ticks", "trade": "price_ticks"}


def stored_marks(config: Config) -> list[Mark]:
    """Return one mark for each catalog feed of bars, quotes or trades that holds anything.

    Only the last stored row is read. The price of quotes is the bid.

    Raises
    ------
    DataError
        A stored file is damaged.
    """
    marks = []
    for feed in config.feeds:
        if feed.source == "catalog" and feed.kind in _DTYPES:
            mark = _last_mark(config, feed)
            marks += [mark] if mark is not None else []
    return marks


def _last_mark(config: Config, feed: FeedTable) -> Mark | None:
    instrument = config.instrument(feed.symbol)
    facts = source_of(config, feed).describe(instrument, None, None)
    last_ns = max((file["end_ns"] for file in facts["files"]), default=None)
    if last_ns is None:
        return None
    last: NDArray[np.void] | None = None
    for chunk in stored_events(config, feed, (last_ns - 1, None)):
        last = chunk
    if last is None or len(last) == 0:
        return None
    ticks = int(last.view(_DTYPES[feed.kind])[_PRICES[feed.kind]][-1])
    return Mark(
        id=instrument.id,
        base=instrument.base,
        quote=instrument.quote,
        price=ticks * instrument.tick_size,
        as_of=str(Instant(last_ns)),
        source="stored data, synthetic" if facts["synthetic"] else "stored data",
    )
