"""Recorded Binance spot streams: depth diffs with their snapshot, trades and best quotes.

Lines are `local_ns {json}` or, as cryptofeed records them, `local_s: {json}` for the stream and
`url -> local_s: {json}` for REST answers; the files of one capture are read together.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from adapters.feeds.formats.events import EventLayout, event_table
from adapters.feeds.sources import RawTable, Source, open_sources
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable, ImportOptions

DELTA_ASK, DELTA_SNAPSHOT, DELTA_CLEAR, DELTA_LAST = 1, 2, 4, 8  # EventFlag bits of deltas
TRADE_SELLER = 1

_LINE = re.compile(rb"^(\d{16,19}) (\{.*)$|^(?:https?://(\S+) -> )?(\d+(?:\.\d{1,9})?): (\{.*)$")
_IGNORED = re.compile(rb"^(configuration: |wss?://)")
_URL_SYMBOL = re.compile(rb"[?&]symbol=([A-Za-z0-9]+)")
_MS = 1_000_000


@dataclass(slots=True)
class _Message:
    """One line: arrival in ns by the recorder's clock, and where it stands."""

    recv_ns: int
    file: int
    row: int
    data: dict[str, Any]


@dataclass(slots=True)
class _Capture:
    """Messages of one symbol by kind, in order of arrival."""

    files: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    depth: list[_Message] = field(default_factory=list)
    snapshots: list[_Message] = field(default_factory=list)
    trades: list[_Message] = field(default_factory=list)
    aggregates: list[_Message] = field(default_factory=list)
    quotes: list[_Message] = field(default_factory=list)

    def clock_behind_ns(self) -> int:
        """Least correction of the recorder's clock: nothing arrives before it was sent."""
        stamped = (*self.depth, *self.trades, *self.aggregates)
        return max((int(m.data.get("E", 0)) * _MS - m.recv_ns for m in stamped), default=0)


class _Rows:
    """Grows the columns of one table."""

    def __init__(self, texts: Sequence[str], numbers: Sequence[str]) -> None:
        self.texts: dict[str, list[str]] = {name: [] for name in texts}
        self.numbers: dict[str, list[int]] = {name: [] for name in numbers}
        self.lines: list[tuple[int, int]] = []

    def add(self, message: _Message, texts: Sequence[str], numbers: Sequence[int]) -> None:
        for text_column, text in zip(self.texts.values(), texts, strict=True):
            text_column.append(text)
        for number_column, number in zip(self.numbers.values(), numbers, strict=True):
            number_column.append(number)
        self.lines.append((message.file, message.row))

    def arrays(self) -> dict[str, Column]:
        return {n: np.array(v, dtype=np.int64) for n, v in self.numbers.items()}


@dataclass(frozen=True, slots=True)
class _LineTable(RawTable):
    """A RawTable whose rows each know their own line: one line makes many rows."""

    lines: tuple[tuple[int, int], ...] = ()

    def where(self, index: int) -> tuple[str, int]:
        file, row = self.lines[index]
        return self.files[file], row


class BinanceStream:
    """Deltas carry Binance's sequences U and u; quotes carry u and have no venue time.

    Where the recorder's clock was behind the venue's, arrival times are shifted by the least
    amount that lets nothing arrive before it was sent, and the import says so. A quote's event
    time is its (shifted) arrival: late by the latency, never early.
    """

    name = "binance-stream"
    description = "Recorded Binance websocket lines: depth diffs and snapshot, trades, bookTicker"

    def read(self, paths: Sequence[Path], options: ImportOptions) -> tuple[ImportedTable, ...]:
        """Return deltas, trades and quotes of the symbol, those that the capture has."""
        if options.zone not in (None, "UTC"):
            raise DataError("the venue's times are UTC", hint="omit --zone")
        capture = _collect(list(open_sources(paths, (".gz", ".txt", ".jsonl"))), options.symbol)
        shift_ns = max(0, capture.clock_behind_ns())
        notes = (
            (f"the recorder's clock was {shift_ns / 1e9:.3f} s behind: arrivals shifted",)
            if shift_ns
            else ()
        )
        for messages in (capture.depth, capture.snapshots, capture.trades, capture.quotes):
            messages.sort(key=lambda message: message.recv_ns)
        makers = {DataKind.DELTA: _deltas, DataKind.TRADE: _trades, DataKind.QUOTE: _quotes}
        tables = []
        for kind, make in makers.items():
            if options.kind not in (None, kind):
                continue
            try:
                rows, warnings = make(capture, shift_ns)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"a {kind.value} message lacks a field or has a wrong one: {error!r}",
                    file=", ".join(capture.files),
                ) from None
            if rows.lines:
                tables.append(_table(kind, rows, capture, options, (*notes, *warnings)))
        if not tables:
            raise DataError(
                f"no messages of {options.symbol.split('.')[0]} in the capture",
                hint="is --symbol right?",
            )
        return tuple(tables)


def _table(
    kind: DataKind,
    rows: _Rows,
    capture: _Capture,
    options: ImportOptions,
    warnings: tuple[str, ...],
) -> ImportedTable:
    raw = _LineTable(
        {name: pa.array(values, pa.string()) for name, values in rows.texts.items()},
        tuple(capture.files),
        (0,),
        (1,),
        capture.hashes,
        tuple(rows.lines),
    )
    layout = EventLayout(BinanceStream.name, "UTC")
    return event_table(kind, raw, rows.arrays(), layout, options, warnings)


