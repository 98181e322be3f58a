"""The live view: what it shows, and that old figures never look like live ones."""

import io
import math
import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from rich.console import Console

from mmats.cli.live import View, event_line, watch
from mmats.client import Client, Link, Mirror, Role
from mmats.model.messages import PRIVATE, PUBLIC, Published, Snapshot
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile
from tests.fakes.scripted_engine import ScriptedEngine

STATE: dict[str, Any] = {
    "engine": {"mode": "paper", "state": "running", "run": "run-1", "profile": "paper"},
    "account": {"currency": "EUR", "equity": "150.25", "day_pnl": "-1.5", "drawdown": "0.01"},
    "position:trend:BTC": {"quantity": "0.1", "average": "100", "unrealized": "2", "realized": "0"},
    "strategy:trend": {"enabled": True, "mode": "paper", "signals": 3, "error": ""},
    "feed:0": {"name": "synthetic", "state": "live", "lag_ms": 4, "gaps": 0, "refused": 0},
    "trading": {"global": "active", "markets": {"crypto": "active"}, "strategies": {}},
}


@dataclass
class Shown:
    """As much of a client as the view looks at."""

    state: Mirror
    profile: Profile
    link: Link = Link.LIVE
    link_age_s: float = 0.1
    is_current: bool = True
    warnings: tuple[str, ...] = ()
    role: Role = Role.TRADER
    run: str = "run-1"
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def client(tmp_path: Any) -> Shown:
    mirror = Mirror()
    events = {"signal": [{"ts_ns": 0, "symbol": "BTC", "side": "buy"}]}
    seqs = {PUBLIC: 0, PRIVATE: 0}
    mirror.take_snapshot(Snapshot(run="run-1", seqs=seqs, state=dict(STATE), events=events))
    return Shown(mirror, Profile("paper", tmp_path / "paper"))


def text_of(client: Shown) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(View(cast(Client, client)).render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_live_engine(client: Shown) -> None:
    client.state.take(
        changed("engine", STATE["engine"] | {"started_ns": time.time_ns() - 61 * 10**9})
    )
    text = text_of(client)
    for said in ("PAPER", "run-1", "running", "LIVE", "0:01:0", "150.25", "-1.5", "trend:BTC",
                 "synthetic", "yes", "00:00:00  symbol BTC  side buy"):  # fmt: skip
        assert said in text
    assert "~" not in text


def changed(key: str, value: Any) -> Published:
    return Published(
        run="run-1", channel="public", seq=1, ts_ns=0, kind="state", key=key, value=value
    )


@pytest.mark.parametrize(
    ("link", "age_s", "said"),
    [
        (Link.STALE, 2.3, "LINK STALE: no heartbeat for 2.3 s"),
        (Link.LOST, 7.0, "LINK LOST: no heartbeat for 7.0 s"),
        (Link.LOST, math.inf, "LINK LOST: no heartbeat yet"),
        (Link.LIVE, 0.1, "RESYNC"),
    ],
)
def test_old_figures_are_marked(client: Shown, link: Link, age_s: float, said: str) -> None:
    client.link, client.link_age_s, client.is_current = link, age_s, False
    text = text_of(client)
    assert said in text
    for figure in ("150.25", "-1.5", "0.1", "running"):
        assert f"~{figure}" in text
        assert f" {figure}" not in text


def test_a_lost_link_says_how_to_stop(client: Shown) -> None:
    client.link, client.link_age_s, client.is_current = Link.LOST, 9.0, False
    text = text_of(client)
    assert "mmats halt" in text
    assert "KILL" in text


def test_text_of_others_cannot_move_the_cursor(client: Shown) -> None:
    bad = "\x1b[2J[red]\u202eevil\n"
    client.state.take(changed("strategy:trend", {"error": bad, "mode": bad}))
    client.warnings = (bad,)
    text = text_of(client)
    assert "\\x1b[2J[red]\\u202eevil\\n" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_what_is_missing_is_a_question_mark(client: Shown) -> None:
    client.state.take(changed("engine", None))
    assert " ? " in text_of(client)


def test_a_viewer_sees_no_account(client: Shown) -> None:
    client.role = Role.VIEWER
    assert "equity" not in text_of(client)


def test_an_engine_that_is_not_armed_or_halted_says_so(client: Shown) -> None:
    client.state.take(changed("engine", STATE["engine"] | {"arm": "journal in quarantine"}))
    assert "NOT ARMED: journal in quarantine" in text_of(client)


def test_a_halt_is_told(client: Shown) -> None:
    assert "NOT TRADING" not in text_of(client)
    client.state.take(changed("trading", {"global": "halted", "markets": {"crypto": "reducing"}}))
    assert "NOT TRADING: all halted, market:crypto reducing" in text_of(client)
    assert "NOT TRADING all halted" in View(cast(Client, client)).line()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"ts_ns": 3_600 * 10**9, "a": "x", "b": None, "c": 1}, "01:00:00  a x  c 1"),
        ("plain\x07", "plain\\x07"),
        (None, "None"),
    ],
)
def test_an_event_is_a_line(value: Any, line: str) -> None:
    assert event_line(value) == line


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_profile("paper") as profile, ScriptedEngine(profile) as engine:
        engine.set("engine", {"mode": "paper", "state": "running"})
        with Client.connect(profile) as client:
            looks = 0

            def until() -> bool:
                nonlocal looks
                looks += 1
                if looks == 1:
                    engine.tell("signal", {"symbol": "BTC"})
                return looks > 2 and bool(client.state.recent("signal"))

            watch(client, until=until, console=Console(file=io.StringIO()))
    lines = capsys.readouterr().out.splitlines()
    assert "link live  mode paper" in lines[0]
    assert lines[-1] == "signal  symbol BTC"


def test_a_terminal_shows_the_view() -> None:
    with temporary_profile("paper") as profile, ScriptedEngine(profile) as engine:
        engine.set("engine", {"mode": "paper", "state": "running"})
        with Client.connect(profile) as client:
            screen = Console(file=io.StringIO(), force_terminal=True, width=120)
            looks = iter([False, True])
            watch(client, until=lambda: next(looks), console=screen)
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().count("PAPER") >= 2
