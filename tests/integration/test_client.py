"""Both clients against an engine that speaks the protocol over real sockets."""

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from mmats.client import (
    AsyncClient,
    Client,
    ClientClosed,
    CommandInvalid,
    CommandRefused,
    CommandUnknown,
    EngineUnreachable,
    Link,
    NotAdmitted,
    Outcome,
    Role,
    TokenUnreadable,
)
from mmats.model.messages import PRIVATE, PUBLIC, Answer
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile
from tests.fakes.scripted_engine import ScriptedEngine

DEADLINE_S = 10.0


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile("paper") as made:
        yield made


@pytest.fixture
def engine(profile: Profile) -> Iterator[ScriptedEngine]:
    with ScriptedEngine(profile) as made:
        yield made


@pytest.fixture
def client(engine: ScriptedEngine) -> Iterator[Client]:
    with Client.connect(engine.profile) as made:
        yield made


def soon(condition: Callable[[], bool], client: Client) -> bool:
    """Whether it becomes true before the deadline; looks again at each change of the client."""
    return client.wait_for(lambda _: condition(), timeout_s=DEADLINE_S)


# -- connecting ------------------------------------------------------------------------------------


def test_connecting_fetches_the_state(engine: ScriptedEngine) -> None:
    engine.set("engine", {"mode": "paper"})
    engine.set("account", {"equity": "150"}, PRIVATE)
    with Client.connect(engine.profile) as client:
        assert client.state["engine"] == {"mode": "paper"}
        assert client.state["account"] == {"equity": "150"}
        assert (client.role, client.run, client.mode) == (Role.TRADER, "run-1", "paper")
        assert client.link is Link.LIVE
        assert client.is_current


def test_a_viewer_sees_the_public_channel_only(engine: ScriptedEngine) -> None:
    engine.set("account", {"equity": "150"}, PRIVATE)
    with Client.connect(engine.profile, role="viewer") as client:
        engine.set("account", {"equity": "151"}, PRIVATE)
        engine.set("market:A", {"last": "1"})
        assert client.wait_for(lambda state: "market:A" in state, timeout_s=DEADLINE_S)
        assert "account" not in client.state
        assert client.pause().code == "ROLE"


def test_without_an_engine_it_says_how_to_stop(profile: Profile) -> None:
    profile.create()
    (profile.keys_dir / "trader.token").write_text("t")
    with pytest.raises(EngineUnreachable) as caught:
        Client.connect(profile)
    for way in ("mmats halt", str(profile.kill_file), "SIGUSR1"):
        assert way in str(caught.value)


def test_an_engine_that_does_not_answer_is_unreachable(engine: ScriptedEngine) -> None:
    engine.silent.add("hello")
    before = threading.active_count()
    with pytest.raises(EngineUnreachable, match=r"within 0\.2 s"):
        Client.connect(engine.profile, timeout_s=0.2)
    assert threading.active_count() == before


def test_a_wrong_token_is_refused(engine: ScriptedEngine) -> None:
    with pytest.raises(NotAdmitted, match="nobody has this token"):
        Client.connect(engine.profile, token="wrong")  # noqa: S106


def test_a_missing_token_names_the_file_and_the_others(engine: ScriptedEngine) -> None:
    (engine.profile.keys_dir / "trader.token").unlink()
    with pytest.raises(TokenUnreadable, match=r"trader\.token.*admin, viewer"):
        Client.connect(engine.profile)


def test_an_empty_token_is_refused(engine: ScriptedEngine) -> None:
    (engine.profile.keys_dir / "trader.token").write_text(" \n")
    with pytest.raises(TokenUnreadable, match="empty"):
        Client.connect(engine.profile)


def test_it_can_wait_for_an_engine_that_is_about_to_start(profile: Profile) -> None:
    profile.create()
    (profile.keys_dir / "trader.token").write_text("mm_trader")
    made: list[ScriptedEngine] = []
    starter = threading.Thread(target=lambda: made.append(ScriptedEngine(profile)))
    starter.start()
    try:
        with Client.connect(profile, wait=True, timeout_s=DEADLINE_S) as client:
            assert client.run == "run-1"
    finally:
        starter.join()
        made[0].close()


