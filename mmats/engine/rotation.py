"""A file that makes place for a new one when it is full."""

import os
from pathlib import Path
from typing import BinaryIO


class RotatingFile:
    """Appends text to `path`; a full one becomes `path.1`, that `path.2`, and so on.

    Parameters
    ----------
    path : readable by its owner alone; its folder is made
    bytes_max : a file is not written beyond this, unless a single text is longer
    old_count : old files that are kept
    """

    def __init__(self, path: Path, bytes_max: int, old_count: int) -> None:
        if bytes_max < 1 or old_count < 0:
            raise ValueError("bytes_max must be above 0 and old_count not below")
        self.path = path
        self._bytes_max = bytes_max
        self._old_count = old_count
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._open()
        self._size = os.fstat(self._file.fileno()).st_size

    def write(self, text: str) -> None:
        """Append a text, all of it at once."""
        data = text.encode()
        if self._size and self._size + len(data) > self._bytes_max:
            self._rotate()
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> BinaryIO:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "ab", buffering=0)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._old_count - 1, 0, -1):
            if self._old(number).exists():
                self._old(number).replace(self._old(number + 1))
        if self._old_count:
            self.path.replace(self._old(1))
        else:
            self.path.unlink()
        self._file = self._open()
        self._size = 0

    def _old(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
