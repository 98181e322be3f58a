"""The rehearsal venue's book of record: every request and every fill, as JSON lines."""

from pathlib import Path
from typing import Any

import orjson
from numpy.typing import NDArray

from mmats._core import ReportKind, RequestKind


class VenueBook:
    """Appends rows to a file, whole lines at a time, so that another process may read it.

    `what` of a row is request, fill, end (canceled, rejected, expired) or note.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab", buffering=0) if path is not None else None
        self._trades: set[int] = set()

    def requests(self, peer: bytes, requests: NDArray[Any]) -> None:
        """Keep what a peer asked for, before it is executed."""
        names = requests.dtype.names or ()
        self._write(
            {
                "what": "request",
                "peer": peer.hex(),
                **dict(zip(names, row, strict=True)),
                "kind": _word(RequestKind, row[names.index("kind")]),
            }
            for row in requests.tolist()
        )

    def reports(self, reports: NDArray[Any]) -> None:
        """Keep what the venue did, each fill once however often it is told."""
        names = reports.dtype.names or ()
        rows = []
        for values in reports.tolist():
            row = dict(zip(names, values, strict=True))
            row["kind"] = _word(ReportKind, row["kind"])
            if row["kind"] == "filled" and row["trade_id"] not in self._trades:
                self._trades.add(row["trade_id"])
                rows.append({"what": "fill", **row})
            elif row["kind"] in ("rejected", "canceled", "expired"):
                rows.append({"what": "end", **row})
        self._write(rows)

    def note(self, text: str) -> None:
        """Keep a fact in words."""
        self._write([{"what": "note", "text": text}])

    def close(self) -> None:
        """Close the file; twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, rows: Any) -> None:
        if self._file is not None:
            data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
            if data:
                self._file.write(data)


def _word(kinds: Any, number: int) -> str:
    """Return a kind in lower case without its prefix; the number where there is none."""
    try:
        return str(kinds(number).name).partition("_")[2].lower()
    except ValueError:
        return str(number)