# -- state -----------------------------------------------------------------------------------------


def test_changes_arrive_and_keys_go(engine: ScriptedEngine, client: Client) -> None:
    engine.set("order:1", {"quantity": "1"}, PRIVATE)
    assert client.wait_for(lambda state: "order:1" in state, timeout_s=DEADLINE_S)
    engine.set("order:1", None, PRIVATE)
    assert client.wait_for(lambda state: "order:1" not in state, timeout_s=DEADLINE_S)


def test_lost_messages_are_made_good_within_100_ms(
    engine: ScriptedEngine, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    times_ms = []
    for turn in range(3):
        engine.set_many(2_000, lost=True)
        snapshots = client.state.snapshots
        start_s = time.perf_counter()
        engine.set("engine", {"turn": turn})  # the loss can be known from here on
        assert soon(
            lambda n=snapshots: client.state.snapshots > n and not client.state.needs_snapshot,  # type: ignore[misc]
            client,
        )
        times_ms.append((time.perf_counter() - start_s) * 1_000)
        assert client.state.copy() == engine.merged()
    with capsys.disabled():
        print(f"\nequal again after {statistics.median(times_ms):.1f} ms (median of 3)")  # noqa: T201
    assert client.state.gaps == 3
    assert statistics.median(times_ms) < 1_000  # the machine may be busy; alone it is below 100


def test_a_loss_at_the_end_shows_in_the_heartbeat(engine: ScriptedEngine, client: Client) -> None:
    engine.set("market:A", {"last": "1"}, lost=True)
    assert client.wait_for(lambda state: "market:A" in state, timeout_s=DEADLINE_S)
    assert client.state.gaps == 1


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff{not json",
        b"[" * 100_000,
        b'{"v":2,"run":"r","channel":"public","seq":1,"ts_ns":0,"kind":"state"}',
        b'{"v":1,"run":"run-1","channel":"private","seq":9,"ts_ns":0,"kind":"state","key":"k"}',
    ],
)
def test_a_message_that_cannot_be_read_is_told_and_made_good(
    engine: ScriptedEngine, client: Client, message: bytes
) -> None:
    engine.send_raw(PUBLIC, message)
    engine.set("market:A", {"last": "1"})
    assert soon(lambda: "market:A" in client.state and bool(client.warnings), client)
    assert "public" in client.warnings[0]
    assert client.is_current


def test_the_link_goes_stale_and_lost_and_comes_back(
    engine: ScriptedEngine, client: Client
) -> None:
    seen = []
    engine.beating = False
    for wanted in (Link.STALE, Link.LOST):
        assert soon(lambda w=wanted: client.link is w, client)  # type: ignore[misc]
        seen.append(client.link_age_s)
    engine.beating = True
    assert soon(lambda: client.link is Link.LIVE, client)
    assert 1.0 < seen[0] < 3.0 < seen[1]


def test_a_new_run_is_found_and_mirrored(profile: Profile) -> None:
    first = ScriptedEngine(profile)
    first.set("order:1", {"quantity": "1"}, PRIVATE)
    with Client.connect(profile) as client:
        first.close()
        with ScriptedEngine(profile, run="run-2") as second:
            second.set("order:2", {"quantity": "2"}, PRIVATE)
            assert client.wait_for(lambda state: state.run == "run-2", timeout_s=DEADLINE_S)
            assert client.wait_for(lambda state: "order:2" in state, timeout_s=DEADLINE_S)
            assert "order:1" not in client.state
            assert client.pause().done
            assert client.run == "run-2"


# -- commands --------------------------------------------------------------------------------------


