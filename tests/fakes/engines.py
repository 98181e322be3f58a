"""Real engine and feed processes in a temporary home, for tests."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmats.client import Client
from mmats.engine.users import ensure_users
from mmats.model.profile import Profile
from mmats.plugins import plugin
from tests.fakes.profiles import temporary_profile

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0

CONFIG = """
name = "test"
profile = "{profile}"
[account]
currency = "EUR"
balances = ["150 EUR"]
[[feeds]]
symbol = "BTCUSDT.BINANCE"
source = "synthetic"
days = {days}
[[feeds]]
symbol = "EURUSD.OANDA"
source = "synthetic"
days = {days}
[[strategies]]
name = "trend"
source = "strategies.trend:Trend"
symbols = ["BTCUSDT"]
timeframe = "5m"
indicators = ["ema:5", "ema:15", "atr:14"]
sizing = "fixed_fractional"
risk_per_trade = "0.4%"
params = {{ fast = 5, slow = 15, atr = 14, stop_atr = 3.0 }}
{strategies}
[risk]
order_notional_max = "130 EUR"
message_rate_max = "none"
[engine]
mode = "{mode}"
record = true
speed = "{speed}"
{engine}
"""


class Place:
    """A profile with a configuration; starts processes and stops what is left of them."""

    def __init__(self, profile: Profile, **changes: Any) -> None:
        values = {
            "profile": profile.name,
            "days": 3,
            "mode": "paper",
            "speed": "max",
            "strategies": "",
            "engine": "",
            **changes,
        }
        self.profile = profile
        self.home = profile.root.parent
        self.config = self.home / "config.toml"
        self.config.write_text(CONFIG.format(**values))
        self.passphrase = ""
        self.engine: subprocess.Popen[str]  # set by who starts it
        self._processes: list[subprocess.Popen[str]] = []
        self._supervisors: list[subprocess.Popen[str]] = []

    def write(self, name: str, text: str) -> Path:
        """Put a file beside the configuration, such as a strategy."""
        path = self.home / name
        path.write_text(text)
        return path

    def start(self, verb: str, *options: str) -> subprocess.Popen[str]:
        """Start a verb that takes --config, --profile and --home."""
        arguments = ["--config", str(self.config), "--profile", self.profile.name]
        process = subprocess.Popen(
            [sys.executable, "-m", "mmats", verb, *arguments, "--home", str(self.home), *options],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def supervise(self) -> subprocess.Popen[str]:
        """`mmats up`, which starts the rest."""
        up = subprocess.Popen(
            [sys.executable, "-m", "mmats", "up", "--config", str(self.config)],
            cwd=ROOT,
            env={**environment(), "MMATS_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._supervisors.append(up)
        return up

    def mmats(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            [sys.executable, "-m", "mmats", *arguments],
            cwd=ROOT,
            env={**environment(), "MMATS_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def client(self, role: Any = "trader") -> Client:
        """Connect, waiting for an engine that is about to start."""
        return Client.connect(self.profile, role=role, wait=True, timeout_s=START_S)

    def records(self, run: str) -> Any:
        """What the journal has of a run."""
        return plugin("mmats.journal", "run_records")(self.profile.journal_dir, run)

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """Facts of all notes of a kind, oldest first; an engine may be writing."""
        rows = plugin("mmats.journal", "rows")(self.profile.journal_dir, kind=kind)
        return [row["data"] for row in rows]

    def findings(self) -> list[Any]:
        """What is wrong with the journal."""
        key = bytes.fromhex((self.profile.keys_dir / "journal.verify").read_text().strip())
        verify = plugin("mmats.journal", "verify")
        found: list[Any] = verify(self.profile.journal_dir, key=key, anchors=[]).findings
        return found

    def stop(self) -> None:
        """Stop what still runs, gently where it has children of its own."""
        for up in self._supervisors:
            up.terminate()
            up.communicate(timeout=30)
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def environment() -> Mapping[str, str]:
    """This environment, with this tree first on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def place(profile: str = "paper", **changes: Any) -> Iterator[Place]:
    """A temporary profile with users whose passphrase is in `.passphrase`."""
    with temporary_profile(profile) as found:
        told: list[str] = []
        ensure_users(found, told.append)
        here = Place(found, **changes)
        here.passphrase = told[0].split("once: ")[1].split()[0]
        try:
            yield here
        finally:
            here.stop()


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def ended(process: subprocess.Popen[str], timeout_s: float = 40.0) -> tuple[int, str]:
    """Exit code and output of a process that ends."""
    output = process.communicate(timeout=timeout_s)[0]
    return process.returncode, output


def until(is_met: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Look again and again until something is there, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := is_met()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)
    return found
