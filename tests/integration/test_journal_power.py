"""Death and power cuts at any moment, and a disk that fails at any operation: nothing told of as
durable is lost, and nothing is told of after a failure."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.journal.store import open_journal
from adapters.journal.verify import Anchor, check
from tests.fakes.journal_session import (
    EXIT_FAILED,
    GENESIS,
    SEAL_EVERY,
    group_of,
    image_of,
    number_of,
)
from tests.fakes.power_cut import ROOT, Disk, build_shim, run_failing, run_session

GROUPS = 50
KILLS = 20
CUTS = 2_000
CUTS_LONG = 10_000


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder where a sync costs nothing, as the cuts are made by the test, not by the disk."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


def check_reopened(folder: Path, acks: list[str]) -> int:
    """Open what is left and close it again: every acknowledged group is there, byte for byte.

    Returns the number of groups that are there.
    """
    told = [line.split() for line in acks]
    writer, recovered = open_journal(
        folder / "journal", GENESIS, run="after", seal_every=SEAL_EVERY
    )
    try:
        number = number_of(recovered.image)
        last = int(told[-1][0]) if told else 0
        assert last <= number <= last + 1
        assert recovered.image == (image_of(number) if number else b"")
        assert recovered.cut_entries == 0
    finally:
        writer.close()
    assert writer.failure is None
    key = bytes.fromhex((folder / "keys" / "journal.verify").read_text())
    anchors: list[Anchor] = [(int(size), hash_) for _, size, hash_ in told]
    result = check(folder / "journal", key=key, anchors=anchors)
    assert result.findings == []
    assert result.anchors_checked == len(anchors)
    return number


def run_cuts(shim: Path, tmp_path: Path, memory: Path, count: int, seed: int) -> None:
    log = tmp_path / f"log-{seed}"
    ops = run_session(shim, tmp_path / f"session-{seed}", GROUPS, log)
    chance = random.Random(seed)
    moments = sorted(chance.randint(0, len(ops)) for _ in range(count))
    disk, done = Disk(), 0
    for turn, moment in enumerate(moments):
        for op in ops[done:moment]:
            disk.apply(op)
        done = max(done, moment)
        folder = memory / str(turn)
        for name, data in disk.cut(chance).items():
            file = folder / name
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_bytes(data)
        check_reopened(folder, disk.acks)
        shutil.rmtree(folder)
    assert len(disk.acks) == GROUPS


def test_no_acknowledged_group_is_lost_in_a_power_cut(
    shim: Path, tmp_path: Path, memory: Path
) -> None:
    run_cuts(shim, tmp_path, memory, CUTS, 1)


@pytest.mark.long
def test_no_acknowledged_group_is_lost_in_many_power_cuts(
    shim: Path, tmp_path: Path, memory: Path
) -> None:
    for seed in range(2, 7):
        run_cuts(shim, tmp_path, memory, CUTS_LONG // 5, seed)


def test_a_cut_would_show_a_store_that_does_not_sync(shim: Path, tmp_path: Path) -> None:
    """The model itself: without the syncs of the log, acknowledged groups do get lost."""
    disk = Disk()
    for op in run_session(shim, tmp_path / "session", GROUPS, tmp_path / "log"):
        if op.kind != "s":
            disk.apply(type(op)(op.kind, False, op.name, op.offset, op.data))
    assert disk.acks
    assert disk.durable == {}
    assert disk.cut(random.Random(1)) != {}


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_nothing_is_acknowledged_after_the_disk_failed(
    shim: Path, tmp_path: Path, memory: Path, error: int
) -> None:
    """Each write, sync and rename of a session fails in turn."""
    ops = run_session(shim, tmp_path / "whole", GROUPS, tmp_path / "log")
    failures = [(number, error) for number in range(1, 1 + sum(op.name != "acks" for op in ops))]
    assert len(failures) > 3 * GROUPS
    codes = run_failing(shim, memory, GROUPS, failures)
    assert set(codes) == {EXIT_FAILED}
    for turn in range(len(failures)):
        folder = memory / str(turn)
        acks = folder / "acks"
        told = acks.read_text().splitlines() if acks.exists() else []
        assert not [line for line in told if line.startswith("accepted")]
        check_reopened(folder, told)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(1)
    acks: list[str] = []
    for turn in range(KILLS):
        command = [
            sys.executable,
            *("-m", "tests.fakes.journal_session", str(tmp_path), "100000", str(turn), "-"),
        ]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(chance.randint(1, 60)):
                line = child.stdout.readline().decode()
                assert line, "the session ended by itself"
                acks.append(line)
            child.send_signal(signal.SIGKILL)
            acks += child.stdout.read().decode().splitlines()
        number = check_reopened(tmp_path, acks)
        assert number >= turn


def test_the_session_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """What the tests above rely on: a group has the same content wherever it is committed."""
    assert group_of(7, 1).records == group_of(7, 4).records
    assert image_of(7) != image_of(8)
    assert number_of(image_of(8)) == 8
