"""`mmats up` before anything is started: what belongs to an engine, and what is refused."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmats.cli.main import main
from mmats.cli.up import processes
from mmats.cli.watchdog import venue_access
from mmats.config import load_config
from mmats.engine.locks import FileLock
from mmats.model.errors import ConfigError
from mmats.model.profile import Profile
from mmats.plugins import load_plugins
from mmats.supervisor.children import Part
from tests.fakes.profiles import temporary_profile

CONFIG = """
profile = "paper"
[account]
currency = "USDT"
balances = ["1000 USDT"]
[[feeds]]
symbol = "BTCUSDT.BINANCE"
source = "synthetic"
days = 1
[[strategies]]
name = "mine"
source = "mine.py"
symbols = ["BTCUSDT"]
"""
OPERATOR = '[engine]\nmode = "operator"\nvenue = "rehearsal"\n'


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "mmats.toml"
    path.write_text(CONFIG)
    return path


def up(config_file: Path, profile: Profile, *options: str) -> Any:
    home = str(profile.root.parent)
    return CliRunner().invoke(main, ["up", "--config", str(config_file), "--home", home, *options])


def test_what_belongs_to_an_engine(config_file: Path, profile: Profile) -> None:
    specs = processes(load_config(config_file), config_file, profile)
    assert [(s.name, s.part) for s in specs] == [
        ("engine", Part.ENGINE),
        ("feed", Part.FEED),
        ("watchdog", Part.WATCHDOG),
    ]
    place = ("--config", str(config_file), "--profile", "paper")
    engine = (sys.executable, "-m", "mmats", "engine", *place)
    assert specs[0].argv == (*engine, "--home", str(profile.root.parent))


def test_an_operator_has_its_venue_first(config_file: Path, profile: Profile) -> None:
    config_file.write_text(CONFIG.replace("[account]", OPERATOR + "[account]"))
    specs = processes(load_config(config_file), config_file, profile)
    assert [s.name for s in specs] == ["venue-rehearsal", "engine", "feed", "watchdog"]
    assert specs[0].argv[-2:] == ("--name", "rehearsal")


def test_another_profile_is_refused(config_file: Path, profile: Profile) -> None:
    result = up(config_file, profile, "--profile", "live")
    assert result.exit_code == 2
    assert "for profile paper, not live" in result.stderr
    assert not (profile.root.parent / "live").exists()


@pytest.mark.parametrize("options", [(), ("--detach",)])
def test_a_second_one_is_refused(
    config_file: Path, profile: Profile, options: tuple[str, ...]
) -> None:
    with FileLock(profile.run_dir / "supervisor.lock", "a supervisor"):
        result = up(config_file, profile, *options)
    if options:  # in a process of its own, which tells into a file
        assert "started" not in result.stderr
    assert result.exit_code == 2
    assert "a supervisor is running already" in result.stderr


def test_a_bad_configuration_is_told_at_once(config_file: Path, profile: Profile) -> None:
    config_file.write_text(CONFIG + "surprise = 1\n")
    result = up(config_file, profile)
    assert result.exit_code == 2
    assert "surprise" in result.stderr
    assert not (profile.run_dir / "supervisor.pid").exists()


def test_an_access_that_can_not_be_opened_is_told_and_others_serve(
    config_file: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**unused: Any) -> Any:
        raise ConfigError("no key")

    accesses = {"bad": broken, "good": lambda **given: given, "none": lambda **given: None}
    monkeypatch.setattr("mmats.cli.watchdog.load_plugins", lambda group: accesses)
    alarms: list[str] = []
    paper = load_config(config_file)
    assert venue_access(paper, config_file, profile, alarms.append) == []
    config_file.write_text(CONFIG.replace("[account]", OPERATOR + "[account]"))
    operator = load_config(config_file)
    ((name, given),) = venue_access(operator, config_file, profile, alarms.append)
    assert (name, given) == ("good", {"profile": profile, "config": config_file})
    assert alarms == ["no emergency access to bad: ConfigError: no key"]
    load_plugins.cache_clear()
