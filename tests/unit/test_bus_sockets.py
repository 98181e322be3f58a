"""The socket factory: what it refuses, what it sets, and who holds a path."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from adapters.bus.sockets import (
    BoundSocket,
    BusError,
    CurveClient,
    CurveServer,
    SocketOptions,
    open_bound,
    open_connected,
)
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile

WAIT_MS = 5_000


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile() as made:
        yield made


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_a_message_comes_through(context: zmq.Context[zmq.Socket[bytes]], profile: Profile) -> None:
    bound = open_bound(context, zmq.PULL, profile.endpoint("feed"))
    push = open_connected(context, zmq.PUSH, profile.endpoint("feed"))
    assert push.poll(WAIT_MS, zmq.POLLOUT)
    push.send(b"tick")
    assert bound.socket.poll(WAIT_MS)
    assert bound.socket.recv() == b"tick"
    push.close()
    bound.close()


def test_the_file_is_for_its_owner_alone(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    bound = open_bound(context, zmq.PULL, profile.endpoint("feed"))
    path = profile.socket("feed")
    modes = [stat.S_IMODE(os.stat(name).st_mode) for name in (path, f"{path}.lock")]
    assert modes == [0o600, 0o600]
    bound.close()
    assert not path.exists()


@pytest.mark.parametrize("kind", [zmq.ROUTER, zmq.DEALER, zmq.PUB, zmq.PUSH, zmq.PULL, zmq.XPUB])
def test_options_are_set(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile, kind: int
) -> None:
    options = SocketOptions(send_queue_max=7, receive_queue_max=8, message_bytes_max=900)
    bound = open_bound(context, kind, profile.endpoint("feed"), options)
    found = bound.socket
    wanted = {
        zmq.LINGER: 0,
        zmq.SNDHWM: 7,
        zmq.RCVHWM: 8,
        zmq.MAXMSGSIZE: 900,
        zmq.SNDTIMEO: 0,
        zmq.HANDSHAKE_IVL: 2000,
        zmq.HEARTBEAT_IVL: 0,
        zmq.IPV6: 0,
        zmq.IMMEDIATE: 0,
    }
    assert {option: found.getsockopt(option) for option in wanted} == wanted
    bound.close()


def test_a_second_holder_is_refused_and_the_first_is_named(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    bound = open_bound(context, zmq.PULL, profile.endpoint("feed"))
    with pytest.raises(BusError, match=f"process {os.getpid()} holds it"):
        open_bound(context, zmq.PULL, profile.endpoint("feed"))
    push = open_connected(context, zmq.PUSH, profile.endpoint("feed"))
    assert push.poll(WAIT_MS, zmq.POLLOUT)  # the first one still serves
    push.close()
    bound.close()
    open_bound(context, zmq.PULL, profile.endpoint("feed")).close()


def test_a_killed_holder_leaves_no_lock(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    script = (
        "import sys, zmq; from adapters.bus.sockets import open_bound;"
        "b = open_bound(zmq.Context(), zmq.PULL, sys.argv[1]); print(b.endpoint, flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, profile.endpoint("feed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip().decode() == profile.endpoint("feed")
        with pytest.raises(BusError, match=f"process {child.pid} holds it"):
            open_bound(context, zmq.PULL, profile.endpoint("feed"))
        child.kill()
        child.wait()
    assert profile.socket("feed").exists()
    open_bound(context, zmq.PULL, profile.endpoint("feed")).close()


def test_a_file_in_the_way_is_kept(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    profile.socket("feed").write_text("mine")
    with pytest.raises(BusError, match="in the way"):
        open_bound(context, zmq.PULL, profile.endpoint("feed"))
    assert profile.socket("feed").read_text() == "mine"


def test_a_folder_that_others_reach_is_refused(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    profile.run_dir.chmod(0o750)
    for attempt in (open_bound, open_connected):
        with pytest.raises(BusError, match="other users"):
            attempt(context, zmq.PULL, profile.endpoint("feed"))


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("tcp://127.0.0.1:0", "CURVE"),
        ("tcp://127.0.0.1:5555", "CURVE"),
        ("ipc://@mmats", "abstract"),
        ("ipc://feed.sock", "relative"),
        ("ipc://*", "relative"),
        ("ipc:///nowhere-at-all/feed.sock", "no folder"),
        ("ipc:///tmp/" + "x" * 110, "107 bytes"),
        ("pgm://eth0;239.1.1.1:5555", "not used"),
        ("feed", "no endpoint"),
    ],
)
def test_unsafe_endpoints_are_refused(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, why: str
) -> None:
    for attempt in (open_bound, open_connected):
        with pytest.raises(BusError, match=why):
            attempt(context, zmq.DEALER, endpoint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"send_queue_max": 0},
        {"receive_queue_max": 0},
        {"message_bytes_max": -1},
        {"linger_ms": -1},
    ],
)
def test_limits_are_needed(wrong: dict[str, int]) -> None:
    with pytest.raises(BusError):
        SocketOptions(**wrong)  # type: ignore[arg-type]


def _curve_pair(
    context: zmq.Context[zmq.Socket[bytes]],
) -> tuple[BoundSocket[zmq.Socket[bytes]], zmq.Socket[bytes]]:
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    server = CurveServer(server_secret, "control")
    assert server_secret.decode() not in repr(server)
    bound = open_bound(context, zmq.PULL, "tcp://127.0.0.1:*", curve=server)
    client = CurveClient(server_public, public, secret)
    return bound, open_connected(
        context, zmq.PUSH, bound.endpoint, SocketOptions(immediate=True), client
    )


def test_tcp_without_a_zap_handler_admits_nobody(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    bound, client = _curve_pair(context)
    monitor = bound.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    assert monitor.poll(WAIT_MS)  # an attempt was made, and failed
    assert not client.poll(0, zmq.POLLOUT)
    bound.socket.disable_monitor()
    monitor.close()
    client.close()
    bound.close()


def test_tcp_with_a_zap_handler_admits_whom_it_allows(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    handler = open_bound(context, zmq.REP, "inproc://zeromq.zap.01")
    asked: list[list[bytes]] = []

    def serve() -> None:
        if handler.socket.poll(WAIT_MS):
            request = handler.socket.recv_multipart()
            asked.append(request)
            handler.socket.send_multipart([*request[:2], b"200", b"OK", b"someone", b""])

    thread = threading.Thread(target=serve)
    thread.start()
    bound, client = _curve_pair(context)
    assert client.poll(WAIT_MS, zmq.POLLOUT)
    thread.join()
    assert asked[0][2] == b"control"
    client.close()
    bound.close()
    handler.close()


def test_no_listener_is_left_when_binding_fails(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    with pytest.raises(BusError, match="can't be bound"):
        open_bound(context, zmq.REP, "tcp://999.1.1.1:1", curve=CurveServer(b"x" * 40, "d"))


def test_closing_does_not_take_the_file_of_a_successor(
    context: zmq.Context[zmq.Socket[bytes]], profile: Profile
) -> None:
    path: Path = profile.socket("feed")
    for _ in range(50):
        open_bound(context, zmq.PULL, profile.endpoint("feed")).close()
        successor = open_bound(context, zmq.PULL, profile.endpoint("feed"))
        push = open_connected(context, zmq.PUSH, profile.endpoint("feed"))
        assert push.poll(WAIT_MS, zmq.POLLOUT)
        push.close()
        assert path.exists()
        successor.close()
