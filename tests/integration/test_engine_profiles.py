"""What does not belong together is refused: profiles, journals, tokens, half of a configuration."""

import contextlib
import itertools
import random
import shutil
from typing import Any

import pytest
from click.testing import CliRunner

from mmats.cli.main import main
from mmats.client import NotAdmitted
from mmats.client.sync import Client
from mmats.config import load_config
from mmats.model.errors import ConfigError
from mmats.model.profile import PROFILES, Profile
from mmats.plugins import plugin
from mmats.ports.journal import Genesis
from tests.fakes.engines import Place, ended, kill, place, until

PAIRS = list(itertools.permutations(PROFILES, 2))
MODES = {"dev": "paper", "paper": "paper", "live": "advisory"}
WAIT_S = 20.0


def engine_here(here: Place, profile: str) -> Any:
    """`mmats engine` in this process: for what ends before anything runs."""
    arguments = ["--config", str(here.config), "--profile", profile, "--home", str(here.home)]
    return CliRunner().invoke(main, ["engine", *arguments])


@pytest.mark.parametrize(("configured", "asked"), PAIRS)
def test_a_configuration_of_another_profile_is_refused(configured: str, asked: str) -> None:
    with place(configured, mode=MODES[configured]) as here:
        result = engine_here(here, asked)
        assert result.exit_code == 2
        assert f"for profile {configured}, not {asked}" in result.output
        assert not Profile.of(asked, here.home).root.exists()
        assert not list(here.profile.journal_dir.iterdir())


@pytest.mark.parametrize(("owner", "other"), PAIRS)
def test_a_journal_of_another_profile_is_refused(owner: str, other: str) -> None:
    with place(other, mode=MODES[other]) as here:
        foreign = Profile.of(owner, here.home)
        foreign.create()
        writer, _ = plugin("mmats.journal", "lmdb")(
            foreign.journal_dir, Genesis(owner, "EUR paper", 1), run="r"
        )
        writer.close()
        shutil.copytree(foreign.journal_dir, here.profile.journal_dir, dirs_exist_ok=True)
        before = contents(here)
        result = engine_here(here, other)
        assert result.exit_code == 2, result.output
        assert owner in result.output
        assert contents(here) == before


def contents(here: Place) -> dict[str, bytes]:
    """Files of the journal, but for the note of who had it open last."""
    files = here.profile.journal_dir.iterdir()
    return {path.name: path.read_bytes() for path in files if path.name != "writer.lock"}


@pytest.mark.parametrize(
    ("genesis", "said"),
    [
        (Genesis("paper", "EUR paper", 2), "schema"),
        (Genesis("paper", "USD paper", 1), "USD"),
        (Genesis("paper", "EUR binance", 1), "binance"),
    ],
)
def test_a_journal_of_a_newer_version_or_another_account_is_refused(
    genesis: Genesis, said: str
) -> None:
    with place() as here:
        writer, _ = plugin("mmats.journal", "lmdb")(here.profile.journal_dir, genesis, run="r")
        writer.close()
        result = engine_here(here, "paper")
        assert result.exit_code == 2, result.output
        assert said in result.output


def test_a_token_of_one_profile_does_not_open_another() -> None:
    with place() as here, place("dev") as other:
        here.start("engine")
        with here.client() as client:
            for role in ("viewer", "trader", "admin"):
                token = (other.profile.keys_dir / f"{role}.token").read_text().strip()
                with pytest.raises(NotAdmitted):
                    Client.connect(here.profile, token=token, timeout_s=WAIT_S)
            assert client.ping().done
        until(lambda: here.notes("control.refused"))


def test_half_a_configuration_creates_nothing() -> None:
    with place() as here:
        shutil.rmtree(here.profile.root)
        whole = here.config.read_text()
        cuts = random.Random(1).sample(range(len(whole) - 2), 50)
        refused = 0
        for cut in cuts:
            here.config.write_text(whole[:cut])
            with contextlib.suppress(ConfigError):
                load_config(here.config)
                continue  # cut between two keys it is a whole one, of safe defaults
            result = engine_here(here, "paper")
            assert result.exit_code == 2
            assert "Traceback" not in result.output
            assert not here.profile.root.exists(), cut
            refused += 1
        assert refused > 40


STRATEGY = """
from mmats.model import Action, Strategy, TradeSignal


class Holder(Strategy):
    name = "holder"
    supported_symbols = ()

    def on_market_data(self, data):
        if self.account.position(data.symbol) != 0:
            return None
        return [TradeSignal(Action.BUY, data.symbol, size=0.0003)]
"""
TABLE = """
[[strategies]]
name = "holder"
source = "holder.py"
symbols = ["BTCUSDT"]
"""


def test_a_changed_configuration_keeps_halts_and_never_orphans_a_position() -> None:
    key = "position:holder:BTCUSDT.BINANCE"
    with place(speed="600x", days=30, strategies=TABLE) as here:
        here.write("holder.py", STRATEGY)
        whole = here.config.read_text()
        engine = here.start("engine")
        here.start("feed", "--quiet", "--loop")
        with here.client() as client:
            assert client.wait_for(lambda s: key in s, timeout_s=WAIT_S)
            assert client.halt("market:crypto", "for the night").done
            held = client.state[key]["quantity"]
        kill(engine)
        here.config.write_text(whole.replace(TABLE, ""))
        code, output = ended(here.start("engine"))
        assert code == 2, output
        assert "holder" in output
        assert "hint" in output
        assert "Traceback" not in output
        here.config.write_text(whole.replace('"130 EUR"', '"110 EUR"'))
        engine = here.start("engine")
        with here.client() as client:
            assert client.state[key]["quantity"] == held
            assert client.state["limit:global::order_notional_max"] == "110 EUR"
            assert client.state["trading"]["markets"]["crypto"] == "halted"
            assert any("configuration has changed" in n for n in recovered(client)["notes"])
            assert client.down().done
        assert ended(engine)[0] == 0
        assert here.findings() == []


def recovered(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.state["engine"]["recovered"]
    return found


def test_a_journal_folder_that_can_not_be_used_is_exit_code_2() -> None:
    with place() as here:
        folder = here.profile.journal_dir
        folder.rmdir()
        folder.write_text("a file where the folder should be")
        assert_refused(here)
        folder.unlink()
        (folder / "data.mdb").mkdir(parents=True)
        assert_refused(here)


def assert_refused(here: Place) -> None:
    result = engine_here(here, "paper")
    assert result.exit_code == 2, result.output
    assert str(here.profile.root) in result.output.replace("\n", "")
    assert not list(here.profile.run_dir.glob("*.sock"))
