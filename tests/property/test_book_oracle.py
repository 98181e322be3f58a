"""The order book against a dictionary oracle, row by row, on streams made to hurt it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmats._core.book import BookState, OrderBook, apply_and_read
from mmats._core.frames import DELTA_DTYPE
from mmats._core.types import EventFlag, EventKind
from tests.fakes.oracles_book import BookOracle, Delta

FIELDS = ["kind", "flags", "price_ticks", "size_lots", "first_sequence", "last_sequence"]
ASK, SNAPSHOT, CLEAR, LAST = (
    int(EventFlag.DELTA_ASK),
    int(EventFlag.DELTA_SNAPSHOT),
    int(EventFlag.DELTA_CLEAR),
    int(EventFlag.DELTA_LAST),
)
DELTA = int(EventKind.EVENT_DELTA)
START_TICKS = 6_000_000


def as_array(rows: list[Delta]) -> NDArray[np.void]:
    deltas = np.zeros(len(rows), dtype=DELTA_DTYPE)
    for name, column in zip(FIELDS, zip(*rows, strict=True), strict=True):
        deltas[name] = column
    return deltas


def check(rows: list[Delta]) -> set[BookState]:
    """Compare every top, then all levels; return the states that were seen at the ends."""
    book, oracle = OrderBook(), BookOracle()
    states = set()
    for start in range(0, len(rows), 5_000):
        part = rows[start : start + 5_000]
        top = np.empty((len(part), 4), dtype=np.int64)
        applied = apply_and_read(book, as_array(part), top)
        expected_applied, expected_top = oracle.apply_and_read(part)
        differ = np.flatnonzero((top != np.array(expected_top)).any(axis=1))
        assert differ.size == 0, f"row {start + differ[0]}: {part[differ[0]]}"
        assert applied == expected_applied
        assert (book.state, book.sequence) == (oracle.state, oracle.sequence)
        bids, asks = book.depth(100_000)
        assert (bids.tolist(), asks.tolist()) == oracle.depth()
        states.add(book.state)
    return states


class Stream:
    """A seeded venue: valid messages around a drifting mid, and faults where asked for."""

    def __init__(self, seed: int, drift_ticks: int, spans: list[int], fault_share: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.drift_ticks = drift_ticks
        self.spans = spans
        self.fault_share = fault_share
        self.mid = START_TICKS
        self.sequence = 1
        self.levels: list[set[int]] = [set(), set()]
        self.rows: list[Delta] = []

    def price(self, is_ask: int) -> int:
        distance = 1 + int(self.rng.integers(self.spans[self.rng.integers(len(self.spans))]))
        return max(1, self.mid + distance if is_ask else self.mid - distance)

    def level_row(self) -> tuple[int, int, int]:
        """(side flag, price, lots), from the levels that exist more often than not."""
        is_ask = int(self.rng.integers(2))
        known = self.levels[is_ask]
        price = self.price(is_ask)
        if len(known) > 120 or (known and self.rng.random() < 0.2):
            price = known.pop()
            return is_ask, price, 0
        known.add(price)
        return is_ask, price, int(self.rng.integers(1, 10**6))

    def crossed_rows(self) -> list[tuple[int, int, int]]:
        """Removals of the levels that the mid has run over."""
        rows = []
        for is_ask, known in enumerate(self.levels):
            gone = [p for p in known if (p <= self.mid if is_ask else p >= self.mid)]
            known.difference_update(gone)
            rows += [(is_ask, price, 0) for price in gone]
        return rows

    def snapshot(self) -> None:
        self.sequence += int(self.rng.integers(5))
        self.levels = [set(), set()]
        rows = [self.level_row() for _ in range(int(self.rng.integers(1, 60)))]
        self.emit(rows, self.sequence, self.sequence, SNAPSHOT)
        head = self.rows[-len(rows)]
        self.rows[-len(rows)] = (head[0], head[1] | CLEAR, *head[2:])

    def emit(self, rows: list[tuple[int, int, int]], first: int, last: int, flags: int = 0) -> None:
        self.rows += [
            (
                DELTA,
                flags | side * ASK | (LAST if k == len(rows) - 1 else 0),
                price,
                lots,
                first,
                last,
            )
            for k, (side, price, lots) in enumerate(rows)
        ]

    def message(self) -> None:
        self.mid = max(100, self.mid + int(self.rng.normal(0, self.drift_ticks)))
        rows = self.crossed_rows()
        rows += [self.level_row() for _ in range(int(self.rng.integers(1, 9)))]
        last = self.sequence + int(self.rng.integers(1, 4))
        self.emit(rows, self.sequence + 1, last)
        self.sequence = last

    def fault(self) -> None:
        """Break the last row, or the order of messages; a snapshot follows some time later."""
        kind, flags, price, lots, first, last = self.rows[-1]
        choice = int(self.rng.integers(8))
        broken = [
            (kind, flags ^ LAST, price, lots, first, last),
            (kind, flags, 0, lots, first, last),
            (kind, flags, price, -1, first, last),
            (kind, flags ^ ASK, price, 1, first, last),
            (kind, flags, price, lots, first + 1, last + 1),
            (kind, flags, price, lots, last + 1, first),
            (kind, flags ^ SNAPSHOT, price, lots, first, last),
            (DELTA + 1, flags, price, lots, first, last),
        ]
        self.rows[-1] = broken[choice]
        for _ in range(int(self.rng.integers(3))):
            self.message()
        self.snapshot()

    def make(self, count: int) -> list[Delta]:
        self.snapshot()
        while len(self.rows) < count:
            self.message()
            if self.rng.random() < self.fault_share:
                self.fault()
        return self.rows[:count]


@pytest.mark.parametrize(
    ("seed", "drift_ticks", "spans", "fault_share"),
    [
        (1, 1, [100], 0.0),  # calm, all levels in the window
        (2, 3, [100, 30_000, 5_000_000], 0.0),  # far levels down to half the price
        (3, 3_000, [50, 4_000], 0.0),  # the window moves every few messages
        (4, 20_000, [10, 60_000], 0.0),  # jumps beyond the whole window
        (5, 200, [100, 40_000, 1_000_000], 0.02),  # faults, gaps, clears
        (6, 1, [30], 0.2),
    ],
)
def test_seeded_streams_match_oracle(
    seed: int, drift_ticks: int, spans: list[int], fault_share: float
) -> None:
    rows = Stream(seed, drift_ticks, spans, fault_share).make(170_000)
    states = check(rows)
    assert BookState.BOOK_LIVE in states


PRICES = st.one_of(
    st.integers(1, 40),
    st.integers(START_TICKS - 40_000, START_TICKS + 40_000),
    st.sampled_from([-1, 0, 1, 4_095, 4_096, 32_767, 32_768, 32_769, 2**60, 2**60 + 1, 2**63 - 1]),
)
ANY_ROW = st.tuples(
    st.sampled_from([DELTA, DELTA, DELTA, DELTA, DELTA, DELTA + 1]),
    st.integers(0, 15),
    PRICES,
    st.sampled_from([-1, 0, 0, 1, 2, 3, 2**63 - 1]),
    st.integers(-1, 6),
    st.integers(-1, 6),
)
SHORT_MESSAGES = st.lists(
    st.lists(st.tuples(st.booleans(), PRICES, st.integers(0, 3)), min_size=1, max_size=5),
    max_size=12,
)


@given(st.lists(ANY_ROW, min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_rows_match_oracle(rows: list[Delta]) -> None:
    snapshot = (DELTA, SNAPSHOT | CLEAR | LAST, 20, 1, 1, 1)
    check([snapshot, *rows])


@given(SHORT_MESSAGES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_messages_with_and_without_numbers_match_oracle(
    messages: list[list[tuple[bool, int, int]]], numbered: bool
) -> None:
    rows: list[Delta] = [(DELTA, SNAPSHOT | CLEAR | LAST, START_TICKS, 0, 0, 0)]
    for number, message in enumerate(messages, start=1):
        sequence = number if numbered else 0
        for k, (is_ask, price, lots) in enumerate(message):
            flags = is_ask * ASK | (LAST if k == len(message) - 1 else 0)
            rows.append((DELTA, flags, price, lots, sequence, sequence))
    check(rows)
