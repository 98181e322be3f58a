"""Messages between processes as bytes: a header of 40 bytes, then rows of a packed dtype.

=======  ====  ======  =======================================================================
offset   type  name    meaning
=======  ====  ======  =======================================================================
0        u32   magic   0x314D4D46, "FMM1"
4        u16   version 1
6        u8    kind    FrameKind of a feed, or MessageKind of the order path
7        u8            0
8        u32   feed    number of the feed process; 0 on the order path
12       u32   count   rows that follow, at most 16,384
16       u64   session random number of the sender's session, not 0
24       i64   seq     from 1, counts up by one within a session
32       i64   sent_ns UTC, when it left the sender; 0 = not told
40             rows    64 bytes each of a feed; REQUEST_DTYPE, REPORT_DTYPE
=======  ====  ======  =======================================================================

All is little-endian. The header keeps rows on the 8-byte boundary of the message, so that they
are used where they lie, read-only.
"""

from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.bus.sockets import BusError
from mmats._core import EVENT_DTYPE, REPORT_DTYPE, REQUEST_DTYPE
from mmats.ports.bus import FeedFrame, FrameKind

MAGIC = 0x314D4D46
VERSION = 1
ROWS_MAX = 16_384
HEADER = Struct("<IHBBIIQqq")

FRAME_BYTES_MAX = HEADER.size + ROWS_MAX * max(
    dtype.itemsize for dtype in (EVENT_DTYPE, REQUEST_DTYPE, REPORT_DTYPE)
)

_FRAME_KINDS = {int(kind): kind for kind in FrameKind}
_DATA = FrameKind.DATA
_EVENT_BYTES = EVENT_DTYPE.itemsize
_NO_EVENTS: NDArray[np.void] = np.empty(0, dtype=EVENT_DTYPE)
_NO_EVENTS.flags.writeable = False


class FrameError(BusError):
    """Bytes that are no message of this version."""


class MessageKind(IntEnum):
    """What a message of the order path holds; without rows it only says that its sender lives."""

    REQUESTS = 16
    REPORTS = 17


_ROWS = {MessageKind.REQUESTS: REQUEST_DTYPE, MessageKind.REPORTS: REPORT_DTYPE}


class Message(NamedTuple):
    """One message of the order path."""

    kind: MessageKind
    session: int
    sequence: int
    sent_ns: int
    rows: NDArray[np.void]  # REQUEST_DTYPE or REPORT_DTYPE, read-only


def encode_frame(
    kind: FrameKind,
    events: NDArray[np.void] | None,
    *,
    feed: int,
    session: int,
    sequence: int,
    sent_ns: int,
) -> bytes:
    """Return a frame of a feed.

    Parameters
    ----------
    events
        1 to 16,384 records of 64 bytes of DATA, in time order; None of other kinds.

    Raises
    ------
    FrameError
        They don't go into a frame.
    """
    count = 0 if events is None else len(events)
    if (count > 0) != (kind is _DATA) or count > ROWS_MAX:
        raise FrameError(f"a frame {kind.name} can't hold {count} events")
    header = HEADER.pack(MAGIC, VERSION, kind, 0, feed, count, session, sequence, sent_ns)
    if events is None or count == 0:
        return header
    if events.dtype.itemsize != _EVENT_BYTES:
        raise FrameError(f"events have {_EVENT_BYTES} bytes, not {events.dtype.itemsize}")
    return header + events.tobytes()


def decode_frame(data: bytes) -> FeedFrame:
    """Return a feed's frame; its events are a view of `data`.

    Raises
    ------
    FrameError
        It is none: nothing else is raised, whatever the bytes are.
    """
    kind_number, feed, count, session, sequence, sent_ns = _header(data, _EVENT_BYTES)
    kind = _FRAME_KINDS.get(kind_number)
    if kind is None:
        raise FrameError(f"there is no frame of kind {kind_number}")
    if (count > 0) != (kind is _DATA):
        raise FrameError(f"a frame {kind.name} with {count} events")
    events = np.frombuffer(data, EVENT_DTYPE, count, HEADER.size) if count else _NO_EVENTS
    return FeedFrame(feed, kind, session, sequence, sent_ns, events)


def encode_message(
    kind: MessageKind, rows: NDArray[np.void], *, session: int, sequence: int, sent_ns: int
) -> bytes:
    """Return a message of the order path; FrameError where the rows are too many, or others."""
    dtype = _ROWS[kind]
    if rows.dtype is not dtype and rows.dtype != dtype:
        raise FrameError(f"{kind.name} are rows of another layout")
    if len(rows) > ROWS_MAX:
        raise FrameError(f"a message holds at most {ROWS_MAX} rows, not {len(rows)}")
    return (
        HEADER.pack(MAGIC, VERSION, kind, 0, 0, len(rows), session, sequence, sent_ns)
        + rows.tobytes()
    )


def decode_message(data: bytes, kind: MessageKind) -> Message:
    """Return a message that must be of a kind; FrameError, and nothing else, where it is not."""
    dtype = _ROWS[kind]
    number, feed, count, session, sequence, sent_ns = _header(data, dtype.itemsize)
    if number != kind or feed != 0:
        raise FrameError(f"a message of kind {number}, not {kind.name}")
    rows: NDArray[Any] = (
        np.frombuffer(data, dtype, count, HEADER.size) if count else np.empty(0, dtype=dtype)
    )
    return Message(kind, session, sequence, sent_ns, rows)


def _header(data: bytes, row_bytes: int) -> tuple[int, int, int, int, int, int]:
    """Check what is common; return kind, feed, count, session, sequence, sent_ns."""
    if len(data) < HEADER.size:
        raise FrameError(f"a message of {len(data)} bytes has no header")
    magic, version, kind, zero, feed, count, session, sequence, sent_ns = HEADER.unpack_from(data)
    if magic != MAGIC or zero != 0:
        raise FrameError("not a message of this system")
    if version != VERSION:
        raise FrameError(f"version {version} of the format, not {VERSION}", hint="update both ends")
    if count > ROWS_MAX or len(data) != HEADER.size + count * row_bytes:
        raise FrameError(f"{len(data)} bytes can't be {count} rows of {row_bytes}")
    if session == 0 or sequence < 1 or sent_ns < 0:
        raise FrameError("a session of 0, a sequence below 1, or a time below 0")
    return kind, feed, count, session, sequence, sent_ns