def test_every_method_sends_its_command(engine: ScriptedEngine) -> None:
    with Client.connect(engine.profile, role="admin") as client:
        replies = [
            client.pause("market:crypto", "news"),
            client.halt(),
            client.resume("all clear"),
            client.flatten("symbol:BTCUSDT.BINANCE", dry_run=True),
            client.cancel(7),
            client.submit_order("BTCUSDT", "buy", "0.1", limit="100"),
            client.enable_strategy("trend"),
            client.disable_strategy("trend"),
            client.reload_strategy("trend"),
            client.load_strategy("trend", "trend.py"),
            client.set_mode("advisory"),
            client.set_limit("daily_loss", "2%"),
            client.down(),
        ]
        assert all(reply.done for reply in replies)
        assert client.ping().done
        secret = client.reauthenticate("open sesame")
        assert secret.done
        assert "sesame" not in repr(secret)
        assert client.snapshot().body["run"] == "run-1"
    assert [name for name, _ in engine.executed] == [
        "pause", "halt", "resume", "flatten", "cancel", "order.submit", "strategy.enable",
        "strategy.disable", "strategy.reload", "strategy.load", "mode", "limit.set", "down",
    ]  # fmt: skip
    assert engine.executed[0][1] == {"scope": "market:crypto", "reason": "news"}
    assert engine.executed[3][1]["dry_run"] is True


def test_a_refusal_is_a_reply(engine: ScriptedEngine, client: Client) -> None:
    engine.answers["flatten"] = Answer(outcome=Outcome.REFUSED, code="NO", text="not now")
    reply = client.flatten()
    assert (reply.done, reply.code, reply.text) == (False, "NO", "not now")
    with pytest.raises(CommandRefused, match="not now") as caught:
        reply.raise_for_outcome()
    assert caught.value.reply is reply


def test_no_reply_is_unknown_and_a_retry_executes_once(
    engine: ScriptedEngine, client: Client
) -> None:
    engine.silent.add("flatten")
    reply = client.command("flatten", {"scope": "all"}, timeout_s=1.2)
    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "NO_REPLY")
    with pytest.raises(CommandUnknown, match="retry"):
        reply.raise_for_outcome()
    assert engine.arrived.count("flatten") > 1  # asked again by itself
    engine.silent.clear()
    assert client.retry(reply).raise_for_outcome().id == reply.id
    assert len(engine.executed) == 1


def test_a_forgotten_session_is_opened_again(engine: ScriptedEngine, client: Client) -> None:
    engine.forget_sessions()
    assert client.pause().done
    assert len(engine.executed) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("dance", {}),
        ("pause", {"scope": "everything"}),
        ("pause", {"because": "x"}),
        ("resume", {"reason": ""}),
        ("cancel", {"order_id": -1}),
        ("pause", {"reason": object()}),
    ],
)
def test_bad_input_is_not_sent(
    engine: ScriptedEngine, client: Client, name: str, body: dict[str, object]
) -> None:
    with pytest.raises(CommandInvalid):
        client.command(name, body)
    assert name not in engine.arrived


def test_a_command_that_cannot_be_sent_is_not_unknown(profile: Profile) -> None:
    with ScriptedEngine(profile) as engine, Client.connect(profile) as client:
        engine.close()
        assert soon(lambda: client.link is not Link.LIVE, client)
        with pytest.raises(EngineUnreachable, match="not sent"):
            client.command("halt", timeout_s=0.3)


def test_a_command_of_a_run_that_died_is_unknown(profile: Profile) -> None:
    first = ScriptedEngine(profile)
    with Client.connect(profile) as client:
        first.silent.add("flatten")
        replies = []
        asking = threading.Thread(
            target=lambda: replies.append(client.command("flatten", timeout_s=DEADLINE_S))
        )
        asking.start()
        assert soon(lambda: "flatten" in first.arrived, client)
        first.close()
        with ScriptedEngine(profile, run="run-2") as second:
            asking.join(DEADLINE_S)
            assert replies[0].code == "RESTARTED"
            assert second.executed == []


# -- events ----------------------------------------------------------------------------------------


