"""What an engine may not have done, judged by the venue's book, its journal and its listeners.

Rows are plain mappings. `book` as the rehearsal venue writes it; `journal` as `mmats audit export`
writes it; `acked` is what the engine has told anybody: events as published, with `event` naming
their kind, and heads of the journal as {"head": [size, hash]}.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
FILLS = ("filled", "late_fill")


@dataclass
class Findings:
    """Violations in words, by kind; all of them empty is what is promised."""

    lost: list[str] = field(default_factory=list)  # told, and not in the journal
    duplicated: list[str] = field(default_factory=list)  # at the venue twice, or booked twice
    unknown: list[str] = field(default_factory=list)  # at the venue, and not in the journal
    invented: list[str] = field(default_factory=list)  # booked, and never at the venue
    missed: list[str] = field(default_factory=list)  # filled at the venue, never booked
    diverged: list[str] = field(default_factory=list)  # a run began with another state

    @property
    def is_clean(self) -> bool:
        """Nothing was found."""
        return not any(vars(self).values())

    def __str__(self) -> str:
        told = [f"{kind}: {text}" for kind, texts in vars(self).items() for text in texts[:5]]
        return "\n".join(told) or "clean"


def judge(book: Iterable[Row], journal: Iterable[Row], acked: Iterable[Row]) -> Findings:
    """Judge a whole campaign whose engine has come to rest: every fill has been asked for."""
    oracle = Oracle()
    oracle.hear(acked)
    oracle.read_journal(journal)
    oracle.read_book(book)
    return oracle.findings(settled=True)


class Oracle:
    """The same, row by row: what has been read is not read again."""

    def __init__(self) -> None:
        self._found = Findings()
        self._submits: Counter[int] = Counter()
        self._quantities: dict[int, int] = {}
        self._venue_fills: dict[int, int] = {}  # trade id -> order id
        self._filled_lots: Counter[int] = Counter()
        self._intents: set[int] = set()
        self._signals: dict[int, set[int]] = defaultdict(set)  # signal -> its entry orders
        self._booked: Counter[int] = Counter()
        self._told: list[Row] = []
        self._facts: set[tuple[Any, ...]] = set()
        self._hashes: dict[int, str] = {}
        self._image = ""
        self._last_fact = 0  # number of the last entry that is no seal and no cut
        self.runs = 0

    def hear(self, acked: Iterable[Row]) -> None:
        """Take what the engine has told."""
        self._told.extend(acked)

    def read_book(self, rows: Iterable[Row]) -> None:
        """Take the next rows of the venue's book."""
        for row in rows:
            if row["what"] == "fill":
                self._venue_fills[row["trade_id"]] = row["order_id"]
                self._filled_lots[row["order_id"]] += row["last_lots"]
            elif row["what"] == "request" and row["kind"] == "submit":
                self._submits[row["order_id"]] += 1
                self._quantities[row["order_id"]] = row["quantity_lots"]
            elif row["what"] == "request" and row["kind"] == "modify" and row["quantity_lots"]:
                # The new open quantity comes on top of what has been filled.
                whole = self._filled_lots[row["order_id"]] + row["quantity_lots"]
                held = self._quantities.get(row["order_id"], 0)
                self._quantities[row["order_id"]] = max(held, whole)

    def read_journal(self, rows: Iterable[Row]) -> None:
        """Take the next entries of the journal, in order."""
        for row in rows:
            self._hashes[row["seq"]] = row["hash"]
            if row["entry"] == "image":
                self._image = row["data"]["hash"]
            elif row["kind"] == "run.started":
                self._check_start(row)
            elif row["entry"] == "record":
                self._read_record(row)
            if row["entry"] not in ("seal", "cut"):
                self._last_fact = row["seq"]

    def findings(self, *, settled: bool = False) -> Findings:
        """Return everything found so far.

        What has been told must be in the journal as far as it has been read; with `settled` the
        engine must have booked every fill of the venue as well.
        """
        found = self._found
        told, self._told = self._told, []
        found.lost += [_words(row) for row in told if not self._is_kept(row)]
        fresh = Findings(**{kind: list(texts) for kind, texts in vars(found).items()})
        self._judge_orders(fresh)
        for trade, count in self._booked.items():
            if count > 1:
                fresh.duplicated.append(f"fill {trade} was booked {count} times")
            if trade not in self._venue_fills:
                fresh.invented.append(f"fill {trade} was booked")
        if settled:
            fresh.missed += [
                f"fill {trade} of order {order}"
                for trade, order in self._venue_fills.items()
                if trade not in self._booked
            ]
        return fresh

    # -- private ---------------------------------------------------------------------------------

    def _read_record(self, row: Row) -> None:
        kind = row["kind"]
        self._facts.add(_fact(kind, row))
        if kind == "submitted":
            self._intents.add(row["order_id"])
            if row.get("role") == "entry" and row.get("signal_id"):
                self._signals[row["signal_id"]].add(row["order_id"])
        elif kind in FILLS:
            self._booked[row["trade_id"]] += 1

    def _check_start(self, row: Row) -> None:
        self.runs += 1
        recovered = row["data"]["recovered"]
        size, head = recovered["head"]
        if size and self._hashes.get(size) != head:
            self._found.diverged.append(f"run at {row['seq']} began after a head {size} of its own")
        if size < self._last_fact:
            self._found.diverged.append(
                f"run at {row['seq']} began after {size}, but there is an entry {self._last_fact}"
            )
        if self._image and recovered["image"] != self._image:
            self._found.diverged.append(f"run at {row['seq']} began with another state")

    def _is_kept(self, row: Row) -> bool:
        if "head" in row:
            size, head = row["head"]
            return size == 0 or self._hashes.get(size) == head
        return _fact(row["what"].lower(), row) in self._facts

    def _judge_orders(self, found: Findings) -> None:
        for order, count in self._submits.items():
            if count > 1:
                found.duplicated.append(f"order {order} was sent {count} times")
            if order not in self._intents:
                found.unknown.append(f"order {order}")
        for signal, orders in self._signals.items():
            sent = sorted(order for order in orders if order in self._submits)
            if len(sent) > 1:
                found.duplicated.append(f"signal {signal} was sent as orders {sent}")
        for order, lots in self._filled_lots.items():
            if order in self._quantities and lots > self._quantities[order]:
                found.duplicated.append(f"order {order} was filled with {lots} lots")


def _fact(kind: str, row: Row) -> tuple[Any, ...]:
    """What identifies a record; an event of a signal does not tell of orders."""
    if kind in ("signal", "advised"):
        return kind, row["ts_ns"], row.get("signal_id", 0)
    names = ("ts_ns", "signal_id", "order_id", "trade_id")
    return kind, *(row.get(name, 0) for name in names)


def _words(row: Row) -> str:
    if "head" in row:
        return f"head {row['head'][0]} of the journal"
    return f"{row['what']} order {row.get('order_id', 0)} trade {row.get('trade_id', 0)}"
