"""Recordings: order, a torn end, damage, who may read them, a disk that takes half."""

import io
import os
import random
import stat
import struct
from pathlib import Path

import pytest

from adapters.journal import recording
from adapters.journal.recording import MAGIC, Recorder, read_inputs, read_recording
from mmats.model.errors import DataError
from tests.fakes.mutations import spoiled

INPUTS = [(kind, 1000 + at, bytes([kind]) * (at % 7 * 10)) for at, kind in enumerate([5, 6, 1] * 9)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "run" / "inputs"
    recorder = Recorder(file)
    for kind, ts_ns, payload in INPUTS:
        recorder.append(kind, ts_ns, memoryview(payload))
    recorder.close()
    return file


def test_inputs_come_back_in_their_order(path: Path) -> None:
    assert list(read_recording(path)) == INPUTS


def test_it_is_for_its_owner_alone_and_never_written_over(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        Recorder(path)


def test_each_input_is_handed_over_at_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "inputs")
    for count, given in enumerate(INPUTS, 1):
        recorder.append(*given)
        assert list(read_recording(tmp_path / "inputs")) == INPUTS[:count]
    recorder.close()


def test_a_torn_end_is_left_out(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(len(MAGIC), len(whole)):
        found = list(read_inputs(io.BytesIO(whole[:size]), "torn"))
        assert found == INPUTS[: len(found)]
        assert len(found) < len(INPUTS)


def test_what_is_no_recording_is_refused(path: Path, tmp_path: Path) -> None:
    for data in (b"", MAGIC[:-1], b"\0" * 100):
        path.write_bytes(data)
        with pytest.raises(DataError, match="is no recording"):
            list(read_recording(path))
    with pytest.raises(DataError, match="no such recording"):
        list(read_recording(tmp_path / "none"))
    with pytest.raises(DataError, match="can't be read"):
        list(read_recording(tmp_path))


def frames(data: bytes) -> list[bytes]:
    """The inputs as they lie in the file."""
    found, at = [], len(MAGIC)
    while at < len(data):
        size = 20 + struct.unpack_from("<I", data, at)[0]
        found.append(data[at : at + size])
        at += size
    return found


def test_inputs_taken_out_doubled_or_moved_are_found(path: Path) -> None:
    parts = frames(path.read_bytes())
    chance = random.Random(1)
    for _ in range(300):
        changed = list(parts)
        at, other = chance.sample(range(len(parts) - 1), 2)
        way = chance.randrange(3)
        if way == 0:
            del changed[at]
        elif way == 1:
            changed.insert(other, parts[at])
        else:
            changed[at], changed[other] = parts[other], parts[at]
        if changed == parts:
            continue
        data = io.BytesIO(MAGIC + b"".join(changed))
        with pytest.raises(DataError, match="is damaged at byte"):
            list(read_inputs(data, "spliced"))


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_mutated_recordings_are_refused_or_end_early(path: Path, count: int) -> None:
    whole, chance = path.read_bytes(), random.Random(count)
    refused = shorter = 0
    for _ in range(count):
        data = spoiled(chance, whole, [MAGIC, b"\xff" * 4, b"\0" * 20])
        found = []
        try:
            found += read_inputs(io.BytesIO(data), "mutated")
        except DataError:
            refused += 1
        else:
            shorter += len(found) < len(INPUTS)
        assert found == INPUTS[: len(found)]
    assert refused > count // 4
    assert shorter > count // 100


def test_a_disk_that_takes_half_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(fd: int, parts: tuple[bytes, bytes]) -> int:
        return os.write(fd, b"".join(parts)[:30])

    recorder = Recorder(path.with_name("half"))
    recorder.append(*INPUTS[0])
    monkeypatch.setattr(recording.os, "writev", half)
    with pytest.raises(OSError, match="the recording took 30 of 120 bytes"):
        recorder.append(1, 5, b"x" * 100)
    recorder.close()
    assert list(read_recording(path.with_name("half"))) == INPUTS[:1]
