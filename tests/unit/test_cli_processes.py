"""`mmats status` without an engine: processes, alarms and the kill file."""

import json
import os
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from mmats.cli.main import main
from mmats.model.profile import Profile
from mmats.supervisor import ChildState
from mmats.supervisor.alarm import Alarm, alarm_file
from mmats.supervisor.pids import Status, start_ticks, write_state
from tests.fakes.profiles import temporary_profile


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


def status(profile: Profile, *options: str) -> Result:
    return CliRunner().invoke(main, ["status", "--home", str(profile.root.parent), *options])


def write(profile: Profile, name: str, state: Status, pid: int = 0, **other: int) -> None:
    ticks = start_ticks(pid) if pid == os.getpid() else 1
    write_state(
        profile,
        ChildState(name=name, pid=pid, start_ticks=ticks, status=state, since="12:00", **other),
    )


def test_what_is_known_without_an_engine(profile: Profile) -> None:
    write(profile, "engine", "waiting", restarts=2, exit_code=-9)
    write(profile, "feed", "running", os.getpid())
    write(profile, "watchdog", "running", 1)
    profile.kill_file.write_text("someone said so\n")
    Alarm(profile, "watchdog").sound("no \x1b[31mheartbeat")
    result = status(profile)
    assert result.exit_code == 3
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert rows["engine"] == ["waiting", "12:00", "2", "-9"]
    assert rows["feed"][:2] == [str(os.getpid()), "running"]
    assert rows["watchdog"] == ["killed", "12:00", "0"]
    assert rows["kill"] == ["file:", "someone", "said", "so"]
    assert "watchdog: no" in result.stdout
    assert "\x1b" not in result.stdout
    assert "no engine runs" in result.stderr


def test_the_same_as_json(profile: Profile) -> None:
    write(profile, "engine", "failed", restarts=5, exit_code=1)
    alarm_file(profile).mkdir()
    facts = json.loads(status(profile, "--json").stdout)
    assert facts["link"] == "lost"
    assert facts["kill"] is None
    assert facts["alarms"] == ["can't be read: Is a directory"]
    assert facts["processes"]["engine"]["status"] == "failed"
    assert not facts["processes"]["engine"]["alive"]


def test_a_profile_that_never_ran(profile: Profile) -> None:
    result = status(profile)
    assert (result.exit_code, result.stdout) == (3, "")
