"""`mmats up` with real processes: kill anything, and what must go on goes on."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from mmats.client import Client
from mmats.model.profile import Profile
from mmats.supervisor import ChildState, children_state
from mmats.supervisor.alarm import alarm_file
from tests.fakes.installed import install_entry_points
from tests.fakes.profiles import temporary_profile
from tests.fakes.supervised import is_gone

PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


@pytest.fixture
def supervisor(
    request: pytest.FixtureRequest,
    profile: Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ChildState]:
    """A detached supervisor of a paper engine that trades; the parameter is the watchdog's time."""
    install_entry_points(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    config = tmp_path / "paper.toml"
    text = resources.files("mmats.config").joinpath("paper_demo.toml").read_text()
    timeout = getattr(request, "param", "20s")  # a busy machine is no loss
    config.write_text(f'{text}\n[watchdog]\ntimeout = "{timeout}"\n')
    home = str(profile.root.parent)
    argv = [sys.executable, "-m", "mmats", "up", "--config", str(config), "--home", home]
    done = subprocess.run([*argv, "--detach"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    until(lambda: (profile.run_dir / "engine.ready").exists())
    yield child(profile, "supervisor")
    for state in children_state(profile):
        if state.is_alive:
            os.kill(state.pid, signal.SIGKILL)
            assert is_gone(state.pid)


def until(condition: Callable[[], Any]) -> None:
    """Look again and again until it is so; fail after a minute."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        select.select([], [], [], 0.02)


def child(profile: Profile, name: str) -> ChildState:
    """A process as its pid file tells."""
    (state,) = [s for s in children_state(profile) if s.name == name]
    return state


def is_watched(profile: Profile) -> bool:
    """Whether the watchdog hears the engine."""
    path = profile.logs_dir / "watchdog.jsonl"
    return path.exists() and b'"connected"' in path.read_bytes()


def test_a_killed_engine_comes_back_and_all_stop_in_order(
    profile: Profile, supervisor: ChildState
) -> None:
    with Client.connect(profile, role="viewer", timeout_s=PATIENCE_S) as client:
        first_run = client.run
        os.kill(child(profile, "engine").pid, signal.SIGKILL)
        assert client.wait_for(lambda state: client.run != first_run, timeout_s=PATIENCE_S)
    until(lambda: child(profile, "engine").is_alive)
    assert child(profile, "engine").restarts == 1
    os.kill(supervisor.pid, signal.SIGTERM)
    assert is_gone(supervisor.pid)
    assert {(s.name, s.status, s.exit_code) for s in children_state(profile)} == {
        (name, "ended", 0) for name in ("engine", "feed", "watchdog", "supervisor")
    }


def test_nothing_is_left_of_a_killed_supervisor_and_that_is_no_alarm(
    profile: Profile, supervisor: ChildState
) -> None:
    until(lambda: is_watched(profile))
    os.kill(supervisor.pid, signal.SIGKILL)
    for name in ("engine", "feed", "watchdog"):
        assert is_gone(child(profile, name).pid)
    assert not alarm_file(profile).exists()
    assert b"orphaned" in (profile.logs_dir / "watchdog.jsonl").read_bytes()


@pytest.mark.parametrize("supervisor", ["2s"], indirect=True)
def test_a_stopped_engine_is_an_alarm(profile: Profile, supervisor: ChildState) -> None:
    until(lambda: is_watched(profile))
    pid = child(profile, "engine").pid
    os.kill(pid, signal.SIGSTOP)
    until(alarm_file(profile).exists)
    os.kill(pid, signal.SIGCONT)
    assert "no heartbeat of the engine for" in alarm_file(profile).read_text()
    os.kill(supervisor.pid, signal.SIGTERM)
    assert is_gone(supervisor.pid)
    assert child(profile, "engine").exit_code == 0
