"""The order book of one instrument, built from snapshots and changes (deltas)."""

import enum
from typing import final

import numpy as np
from numpy.typing import NDArray

class BookState(enum.IntEnum):
    """Why the book may, or may not, be used."""

    BOOK_EMPTY = 0
    """Nothing known yet, or a snapshot is still being read."""
    BOOK_LIVE = 1
    BOOK_STALE_GAP = 2
    """A sequence number, or the end of a message, is missing."""
    BOOK_STALE_CROSSED = 3
    """Best bid at or above best ask at the end of a message."""
    BOOK_STALE_FULL = 4
    """More than 16,384 levels of a side lie below its dense window of 32,768 ticks."""
    BOOK_STALE_RECONNECT = 5
    """The feed said that it lost the connection."""
    BOOK_STALE_INVALID = 6
    """A row that no venue sends."""

@final
class OrderBook:
    """Price levels of one instrument, aggregated by price; one writer at a time.

    A message of the venue is a run of rows with the same sequences ``U..u``, the last of them with
    ``DELTA_LAST``; the book may be read after such a row. A snapshot is a run of rows with
    ``DELTA_SNAPSHOT``, the first of them also with ``DELTA_CLEAR``; its ``u`` is the venue's last
    update id S. Numbered messages follow the venue's rule (Binance, "How to manage a local order
    book correctly"): those with ``u`` not above the book's sequence are ignored whole; the first
    after a snapshot must have ``U <= S + 1 <= u``, each later one ``U`` = previous ``u`` + 1.
    Messages with sequences 0 are not checked, and set the book's sequence to 0. Messages that
    came before the snapshot are the feed's to keep and to send after it.

    A stale book is empty: every reading is None or 0 until the next snapshot. It becomes stale at a
    gap, a message without its end, a crossed top at a message's end, too many levels, a row out of
    range (price not in 1..2**60 ticks, negative size or sequence, U > u, another kind of event, a
    snapshot row without its beginning), or on `mark_reconnect`; `state` says which.

    Memory is taken once, about 1 MiB. Best prices cost O(1); so do changes within 32,768 ticks of
    the top; a change below that costs O(log n) to find and O(n) to insert or remove among the n
    levels there.
    """

    @property
    def state(self) -> BookState: ...
    @property
    def is_live(self) -> bool:
        """Whether the book is complete and in step with the venue; decide on nothing otherwise."""

    @property
    def sequence(self) -> int:
        """Last sequence of the row applied last; kept when the book goes stale."""

    @property
    def best_bid(self) -> tuple[int, int] | None:
        """(price in ticks, size in lots); None if there are no bids or the book is not live."""

    @property
    def best_ask(self) -> tuple[int, int] | None:
        """(price in ticks, size in lots); None if there are no asks or the book is not live."""

    @property
    def mid_ticks_x2(self) -> int | None:
        """Best bid plus best ask, in ticks: twice the mid price; None unless both are known."""

    @property
    def spread_ticks(self) -> int | None:
        """Best ask minus best bid, in ticks; None unless both are known."""

    @property
    def level_count(self) -> int:
        """Number of price levels, both sides together; 0 if the book is not live."""

    def size(self, is_ask: bool, price_ticks: int) -> int:
        """Return the size at a price, in lots; 0 if there is none or the book is not live."""

    def depth(self, levels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bids and asks, best first: arrays (n, 2) of ticks and lots, n <= `levels`.

        Both are empty if the book is not live. Raises ValueError if `levels` is negative.
        """

    def apply_delta(
        self,
        flags: int,
        price_ticks: int,
        size_lots: int,
        first_sequence: int,
        last_sequence: int,
    ) -> bool:
        """Apply one row, for feeds that have rows apart; tell whether it was applied.

        `flags` are EventFlag bits. Rows in an array cost a quarter as much by `apply_batch`.
        Raises OverflowError for a number outside int64, or flags outside 0..255.
        """

    def apply_batch(self, deltas: NDArray[np.void]) -> int:
        """Apply rows of DELTA_DTYPE in order; return how many were applied.

        Ignored rows, rows while stale and the row that makes the book stale do not count. Never
        raises on the content of rows: read `state`. Raises TypeError for another kind of array.
        """

    def mark_reconnect(self) -> None:
        """Declare the book stale because the feed lost the connection."""

def apply_and_read(book: OrderBook, deltas: NDArray[np.void], out: NDArray[np.int64]) -> int:
    """Apply rows like `OrderBook.apply_batch` and write the top of the book after each of them.

    `out` has shape (rows, 4): best bid ticks, its lots, best ask ticks, its lots; 0 where a side
    is empty or the book is not live. Inside a message the top is what the rows so far give, and
    may be crossed. Raises ValueError if `out` has another shape, TypeError for other deltas.
    """
