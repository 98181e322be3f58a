"""The supervisor with real child processes: restarts, order of stopping, nothing left behind."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmats.supervisor import children_state
from mmats.supervisor.alarm import alarm_file
from tests.fakes.supervised import PATIENCE_S, Running, Told, hearing, is_gone

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")

ENGINE = ("engine", "engine", "run")
FEED = ("feed", "feed", "run")
WATCHDOG = ("watchdog", "watchdog", "run")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with hearing(tmp_path) as fifo:
        yield fifo


def up(told: Told, names: set[str]) -> dict[str, int]:
    """Process ids of children, once all are up."""
    pids: dict[str, int] = {}
    while names - pids.keys():
        name, what, *rest = told.line().split()
        if what == "up":
            pids[name] = int(rest[0])
    return pids


def test_it_starts_all_and_stops_the_engine_first(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [ENGINE, FEED, WATCHDOG]) as running:
        pids = up(told, {"engine", "feed", "watchdog"})
        states = {s.name: s for s in children_state(running.profile)}
        assert {name: s.pid for name, s in states.items() if name in pids} == pids
        assert all(s.is_alive and s.status == "running" for s in states.values())
        assert states["supervisor"].pid == running.process.pid
        assert all(os.getpgid(pid) == pid for pid in pids.values())
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 0")
        assert running.process.wait(PATIENCE_S) == 0
    ends = [line for line in told.seen if line.endswith(" term")]
    assert ends[0] == "engine term"
    assert set(ends[1:]) == {"feed term", "watchdog term"}
    assert all(is_gone(pid) for pid in pids.values())
    assert {s.status for s in children_state(running.profile)} == {"ended"}
    assert not alarm_file(running.profile).exists()


def test_a_killed_child_is_started_again_with_what_it_started_gone(
    tmp_path: Path, told: Told
) -> None:
    with Running(tmp_path, told, [ENGINE, ("feed", "feed", "parent")]) as running:
        grandchild = int(told.until("feed has"))
        first = int(told.until("feed up"))
        os.kill(first, signal.SIGKILL)
        second = int(told.until("feed up"))
        assert first != second
        assert is_gone(grandchild)
        (state,) = [s for s in children_state(running.profile) if s.name == "feed"]
        assert (state.restarts, state.is_alive) == (1, True)
        running.process.send_signal(signal.SIGINT)
        told.until("supervisor exits 0")


def test_an_engine_that_keeps_dying_leaves_the_kill_file(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [("engine", "engine", "die", "1"), FEED]) as running:
        reason = told.until("supervisor engine keeps dying")
        assert "exit code 1" in reason
        told.until("supervisor exits 1")
        assert running.process.wait(PATIENCE_S) == 1
    assert sum(line.startswith("engine up") for line in told.seen) == 3
    assert running.profile.kill_file.read_text().startswith("engine keeps dying")
    assert "engine keeps dying" in alarm_file(running.profile).read_text()
    states = {s.name: s for s in children_state(running.profile)}
    assert (states["engine"].status, states["engine"].exit_code) == ("failed", 1)


def test_a_feed_that_keeps_dying_does_not_end_the_engine(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [ENGINE, ("feed", "feed", "die", "1")]) as running:
        told.until("supervisor feed keeps dying")
        states = {s.name: s for s in children_state(running.profile)}
        assert states["engine"].is_alive
        assert states["feed"].status == "failed"
        assert not running.profile.kill_file.exists()
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 0")


def test_bad_input_is_shown_and_ends_all(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [FEED, ("engine", "engine", "refuse")]) as running:
        told.until("supervisor error: strategies[a]: no such file")
        told.until("supervisor exits 2")
        assert running.process.wait(PATIENCE_S) == 2
    assert sum(line.startswith("engine up") for line in told.seen) == 1
    assert all(not s.is_alive for s in children_state(running.profile))


def test_the_orderly_end_of_the_engine_ends_all(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [ENGINE, FEED, ("other", "feed", "die", "0")]) as running:
        pids = up(told, {"engine", "feed", "other"})
        os.kill(pids["engine"], signal.SIGTERM)
        told.until("supervisor exits 0")
        assert running.process.wait(PATIENCE_S) == 0
    assert "feed term" in told.seen
    assert sum(line.startswith("other up") for line in told.seen) == 1


def test_an_engine_that_does_not_stop_is_killed(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [("engine", "engine", "stubborn"), FEED]) as running:
        pids = up(told, {"engine", "feed"})
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 1")
        assert is_gone(pids["engine"])
    assert "did not stop in time" in alarm_file(running.profile).read_text()
    assert told.seen.index("engine term") < told.seen.index("feed term")


def test_a_stopped_engine_is_killed_as_well(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [ENGINE]) as running:
        pid = int(told.until("engine up"))
        os.kill(pid, signal.SIGSTOP)
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 1")
        assert is_gone(pid)


def test_children_end_with_a_killed_supervisor_but_not_the_watchdog(
    tmp_path: Path, told: Told
) -> None:
    with Running(tmp_path, told, [ENGINE, FEED, WATCHDOG]) as running:
        pids = up(told, {"engine", "feed", "watchdog"})
        running.process.kill()
        running.process.wait(PATIENCE_S)
        assert is_gone(pids["engine"])
        assert is_gone(pids["feed"])
        watchdog = {s.name: s for s in children_state(running.profile)}["watchdog"]
        assert watchdog.is_alive
        with Running(tmp_path, told, [ENGINE]) as second:
            assert second.process.wait(PATIENCE_S) == 1
        os.kill(pids["watchdog"], signal.SIGKILL)
        assert is_gone(pids["watchdog"])


def test_a_second_supervisor_is_refused(tmp_path: Path, told: Told) -> None:
    with Running(tmp_path, told, [ENGINE]) as running:
        pid = int(told.until("engine up"))
        with Running(tmp_path, told, [ENGINE]) as second:
            assert second.process.wait(PATIENCE_S) == 1
        state = {s.name: s for s in children_state(running.profile)}["engine"]
        assert (state.pid, state.is_alive) == (pid, True)
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 0")


def test_children_get_allowed_variables_only(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_TIME", "C")
    with Running(tmp_path, told, [("engine", "engine", "environment")]) as running:
        seen = json.loads(told.until("engine {").join(("{", "")))
        assert "TOKEN_CANARY" not in seen
        assert seen["LC_TIME"] == "C"
        allowed = {"PATH", "HOME", "LANG", "TZ", "TERM", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR"}
        assert {n for n in seen if not n.startswith("LC_")} <= allowed | {"MMATS_HOME"}
        running.process.send_signal(signal.SIGTERM)
        told.until("supervisor exits 0")
