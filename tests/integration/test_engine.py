"""A real engine process with a real feed process: trade, stop, die, come back."""

import json
import signal

import pytest

from mmats.client import Outcome
from mmats.plugins import plugin
from tests.fakes.engines import Place, kill, place

ENDED = 40.0


def has_ended(mirror):
    feeds = [value for key, value in mirror.items() if key.startswith("feed:")]
    return bool(feeds) and all(feed["state"] == "ended" for feed in feeds)


def journal(here: Place, run: str):
    return plugin("mmats.journal", "run_records")(here.profile.journal_dir, run)


def findings(here: Place) -> list:
    key = bytes.fromhex((here.profile.keys_dir / "journal.verify").read_text().strip())
    return plugin("mmats.journal", "verify")(here.profile.journal_dir, key=key, anchors=[]).findings


@pytest.mark.parametrize("mode", ["paper", "advisory"])
def test_a_recorded_run_decides_the_same_when_it_is_played_again(mode: str) -> None:
    with place(mode=mode) as here:
        engine = here.start("engine")
        here.start("feed", "--quiet")
        with here.client() as client:
            run = client.run
            assert client.wait_for(has_ended, timeout_s=ENDED)
            assert client.down(reason="the test is over").outcome is Outcome.DONE
        assert engine.wait(ENDED) == 0
        found = journal(here, run)
        assert found.is_clean
        assert len(found.records) > 50
        assert findings(here) == []
        again = here.mmats("replay", run, "--diff", "--json", "--profile", "paper")
        assert again.returncode == 0, again.stdout + again.stderr
        facts = json.loads(again.stdout)
        assert facts["same"]
        assert facts["state"] == "same"
        assert facts["records"] == len(found.records)


def test_a_killed_engine_goes_on_from_what_it_had_committed() -> None:
    with place(speed="6000x", days=30) as here:
        here.start("feed", "--quiet")
        images, runs = [], []
        for _ in range(3):
            engine = here.start("engine")
            with here.client() as client:
                runs.append(client.run)
                recovered = client.state.get("engine")["recovered"]
                if len(runs) > 1:
                    assert recovered["last_run"] == runs[-2]
                    assert not recovered["clean"]
                    assert recovered["image"] == images[-1]
                events = client.events({"fill"})
                assert next(events) is not None
            kill(engine)
            images.append(journal(here, runs[-1]).image_hash)
        assert findings(here) == []


def test_sigterm_ends_a_run_and_sigusr1_halts_it_for_good() -> None:
    with place(speed="600x") as here:
        here.start("feed", "--quiet")
        engine = here.start("engine")
        with here.client() as client:
            run = client.run
            engine.send_signal(signal.SIGUSR1)
            assert client.wait_for(
                lambda mirror: mirror.get("trading")["global"] == "halted", timeout_s=10
            )
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(20) == 0
        assert journal(here, run).is_clean
        assert here.profile.kill_file.exists()
        again = here.start("engine")
        with here.client("admin") as client:
            assert client.state.get("trading")["global"] == "halted"
            assert client.resume("looked at it").outcome is Outcome.REFUSED
            assert client.reauthenticate(here.passphrase).outcome is Outcome.DONE
        again.send_signal(signal.SIGTERM)
        assert again.wait(20) == 0


def test_a_second_engine_is_refused() -> None:
    with place() as here:
        here.start("engine")
        with here.client():
            second = here.start("engine")
            assert second.wait(20) == 2
            assert "running already" in second.communicate()[0]
