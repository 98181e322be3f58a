"""Clients of other machines: who comes in with which key, and that nobody does without one."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq

from adapters.bus.control import ControlServer, TcpOptions
from adapters.bus.control_links import server_keys
from adapters.bus.sockets import BusError
from adapters.bus.users import create_curve_keys
from mmats.model.messages import PRIVATE, PUBLIC, Outcome, Role
from mmats.model.profile import Profile
from tests.fakes.control import (
    RawClient,
    Stage,
    Subscriber,
    control_stage,
    make_users,
    until,
)
from tests.fakes.profiles import temporary_profile

SILENCE_MS = 300  # of a handshake that leads to nothing


@dataclass
class Remote:
    """A user of another machine."""

    token: str
    public: str
    secret: str
    server_key: str

    def curve(self) -> dict[str, bytes]:
        return {
            "CURVE_SERVERKEY": self.server_key.encode(),
            "CURVE_PUBLICKEY": self.public.encode(),
            "CURVE_SECRETKEY": self.secret.encode(),
        }


@pytest.fixture
def stage() -> Iterator[Stage]:
    with control_stage(tcp=TcpOptions()) as made:
        yield made
        assert made.server.counters()["errors"] == 0


def remote(stage: Stage, role: Role, name: str = "") -> Remote:
    public, secret = create_curve_keys()
    token = stage.users.add(name or f"remote-{role.name.lower()}", role, public)
    return Remote(token, public, secret, server_keys(stage.profile)[0])


def client_of(stage: Stage, who: Remote) -> RawClient:
    made = RawClient(stage.server.endpoints["tcp.control"], **who.curve())
    stage.clients.append(made)
    return made


def subscriber_of(stage: Stage, channel: str, who: Remote) -> Subscriber:
    made = Subscriber(stage.server.endpoints[f"tcp.{channel}"], **who.curve())
    stage.clients.append(made)
    return made


def is_silent(client: RawClient) -> bool:
    """Whether a hello stays without any reply."""
    client.send(client.payload("hello", {"token": "mm_any"}))
    return not client.socket.poll(SILENCE_MS)


def hears(stage: Stage, subscriber: Subscriber, wait_ms: int = 5_000) -> bool:
    """Whether a heartbeat arrives that was set from now on."""
    stage.server.set_heartbeat({"state": "test"})
    return bool(subscriber.socket.poll(wait_ms))


def test_a_user_with_key_and_token_comes_in(stage: Stage) -> None:
    who = remote(stage, Role.TRADER)
    client = client_of(stage, who)
    assert client.hello(who.token).body["role"] == "trader"
    assert client.ask("snapshot").outcome is Outcome.DONE
    assert hears(stage, subscriber_of(stage, PUBLIC, who))
    assert hears(stage, subscriber_of(stage, PRIVATE, who))


def test_the_private_channel_is_not_for_viewers(stage: Stage) -> None:
    who = remote(stage, Role.VIEWER)
    assert hears(stage, subscriber_of(stage, PUBLIC, who))
    assert not hears(stage, subscriber_of(stage, PRIVATE, who), SILENCE_MS)
    assert stage.server.counters()["keys_refused"] > 0


def test_a_token_counts_with_its_own_key_only(stage: Stage) -> None:
    viewer = remote(stage, Role.VIEWER)
    admin = remote(stage, Role.ADMIN)
    client = client_of(stage, viewer)
    assert client.hello(admin.token).code == "TOKEN"
    assert client.hello(stage.tokens[Role.ADMIN]).code == "TOKEN"  # has no key: for ipc alone
    assert client.hello(viewer.token).outcome is Outcome.DONE
    thief = client_of(stage, viewer)
    owner = client_of(stage, admin)
    owner.hello(admin.token)
    thief.session = owner.session
    assert thief.ask("ping").code == "SESSION"


@pytest.mark.parametrize("how", ["unknown key", "wrong server key", "no key", "wrong secret"])
def test_nobody_else_comes_in(stage: Stage, how: str) -> None:
    who = remote(stage, Role.ADMIN)
    curve = who.curve()
    if how == "unknown key":
        public, secret = create_curve_keys()
        curve |= {"CURVE_PUBLICKEY": public.encode(), "CURVE_SECRETKEY": secret.encode()}
    elif how == "wrong server key":
        curve["CURVE_SERVERKEY"] = create_curve_keys()[0].encode()
    elif how == "wrong secret":
        curve["CURVE_SECRETKEY"] = create_curve_keys()[1].encode()
    else:
        curve = {}
    client = RawClient(stage.server.endpoints["tcp.control"], **curve)
    subscriber = Subscriber(stage.server.endpoints["tcp.public"], **curve)
    stage.clients += [client, subscriber]
    assert is_silent(client)
    assert not hears(stage, subscriber, SILENCE_MS)
    assert stage.server.counters()["hellos"] == 0


def test_a_revoked_user_is_cut_off(stage: Stage) -> None:
    revoked, other = remote(stage, Role.TRADER, "ann"), remote(stage, Role.TRADER, "bob")
    client = client_of(stage, revoked)
    client.hello(revoked.token)
    listening = subscriber_of(stage, PRIVATE, revoked)
    staying = subscriber_of(stage, PRIVATE, other)
    assert hears(stage, listening)
    assert hears(stage, staying)
    stage.users.revoke("ann")
    assert client.ask("ping").code == "SESSION"
    links = stage.server._links
    assert links is not None
    until(lambda: links.opened_again == 1, "the private channel's new socket")
    for subscriber in (listening, staying):
        while subscriber.socket.poll(0):
            subscriber.receive()
    assert hears(stage, staying)
    assert not hears(stage, listening, SILENCE_MS)
    assert is_silent(client_of(stage, revoked))


def test_the_death_of_the_authentication_admits_nobody(stage: Stage) -> None:
    who = remote(stage, Role.ADMIN)
    before = client_of(stage, who)
    assert before.hello(who.token).outcome is Outcome.DONE
    links = stage.server._links
    assert links is not None
    stage.server._call(links.close_zap)
    until(lambda: links.zap is None)
    assert is_silent(client_of(stage, who))
    assert not hears(stage, subscriber_of(stage, PUBLIC, who), SILENCE_MS)
    assert before.ask("ping").outcome is Outcome.DONE


def test_garbage_on_the_ports_disturbs_nobody(stage: Stage) -> None:
    who = remote(stage, Role.VIEWER)
    client = client_of(stage, who)
    client.hello(who.token)
    for name in ("tcp.control", "tcp.public", "tcp.private"):
        host, port = stage.server.endpoints[name].removeprefix("tcp://").split(":")
        for size in (0, 1, 10, 64, 10_000):
            with socket.create_connection((host, int(port))) as raw:
                raw.sendall(os.urandom(size))
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.ask("ping").outcome is Outcome.DONE


def test_ports_follow_each_other() -> None:
    options = TcpOptions("127.0.0.1", 7_000)
    assert [options.endpoint(name) for name in ("control", PUBLIC, PRIVATE)] == [
        "tcp://127.0.0.1:7000",
        "tcp://127.0.0.1:7001",
        "tcp://127.0.0.1:7002",
    ]


def test_a_port_in_use_is_told_and_nothing_stays_bound(stage: Stage) -> None:
    port = int(stage.server.endpoints["tcp.control"].rpartition(":")[2])
    with temporary_profile() as profile:
        users, _ = make_users(profile)
        tcp = TcpOptions("127.0.0.1", port)
        server = ControlServer(profile, run="r", mode="paper", version="0", users=users, tcp=tcp)
        with pytest.raises(BusError, match="can't be bound"):
            server.start()
        assert not list(profile.run_dir.glob("*.sock"))


def test_the_servers_secret_key_is_private_and_stays(stage: Stage) -> None:
    public, secret = server_keys(stage.profile)
    assert server_keys(Profile(stage.profile.name, stage.profile.root)) == (public, secret)
    file = stage.profile.keys_dir / "control.secret"
    assert file.stat().st_mode & 0o077 == 0
    assert zmq.curve_public(secret.encode()) == public.encode()
    file.chmod(0o644)
    with pytest.raises(BusError, match="other users can read it"):
        server_keys(stage.profile)


def listening_ports() -> set[str]:
    """Local addresses of this process's listening tcp sockets, as the kernel writes them."""
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            mine.add(entry.readlink().name)
        except FileNotFoundError:  # the folder's own descriptor
            continue
    found = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                found.add(fields[1])
    return found


def test_nothing_listens_on_tcp_unless_asked_for() -> None:
    before = listening_ports()
    with control_stage():
        assert listening_ports() == before
    with control_stage(tcp=TcpOptions()):
        opened = listening_ports() - before
        assert len(opened) == 3
        assert all(address.startswith("0100007F:") for address in opened)
