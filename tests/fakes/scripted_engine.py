"""An engine that only speaks the protocol: real sockets, a script instead of trading.

It keeps what the engine promises to clients: one execution of an id, replies kept, numbered
messages, heartbeats with the last number, snapshots. Tests tell it to lose, mute or refuse.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import zmq

from mmats.model.messages import (
    CHANNELS,
    COMMANDS,
    PRIVATE,
    PUBLIC,
    Answer,
    Hello,
    Outcome,
    Published,
    Reply,
    Request,
    Role,
    Snapshot,
)
from mmats.model.profile import Profile

HEARTBEAT_S = 0.25
T = TypeVar("T")


class ScriptedEngine:
    """Runs on a thread of its own; public methods may be called from any thread.

    Attributes
    ----------
    executed : list of (command, body)
        Commands in the order of their execution.
    answers : dict of str to callable or Answer
        What is said to a command; DONE where nothing is scripted.
    silent : set of str
        Commands that are executed and not replied to.
    """

    def __init__(self, profile: Profile, run: str = "run-1") -> None:
        self.profile = profile
        self.run = run
        self.executed: list[tuple[str, dict[str, Any]]] = []
        self.arrived: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.silent: set[str] = set()
        self.beating = True
        self.head: list[Any] = [1, "aa"]
        self.state: dict[str, dict[str, Any]] = {name: {} for name in CHANNELS}
        self.events: dict[str, dict[str, list[Any]]] = {name: {} for name in CHANNELS}
        self.seqs = dict.fromkeys(CHANNELS, 0)
        self.tokens = {f"mm_{role.name.lower()}": role for role in Role}
        self._replies: dict[str, tuple[bytes, bytes]] = {}
        self._sessions: dict[str, Role] = {}
        self._work: deque[Callable[[], None]] = deque()
        self._ended = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        profile.create()
        for token, role in self.tokens.items():
            path = profile.keys_dir / f"{role.name.lower()}.token"
            path.write_text(f"{token}\n")
        self._router = self._bound(zmq.ROUTER, "control")
        self._pubs = {name: self._bound(zmq.PUB, name) for name in CHANNELS}
        self._thread = threading.Thread(target=self._serve, name="scripted-engine")
        self._thread.start()

    def __enter__(self) -> "ScriptedEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop without a word, as a killed engine does."""
        self._ended.set()
        self._thread.join()

    def set(self, key: str, value: Any, channel: str = PUBLIC, *, lost: bool = False) -> None:
        """Publish a key; `lost` messages count and never arrive."""
        self._do(lambda: self._set(key, value, channel, lost))

    def set_many(self, count: int, channel: str = PUBLIC, *, lost: bool = False) -> None:
        """Publish so many keys."""

        def publish() -> None:
            for index in range(count):
                self._set(f"market:S{index}", {"last": str(index)}, channel, lost)

        self._do(publish)

    def tell(self, kind: str, value: Any, channel: str = PUBLIC, *, lost: bool = False) -> None:
        """Publish an event."""

        def publish() -> None:
            self.events[channel].setdefault(kind, []).append(value)
            self._publish(channel, "event", kind, value, lost)

        self._do(publish)

    def forget_sessions(self) -> None:
        """Answer SESSION until a client says hello again."""
        self._do(self._sessions.clear)

    def merged(self) -> dict[str, Any]:
        """The whole state."""
        return self._do(lambda: {**self.state[PUBLIC], **self.state[PRIVATE]})

    def send_raw(self, channel: str, message: bytes) -> None:
        """Publish any bytes."""
        self._do(lambda: self._pubs[channel].send(message))

    # -- the thread --------------------------------------------------------------------------------

    def _do(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - told to who asked
                done.set_exception(error)

        self._work.append(run)
        return done.result(5)

    def _bound(self, kind: int, name: str) -> "zmq.Socket[bytes]":
        made = self._context.socket(kind)
        made.linger = 0
        made.bind(self.profile.endpoint(name))
        return made

    def _serve(self) -> None:
        beat_at = 0.0
        while not self._ended.is_set():
            self._router.poll(2)
            with suppress(zmq.Again):
                while True:
                    peer, payload = self._router.recv_multipart(zmq.NOBLOCK)
                    self._on_request(peer, payload)
            while self._work:
                self._work.popleft()()
            if self.beating and time.monotonic() >= beat_at:
                beat_at = time.monotonic() + HEARTBEAT_S
                for channel in CHANNELS:
                    value = {"head": self.head, "uptime_s": 1, "state": "running"}
                    self._publish(channel, "heartbeat", "", value, False)
        for link in (self._router, *self._pubs.values()):
            link.close()
        self._context.term()
        for name in ("control", *CHANNELS):
            self.profile.socket(name).unlink(missing_ok=True)

    def _set(self, key: str, value: Any, channel: str, lost: bool) -> None:
        if value is None:
            self.state[channel].pop(key, None)
        else:
            self.state[channel][key] = value
        self._publish(channel, "state", key, value, lost)

    def _publish(self, channel: str, kind: Any, key: str, value: Any, lost: bool) -> None:
        if kind != "heartbeat":
            self.seqs[channel] += 1
        message = Published(
            run=self.run,
            channel=channel,  # type: ignore[arg-type]
            seq=self.seqs[channel],
            ts_ns=time.time_ns(),
            kind=kind,
            key=key,
            value=value,
        )
        if not lost:
            self._pubs[channel].send(msgspec.json.encode(message))

    def _on_request(self, peer: bytes, payload: bytes) -> None:
        request = msgspec.json.decode(payload, type=Request)
        self.arrived.append(request.command)
        body = bytes(request.body)
        kept = self._replies.get(request.id)
        if kept is not None and kept[0] != body:
            answer = Answer(outcome=Outcome.REFUSED, code="ID_REUSED")
        elif kept is not None:
            self._reply(peer, request, kept[1])
            return
        elif request.command != "hello" and request.session not in self._sessions:
            answer = Answer(outcome=Outcome.REFUSED, code="SESSION")
            self._router.send_multipart([peer, self._encoded(request, answer)])
            return
        elif request.deadline_ns < time.time_ns():
            answer = Answer(outcome=Outcome.REFUSED, code="EXPIRED")
        else:
            answer = self._execute(request, body)
        encoded = self._encoded(request, answer)
        if request.command not in ("hello", "snapshot"):
            self._replies[request.id] = (body, encoded)
        self._reply(peer, request, encoded)

    def _reply(self, peer: bytes, request: Request, encoded: bytes) -> None:
        if request.command not in self.silent:
            self._router.send_multipart([peer, encoded])

    def _encoded(self, request: Request, answer: Answer) -> bytes:
        return msgspec.json.encode(
            Reply(
                id=request.id,
                outcome=answer.outcome,
                code=answer.code,
                text=answer.text,
                body=answer.body,
            )
        )

    def _execute(self, request: Request, body: bytes) -> Answer:
        spec = COMMANDS[request.command]
        checked = msgspec.json.decode(body, type=spec.body)
        if isinstance(checked, Hello):
            return self._hello(checked)
        role = self._sessions[request.session]
        if spec.role is not None and role < spec.role:
            return Answer(outcome=Outcome.REFUSED, code="ROLE", text="not for this role")
        if request.command == "snapshot":
            return Answer(outcome=Outcome.DONE, body=self._snapshot(role))
        if request.command not in ("ping", "reauthenticate"):
            self.executed.append((request.command, msgspec.to_builtins(checked)))
        return self.answers.get(request.command, Answer(outcome=Outcome.DONE))

    def _hello(self, hello: Hello) -> Answer:
        role = self.tokens.get(hello.token)
        if role is None:
            return Answer(outcome=Outcome.REFUSED, code="TOKEN", text="nobody has this token")
        session = f"session-{len(self._sessions) + 1}-{self.run}"
        self._sessions[session] = role
        body = {
            "session": session,
            "role": role.name.lower(),
            "run": self.run,
            "profile": self.profile.name,
            "mode": "paper",
            "version": "0",
        }
        return Answer(outcome=Outcome.DONE, body=body)

    def _snapshot(self, role: Role) -> dict[str, Any]:
        seen = CHANNELS if role >= Role.TRADER else (PUBLIC,)
        snapshot = Snapshot(
            run=self.run,
            seqs={name: self.seqs[name] for name in seen},
            state={key: value for name in seen for key, value in self.state[name].items()},
            events={k: list(v) for name in seen for k, v in self.events[name].items()},
        )
        body: dict[str, Any] = msgspec.to_builtins(snapshot)
        return body
