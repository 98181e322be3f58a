"""The oracle of the kill campaign convicts what it is there for, and nothing else."""

from typing import Any

import pytest

from tests.fakes.venue_oracle import Oracle, judge

Rows = list[dict[str, Any]]


def submit(order: int, lots: int = 2) -> dict[str, Any]:
    return {"what": "request", "kind": "submit", "order_id": order, "quantity_lots": lots}


def fill(order: int, trade: int, lots: int = 2) -> dict[str, Any]:
    return {"what": "fill", "order_id": order, "trade_id": trade, "last_lots": lots}


def record(seq: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "hash": f"h{seq}", "entry": "record", "kind": kind, "ts_ns": seq, **fields}


def intent(seq: int, order: int, signal: int) -> dict[str, Any]:
    return record(seq, "submitted", order_id=order, signal_id=signal, role="entry")


def image(seq: int, name: str) -> dict[str, Any]:
    entry = {"entry": "image", "kind": "image", "data": {"hash": name}}
    return {"seq": seq, "hash": f"h{seq}", **entry}


def started(seq: int, size: int, state: str = "", head: str = "") -> dict[str, Any]:
    recovered = {"head": [size, head or f"h{size}"], "image": state}
    data = {"recovered": recovered}
    return {"seq": seq, "hash": f"h{seq}", "entry": "note", "kind": "run.started", "data": data}


BOOK: Rows = [submit(1), fill(1, 10, 1), fill(1, 11, 1), submit(2)]
JOURNAL: Rows = [
    started(1, 0),
    intent(2, 1, signal=5),
    image(3, "a"),
    record(4, "filled", order_id=1, trade_id=10, signal_id=5),
    record(5, "late_fill", order_id=1, trade_id=11, signal_id=5),
    intent(6, 2, signal=6),
    image(7, "b"),
    {"seq": 8, "hash": "h8", "entry": "seal", "kind": "seal"},
    started(9, 8, "b"),
    record(10, "signal", signal_id=7, order_id=0),
]
ACKED: Rows = [
    {"head": [7, "h7"]},
    {"head": [0, "genesis"]},
    {"event": "fill", "what": "FILLED", "ts_ns": 4, "signal_id": 5, "order_id": 1, "trade_id": 10},
    {"event": "signal", "what": "SIGNAL", "ts_ns": 10, "signal_id": 7},
    {"event": "order", "what": "SUBMITTED", "ts_ns": 6, "signal_id": 6, "order_id": 2},
]


def test_an_honest_engine_is_not_convicted() -> None:
    found = judge(BOOK, JOURNAL, ACKED)
    assert found.is_clean
    assert str(found) == "clean"


@pytest.mark.parametrize(
    ("kind", "book", "journal", "acked"),
    [
        ("lost", [], [], [{"event": "order", "what": "SUBMITTED", "ts_ns": 6, "order_id": 9}]),
        ("lost", [], [], [{"event": "signal", "what": "SIGNAL", "ts_ns": 1, "signal_id": 7}]),
        ("lost", [], [], [{"head": [99, "h99"]}]),
        ("lost", [], [], [{"head": [4, "another"]}]),
        ("duplicated", [submit(1)], [], []),
        ("duplicated", [submit(3)], [intent(11, 3, signal=6)], []),
        ("duplicated", [fill(1, 12)], [record(11, "filled", order_id=1, trade_id=12)], []),
        ("duplicated", [], [record(11, "filled", order_id=1, trade_id=10)], []),
        ("unknown", [submit(3)], [], []),
        ("invented", [], [record(11, "filled", order_id=1, trade_id=99)], []),
        ("missed", [fill(2, 12)], [], []),
        ("diverged", [], [started(11, 10, "a")], []),
        ("diverged", [], [started(11, 10, "b", "another")], []),
        ("diverged", [], [started(11, 9, "b")], []),
    ],
)
def test_each_violation_is_found_and_named(
    kind: str, book: Rows, journal: Rows, acked: Rows
) -> None:
    found = judge(BOOK + book, JOURNAL + journal, ACKED + acked)
    assert [name for name, texts in vars(found).items() if texts] == [kind]
    assert str(found).startswith(f"{kind}: ")


def test_a_changed_order_may_fill_up_to_its_new_quantity() -> None:
    change = {"what": "request", "kind": "modify", "order_id": 2, "quantity_lots": 5}
    more = [change, fill(2, 12, 5)]
    booked = [record(11, "filled", order_id=2, trade_id=12)]
    assert judge(BOOK + more, JOURNAL + booked, ACKED).is_clean
    assert judge(BOOK + more[1:], JOURNAL + booked, ACKED).duplicated


def test_rows_may_come_bit_by_bit_and_findings_stay() -> None:
    oracle = Oracle()
    oracle.hear([{"head": [2, "h2"]}])
    oracle.read_journal(JOURNAL[:2])
    oracle.read_book(BOOK[:2])
    assert oracle.findings().is_clean
    assert oracle.findings(settled=True).missed
    oracle.hear([{"head": [3, "wrong"]}])
    oracle.read_journal(JOURNAL[2:])
    oracle.read_book(BOOK[2:])
    assert oracle.findings().lost == oracle.findings().lost == ["head 3 of the journal"]
    assert oracle.runs == 2
