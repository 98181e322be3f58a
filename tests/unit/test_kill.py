"""The kill switch: a signal or a file trips it, it survives a restart, only its file resets it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmats.engine.kill import POLL_NS, KillSwitch, write_kill_file


class Clock:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def _signal_restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_file_trips_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    clock = Clock()
    switch = KillSwitch(tmp_path / "KILL", monotonic_ns=clock)
    assert switch.tripped() == ""
    (tmp_path / "KILL").write_text("fire in the house\n")
    clock.now_ns = POLL_NS
    assert switch.tripped() == "fire in the house"
    (tmp_path / "KILL").unlink()
    clock.now_ns = 2 * POLL_NS
    assert switch.tripped() == ""


def test_an_empty_or_unreadable_file_trips(tmp_path: Path) -> None:
    (tmp_path / "EMPTY").touch()
    assert KillSwitch(tmp_path / "EMPTY", monotonic_ns=Clock()).tripped() == "kill file EMPTY"
    (tmp_path / "FOLDER").mkdir()
    assert "can't be read" in KillSwitch(tmp_path / "FOLDER", monotonic_ns=Clock()).tripped()


def test_the_file_is_not_looked_at_more_often(tmp_path: Path) -> None:
    clock = Clock()
    switch = KillSwitch(tmp_path / "KILL", monotonic_ns=clock)
    switch.tripped()
    (tmp_path / "KILL").touch()
    clock.now_ns = POLL_NS - 1
    assert switch.tripped() == ""


@pytest.mark.usefixtures("_signal_restored")
def test_a_signal_trips_at_once_and_survives_a_restart(tmp_path: Path) -> None:
    woken: list[bool] = []
    switch = KillSwitch(tmp_path / "KILL", monotonic_ns=Clock(), wake=lambda: woken.append(True))
    switch.install()
    switch.tripped()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert switch.tripped().startswith("signal SIGUSR1")
    assert woken == [True]
    assert (tmp_path / "KILL").stat().st_mode & 0o777 == 0o600
    assert KillSwitch(tmp_path / "KILL", monotonic_ns=Clock()).tripped().startswith("signal")


@pytest.mark.usefixtures("_signal_restored")
def test_a_signal_trips_where_no_file_can_be_made(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "file").touch()
    switch = KillSwitch(tmp_path / "file" / "KILL", monotonic_ns=clock)
    switch.install()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert switch.tripped()
    clock.now_ns = 10 * POLL_NS
    assert switch.tripped()


def test_a_failed_write_is_told_and_trips(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    switch = KillSwitch(tmp_path / "file" / "KILL", monotonic_ns=Clock())
    with pytest.raises(OSError, match="file"):
        switch.trip("books do not balance")
    assert switch.tripped()


def test_release_removes_the_file_and_the_first_reason_stays(tmp_path: Path) -> None:
    clock = Clock()
    switch = KillSwitch(tmp_path / "KILL", monotonic_ns=clock)
    switch.trip("first")
    write_kill_file(tmp_path / "KILL", "second")
    assert switch.tripped().startswith("first at ")
    switch.release()
    clock.now_ns = POLL_NS
    assert switch.tripped() == ""
    assert not (tmp_path / "KILL").exists()


def test_a_pipe_or_a_link_that_leads_nowhere_trips_and_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "PIPE")
    assert KillSwitch(tmp_path / "PIPE", monotonic_ns=Clock()).tripped() == "kill file PIPE"
    (tmp_path / "LINK").symlink_to(tmp_path / "nothing")
    assert "leads nowhere" in KillSwitch(tmp_path / "LINK", monotonic_ns=Clock()).tripped()


@pytest.mark.usefixtures("_signal_restored")
def test_a_release_keeps_a_signal_that_nobody_has_seen(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "KILL", monotonic_ns=Clock())
    switch.install()
    os.kill(os.getpid(), signal.SIGUSR1)
    switch.release()
    assert switch.tripped().startswith("signal SIGUSR1")
    assert (tmp_path / "KILL").exists()
