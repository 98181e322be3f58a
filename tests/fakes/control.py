"""A control server with users, a raw client, and a trading thread, for tests over real sockets."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from adapters.bus.control import ControlServer
from adapters.bus.users import UserStore
from mmats.model.messages import Answer, Command, Outcome, Published, Reply, Role
from mmats.model.profile import Profile
from tests.fakes.profiles import temporary_profile

WAIT_S = 10.0
PASSPHRASE = " ".join(["a", "passphrase", "of", "some", "length"])

BODIES: dict[str, dict[str, Any]] = {
    "hello": {"token": "mm_of_nobody"},
    "ping": {},
    "snapshot": {},
    "reauthenticate": {"passphrase": PASSPHRASE},
    "pause": {"scope": "market:crypto"},
    "halt": {"reason": "test"},
    "flatten": {"scope": "strategy:trend", "dry_run": True},
    "cancel": {"order_id": 7},
    "order.submit": {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"},
    "strategy.enable": {"name": "trend"},
    "strategy.disable": {"name": "trend"},
    "mode": {"mode": "advisory"},
    "limit.set": {"limit": "daily_loss_max", "value": "2%"},
    "resume": {"reason": "all is well"},
    "strategy.reload": {"name": "trend"},
    "strategy.load": {"name": "trend", "source": "trend.py:Trend"},
    "down": {},
}
"""A body that each command takes."""


class FakeClock:
    """Both clocks stand still until `advance` moves them."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000
        self.monotonic = 5_000_000_000_000

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.monotonic

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)
        self.monotonic += int(seconds * 1e9)


def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait until a condition holds; an error after the deadline."""
    end = time.monotonic() + WAIT_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        tick.wait(0.002)


class RawClient:
    """A DEALER that speaks the protocol by hand."""

    def __init__(self, endpoint: str, clock: Any = None, **curve: bytes) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        for name, value in curve.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.connect(endpoint)
        self.session = ""
        self.count = 0
        self._now_ns = clock.now_ns if clock is not None else time.time_ns

    def payload(self, command: str, body: Any = None, /, **fields: Any) -> bytes:
        """A request; fields of it can be replaced."""
        self.count += 1
        request = {
            "v": 1,
            "id": f"c{id(self)}.{self.count}",
            "session": self.session,
            "deadline_ns": self._now_ns() + 30 * 10**9,
            "command": command,
            "body": {} if body is None else body,
        }
        return msgspec.json.encode(request | fields)

    def send(self, payload: bytes) -> None:
        self.socket.send(payload)

    def receive(self, wait_s: float = WAIT_S) -> Reply:
        """The next reply."""
        assert self.socket.poll(int(wait_s * 1_000)), "no reply in time"
        return msgspec.json.decode(self.socket.recv(), type=Reply)

    def ask(self, command: str, body: Any = None, /, **fields: Any) -> Reply:
        self.send(self.payload(command, body, **fields))
        return self.receive()

    def hello(self, token: str) -> Reply:
        reply = self.ask("hello", {"token": token, "client": "test"})
        if reply.outcome is Outcome.DONE:
            self.session = reply.body["session"]
        return reply

    def close(self) -> None:
        self.context.destroy(linger=0)


class Subscriber:
    """A SUB of one channel."""

    def __init__(self, endpoint: str, high_water_mark: int = 100_000, **curve: bytes) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, high_water_mark)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        for name, value in curve.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.connect(endpoint)

    def receive(self, wait_s: float = WAIT_S) -> Published:
        assert self.socket.poll(int(wait_s * 1_000)), "nothing was published in time"
        return msgspec.json.decode(self.socket.recv(), type=Published)

    def close(self) -> None:
        self.context.destroy(linger=0)


@dataclass
class Engine:
    """A trading thread that answers every command; `executed` has them in order."""

    server: ControlServer
    executed: list[Command] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.server.on_command(self._wake.set)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait(0.05)
            self._wake.clear()
            for command in self.server.take_commands(100):
                self.executed.append(command)
                body = {"count": len(self.executed)}
                self.server.answer(command, Answer(outcome=Outcome.DONE, body=body))

    def close(self) -> None:
        self._end.set()
        self._wake.set()
        self._thread.join(WAIT_S)


@dataclass
class Stage:
    """A started server and what belongs to it."""

    profile: Profile
    users: UserStore
    server: ControlServer
    tokens: dict[Role, str]
    clock: Any
    clients: list[Any] = field(default_factory=list)

    def client(self, role: Role | None = None, endpoint: str = "") -> RawClient:
        """A client, with a session if a role is given."""
        made = RawClient(endpoint or self.server.endpoints["ipc.control"], self.clock)
        self.clients.append(made)
        if role is not None:
            assert made.hello(self.tokens[role]).outcome is Outcome.DONE
        return made

    def subscriber(self, channel: str, **options: Any) -> Subscriber:
        made = Subscriber(self.server.endpoints[f"ipc.{channel}"], **options)
        self.clients.append(made)
        return made

    def engine(self) -> Engine:
        made = Engine(self.server)
        self.clients.append(made)
        return made


def make_users(profile: Profile) -> tuple[UserStore, dict[Role, str]]:
    """Users with the default names and a known passphrase; their tokens by role."""
    users = UserStore(profile)
    users.create_defaults()
    users.set_passphrase(PASSPHRASE)
    tokens = {
        role: (profile.keys_dir / f"{role.name.lower()}.token").read_text().strip() for role in Role
    }
    return users, tokens


@contextmanager
def control_stage(clock: Any = None, **options: Any) -> Iterator[Stage]:
    """A control server over real sockets."""
    with temporary_profile() as profile:
        users, tokens = make_users(profile)
        server = ControlServer(
            profile, run="run1", mode="paper", version="0", users=users, clock=clock, **options
        )
        server.start()
        stage = Stage(profile, users, server, tokens, clock)
        try:
            yield stage
        finally:
            for made in reversed(stage.clients):
                made.close()
            server.close()
