"""Strategies that raise, hang or answer nonsense end alone: the others and the engine go on."""

import pytest

from mmats.client import Client, Outcome
from tests.fakes.engines import Place, ended, place

WAIT_S = 20.0
HEAD = """
from mmats.model import Action, Strategy, TradeSignal


class Bad(Strategy):
    name = "bad"
    supported_symbols = ()
    calls = 0

    def on_market_data(self, data):
        self.calls += 1
        if self.calls == {good}:
            return [TradeSignal(Action.BUY, data.symbol, size=0.0002, order_type="limit",
                                price=round(data.close * 0.97))]
        if self.calls < {good} + 3:
            return None
"""
BODIES = {
    "raises": ("        raise KeyError('no such thing')", "KeyError"),
    "loops": ("        while True:\n            pass", "StrategyTimeout"),
    "stubborn": (
        "        while True:\n            try:\n                while True:\n"
        "                    pass\n            except Exception:\n"
        "                self.calls += 50\n                if self.calls > 200:\n"
        "                    raise",
        "StrategyTimeout",
    ),
    "garbage": ("        return 'buy everything'", ""),
    "wrong": ("        return [3.5]", ""),
    "unknown": ("        return [TradeSignal(Action.BUY, 'NOTHING', size=1.0)]", ""),
    "exits": ("        raise SystemExit(0)", "SystemExit"),
}
TABLE = """
[[strategies]]
name = "{name}"
source = "{name}.py"
symbols = ["BTCUSDT"]
budget = "{budget}"
"""
FINE = """
from mmats.model import Strategy


class Fine(Strategy):
    name = "fine"
    supported_symbols = ()
    count = 0

    def on_market_data(self, data):
        self.count += 1
        if self.count == 1 or self.count % 20:
            return None
        from mmats.model import Action, TradeSignal
        return [TradeSignal(Action.SELL, data.symbol, size=0.0001)]
"""


def waits_open(client: Client, strategy: str) -> bool:
    return client.wait_for(
        lambda s: any(o["strategy"] == strategy for o in s.below("order").values()),
        timeout_s=WAIT_S,
    )


def test_bad_strategies_end_alone_and_their_entries_are_canceled() -> None:
    tables = "".join(TABLE.format(name=name, budget="100ms") for name in BODIES)
    tables += TABLE.format(name="fine", budget="60s")
    with place(speed="600x", days=30, strategies=tables) as here:
        for name, (body, _) in BODIES.items():
            here.write(f"{name}.py", HEAD.format(good=10) + body)
        here.write("fine.py", FINE)
        engine = here.start("engine")
        here.start("feed", "--quiet", "--loop")
        with here.client() as client:
            for name in BODIES:
                assert waits_open(client, name), name
            assert client.wait_for(
                lambda s: not any(s[f"strategy:{name}"]["enabled"] for name in BODIES),
                timeout_s=WAIT_S,
            )
            for name, (_, error) in BODIES.items():
                said = client.state[f"strategy:{name}"]["error"]
                assert said, name
                assert error in said, (name, said)
            assert client.wait_for(
                lambda s: not any(o["strategy"] in BODIES for o in s.below("order").values()),
                timeout_s=WAIT_S,
            )
            signals = client.state["strategy:fine"]["signals"]
            assert client.wait_for(
                lambda s: s["strategy:fine"]["signals"] > signals, timeout_s=WAIT_S
            )
            assert client.state["strategy:fine"]["enabled"]
            assert client.ping().done
            assert client.enable_strategy("raises").done  # as often as somebody wants
            assert client.down().done
        assert ended(engine)[0] == 0
        assert here.findings() == []


def test_each_strategy_has_its_own_budget_and_the_engine_answers_meanwhile() -> None:
    spin = "        import time\n        end = time.monotonic() + 0.4\n"
    spin += "        while time.monotonic() < end:\n            pass"
    tables = TABLE.format(name="slow", budget="30s") + TABLE.format(name="hasty", budget="50ms")
    with place(speed="60x", strategies=tables) as here:
        here.write("slow.py", HEAD.format(good=-9) + spin)
        here.write("hasty.py", HEAD.format(good=-9) + spin)
        here.start("engine")
        here.start("feed", "--quiet")
        with here.client() as client:
            assert client.wait_for(
                lambda s: "StrategyTimeout" in s["strategy:hasty"]["error"], timeout_s=WAIT_S
            )
            for _ in range(5):
                assert client.ping().done
                assert client.submit_order("BTCUSDT", "buy", "0.0002", dry_run=True).outcome in (
                    Outcome.DONE,
                    Outcome.REFUSED,
                )
            assert client.state["strategy:slow"]["enabled"]
            assert client.is_current


def test_a_strategy_that_is_set_to_stop_all_ends_trading_with_exit_code_1() -> None:
    table = TABLE.format(name="raises", budget="100ms") + 'on_error = "stop"\n'
    with place(speed="600x", strategies=table) as here:
        here.write("raises.py", HEAD.format(good=5) + BODIES["raises"][0])
        engine = here.start("engine")
        with here.client() as client:
            here.start("feed", "--quiet")
            assert client.wait_for(lambda s: s["engine"]["state"] == "fault", timeout_s=WAIT_S)
            assert "no such thing" in client.state["engine"]["arm"]
        code, output = ended(engine)
        assert code == 1
        assert "no such thing" in output
        assert "no such thing" in here.profile.kill_file.read_text()  # what comes next is halted
        assert any("no such thing" in note["reason"] for note in here.notes("incident"))


@pytest.mark.parametrize("change", ["raise", "missing"])
def test_a_strategy_that_can_not_start_keeps_the_engine_from_starting(change: str) -> None:
    with place(strategies=TABLE.format(name="gone", budget="1s")) as here:
        if change == "raise":
            here.write("gone.py", "raise ValueError('out of order')")
        code, output = ended(here.start("engine"))
        assert code == 2
        assert "gone" in output
        assert "Traceback" not in output
        assert_nothing_made(here)


def assert_nothing_made(here: Place) -> None:
    assert not list(here.profile.run_dir.glob("*.sock"))
    assert not (here.profile.run_dir / "engine.ready").exists()
