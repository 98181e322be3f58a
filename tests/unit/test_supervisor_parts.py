"""Locks, pid files, back-off, environment: the parts of the supervisor by themselves."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mmats.engine.locks import FileLock, LockHeld, is_locked
from mmats.model.errors import ConfigError
from mmats.model.profile import Profile
from mmats.supervisor import ChildState, children_state
from mmats.supervisor.alarm import Alarm, alarm_file
from mmats.supervisor.children import (
    Backoff,
    ChildSpec,
    Part,
    RestartPolicy,
    child_environment,
)
from mmats.supervisor.pids import start_ticks, write_state


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    profile = Profile.of("dev", tmp_path)
    profile.create()
    return profile


def test_waiting_doubles_with_jitter_and_can_be_repeated() -> None:
    policy = RestartPolicy(quick_deaths_max=20)
    waits = [Backoff(policy, random.Random(7)) for _ in range(2)]
    first, second = ([b.after(1.0) for _ in range(20)] for b in waits)
    assert first == second
    for number, wait_s in enumerate(first):
        whole_s = min(30.0, 0.2 * 2**number)
        assert wait_s is not None
        assert max(0.2, whole_s / 2) <= wait_s <= whole_s
    assert len({round(w or 0, 6) for w in first}) > 15


def test_too_many_quick_deaths_and_a_good_life() -> None:
    backoff = Backoff(RestartPolicy(), random.Random(1))
    assert [backoff.after(60.0) is None for _ in range(5)] == [False] * 5
    assert backoff.after(60.1) == 0.2
    assert [backoff.after(1.0) is None for _ in range(6)] == [False] * 5 + [True]


def test_a_lock_is_held_by_one_and_freed_by_any_end(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.lock"
    assert not is_locked(path)
    with FileLock(path, "an engine"):
        assert is_locked(path)
        with pytest.raises(
            LockHeld, match=f"an engine is running already as process {os.getpid()}"
        ):
            FileLock(path, "an engine")
    assert not is_locked(path)
    code = (
        "import os, sys; from pathlib import Path; from mmats.engine.locks import FileLock\n"
        "lock = FileLock(Path(sys.argv[1]), 'x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    with FileLock(path, "an engine"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_pid_file_tells_a_process_from_a_later_one(profile: Profile) -> None:
    pid = os.getpid()
    state = ChildState(
        name="engine", pid=pid, start_ticks=start_ticks(pid), status="running", since="now"
    )
    write_state(profile, state)
    (profile.run_dir / "half.pid").write_text('1\n{"name": "ha')
    assert children_state(profile) == [state]
    assert children_state(profile)[0].is_alive
    assert int((profile.run_dir / "engine.pid").read_text().split()[0]) == pid
    later = ChildState(name="engine", pid=pid, start_ticks=1, status="running", since="now")
    assert not later.is_alive
    assert not ChildState(name="x", pid=0, start_ticks=0, status="ended", since="").is_alive


def test_a_process_that_was_started_alone_has_a_plain_pid_file(profile: Profile) -> None:
    (profile.run_dir / "engine.pid").write_text(f"{os.getpid()}\n")
    (profile.run_dir / "feed.pid").write_text("nonsense")
    (state,) = children_state(profile)
    assert (state.name, state.pid, state.status) == ("engine", os.getpid(), "running")
    assert state.is_alive


def test_an_engine_that_was_started_alone_is_known_by_its_lock(profile: Profile) -> None:
    with FileLock(profile.lock_file, "an engine"):
        (state,) = children_state(profile)
        assert (state.name, state.pid, state.is_alive) == ("engine", os.getpid(), True)
    assert children_state(profile) == []


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_ticks(process.pid) == 0
    process.wait()


def test_the_environment_of_children() -> None:
    given = {"PATH": "/bin", "LC_ALL": "C", "AWS_SECRET": "x", "MMATS_HOME": "h", "LD_PRELOAD": "y"}
    assert child_environment(given) == {"PATH": "/bin", "LC_ALL": "C", "MMATS_HOME": "h"}


def test_names_of_children_are_names() -> None:
    with pytest.raises(ConfigError, match="no name"):
        ChildSpec("../engine", Part.ENGINE, ("x",))


def test_an_alarm_is_a_line_and_runs_the_command(profile: Profile, tmp_path: Path) -> None:
    marker = tmp_path / "called"
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    alarm = Alarm(profile, "watchdog", (sys.executable, "-c", code, str(marker)))
    alarm.sound("no heartbeat; $(reboot)\nsecond line")
    alarm.sound("again")
    alarm.close()
    first, second = alarm_file(profile).read_text().splitlines()
    assert first.endswith("Z watchdog: no heartbeat; $(reboot) second line")
    assert second.endswith("Z watchdog: again")
    assert alarm_file(profile).stat().st_mode & 0o777 == 0o600
    assert marker.read_text() in ("no heartbeat; $(reboot)\nsecond line", "again")


@pytest.mark.parametrize(
    "command", [("/nonexistent",), (sys.executable, "-c", "raise SystemExit(3)")]
)
def test_a_failing_alarm_command_harms_nobody(profile: Profile, command: tuple[str, ...]) -> None:
    alarm = Alarm(profile, "watchdog", command)
    alarm.sound("x")
    alarm.close()
    alarm_file(profile).unlink()
    alarm_file(profile).mkdir()
    Alarm(profile, "watchdog").sound("the file can't be written")