def test_events_of_chosen_kinds(engine: ScriptedEngine, client: Client) -> None:
    stream = client.events({"signal", "fill"}, timeout_s=DEADLINE_S)
    engine.tell("log", {"n": 0}, PRIVATE)
    for number in range(3):
        engine.tell("signal", {"n": number})
    assert [next(stream).value for _ in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    stream.close()
    assert list(stream) == []


def test_events_lost_on_the_way_come_with_the_snapshot(
    engine: ScriptedEngine, client: Client
) -> None:
    stream = client.events("signal", timeout_s=DEADLINE_S)
    engine.tell("signal", {"n": 0}, lost=True)
    engine.tell("signal", {"n": 1}, lost=True)
    engine.tell("signal", {"n": 2})
    assert [next(stream).value["n"] for _ in range(3)] == [0, 1, 2]


def test_a_stream_ends_after_silence_and_with_the_client(client: Client) -> None:
    assert list(client.events(timeout_s=0.05)) == []
    stream = client.events()
    client.close()
    assert list(stream) == []
    assert list(client.events()) == []


# -- anchors ---------------------------------------------------------------------------------------


def anchored(profile: Profile) -> list[int]:
    lines = profile.anchors_file.read_bytes().splitlines()
    return [msgspec.json.decode(line)["size"] for line in lines]


def test_heads_are_anchored_and_a_rollback_is_told(engine: ScriptedEngine) -> None:
    engine.head = [7, "abc"]
    with Client.connect(engine.profile) as client:
        assert client.warnings == ()
    assert anchored(engine.profile) == [7]
    engine.head = [6, "abb"]
    with Client.connect(engine.profile) as client:
        assert soon(lambda: bool(client.warnings), client)
        assert "ROLLBACK" in client.warnings[0]
    assert anchored(engine.profile) == [7]


# -- closing ---------------------------------------------------------------------------------------


def test_a_closed_client_says_so(client: Client) -> None:
    client.close()
    client.close()
    assert client.link is Link.LOST
    with pytest.raises(ClientClosed):
        client.pause()


def test_a_script_that_forgets_to_close_ends(engine: ScriptedEngine) -> None:
    script = (
        "import sys; from mmats.client import Client\n"
        "c = Client.connect('paper', sys.argv[1]); print(c.run)"
    )
    home = str(engine.profile.root.parent)
    done = subprocess.run(
        [sys.executable, "-c", script, home], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("run-1\n", "")


# -- asyncio ---------------------------------------------------------------------------------------


def test_the_asyncio_client_has_the_same_surface(engine: ScriptedEngine) -> None:
    async def script() -> None:
        async with await AsyncClient.connect(engine.profile) as client:
            signals = client.events("signal", timeout_s=DEADLINE_S)
            assert (await client.pause(reason="news")).done
            await asyncio.to_thread(engine.tell, "signal", {"n": 1})
            assert (await anext(signals)).value == {"n": 1}
            await asyncio.to_thread(engine.set, "market:A", {"last": "1"})
            assert await client.wait_for(lambda s: "market:A" in s, timeout_s=DEADLINE_S)
            assert not await client.wait_for(lambda s: "market:B" in s, timeout_s=0.05)
            assert (await client.snapshot()).body["run"] == "run-1"
            assert client.link is Link.LIVE
            assert [event async for event in client.events(timeout_s=0.05)] == []
            both = await asyncio.gather(client.halt(), client.ping())
            assert all(reply.done for reply in both)
        with pytest.raises(ClientClosed):
            await client.pause()
        assert [event async for event in client.events()] == []

    asyncio.run(script())
    assert [name for name, _ in engine.executed] == ["pause", "halt"]


def test_the_asyncio_client_says_that_there_is_no_engine(engine: ScriptedEngine) -> None:
    engine.silent.add("hello")

    async def script() -> None:
        with pytest.raises(EngineUnreachable):
            await AsyncClient.connect(engine.profile, timeout_s=0.2)
        engine.silent.clear()
        with pytest.raises(NotAdmitted):
            await AsyncClient.connect(engine.profile, token="wrong")  # noqa: S106

    asyncio.run(script())
