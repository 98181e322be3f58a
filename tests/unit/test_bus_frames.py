"""Bytes on the wire: what goes in comes out, and nothing else is taken for a message."""

import random
import struct

import numpy as np
import pytest

from adapters.bus.frames import (
    HEADER,
    MAGIC,
    ROWS_MAX,
    VERSION,
    FrameError,
    MessageKind,
    decode_frame,
    decode_message,
    encode_frame,
    encode_message,
)
from mmats._core import BAR_DTYPE, REPORT_DTYPE, REQUEST_DTYPE
from mmats.ports.bus import FrameKind
from tests.fakes.bus import quotes

FUZZ = 100_000
FUZZ_LONG = 1_000_000


def frame(count: int = 3, kind: FrameKind = FrameKind.DATA, **changes: int) -> bytes:
    facts = {"feed": 2, "session": 77, "sequence": 5, "sent_ns": 123, **changes}
    return encode_frame(kind, quotes(count) if count else None, **facts)


def test_a_frame_comes_back() -> None:
    found = decode_frame(frame())
    assert (found.feed, found.kind, found.session, found.sequence, found.sent_ns) == (
        2,
        FrameKind.DATA,
        77,
        5,
        123,
    )
    assert found.events.tobytes() == quotes(3).tobytes()


def test_events_lie_in_the_message_and_can_not_be_written() -> None:
    data = frame()
    events = decode_frame(data).events
    assert not events.flags.owndata
    assert events.flags.aligned
    assert events.ctypes.data % 8 == 0
    with pytest.raises(ValueError, match="read-only"):
        events["a"] = 1


@pytest.mark.parametrize("kind", [kind for kind in FrameKind if kind is not FrameKind.DATA])
def test_frames_without_events(kind: FrameKind) -> None:
    found = decode_frame(frame(0, kind))
    assert found.kind is kind
    assert len(found.events) == 0


def test_bytes_are_as_documented() -> None:
    written = struct.pack(
        "<IHBBIIQqq", 0x314D4D46, 1, 1, 0, 2, 1, 77, 5, 123
    ) + struct.pack("<BBHIqqqqqqq", 2, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0)  # fmt: skip
    assert frame(1) == written


@pytest.mark.parametrize("count", [1, ROWS_MAX])
def test_most_and_fewest_events(count: int) -> None:
    assert len(decode_frame(frame(count)).events) == count


def test_what_does_not_go_into_a_frame() -> None:
    with pytest.raises(FrameError, match="16385"):
        frame(ROWS_MAX + 1)
    with pytest.raises(FrameError, match="0 events"):
        frame(0)
    with pytest.raises(FrameError, match="HEARTBEAT"):
        frame(1, FrameKind.HEARTBEAT)
    with pytest.raises(FrameError, match="64 bytes"):
        encode_frame(
            FrameKind.DATA, np.zeros(1, "i8"), feed=0, session=1, sequence=1, sent_ns=0
        )  # fmt: skip
    bar = np.zeros(1, BAR_DTYPE)
    data = encode_frame(FrameKind.DATA, bar, feed=0, session=1, sequence=1, sent_ns=0)
    assert decode_frame(data).events.tobytes() == bar.tobytes()


def header(**changes: int) -> bytes:
    facts = {
        "magic": MAGIC, "version": VERSION, "kind": 1, "zero": 0, "feed": 0, "count": 1,
        "session": 1, "sequence": 1, "sent_ns": 0, **changes,
    }  # fmt: skip
    return HEADER.pack(*facts.values())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no header"),
        (b"\0" * 39, "no header"),
        (header(magic=1) + b"\0" * 64, "not a message"),
        (header(zero=1) + b"\0" * 64, "not a message"),
        (header(version=0) + b"\0" * 64, "version 0"),
        (header(version=2) + b"\0" * 64, "update both"),
        (header(kind=0) + b"\0" * 64, "kind 0"),
        (header(kind=6) + b"\0" * 64, "kind 6"),
        (header(kind=16) + b"\0" * 64, "kind 16"),
        (header() + b"\0" * 63, "103 bytes"),
        (header() + b"\0" * 65, "105 bytes"),
        (header(), "40 bytes"),
        (header(count=0), "DATA with 0"),
        (header(kind=2) + b"\0" * 64, "HEARTBEAT with 1"),
        (header(count=ROWS_MAX + 1) + b"\0" * 64 * (ROWS_MAX + 1), "can't be"),
        (header(count=2**32 - 1), "can't be"),
        (header(session=0) + b"\0" * 64, "session"),
        (header(sequence=0) + b"\0" * 64, "sequence"),
        (header(sequence=-5) + b"\0" * 64, "sequence"),
        (header(sent_ns=-1) + b"\0" * 64, "time"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        decode_frame(data)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(MessageKind.REQUESTS, REQUEST_DTYPE), (MessageKind.REPORTS, REPORT_DTYPE)],
)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_messages_of_the_order_path_come_back(
    kind: MessageKind, dtype: np.dtype[np.void], count: int
) -> None:
    rows = np.zeros(count, dtype)
    rows["order_id"] = np.arange(count)
    found = decode_message(encode_message(kind, rows, session=9, sequence=4, sent_ns=3), kind)
    assert (found.kind, found.session, found.sequence, found.sent_ns) == (kind, 9, 4, 3)
    assert found.rows.dtype == dtype
    assert found.rows.tobytes() == rows.tobytes()
    other = next(other for other in MessageKind if other is not kind)
    with pytest.raises(FrameError):
        decode_message(encode_message(kind, rows, session=9, sequence=4, sent_ns=3), other)


def test_rows_of_another_layout_are_not_sent() -> None:
    with pytest.raises(FrameError, match="layout"):
        encode_message(
            MessageKind.REPORTS, np.zeros(1, REQUEST_DTYPE), session=1, sequence=1, sent_ns=0
        )


def fuzz(count: int, seed: int) -> int:
    """Decode mutated messages; returns how many of them were taken for messages still."""
    draw = random.Random(seed)
    rows = np.zeros(2, REPORT_DTYPE)
    seeds = [
        frame(1), frame(3), frame(0, FrameKind.END), b"",
        encode_message(MessageKind.REPORTS, rows, session=1, sequence=1, sent_ns=0),
    ]  # fmt: skip
    taken = 0
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            way = draw.random()
            if way < 0.6 and data:
                at = min(int(draw.expovariate(1 / 20)), len(data) - 1)
                data[at] = draw.choice((0, 1, 2, 127, 128, 255, draw.randrange(256)))
            elif way < 0.8:
                del data[draw.randrange(len(data) + 1) :]
            else:
                data += draw.randbytes(draw.choice((1, 8, 64)))
        for decode in (decode_frame, lambda data: decode_message(data, MessageKind.REPORTS)):
            try:
                found = decode(bytes(data))
            except FrameError:
                continue
            held = found.events if hasattr(found, "events") else found.rows
            assert HEADER.size + held.nbytes == len(data)
            taken += 1
    return taken


def test_mutated_messages_raise_frame_errors_only() -> None:
    assert 0 < fuzz(FUZZ, seed=1) < FUZZ


@pytest.mark.long
def test_a_million_mutated_messages_raise_frame_errors_only() -> None:
    assert 0 < fuzz(FUZZ_LONG, seed=2) < FUZZ_LONG
