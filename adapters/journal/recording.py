"""Every input of a run, in order, in one file: what `mmats replay` feeds to an engine again."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmats.model.errors import DataError

MAGIC = b"MMATSREC\x01\x00\x00\x00\x00\x00\x00\x00"
_FRAME = struct.Struct("<IIBxxxq")  # length of the payload, CRC-32, kind, ts_ns
_HEAD = struct.Struct("<IBq")  # what the CRC covers before the payload: length, kind, ts_ns
PAYLOAD_BYTES_MAX = 2**26


class Recorder:
    """Appends inputs; each is handed to the system before the engine acts on it.

    A killed process therefore loses none that it acted on. A power cut may lose the last ones: a
    recording is for replays, the journal is what must not lose anything.
    """

    def __init__(self, path: Path) -> None:
        """Create the file; it must not exist."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        os.write(self._file, MAGIC)
        self._crc = 0

    def append(self, kind: int, ts_ns: int, payload: bytes | memoryview = b"") -> None:
        """Write one input; OSError where the disk does not take it whole."""
        self._crc = _crc(self._crc, kind, ts_ns, payload)
        head = _FRAME.pack(len(payload), self._crc, kind, ts_ns)
        written = os.writev(self._file, (head, payload))
        if written != len(head) + len(payload):
            raise OSError(f"the recording took {written} of {len(head) + len(payload)} bytes")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_recording(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (kind, ts_ns, payload) of every whole input.

    A last input that was cut by a crash is left out: the engine never acted on it.

    Raises
    ------
    DataError
        No recording, or one that is damaged before its end.
    """
    try:
        with path.open("rb") as file:
            yield from read_inputs(file, str(path))
    except FileNotFoundError:
        raise DataError("no such recording", file=str(path)) from None
    except OSError as error:
        raise DataError(f"can't be read: {error}", file=str(path)) from error


def read_inputs(file: BinaryIO, name: str) -> Iterator[tuple[int, int, bytes]]:
    """The same from an open file; `name` is what errors call it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise DataError("is no recording", file=name)
    before = 0
    while head := file.read(_FRAME.size):
        if len(head) < _FRAME.size:
            return
        length, crc, kind, ts_ns = _FRAME.unpack(head)
        payload = file.read(length) if length <= PAYLOAD_BYTES_MAX else b""
        if len(payload) < length and file.tell() >= size:
            return
        before = _crc(before, kind, ts_ns, payload)
        if len(payload) < length or crc != before:
            raise DataError(f"is damaged at byte {file.tell() - len(payload)}", file=name)
        yield kind, ts_ns, payload


def _crc(before: int, kind: int, ts_ns: int, payload: bytes | memoryview) -> int:
    """Each input's CRC goes on from the one before: none can be taken out, doubled or moved."""
    return zlib.crc32(payload, zlib.crc32(_HEAD.pack(len(payload), kind, ts_ns), before))
