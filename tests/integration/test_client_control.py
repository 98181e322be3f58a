"""The client against the real control server: roles, loss, restart, passphrase, tcp."""

import asyncio
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from adapters.bus.control import ControlServer, TcpOptions
from adapters.bus.control_links import server_keys
from adapters.bus.users import create_curve_keys
from mmats.client import AsyncClient, Client, Curve, EngineUnreachable, Link, NotAdmitted, Role, Tcp
from mmats.model.messages import PRIVATE, PUBLIC, Outcome
from tests.fakes.control import PASSPHRASE, Stage, control_stage, make_users
from tests.fakes.profiles import temporary_profile

DEADLINE_S = 20.0
BEAT_S = 0.1


@contextmanager
def beating(server: ControlServer) -> Iterator[None]:
    """Renew the heartbeat as the trading thread does."""
    ended = threading.Event()

    def beat() -> None:
        size = 0
        while not ended.is_set():
            size += 1
            server.set_heartbeat({"head": [size, f"{size:064x}"], "uptime_s": 1, "state": "run"})
            ended.wait(BEAT_S)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with control_stage() as made, beating(made.server):
        yield made


def soon(client: Client, condition: Callable[[], bool]) -> bool:
    return client.wait_for(lambda _: condition(), timeout_s=DEADLINE_S)


@pytest.mark.parametrize("role", ["viewer", "trader", "admin"])
def test_each_role_connects_and_sees_what_it_may(stage: Stage, role: Any) -> None:
    stage.server.publish_state(PUBLIC, [("engine", {"mode": "paper"})])
    stage.server.publish_state(PRIVATE, [("account", {"equity": "150"})])
    with Client.connect(stage.profile, role=role) as client:
        assert client.role is Role[role.upper()]
        assert soon(client, lambda: "engine" in client.state)
        if role == "viewer":
            assert "account" not in client.state
        else:
            assert soon(client, lambda: "account" in client.state)
        assert soon(client, lambda: client.link is Link.LIVE)
        assert client.is_current
        assert client.warnings == ()


def test_commands_are_executed_once_and_answered(stage: Stage) -> None:
    engine = stage.engine()
    with Client.connect(stage.profile) as client:
        replies = [client.pause(reason="a"), client.flatten(dry_run=True), client.cancel(3)]
        assert [reply.body["count"] for reply in replies] == [1, 2, 3]
        again = client.retry(replies[0])
        assert (again.outcome, again.body) == (Outcome.DONE, {"count": 1})
    assert [command.command for command in engine.executed] == ["pause", "flatten", "cancel"]


def test_a_viewer_is_refused(stage: Stage) -> None:
    with Client.connect(stage.profile, role="viewer") as client:
        assert client.halt().code == "ROLE"


def test_resume_needs_the_passphrase(stage: Stage) -> None:
    engine = stage.engine()
    with Client.connect(stage.profile, role="admin") as client:
        assert client.resume("all is well").code == "REAUTHENTICATE"
        assert client.reauthenticate("wrong").code == "PASSPHRASE"
        assert client.reauthenticate(PASSPHRASE).done
        assert client.resume("all is well").done
    assert [command.may_raise for command in engine.executed] == [True]


def test_an_engine_that_hangs_leaves_commands_unknown_and_the_link_lost(stage: Stage) -> None:
    with Client.connect(stage.profile) as client:
        reply = client.command("flatten", {}, timeout_s=0.5)  # nobody takes it
        assert reply.outcome is not Outcome.DONE
        engine = stage.engine()
        assert client.retry(reply).outcome is not Outcome.UNKNOWN
        assert len(engine.executed) <= 1


def test_a_hanging_trading_thread_is_seen(stage: Stage) -> None:
    with Client.connect(stage.profile) as client:
        assert soon(client, lambda: client.link is Link.LIVE)
    # A second stage without a heart: nothing renews it.
    with control_stage() as still, Client.connect(still.profile) as client:
        assert client.link is Link.LOST
        assert not client.is_current


def test_a_revoked_user_is_told(stage: Stage) -> None:
    with Client.connect(stage.profile) as client:
        stage.users.revoke("owner-trader")
        reply = client.command("pause", {}, timeout_s=1)
        assert not reply.done
    with pytest.raises(NotAdmitted):
        Client.connect(stage.profile)


