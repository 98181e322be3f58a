"""The watchdog as a process, beside an engine that is stopped, killed, or ends in good order."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from mmats.model.profile import Profile
from mmats.supervisor.alarm import alarm_file
from tests.fakes.profiles import temporary_profile
from tests.fakes.supervised import PATIENCE_S, Told, hearing

CONFIG = """
profile = "dev"
[engine]
mode = "operator"
venue = "the-venue"
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
ACCESS = """
import os
from pathlib import Path

class Access:
    orders, positions = 2, 1
    def tell(self, text):
        handle = os.open(Path(__file__).with_name("told"), os.O_WRONLY)
        os.write(handle, (text + "\\n").encode())
        os.close(handle)
    def cancel_all(self):
        self.tell("cancel_all")
        asked, self.orders = self.orders, self.orders - 1
        return asked
    def open_orders(self):
        return self.orders
    def flatten(self):
        self.tell("flatten")
        self.positions -= 1
        return self.positions

def open_access(*, profile, config):
    assert (profile.name, config.name) == ("dev", "mmats.toml")
    return Access()
"""


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile() as made:
        yield made


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with hearing(tmp_path) as fifo:
        yield fifo


@contextmanager
def process(*argv: str, path: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A Python process; killed at the end if it still runs."""
    path_list = os.pathsep.join(str(p) for p in (path, Path.cwd(), *sys.path) if p)
    running = subprocess.Popen(
        [sys.executable, *argv],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path_list},
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait(PATIENCE_S)
        assert running.stdout is not None
        running.stdout.close()


@contextmanager
def engine(profile: Profile) -> Iterator[subprocess.Popen[str]]:
    """An engine that beats."""
    with process("-m", "tests.fakes.beating_engine", str(profile.root.parent)) as running:
        assert running.stdout is not None
        assert select.select([running.stdout], [], [], PATIENCE_S)[0]
        assert running.stdout.readline() == "up\n"
        yield running


@contextmanager
def watchdog(profile: Profile, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The watchdog with an access to a venue that tells what is done with it."""
    (folder / "mmats.toml").write_text(CONFIG)
    (folder / "test_access.py").write_text(ACCESS)
    info = folder / "test_access-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test-access\nVersion: 0\n")
    (info / "entry_points.txt").write_text(
        "[mmats.venue_access]\nthe-venue = test_access:open_access\n"
    )
    arguments = ("--config", str(folder / "mmats.toml"), "--home", str(profile.root.parent))
    argv = ("-m", "mmats", "watchdog", *arguments, "--timeout", "1", *options)
    with process(*argv, path=folder) as running:
        yield running


def until_logged(profile: Profile, event: str) -> None:
    """Wait until the watchdog has logged an event."""
    end_s = time.monotonic() + PATIENCE_S
    path = profile.logs_dir / "watchdog.jsonl"
    while time.monotonic() < end_s:
        lines = path.read_bytes().splitlines() if path.exists() else []
        if any(orjson.loads(line)["event"] == event for line in lines if line.endswith(b"}")):
            return
        select.select([], [], [], 0.02)
    raise AssertionError(f"{event} was never logged")


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_silent_engine_is_told_and_its_orders_are_canceled(
    profile: Profile, tmp_path: Path, told: Told, number: signal.Signals
) -> None:
    with engine(profile) as running, watchdog(profile, tmp_path, "--flatten") as watching:
        until_logged(profile, "connected")
        lost_s = time.monotonic()
        running.send_signal(number)
        assert [told.line() for _ in range(3)] == ["cancel_all", "cancel_all", "flatten"]
        assert time.monotonic() - lost_s > 0.7
        assert "no heartbeat of the engine" in alarm_file(profile).read_text()
        if number == signal.SIGSTOP:
            running.send_signal(signal.SIGCONT)
            until_logged(profile, "heartbeats are back")
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(PATIENCE_S) == 0
    assert len(alarm_file(profile).read_text().splitlines()) == 1


def test_an_engine_that_ends_in_good_order_is_no_alarm(
    profile: Profile, tmp_path: Path, told: Told
) -> None:
    with engine(profile) as running:
        with watchdog(profile, tmp_path, "--parent", "1") as watching:  # an orphan
            until_logged(profile, "connected")
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_S) == 0
            assert watching.wait(PATIENCE_S) == 1
        assert not alarm_file(profile).exists()
        assert told.seen == []
