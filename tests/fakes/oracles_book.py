"""The order book as its contract says it, in plain dictionaries and without any speed."""

from collections.abc import Iterable

from mmats._core.book import BookState
from mmats._core.types import EventFlag, EventKind

PRICE_TICKS_MAX = 2**60

Delta = tuple[int, int, int, int, int, int]  # kind, flags, price, lots, first, last sequence
Top = tuple[int, int, int, int]  # best bid ticks, lots, best ask ticks, lots

NOTHING: Top = (0, 0, 0, 0)


class BookOracle:
    """Levels of a side by price; messages are judged when their first row comes."""

    def __init__(self) -> None:
        self.state = BookState.BOOK_EMPTY
        self.sequence = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.message: tuple[int, int] | None = None  # sequences of the message being read
        self.reading = "nothing"  # or "snapshot", "changes", "old"
        self.joining = False  # no message since the snapshot

    def fail(self, state: BookState) -> None:
        self.state = state
        self.bids.clear()
        self.asks.clear()
        self.message = None
        self.reading = "nothing"

    def apply(self, delta: Delta) -> bool:
        """Apply one row; tell whether it changed, or confirmed, a level of the book."""
        flags = delta[1]
        if not self.admit(delta):
            return False
        if not self.set_level(delta):
            return False
        if flags & EventFlag.DELTA_LAST:
            return self.end_message()
        return True

    def admit(self, delta: Delta) -> bool:
        _, flags, _, _, first, last = delta
        if flags & EventFlag.DELTA_CLEAR:
            return self.start_snapshot(last)
        if self.reading == "snapshot":
            if flags & EventFlag.DELTA_SNAPSHOT and last == self.sequence:
                return True
            self.fail(BookState.BOOK_STALE_GAP)
            return False
        if self.state != BookState.BOOK_LIVE:
            return False
        if self.reading == "old":
            if flags & EventFlag.DELTA_LAST:
                self.reading = "nothing"
            return False
        if flags & EventFlag.DELTA_SNAPSHOT or not 0 <= first <= last:
            self.fail(BookState.BOOK_STALE_INVALID)
            return False
        if self.reading == "changes":
            if (first, last) == self.message:
                return True
            self.fail(BookState.BOOK_STALE_GAP)
            return False
        return self.start_message(flags, first, last)

    def start_snapshot(self, last: int) -> bool:
        if last < 0:
            self.fail(BookState.BOOK_STALE_INVALID)
            return False
        self.fail(BookState.BOOK_EMPTY)
        self.sequence = last
        self.reading = "snapshot"
        return True

    def start_message(self, flags: int, first: int, last: int) -> bool:
        numbered = last > 0
        if numbered and last <= self.sequence:
            if not flags & EventFlag.DELTA_LAST:
                self.reading = "old"
            return False
        if numbered:
            in_order = first <= self.sequence + 1 if self.joining else first == self.sequence + 1
            if not in_order:
                self.fail(BookState.BOOK_STALE_GAP)
                return False
        self.joining = False
        self.reading = "changes"
        self.message = (first, last)
        return True

    def set_level(self, delta: Delta) -> bool:
        kind, flags, price, lots, _, last = delta
        if kind != EventKind.EVENT_DELTA or not 1 <= price <= PRICE_TICKS_MAX or lots < 0:
            self.fail(BookState.BOOK_STALE_INVALID)
            return False
        side = self.asks if flags & EventFlag.DELTA_ASK else self.bids
        if lots:
            side[price] = lots
        else:
            side.pop(price, None)
        self.sequence = last
        return True

    def end_message(self) -> bool:
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            self.fail(BookState.BOOK_STALE_CROSSED)
            return False
        if self.reading == "snapshot":
            self.state = BookState.BOOK_LIVE
            self.joining = True
        self.reading = "nothing"
        return True

    def top(self) -> Top:
        if self.state != BookState.BOOK_LIVE:
            return NOTHING
        bid = max(self.bids, default=0)
        ask = min(self.asks, default=0)
        return bid, self.bids.get(bid, 0), ask, self.asks.get(ask, 0)

    def depth(self) -> tuple[list[list[int]], list[list[int]]]:
        if self.state != BookState.BOOK_LIVE:
            return [], []
        return (
            [[price, self.bids[price]] for price in sorted(self.bids, reverse=True)],
            [[price, self.asks[price]] for price in sorted(self.asks)],
        )

    def apply_and_read(self, deltas: Iterable[Delta]) -> tuple[int, list[Top]]:
        applied = 0
        tops = []
        for delta in deltas:
            applied += self.apply(delta)
            tops.append(self.top())
        return applied, tops