def test_a_stalled_client_is_equal_again_soon(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reads nothing while more is published than the sockets keep.

    Measured from the moment that the loss shows, which a heartbeat brings at the latest.
    """
    times_ms: list[float] = []
    lost_at_s: list[float] = []

    def measure() -> None:
        if client.state.needs_snapshot:
            lost_at_s.append(time.perf_counter())
        elif lost_at_s:
            times_ms.append((time.perf_counter() - lost_at_s[0]) * 1_000)
            lost_at_s.clear()

    with Client.connect(stage.profile) as client:
        client._connection.observe(measure)
        for turn in range(5):
            go_on = threading.Event()
            stalled = threading.Event()

            def stall(stalled: threading.Event = stalled, go_on: threading.Event = go_on) -> None:
                stalled.set()
                go_on.wait(DEADLINE_S)

            client._connection.observe(stall)
            stage.server.publish_state(PUBLIC, [("turn", turn)])
            assert stalled.wait(DEADLINE_S)
            client._connection.unobserve(stall)
            lost = publish_until_lost(stage, turn)
            gaps, snapshots = client.state.gaps, client.state.snapshots
            go_on.set()
            assert soon(
                client,
                lambda s=snapshots, last=lost: (  # type: ignore[misc]
                    client.state.snapshots > s
                    and not client.state.needs_snapshot
                    and client.state.get("last") == last
                ),
            )
            assert client.state.gaps > gaps
        snapshot = client.snapshot().raise_for_outcome().body
        assert snapshot["state"] == client.state.copy()
    with capsys.disabled():
        median_ms = statistics.median(times_ms)
        print(f"\na stalled client is equal again: median {median_ms:.1f} ms")  # noqa: T201
    assert statistics.median(times_ms) < 1_000  # the machine may be busy; alone it is below 100


def publish_until_lost(stage: Stage, turn: int) -> int:
    """Publish far more than the queues of both ends and the kernel's buffers hold."""
    for start in range(0, 40_000, 1_000):
        span = range(start, start + 500)
        changes = [(f"market:S{n % 500}", {"n": n, "pad": "x" * 200}) for n in span]
        before = stage.server.counters()["published"]
        stage.server.publish_state(PUBLIC, changes)
        end_s = time.monotonic() + DEADLINE_S
        tick = threading.Event()
        while stage.server.counters()["published"] == before and time.monotonic() < end_s:
            tick.wait(0.001)
    stage.server.publish_state(PUBLIC, [("last", turn)])
    return turn


def test_a_restarted_server_is_found(stage: Stage) -> None:
    stage.server.publish_state(PUBLIC, [("old", 1)])
    with Client.connect(stage.profile) as client:
        assert soon(client, lambda: "old" in client.state)
        stage.server.close()
        with ExitStack() as stack:
            server = ControlServer(
                stage.profile, run="run2", mode="paper", version="0", users=stage.users
            )
            server.start()
            stack.callback(server.close)
            stack.enter_context(beating(server))
            server.publish_state(PUBLIC, [("new", 1)])
            assert soon(client, lambda: client.state.run == "run2" and "new" in client.state)
            assert "old" not in client.state
            assert soon(client, lambda: client.link is Link.LIVE)
            assert client.ping().done


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(20_000, 60_000, count):
        with ExitStack() as stack:
            for port in range(first, first + count):
                try:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                except OSError:
                    break
            else:
                return first
    raise AssertionError("there are no free ports")


def test_over_tcp_with_curve_keys() -> None:
    public, secret = create_curve_keys()
    with temporary_profile() as profile, ExitStack() as stack:
        users, _ = make_users(profile)
        token = users.add("remote", Role.TRADER, public)
        port = free_ports(3)
        server = ControlServer(
            profile,
            run="run1",
            mode="paper",
            version="0",
            users=users,
            tcp=TcpOptions(port=port),
        )
        server.start()
        stack.callback(server.close)
        stack.enter_context(beating(server))
        server.publish_state(PRIVATE, [("account", {"equity": "150"})])
        server_public = server_keys(profile)[0]
        target = Tcp("127.0.0.1", port, Curve(server_public, public, secret))
        with Client.connect(profile, token=token, tcp=target) as client:
            assert soon(client, lambda: "account" in client.state)
            assert client.ping().done
        other = Tcp("127.0.0.1", port, Curve(server_public, *create_curve_keys()))
        with pytest.raises(EngineUnreachable):
            Client.connect(profile, token=token, tcp=other, timeout_s=0.5)


def test_asyncio_against_the_real_server(stage: Stage) -> None:
    engine = stage.engine()

    async def script() -> None:
        async with await AsyncClient.connect(stage.profile) as client:
            stream = client.events("signal", timeout_s=DEADLINE_S)
            stage.server.publish_event(PUBLIC, "signal", {"n": 1})
            assert (await anext(stream)).value == {"n": 1}
            replies = await asyncio.gather(*(client.pause(reason=str(n)) for n in range(5)))
            assert all(reply.done for reply in replies)

    asyncio.run(script())
    assert len(engine.executed) == 5
