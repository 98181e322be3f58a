"""The book rebuilt from a recorded exchange session, against the exchange's own top of book.

Data: one BTCUSDT spot session of Binance in two files that meet at midnight: a REST snapshot, the
``depth@100ms`` stream (changes in batches of update ids ``U..u``) and the ``bookTicker`` stream
(top of book, price and size, at every update id where it changed).

Comparable events: every applied depth message whose last update id ``u`` is not below the first
``bookTicker`` id of the session. The rebuilt top after the message is the exchange's book at id
``u``; so is the newest ``bookTicker`` with an id not above ``u``, in whatever order the two
streams arrived. All four numbers (bid and ask, price and size) must be equal.

Measured: 6,491 of 6,493 (99.97 %). In the other two the newest bookTicker is 3 and 4 update ids
older than the message's end, and the bid has moved in between.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmats._core.book import BookState, OrderBook, apply_and_read
from mmats._core.frames import DELTA_DTYPE
from mmats._core.types import EventFlag, EventKind
from tests.shared_data import shared_data

FILES = ("btcusdt_20240808.gz", "btcusdt_20240809.gz")
PRICE_DECIMALS = 2  # tick 0.01 USDT
SIZE_DECIMALS = 8  # the stream shows sizes finer than the lot of 0.00001 BTC
AGREEMENT_MIN = 0.999

Row = tuple[int, int, int, int, int, int, int]  # flags, event ns, arrival ns, price, lots, U, u


def scaled(text: str, decimals: int) -> int:
    """Return an exact decimal string as an integer number of steps of 10**-decimals."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.ljust(decimals, "0")
    if fraction[decimals:].strip("0"):
        raise ValueError(f"{text!r} has more than {decimals} decimals")
    return int(whole + fraction[:decimals])


def lines(paths: list[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    for path in paths:
        with gzip.open(path, "rt", encoding="ascii") as file:
            for line in file:
                recv_ns, _, text = line.partition(" ")
                yield int(recv_ns), json.loads(text)


def message_rows(
    first: int, last: int, event_ns: int, recv_ns: int, bids: list[list[str]], asks: list[list[str]]
) -> list[Row]:
    rows = [
        (
            side,
            event_ns,
            recv_ns,
            scaled(price, PRICE_DECIMALS),
            scaled(size, SIZE_DECIMALS),
            first,
            last,
        )
        for side, levels in ((0, bids), (int(EventFlag.DELTA_ASK), asks))
        for price, size in levels
    ]
    rows[-1] = (rows[-1][0] | EventFlag.DELTA_LAST, *rows[-1][1:])
    return rows


def read_session(paths: list[Path]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the deltas, snapshot first, and bookTicker rows (id, bid, lots, ask, lots)."""
    snapshot: list[Row] = []
    rows: list[Row] = []
    tops: list[tuple[int, int, int, int, int]] = []
    for recv_ns, message in lines(paths):
        if "lastUpdateId" in message:
            update_id = message["lastUpdateId"]
            levels = (message["bids"], message["asks"])
            snapshot = message_rows(update_id, update_id, recv_ns, recv_ns, *levels)
            continue
        data = message["data"]
        if message["stream"].endswith("@depth@100ms"):
            event_ns = data["E"] * 1_000_000
            rows += message_rows(data["U"], data["u"], event_ns, recv_ns, data["b"], data["a"])
        elif message["stream"].endswith("@bookTicker"):
            prices = (scaled(data["b"], PRICE_DECIMALS), scaled(data["a"], PRICE_DECIMALS))
            sizes = (scaled(data["B"], SIZE_DECIMALS), scaled(data["A"], SIZE_DECIMALS))
            tops.append((data["u"], prices[0], sizes[0], prices[1], sizes[1]))
    deltas = np.zeros(len(snapshot) + len(rows), dtype=DELTA_DTYPE)
    deltas["kind"] = EventKind.EVENT_DELTA
    fields = (
        "flags",
        "ts_event_ns",
        "ts_recv_ns",
        "price_ticks",
        "size_lots",
        "first_sequence",
        "last_sequence",
    )
    for name, column in zip(fields, zip(*(snapshot + rows), strict=True), strict=True):
        deltas[name] = column
    deltas["flags"][: len(snapshot)] |= np.uint8(EventFlag.DELTA_SNAPSHOT)
    deltas["flags"][0] |= EventFlag.DELTA_CLEAR
    return deltas, np.array(tops, dtype=np.int64)


@pytest.fixture(scope="module")
def session() -> tuple[NDArray[np.void], NDArray[np.int64]]:
    return read_session([shared_data("hftbacktest", "spot", name) for name in FILES])


def test_rebuilt_top_agrees_with_book_ticker(
    session: tuple[NDArray[np.void], NDArray[np.int64]],
) -> None:
    deltas, tops = session
    book = OrderBook()
    top = np.empty((len(deltas), 4), dtype=np.int64)
    applied = apply_and_read(book, deltas, top)
    assert book.state == BookState.BOOK_LIVE
    assert book.sequence == deltas["last_sequence"][-1]
    snapshot_id = deltas["last_sequence"][0]
    fresh = deltas["last_sequence"] > snapshot_id
    is_snapshot = (deltas["flags"] & EventFlag.DELTA_SNAPSHOT) != 0
    assert applied == np.count_nonzero(fresh | is_snapshot)

    ends = fresh & ((deltas["flags"] & EventFlag.DELTA_LAST) != 0)
    newest = np.searchsorted(tops[:, 0], deltas["last_sequence"][ends], side="right") - 1
    comparable = newest >= 0
    agree = (top[ends][comparable] == tops[newest[comparable], 1:]).all(axis=1)
    assert agree.size > 6_000
    assert agree.mean() >= AGREEMENT_MIN, f"{(~agree).sum()} of {agree.size} messages differ"


def test_missing_message_is_noticed(session: tuple[NDArray[np.void], NDArray[np.int64]]) -> None:
    deltas, _ = session
    ids = np.unique(deltas["last_sequence"])
    missing = ids[ids.size // 2]
    book = OrderBook()
    book.apply_batch(deltas[deltas["last_sequence"] != missing])
    assert book.state == BookState.BOOK_STALE_GAP
    assert book.sequence < missing
    assert book.best_bid is None
