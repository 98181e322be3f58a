"""Every way in which an engine ends or is stopped: what was acknowledged is there afterwards."""

import json
import os
import random
import signal
import threading
from typing import Any

import pytest

from mmats.client import ClientError, Outcome
from tests.fakes.engines import Place, ended, kill, place, until

WAIT_S = 20.0
BUSY = """
from mmats.model import Action, Strategy, TradeSignal


class Busy(Strategy):
    name = "busy"
    supported_symbols = ()

    def on_market_data(self, data):
        if self.account.position(data.symbol) > 0:
            return [TradeSignal(Action.SELL, data.symbol, reduce_only=True)]
        return [TradeSignal(Action.BUY, data.symbol, size=0.0002)]
"""
TABLE = """
[[strategies]]
name = "busy"
source = "busy.py"
symbols = ["BTCUSDT"]
budget = "60s"
"""


def trading(state: Any) -> str:
    return str(state["trading"]["global"])


def test_a_full_journal_ends_the_engine_and_loses_nothing_acknowledged() -> None:
    with place(days=300, strategies=TABLE) as here:
        here.write("busy.py", BUSY)
        here.config.write_text(here.config.read_text() + "[journal]\nsize_max = 2500000\n")
        engine = here.start("engine")
        body, replies = {"name": "trend", "reason": "once more"}, []
        with here.client() as client:
            run = client.run
            replies += [client.command("strategy.disable", body) for _ in range(3)]
            here.start("feed", "--quiet")
            while engine.poll() is None:
                try:
                    replies.append(client.command("strategy.disable", body, timeout_s=1.0))
                except ClientError:
                    break
        code, output = ended(engine)
        assert code == 1, output
        assert "the journal is full" in output
        assert "Traceback" not in output
        done = {reply.id for reply in replies if reply.outcome is Outcome.DONE}
        assert len(done) > 2
        assert done <= {note.get("id") for note in here.notes("command")}
        assert not here.records(run).is_clean
        assert here.findings() == []
        text = here.config.read_text()
        here.config.write_text(text.replace("2500000", "250000000"))
        engine = here.start("engine")
        with here.client() as client:
            assert client.state["engine"]["recovered"]["last_run"] == run
            assert client.down().done
        assert ended(engine)[0] == 0


def test_the_kill_file_halts_before_the_start_and_while_it_runs() -> None:
    with place(speed="600x", days=30) as here:
        here.profile.kill_file.write_text("the moon is full")
        here.start("feed", "--quiet", "--loop")
        engine = here.start("engine")
        with here.client("admin") as client:
            assert client.wait_for(lambda s: trading(s) == "halted", timeout_s=WAIT_S)
            assert any("moon" in n["reason"] for n in here.notes("halt"))
            assert client.reauthenticate(here.passphrase).done
            here.profile.kill_file.unlink()
            assert client.resume("it is new moon").done
            assert client.wait_for(lambda s: trading(s) == "active", timeout_s=WAIT_S)
            here.profile.kill_file.touch()
            assert client.wait_for(lambda s: trading(s) == "halted", timeout_s=WAIT_S)
            run = client.run
        engine.send_signal(signal.SIGTERM)
        assert ended(engine)[0] == 0
        assert here.records(run).is_clean


def test_halt_without_a_socket_makes_the_kill_file_and_signals() -> None:
    with place(speed="600x", days=30) as here:
        engine = here.start("engine")
        with here.client() as client:
            (here.profile.run_dir / "control.sock").unlink()
            result = here.mmats("halt", "--profile", "paper", "--reason", "no socket")
            assert result.returncode == 3, result.stdout + result.stderr
            assert here.profile.kill_file.exists()
            assert client.wait_for(lambda s: trading(s) == "halted", timeout_s=WAIT_S)
        engine.send_signal(signal.SIGTERM)
        assert ended(engine)[0] == 0


def test_sigterm_in_a_burst_ends_in_good_order_and_replays_the_same() -> None:
    with place(days=60, strategies=TABLE) as here:
        here.write("busy.py", BUSY)
        engine = here.start("engine")
        here.start("feed", "--quiet")
        with here.client() as client:
            run = client.run
            events = client.events({"fill"}, timeout_s=WAIT_S)
            assert next(events) is not None
            engine.send_signal(signal.SIGTERM)
            assert ended(engine)[0] == 0
        assert here.records(run).is_clean
        assert here.findings() == []
        again = here.mmats("replay", run, "--diff", "--json", "--profile", "paper")
        assert again.returncode == 0, again.stdout + again.stderr


def test_an_engine_killed_while_it_recovers_recovers_the_next_time() -> None:
    chance = random.Random(7)
    with place(speed="6000x", days=30, strategies=TABLE) as here:
        here.write("busy.py", BUSY)
        here.start("feed", "--quiet", "--loop")
        engine = here.start("engine")
        with here.client() as client:
            assert next(client.events({"fill"}, timeout_s=WAIT_S), None) is not None
            run = client.run
        kill(engine)
        image = here.records(run).image_hash
        for _ in range(5):
            engine = here.start("engine")
            threading.Event().wait(chance.uniform(0.2, 0.9))
            kill(engine)
        runs = [note["run"] for note in here.notes("run.started")]
        last = here.records(runs[-1])
        engine = here.start("engine")
        with here.client() as client:
            found = client.state["engine"]["recovered"]
            assert found["image"] == (last.image_hash or image)
            assert client.down().done
        assert ended(engine)[0] == 0
        assert here.findings() == []


def test_up_starts_a_killed_engine_again_with_the_same_state() -> None:
    with place(speed="600x", days=30, strategies=TABLE) as here:
        here.write("busy.py", BUSY)
        up = here.supervise()
        with here.client() as client:
            run = client.run
            assert next(client.events({"fill"}, timeout_s=WAIT_S), None) is not None
            for name in ("feed", "watchdog", "engine"):
                until(lambda name=name: (here.profile.run_dir / f"{name}.pid").exists())
            pid = int((here.profile.run_dir / "engine.lock").read_text().split()[0])
            assert client.halt("market:forex").done
            os.kill(pid, signal.SIGKILL)
            assert client.wait_for(
                lambda s: s["engine"]["run"] != run and s["engine"]["state"] == "trading",
                timeout_s=WAIT_S,
            )
            facts = client.state["engine"]["recovered"]
            assert facts["last_run"] == run
            assert facts["image"] == here.records(run).image_hash
            assert client.state["trading"]["markets"]["forex"] == "halted"
            status = json.loads(here.mmats("status", "--profile", "paper", "--json").stdout)
            restarts = {p["name"]: p["restarts"] for p in status["processes"]}
            assert restarts["engine"] == 1
        assert here.mmats("down", "--profile", "paper").returncode == 0
        assert ended(up)[0] == 0
        assert here.findings() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_ends_all_of_it_on_a_signal(number: signal.Signals) -> None:
    with place(speed="600x", days=30) as here:
        up = here.supervise()
        with here.client() as client:
            run = client.run
        up.send_signal(number)
        assert ended(up)[0] == 0
        assert here.records(run).is_clean
        assert_all_gone(here)


def assert_all_gone(here: Place) -> None:
    assert not list(here.profile.run_dir.glob("*.sock"))
