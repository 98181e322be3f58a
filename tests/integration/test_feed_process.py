"""The feed process as users start it, and an engine's bus that takes what it sends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from adapters.bus.engine_bus import EngineBus
from mmats.backtest.sources import open_feed
from mmats.config import load_config
from mmats.model.profile import Profile
from mmats.ports.bus import FeedFrame, FrameKind
from tests.fakes.bus import WAIT_S, data_of, frames_until
from tests.fakes.installed import ROOT, install_entry_points
from tests.fakes.profiles import temporary_profile

CONFIG = """
[account]
currency = "USDT"
balances = ["1000 USDT"]

[[feeds]]
symbol = "BTCUSDT.BINANCE"
{feed}

[[strategies]]
name = "mine"
source = "mine.py"
symbols = ["BTCUSDT"]
"""
SYNTHETIC = 'source = "synthetic"\ndays = 2'


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile() as made:
        yield made


@pytest.fixture
def bus(profile: Profile) -> Iterator[EngineBus]:
    made = EngineBus(profile)
    yield made
    made.close()


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], Path]:
    def write(feed: str) -> Path:
        path = tmp_path / "mmats.toml"
        path.write_text(CONFIG.format(feed=feed))
        return path

    return write


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_points(tmp_path, monkeypatch)
    # A process that is started finds them by its environment.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))


@contextmanager
def feed_process(
    profile: Profile, config: Path, *options: str
) -> Iterator["subprocess.Popen[str]"]:
    command = [
        sys.executable, "-c", "from mmats.cli.main import main; main()", "feed",
        "--config", str(config), "--profile", profile.name, "--home", str(profile.root.parent),
        *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: "subprocess.Popen[str]") -> str:
    stderr: IO[str] | None = process.stderr
    assert stderr is not None
    return stderr.read()


def kinds(frames: list[FeedFrame]) -> set[FrameKind]:
    return {frame.kind for frame in frames}


def test_all_data_of_a_configuration_arrive(
    profile: Profile, bus: EngineBus, write_config: Callable[[str], Path]
) -> None:
    path = write_config(SYNTHETIC)
    with feed_process(profile, path, "--feed-speed", "max") as process:
        frames = frames_until(bus, lambda frames: FrameKind.END in kinds(frames[-1:]))
        assert process.wait(WAIT_S) == 0
        assert "events" in told(process)
    config = load_config(path)
    wanted = np.concatenate(list(open_feed(config, config.feeds[0], 0, {})))
    assert data_of(frames).tobytes() == wanted.tobytes()
    assert frames[0].kind is FrameKind.START
    state = bus.feed_state()[0]
    assert (state["state"], state["gaps"], state["duplicates"]) == ("ended", 0, 0)


def test_sigterm_ends_a_paced_feed_cleanly(
    profile: Profile, bus: EngineBus, write_config: Callable[[str], Path]
) -> None:
    with feed_process(profile, write_config(SYNTHETIC), "--feed-speed", "60000x") as process:
        frames = frames_until(bus, lambda frames: len(data_of(frames)) > 100)
        process.send_signal(signal.SIGTERM)
        frames += frames_until(bus, lambda frames: FrameKind.END in kinds(frames))
        assert process.wait(WAIT_S) == 0
    times = data_of(frames)["ts_event_ns"]
    assert (np.diff(times) > 0).all()
    assert len(times) < 2880


def test_a_killed_feed_is_followed_by_a_new_session(
    profile: Profile, bus: EngineBus, write_config: Callable[[str], Path]
) -> None:
    path = write_config(SYNTHETIC)
    sessions = []
    for _ in range(2):
        with feed_process(profile, path, "--feed-speed", "6000x", "--loop") as process:
            frames = frames_until(
                bus, lambda frames: bool(frames) and frames[-1].session not in sessions
            )
            sessions.append(frames[-1].session)
            process.kill()
    assert len(set(sessions)) == 2


def test_a_second_feed_process_is_refused(
    profile: Profile, bus: EngineBus, write_config: Callable[[str], Path]
) -> None:
    path = write_config(SYNTHETIC)
    with feed_process(profile, path, "--live") as first:
        frames_until(bus, lambda frames: FrameKind.START in kinds(frames))
        with feed_process(profile, path, "--live") as second:
            assert second.wait(WAIT_S) == 2
            assert f"process {first.pid} holds it" in told(second)
        first.send_signal(signal.SIGTERM)
        assert first.wait(WAIT_S) == 0


def test_a_live_feed_shows_that_it_lives(
    profile: Profile, bus: EngineBus, write_config: Callable[[str], Path]
) -> None:
    with feed_process(profile, write_config(SYNTHETIC + "\nlive = true")) as process:
        frames = frames_until(bus, lambda frames: len(frames) >= 4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert kinds(frames) <= {FrameKind.START, FrameKind.HEARTBEAT, FrameKind.DATA}
    beats = [frame.sent_ns for frame in frames if frame.kind is FrameKind.HEARTBEAT]
    assert (np.diff(beats) >= 200_000_000).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--feed-speed", "fast"], "--feed-speed"),
        (["--feed-speed", "0x"], "--feed-speed"),
        (["--start", "2030-01-01"], "no rows"),
    ],
)
def test_bad_input_is_told(
    profile: Profile, write_config: Callable[[str], Path], options: list[str], why: str
) -> None:
    with feed_process(profile, write_config(SYNTHETIC), *options) as process:
        assert process.wait(WAIT_S) == 2
        assert why in told(process)
