"""Each rule and each state of the order book, by the smallest message that shows it."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mmats._core.book import BookState, OrderBook, apply_and_read
from mmats._core.frames import DELTA_DTYPE, QUOTE_DTYPE
from mmats._core.types import EventFlag, EventKind

ASK = int(EventFlag.DELTA_ASK)
LAST = int(EventFlag.DELTA_LAST)
SNAPSHOT = int(EventFlag.DELTA_SNAPSHOT)
CLEAR = int(EventFlag.DELTA_CLEAR)
WINDOW_TICKS = 32_768
FAR_LEVELS_MAX = 16_384

Level = tuple[int, int]


def message(
    first: int,
    last: int,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    flags: int = 0,
) -> NDArray[np.void]:
    rows = np.zeros(len(bids) + len(asks), dtype=DELTA_DTYPE)
    rows["kind"] = EventKind.EVENT_DELTA
    rows["flags"] = flags
    rows["flags"][len(bids) :] |= np.uint8(ASK)
    rows["flags"][-1] |= np.uint8(LAST)
    rows["price_ticks"] = [price for price, _ in (*bids, *asks)]
    rows["size_lots"] = [lots for _, lots in (*bids, *asks)]
    rows["first_sequence"] = first
    rows["last_sequence"] = last
    return rows


def snapshot(last: int, bids: list[Level], asks: list[Level]) -> NDArray[np.void]:
    rows = message(last, last, bids, asks, SNAPSHOT)
    rows["flags"][0] |= np.uint8(CLEAR)
    return rows


@pytest.fixture
def book() -> OrderBook:
    """A live book, 99 x 5 / 101 x 7 with a second level on each side, at sequence 10."""
    book = OrderBook()
    book.apply_batch(snapshot(10, [(99, 5), (98, 6)], [(101, 7), (103, 8)]))
    return book


def assert_unreadable(book: OrderBook, state: BookState) -> None:
    assert book.state == state
    assert not book.is_live
    assert (book.best_bid, book.best_ask, book.mid_ticks_x2, book.spread_ticks) == (None,) * 4
    assert book.level_count == 0
    assert book.size(False, 99) == 0
    assert [side.shape for side in book.depth(5)] == [(0, 2), (0, 2)]


def test_new_book_is_empty() -> None:
    assert_unreadable(OrderBook(), BookState.BOOK_EMPTY)


def test_snapshot_makes_the_book_live(book: OrderBook) -> None:
    assert book.state == BookState.BOOK_LIVE
    assert book.is_live
    assert book.sequence == 10
    assert book.best_bid == (99, 5)
    assert book.best_ask == (101, 7)
    assert book.mid_ticks_x2 == 200
    assert book.spread_ticks == 2
    assert book.level_count == 4


def test_snapshot_is_unreadable_until_its_last_row() -> None:
    rows = snapshot(10, [(99, 5)], [(101, 7)])
    book = OrderBook()
    assert book.apply_batch(rows[:1]) == 1
    assert_unreadable(book, BookState.BOOK_EMPTY)
    assert book.apply_batch(rows[1:]) == 1
    assert book.is_live


def test_snapshot_replaces_what_was_there(book: OrderBook) -> None:
    book.apply_batch(snapshot(20, [(50, 1)], [(60, 2)]))
    bids, asks = book.depth(10)
    assert (bids.tolist(), asks.tolist()) == ([[50, 1]], [[60, 2]])


def test_changes_before_any_snapshot_are_ignored() -> None:
    book = OrderBook()
    assert book.apply_batch(message(1, 1, [(99, 5)])) == 0
    assert_unreadable(book, BookState.BOOK_EMPTY)


def test_levels_are_added_changed_and_removed(book: OrderBook) -> None:
    assert book.apply_batch(message(11, 11, [(100, 1), (99, 0), (98, 9)])) == 3
    bids, _ = book.depth(10)
    assert bids.tolist() == [[100, 1], [98, 9]]
    assert book.size(False, 98) == 9
    assert book.size(True, 98) == 0


def test_removal_of_an_unknown_level_changes_nothing(book: OrderBook) -> None:
    book.apply_batch(message(11, 11, [(97, 0), (1, 0), (100, 0)], [(900_000, 0)]))
    assert book.is_live
    assert book.level_count == 4
    assert book.best_bid == (99, 5)


def test_best_ask_falls_back_to_the_next_level(book: OrderBook) -> None:
    book.apply_batch(message(11, 11, asks=[(101, 0)]))
    assert book.best_ask == (103, 8)


def test_side_without_levels_has_no_best(book: OrderBook) -> None:
    book.apply_batch(message(11, 11, [(99, 0), (98, 0)]))
    assert book.is_live
    assert book.best_bid is None
    assert book.mid_ticks_x2 is None
    assert book.best_ask == (101, 7)


def test_depth_is_limited_and_ordered_from_the_best(book: OrderBook) -> None:
    bids, asks = book.depth(1)
    assert bids.tolist() == [[99, 5]]
    assert asks.tolist() == [[101, 7]]
    assert book.depth(0)[0].shape == (0, 2)
    with pytest.raises(ValueError, match="must not be negative, not -1"):
        book.depth(-1)


# -- sequences -------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [9, 10])
def test_message_within_the_snapshot_is_ignored_whole(book: OrderBook, last: int) -> None:
    assert book.apply_batch(message(5, last, [(99, 1), (98, 1)])) == 0
    assert book.best_bid == (99, 5)
    assert book.apply_batch(message(11, 11, [(99, 2)])) == 1


@pytest.mark.parametrize(("first", "last"), [(11, 11), (8, 11), (11, 15), (1, 99)])
def test_first_message_may_begin_before_the_snapshot(
    book: OrderBook, first: int, last: int
) -> None:
    assert book.apply_batch(message(first, last, [(99, 1)])) == 1
    assert book.sequence == last


def test_first_message_after_a_gap_makes_the_book_stale(book: OrderBook) -> None:
    assert book.apply_batch(message(12, 13, [(99, 1)])) == 0
    assert_unreadable(book, BookState.BOOK_STALE_GAP)
    assert book.sequence == 10


@pytest.mark.parametrize("first", [12, 14])
def test_later_messages_must_follow_without_gap_or_overlap(book: OrderBook, first: int) -> None:
    book.apply_batch(message(11, 12, [(99, 1)]))
    book.apply_batch(message(first, 20, [(99, 2)]))
    assert_unreadable(book, BookState.BOOK_STALE_GAP)


def test_repeated_message_is_ignored(book: OrderBook) -> None:
    book.apply_batch(message(11, 12, [(99, 1)]))
    assert book.apply_batch(message(11, 12, [(99, 9)])) == 0
    assert book.best_bid == (99, 1)


def test_messages_without_numbers_are_not_checked() -> None:
    book = OrderBook()
    book.apply_batch(snapshot(0, [(99, 5)], [(101, 7)]))
    for lots in (1, 2, 3):
        assert book.apply_batch(message(0, 0, [(99, lots), (98, lots)])) == 2
    assert book.best_bid == (99, 3)


def test_message_without_its_end_makes_the_book_stale(book: OrderBook) -> None:
    book.apply_batch(message(11, 11, [(99, 1), (98, 1)])[:1])
    book.apply_batch(message(12, 12, [(97, 1)]))
    assert_unreadable(book, BookState.BOOK_STALE_GAP)


def test_snapshot_without_its_end_makes_the_book_stale() -> None:
    book = OrderBook()
    book.apply_batch(snapshot(10, [(99, 5)], [(101, 7)])[:1])
    book.apply_batch(message(11, 11, [(99, 1)]))
    assert_unreadable(book, BookState.BOOK_STALE_GAP)


@pytest.mark.parametrize("end", [LAST, 0])
def test_only_a_snapshot_revives_a_stale_book(book: OrderBook, end: int) -> None:
    book.mark_reconnect()
    assert_unreadable(book, BookState.BOOK_STALE_RECONNECT)
    rows = message(11, 11, [(99, 1)])
    rows["flags"] = end
    assert book.apply_batch(rows) == 0
    assert_unreadable(book, BookState.BOOK_STALE_RECONNECT)
    book.apply_batch(snapshot(30, [(99, 4)], [(101, 4)]))
    assert book.best_bid == (99, 4)


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [101, 102])
def test_crossed_top_at_the_end_of_a_message_makes_the_book_stale(
    book: OrderBook, price: int
) -> None:
    assert book.apply_batch(message(11, 11, [(price, 1)])) == 0
    assert_unreadable(book, BookState.BOOK_STALE_CROSSED)


def test_crossed_top_inside_a_message_is_allowed(book: OrderBook) -> None:
    assert book.apply_batch(message(11, 11, [(102, 1)], [(101, 0), (103, 2)])) == 3
    assert (book.best_bid, book.best_ask) == ((102, 1), (103, 2))


def test_crossed_snapshot_is_refused() -> None:
    book = OrderBook()
    book.apply_batch(snapshot(10, [(101, 5)], [(101, 7)]))
    assert_unreadable(book, BookState.BOOK_STALE_CROSSED)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_ticks", 0),
        ("price_ticks", -5),
        ("price_ticks", 2**60 + 1),
        ("price_ticks", -(2**63)),
        ("size_lots", -1),
        ("kind", EventKind.EVENT_TRADE),
        ("flags", SNAPSHOT | LAST),
        ("first_sequence", 12),
        ("first_sequence", -1),
    ],
)
def test_row_that_no_venue_sends_makes_the_book_stale(
    book: OrderBook, field: str, value: int
) -> None:
    rows = message(11, 11, [(99, 1)])
    rows[field] = value
    assert book.apply_batch(rows) == 0
    assert_unreadable(book, BookState.BOOK_STALE_INVALID)


def test_too_many_far_levels_make_the_book_stale() -> None:
    top = 1_000_000
    levels = [(top, 1)] + [(top - WINDOW_TICKS - k, 1) for k in range(FAR_LEVELS_MAX)]
    book = OrderBook()
    book.apply_batch(snapshot(10, levels, [(top + 1, 1)]))
    assert book.level_count == FAR_LEVELS_MAX + 2
    book.apply_batch(message(11, 11, [(1, 1)]))
    assert_unreadable(book, BookState.BOOK_STALE_FULL)


# -- the window ------------------------------------------------------------------------------------


def test_levels_survive_the_window_passing_over_them() -> None:
    """A best bid that climbs over four windows and falls back meets every level it left."""
    steps = [1_000_000 + 3_000 * k for k in range(44)]
    book = OrderBook()
    book.apply_batch(snapshot(1, [(steps[0], 1)], [(9_000_000, 1)]))
    for sequence, price in enumerate(steps[1:], start=2):
        book.apply_batch(message(sequence, sequence, [(price, sequence)]))
    assert book.depth(100)[0][:, 0].tolist() == steps[::-1]
    for k, price in enumerate(reversed(steps[1:])):
        sequence = len(steps) + 1 + k
        book.apply_batch(message(sequence, sequence, [(price, 0)]))
        below = steps[-2 - k]
        assert book.best_bid == (below, len(steps) - 1 - k)
        assert book.size(False, below) == len(steps) - 1 - k


@pytest.mark.parametrize("price", [1, 2**60])
def test_extreme_prices_are_levels_like_others(price: int) -> None:
    is_ask = price > 1
    book = OrderBook()
    sides: tuple[list[Level], list[Level]] = ([(price, 3)], [(500, 4)])
    book.apply_batch(snapshot(1, *(([(500, 4)], [(price, 3)]) if is_ask else sides)))
    assert (book.best_ask if is_ask else book.best_bid) == (price, 3)
    assert book.size(is_ask, price) == 3


# -- arrays ----------------------------------------------------------------------------------------


def test_apply_and_read_writes_the_top_after_each_row() -> None:
    rows = np.concatenate(
        (
            snapshot(10, [(99, 5)], [(101, 7)]),
            message(11, 11, [(100, 1), (99, 0)]),
            message(13, 13, [(100, 2)]),
        )
    )
    top = np.full((5, 4), -1, dtype=np.int64)
    assert apply_and_read(OrderBook(), rows, top) == 4
    assert top.tolist() == [
        [0, 0, 0, 0],
        [99, 5, 101, 7],
        [100, 1, 101, 7],
        [100, 1, 101, 7],
        [0, 0, 0, 0],
    ]


def test_one_delta_at_a_time_obeys_the_same_rules(book: OrderBook) -> None:
    assert book.apply_delta(LAST, 100, 3, 11, 11)
    assert book.best_bid == (100, 3)
    assert not book.apply_delta(LAST, 100, 9, 11, 11)
    assert not book.apply_delta(LAST | ASK, 101, 9, 13, 13)
    assert_unreadable(book, BookState.BOOK_STALE_GAP)


def test_arrays_of_another_layout_are_refused(book: OrderBook) -> None:
    for wrong in (np.zeros(3, dtype=QUOTE_DTYPE), np.zeros((2, 2), dtype=DELTA_DTYPE), b"rows"):
        with pytest.raises(TypeError, match="want a 1-D array of DELTA_DTYPE"):
            book.apply_batch(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"want shape \(2, 4\), not \(3, 4\)"):
        apply_and_read(book, np.zeros(2, dtype=DELTA_DTYPE), np.zeros((3, 4), dtype=np.int64))


def test_empty_and_strided_and_read_only_arrays_are_taken(book: OrderBook) -> None:
    assert book.apply_batch(np.zeros(0, dtype=DELTA_DTYPE)) == 0
    rows = message(11, 11, [(99, 1), (97, 1), (98, 2), (96, 1)])
    strided = rows[::2].copy().repeat(2)[::2]
    strided["flags"][-1] = LAST
    strided.flags.writeable = False
    assert book.apply_batch(strided) == 2
    assert book.best_bid == (99, 1)
