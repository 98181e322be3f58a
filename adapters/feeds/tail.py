"""Follows a file of bars that another program writes: CSV with a header, or JSON lines."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.bar_lines import BarLines, Row
from adapters.feeds.catalog import range_bounds
from mmats._core import BAR_DTYPE, EventKind
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.data_format import DataKind
from mmats.ports.feed import FeedOptions

READ_BYTES = 1 << 20  # at most, of one poll
LINE_BYTES_MAX = 1 << 16


class TailFeed:
    """Bars in `options.path`, columns time, open, high, low, close, volume.

    Times are epochs, or ISO 8601 with a zone; `options.stamp` tells whether they are opens or
    closes. A bar must be later than the one before it.
    """

    def __init__(self, options: FeedOptions) -> None:
        """DataError where other than bars are asked for; nothing is read before `events`."""
        if options.kind != "bar":
            raise DataError("tail reads bars", hint='kind = "bar"')
        self._options = options

    def events(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> Iterator[NDArray[np.void]]:
        """Yield what the file holds now; a line that is no bar is a DataError."""
        first, last = range_bounds(DataKind.BAR, start_ns, end_ns)
        stream = self.follow(instrument, 0, from_start=True)
        try:
            while True:
                before = stream.position
                events = stream.poll(0)
                problem = stream.lost or stream.problem
                if not problem and stream.counters()["old_lines"]:
                    problem = "a bar is not later than the one before it"
                if problem:
                    raise DataError(problem, file=str(self._options.path))
                if stream.position == before:
                    return
                events["ts_recv_ns"] = events["ts_event_ns"]
                ts = events["ts_event_ns"]
                yield events[np.searchsorted(ts, first) : np.searchsorted(ts, last, "right")]
        finally:
            stream.close()

    def describe(
        self, instrument: Instrument, start_ns: int | None, end_ns: int | None
    ) -> dict[str, Any]:
        """The file; it grows, so that it has no hash."""
        path = self._options.path
        files = [{"path": str(path), "bytes": path.stat().st_size}] if path.exists() else []
        return {"source": "tail", "synthetic": False, "files": files}

    def follow(self, instrument: Instrument, now_ns: int, from_start: bool) -> "TailStream":
        """Follow the file; it need not be there yet."""
        options = self._options
        shift = options.interval_ns if options.stamp == "open" else 0
        return TailStream(options.path, BarLines(instrument, shift), from_start)


class TailStream:
    """Implements ILiveStream on a growing file.

    A line counts once its newline is there. A file that is cut or replaced is read from its start
    again, and told as lost for a moment; bars that came before are left out.
    """

    def __init__(self, path: Path, lines: BarLines, from_start: bool) -> None:
        self._path = path
        self._lines = lines
        self._from_start = from_start
        self._fd = -1
        self._file_id = (0, 0)
        self._rest = b""
        self._is_first_line = True
        self._is_overlong = False
        self._last_ns = -(2**63)
        self._counts = dict.fromkeys(("events", "bad_lines", "old_lines", "reopened"), 0)
        self.position = 0
        self.lost = ""
        self.problem = ""
        """What was wrong with the last bad line."""

    def poll(self, now_ns: int) -> NDArray[np.void]:
        """Take the whole lines that have been added, of at most 1 MiB."""
        was_open = self._fd >= 0
        try:
            data = self._read()
        except OSError as error:
            self._let_go(f"{error.strerror}: {self._path}")
            return np.empty(0, dtype=BAR_DTYPE)
        rows = self._rows(data)
        if was_open and self._fd >= 0:
            self._look_for_another_file(at_end=len(data) < READ_BYTES)
        events = np.zeros(len(rows), dtype=BAR_DTYPE)
        if rows:
            events["kind"] = EventKind.EVENT_BAR
            events["ts_recv_ns"] = now_ns
            columns = np.array(rows, dtype=np.int64).T
            names = ("ts_event_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks")
            for name, values in zip((*names, "volume_lots"), columns, strict=True):
                events[name] = values
        self._counts["events"] += len(events)
        return events

    def counters(self) -> dict[str, int]:
        """events, bad_lines, old_lines (not later than the one before), reopened."""
        return dict(self._counts)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> bytes:
        if self._fd < 0:
            self._open()
        data = os.read(self._fd, READ_BYTES)
        self.position += len(data)
        self.lost = ""
        return data

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        facts = os.fstat(self._fd)
        if not stat.S_ISREG(facts.st_mode):
            self.close()
            raise OSError(0, "is no plain file")
        self._file_id = (facts.st_dev, facts.st_ino)
        self._rest, self.position = b"", 0
        self._is_first_line, self._is_overlong = True, False
        if not self._from_start:
            self._skip_to_end(facts.st_size)

    def _skip_to_end(self, size: int) -> None:
        """Read the header, then go on behind the last whole line."""
        head = os.pread(self._fd, LINE_BYTES_MAX, 0)
        tail_start = max(0, size - LINE_BYTES_MAX)
        tail = os.pread(self._fd, size - tail_start, tail_start)
        end = tail_start + tail.rfind(b"\n") + 1
        if b"\n" not in head or end <= tail_start:
            return
        self._take_line(head[: head.index(b"\n")], [])
        self.position = os.lseek(self._fd, end, os.SEEK_SET)

    def _look_for_another_file(self, at_end: bool) -> None:
        """Notice that the file was cut, or that its name leads to another one."""
        try:
            facts = os.stat(self._path)
        except OSError as error:
            if at_end:
                self._let_go(f"{error.strerror}: {self._path}")
            return
        if (facts.st_dev, facts.st_ino) != self._file_id:
            if at_end:
                self._let_go("the file was replaced")
        elif facts.st_size < self.position:
            self._let_go("the file was cut")

    def _let_go(self, why: str) -> None:
        if self._fd >= 0:
            self._counts["reopened"] += 1
        self.close()
        # A file that takes this place is new as a whole.
        self._from_start = True
        self.lost = why

    def _rows(self, data: bytes) -> list[Row]:
        rows: list[Row] = []
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._take_line(line, rows)
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest, self._is_overlong = b"", True
        return rows

    def _take_line(self, line: bytes, rows: list[Row]) -> None:
        is_first, self._is_first_line = self._is_first_line, False
        try:
            if self._is_overlong:
                self._is_overlong = False
                raise DataError("a line is too long")
            text = line.decode().strip().removeprefix("\ufeff")
            if is_first and self._lines.read_header(text):
                return
            if not text:
                return
            row = self._lines.read(text)
        except (DataError, UnicodeDecodeError) as error:
            self._counts["bad_lines"] += 1
            self.problem = str(error)
            return
        if row[0] <= self._last_ns:
            self._counts["old_lines"] += 1
            return
        self._last_ns = row[0]
        rows.append(row)
