"""What a disk can hold after a power cut: all that was synced, and any part of the rest."""

import os
import random
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTOR = 512  # bytes that a disk writes whole or not at all
_HEADER = struct.Struct("<BBHIQ")


@dataclass(frozen=True)
class Op:
    """One operation of the session, as the shim wrote it down."""

    kind: str  # w, s, r
    is_synced: bool
    name: str
    offset: int
    data: bytes


def build_shim(folder: Path) -> Path:
    """Compile the shim; skips where that is impossible."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the shim needs Linux and a C compiler")
    library = folder / "disk_shim.so"
    source = ROOT / "tests" / "fakes" / "disk_shim.c"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def run_session(shim: Path, folder: Path, groups: int, log: Path) -> list[Op]:
    """Run a journal session under the shim; returns its operations."""
    folder.mkdir()
    _run(shim, folder, [str(folder), str(groups), "run", str(folder / "acks")], log=log)
    return _read_ops(log)


def run_failing(
    shim: Path, folder: Path, groups: int, failures: list[tuple[int, int]]
) -> list[int]:
    """Run a session for each operation to fail and its errno, in FOLDER/0 and so on.

    Returns the exit codes.
    """
    lines = [f"{folder}/{i} {number} {error}\n" for i, (number, error) in enumerate(failures)]
    output = _run(shim, folder, ["-", str(groups)], "".join(lines))
    return [int(line) for line in output.split()]


def _run(
    shim: Path, folder: Path, arguments: list[str], text: str = "", log: Path | None = None
) -> str:
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": str(shim),
        "MMATS_SHIM_DIR": str(folder),
    }
    if log is not None:
        env["MMATS_SHIM_LOG"] = str(log)
    command = [sys.executable, "-m", "tests.fakes.journal_session", *arguments]
    done = subprocess.run(
        command, env=env, cwd=ROOT, check=True, input=text, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _read_ops(log: Path) -> list[Op]:
    """The operations in order."""
    data, at, found = log.read_bytes(), 0, []
    while at < len(data):
        kind, is_synced, name_size, data_size, offset = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        name = data[at : at + name_size].decode()
        at += name_size
        found.append(Op(chr(kind), bool(is_synced), name, offset, data[at : at + data_size]))
        at += data_size
    return found


class Disk:
    """Takes the operations one after the other; `cut` makes what could be left at that point."""

    def __init__(self) -> None:
        self.durable: dict[str, bytearray] = {}
        self.pending: list[Op] = []  # writes and renames that no sync has followed
        self.acks: list[str] = []

    def apply(self, op: Op) -> None:
        """Carry out one operation."""
        if op.name == "acks":
            self.acks += op.data.decode().splitlines()
        elif op.kind == "s":
            self._sync(op.name)
        elif op.kind == "w" and op.is_synced:
            _put(self.durable.setdefault(op.name, bytearray()), op.offset, op.data)
        else:
            self.pending.append(op)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Files after a cut: a subset of what was pending, or its first part and a torn write."""
        files = {name: bytearray(data) for name, data in self.durable.items()}
        if chance.random() < 0.5:
            kept = [op for op in self.pending if chance.random() < 0.5]
        else:
            kept = self.pending[: chance.randint(0, len(self.pending))]
        for position, op in enumerate(kept):
            if op.kind == "r":
                _rename(files, op)
                continue
            data = op.data
            if position == len(kept) - 1 or chance.random() < 0.2:
                data = data[: SECTOR * chance.randint(0, -(-len(data) // SECTOR))]
            _put(files.setdefault(op.name, bytearray()), op.offset, data)
        return {name: bytes(data) for name, data in files.items()}

    def _sync(self, name: str) -> None:
        rest = []
        for op in self.pending:
            if op.kind == "w" and op.name == name:
                _put(self.durable.setdefault(name, bytearray()), op.offset, op.data)
            elif op.kind == "r" and os.path.dirname(op.data.decode()) == name:
                _rename(self.durable, op)
            else:
                rest.append(op)
        self.pending = rest


def _put(file: bytearray, offset: int, data: bytes) -> None:
    if len(file) < offset + len(data):
        file.extend(bytes(offset + len(data) - len(file)))
    file[offset : offset + len(data)] = data


def _rename(files: dict[str, bytearray], op: Op) -> None:
    if op.name in files:
        files[op.data.decode()] = files.pop(op.name)