def _collect(sources: list[Source], symbol: str) -> _Capture:
    """Sort the lines of one symbol by kind of message."""
    venue_symbol = symbol.split(".")[0].replace("-", "").upper()
    capture = _Capture()
    for file, source in enumerate(sources):
        capture.files.append(source.name)
        capture.hashes[source.path.name] = source.sha256
        for row, recv_ns, url_symbol, data in _messages(source):
            name = url_symbol or str(data.get("s", venue_symbol)).upper()
            if name == venue_symbol:
                _sort_in(capture, _Message(recv_ns, file, row, data))
    return capture


def _sort_in(capture: _Capture, message: _Message) -> None:
    data = message.data
    kind = data.get("e")
    if "lastUpdateId" in data:
        capture.snapshots.append(message)
    elif kind == "depthUpdate":
        capture.depth.append(message)
    elif kind == "trade":
        capture.trades.append(message)
    elif kind == "aggTrade":
        capture.aggregates.append(message)
    elif kind is None and {"u", "b", "B", "a", "A"} <= data.keys():
        capture.quotes.append(message)


def _messages(source: Source) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
    """Yield (row, arrival ns, symbol in the URL or empty, payload) of every data line."""
    for row, line in enumerate(source.data.splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            if not line.strip() or _IGNORED.match(line):
                continue
            raise DataError(
                f"no recorded message: {line[:40]!r}", file=source.name, row=row,
                hint="expected `local_ns {json}` or `local_s: {json}`",
            )  # fmt: skip
        whole_ns, plain, url, seconds, other = match.groups()
        recv_ns = int(whole_ns) if whole_ns else int(Decimal(seconds.decode()) * 1_000_000_000)
        try:
            data = orjson.loads(plain or other)
        except orjson.JSONDecodeError as error:
            raise DataError(
                f"damaged JSON: {error}", file=source.name, row=row, hint="remove the line"
            ) from None
        found = _URL_SYMBOL.search(url) if url else None
        if url and found is None:
            continue
        yield row, recv_ns, found[1].decode().upper() if found else "", data.get("data", data)


def _deltas(capture: _Capture, shift_ns: int) -> tuple[_Rows, list[str]]:
    """Diffs after the first snapshot's last update, each snapshot where its state belongs."""
    rows = _Rows(
        ("price", "size"), ("ts_event_ns", "ts_recv_ns", "first_sequence", "last_sequence", "flags")
    )
    warnings: list[str] = []
    waiting = list(capture.snapshots)
    if capture.depth and not waiting:
        warnings.append("no snapshot in the capture: the book can't be built from these deltas")
    last, sent_ns, gaps, dropped = (None if not waiting else -1), 0, 0, 0
    for message in capture.depth:
        first_id, last_id = int(message.data["U"]), int(message.data["u"])
        event_ns = int(message.data["E"]) * _MS
        while waiting and int(waiting[0].data["lastUpdateId"]) < last_id:
            snapshot = waiting.pop(0)
            moment = max(sent_ns, min(snapshot.recv_ns + shift_ns, event_ns))
            last = int(snapshot.data["lastUpdateId"])
            _add_snapshot(rows, snapshot, last, moment, snapshot.recv_ns + shift_ns)
        sent_ns = event_ns
        if last == -1 or (last is not None and last_id <= last):
            dropped += 1
            continue
        gaps += last is not None and first_id > last + 1
        last = last_id
        levels = [(level, 0) for level in message.data["b"]]
        levels += [(level, DELTA_ASK) for level in message.data["a"]]
        numbers = (event_ns, message.recv_ns + shift_ns, first_id, last_id)
        _add_levels(rows, message, levels, numbers, 0)
    if gaps:
        warnings.append(f"{gaps} gaps in the depth sequence: the book goes stale there")
    if dropped:
        warnings.append(f"{dropped} depth messages from before the snapshot left out")
    return rows, warnings


def _add_snapshot(rows: _Rows, message: _Message, last: int, event_ns: int, recv_ns: int) -> None:
    levels = [(level, 0) for level in message.data["bids"]]
    levels += [(level, DELTA_ASK) for level in message.data["asks"]]
    _add_levels(rows, message, levels, (event_ns, recv_ns, last, last), DELTA_SNAPSHOT)


def _add_levels(
    rows: _Rows,
    message: _Message,
    levels: list[tuple[list[str], int]],
    numbers: tuple[int, int, int, int],
    common: int,
) -> None:
    for k, (level, side) in enumerate(levels):
        flags = side | common
        if k == 0 and common & DELTA_SNAPSHOT:
            flags |= DELTA_CLEAR
        if k == len(levels) - 1:
            flags |= DELTA_LAST
        rows.add(message, level[:2], (*numbers, flags))


def _trades(capture: _Capture, shift_ns: int) -> tuple[_Rows, list[str]]:
    """Trades, or aggregated trades where the capture has only those."""
    rows = _Rows(("price", "size"), ("ts_event_ns", "ts_recv_ns", "trade_id", "flags"))
    messages, key = (capture.trades, "t") if capture.trades else (capture.aggregates, "a")
    for message in messages:
        data = message.data
        flags = TRADE_SELLER if data["m"] else 0
        event_ns = int(data["T"]) * _MS
        rows.add(
            message,
            (data["p"], data["q"]),
            (event_ns, message.recv_ns + shift_ns, int(data[key]), flags),
        )
    return rows, []


def _quotes(capture: _Capture, shift_ns: int) -> tuple[_Rows, list[str]]:
    rows = _Rows(("bid", "ask", "bid_size", "ask_size"), ("ts_event_ns", "ts_recv_ns", "sequence"))
    for message in capture.quotes:
        data, recv_ns = message.data, message.recv_ns + shift_ns
        rows.add(
            message,
            (data["b"], data["a"], data["B"], data["A"]),
            (recv_ns, recv_ns, int(data["u"])),
        )
    return rows, []
