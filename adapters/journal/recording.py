"""Every input of a run, in order, in one file: what `mmats replay` feeds to an engine again."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mmats.model.errors import DataError

MAGIC = b"MMATSREC\x01\x00\x00\x00\x00\x00\x00\x00"
_FRAME = struct.Struct("<IIBxxxq")  # length of the payload, its CRC-32 with kind and time, kind, ts
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

    def append(self, kind: int, ts_ns: int, payload: bytes | memoryview = b"") -> None:
        """Write one input; OSError where the disk does not take it whole."""
        crc = zlib.crc32(payload, zlib.crc32(struct.pack("<Bq", kind, ts_ns)))
        head = _FRAME.pack(len(payload), crc, kind, ts_ns)
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
            if file.read(len(MAGIC)) != MAGIC:
                raise DataError("is no recording", file=str(path))
            size = path.stat().st_size
            while head := file.read(_FRAME.size):
                if len(head) < _FRAME.size:
                    return
                length, crc, kind, ts_ns = _FRAME.unpack(head)
                payload = file.read(length) if length <= PAYLOAD_BYTES_MAX else b""
                if len(payload) < length and file.tell() >= size:
                    return
                if crc != zlib.crc32(payload, zlib.crc32(struct.pack("<Bq", kind, ts_ns))):
                    place = f"at byte {file.tell() - len(payload)}"
                    raise DataError(f"is damaged {place}", file=str(path))
                yield kind, ts_ns, payload
    except FileNotFoundError:
        raise DataError("no such recording", file=str(path)) from None
