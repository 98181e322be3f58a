"""The sockets of a client, on a thread of their own: both clients look at what it keeps."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mmats.client.anchors import Anchors
from mmats.client.endpoints import Curve
from mmats.client.errors import ClientClosed, NotAdmitted
from mmats.client.exchange import Call, Exchange
from mmats.client.link import Link, LinkWatch
from mmats.client.mirror import Event, Mirror
from mmats.client.replies import Asked, CommandReply
from mmats.client.wire import Wire
from mmats.model.messages import (
    CHANNELS,
    PUBLIC,
    Hello,
    Message,
    Outcome,
    Published,
    Reply,
    Request,
    Role,
    Snapshot,
)

TICK_S = 0.05  # between looks at deadlines and the link
INTERNAL_S = 1.0  # hello and snapshot are asked anew after this
FIRST_BEAT_S = 1.0  # connecting waits so long for the first heartbeat
AGAIN_S_MIN, AGAIN_S_MAX = 0.01, 1.0  # back-off of hello and snapshot
WARNINGS_MAX = 100
REPLY_GRACE_S = 0.5  # after a command's deadline: a late "not executed" says more than nothing
SESSION_UNKNOWN = "SESSION"  # code of a refusal: say hello again
PASSING = frozenset({"RATE", "EXPIRED"})  # refusals of a hello that is soon asked again


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to connect to, and as whom."""

    endpoints: dict[str, str]
    token: str = field(repr=False)
    name: str
    curve: Curve | None
    stop_hint: str


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the reply to hello; what a newer engine adds is passed over."""

    session: str
    role: Any
    run: str
    profile: str = ""
    mode: str = ""
    version: str = ""


class Connection:
    """Speaks with one engine until it is closed; finds it again when it was started anew.

    Attributes
    ----------
    ready : Future
        Done when the session is open and the state is there; NotAdmitted where it is refused.
    mirror : Mirror
    warnings : deque of str
    engine_state : str
        What the last heartbeat said: armed, a fault, or ended.
    """

    def __init__(self, target: Target, anchors: Anchors) -> None:
        self.ready: Future[None] = Future()
        self.mirror = Mirror()
        self.welcome: Welcome | None = None
        self.role = Role.VIEWER
        self.warnings: deque[str] = deque(maxlen=WARNINGS_MAX)
        self.engine_state = ""
        self._target = target
        self._anchors = anchors
        self._watch = LinkWatch()
        self._exchange = Exchange(target.stop_hint)
        self._session = ""
        self._inbox: deque[Call] = deque()
        self._listeners: list[Callable[[Event | None], None]] = []
        self._observers: list[Callable[[], None]] = []
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._changed = False
        self._shown: tuple[Link, bool] | None = None
        self._first_beat_by_s = 0.0
        self._hello_at_s = 0.0
        self._snapshot_at_s = 0.0
        self._pause_s = AGAIN_S_MIN
        self._restarts = 0
        self._wire = Wire(target.endpoints, target.curve)
        self._thread = threading.Thread(target=self._run, name="mmats-client", daemon=True)

    # -- called from any thread --------------------------------------------------------------------

    @property
    def link(self) -> Link:
        """How old the last heartbeat is; lost where the connection has ended."""
        if not self._thread.is_alive():
            return Link.LOST
        return self._watch.state(time.monotonic())

    @property
    def link_age_s(self) -> float:
        """Seconds since the last heartbeat."""
        return self._watch.age_s(time.monotonic())

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def ask(self, asked: Asked, timeout_s: float) -> "Future[CommandReply]":
        """Send a command; the future has the reply, or what kept it from being sent."""
        call = Call(
            asked=asked,
            give_up_s=time.monotonic() + timeout_s + REPLY_GRACE_S,
        )
        with self._guard:
            if self._closing.is_set() or not self._thread.is_alive():
                call.future.set_exception(ClientClosed("the client is closed", asked.command))
                return call.future
            self._inbox.append(call)
        self._wire.wake()
        return call.future

    def listen(self, listener: Callable[[Event | None], None]) -> None:
        """Call `listener` on the connection's thread with each new event; None is the last."""
        with self._guard:
            if self._thread.is_alive():
                self._listeners.append(listener)
                return
        listener(None)

    def unlisten(self, listener: Callable[[Event | None], None]) -> None:
        """Stop calling it."""
        with self._guard, suppress(ValueError):
            self._listeners.remove(listener)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call `observer` on the connection's thread after each change of state or link."""
        with self._guard:
            self._observers.append(observer)

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Stop calling it."""
        with self._guard, suppress(ValueError):
            self._observers.remove(observer)

    def close(self) -> None:
        """End the thread and close the sockets; returns when that is done."""
        with self._guard:
            self._closing.set()
        self._wire.wake()
        if self._thread.ident is None:
            self._wire.close()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._wire.connect("control")
            while not self._closing.is_set():
                self._step()
        finally:
            self._end()

    def _step(self) -> None:
        self._wire.wait(self._idle_s())
        while self._inbox:
            self._exchange.add(self._inbox.popleft())
        for reply in self._wire.replies():
            self._on_reply(reply)
        for channel in CHANNELS:
            for message in self._wire.published(channel):
                self._on_published(message, channel)
        self._tend(time.monotonic())
        if self._changed:
            self._changed = False
            for observer in tuple(self._observers):
                observer()

    def _idle_s(self) -> float:
        """How long nothing need be done unless something arrives."""
        again_s = self._snapshot_at_s if self._session else self._hello_at_s
        left_s = again_s - time.monotonic()
        return left_s if 0 < left_s < TICK_S else TICK_S

    def _tend(self, now_s: float) -> None:
        """Do what the time asks for: give up, hello, snapshot, send."""
        self._exchange.expire(now_s)
        if not self._session:
            if now_s >= self._hello_at_s and not self._exchange.is_open("hello"):
                hello = Hello(token=self._target.token, client=self._target.name)
                self._ask_internal("hello", hello, self._on_hello)
        elif (
            self.mirror.needs_snapshot
            and now_s >= self._snapshot_at_s
            and not self._exchange.is_open("snapshot")
        ):
            self._ask_internal("snapshot", None, self._on_snapshot)
        for call in self._exchange.due(now_s, bool(self._session)):
            if not self._wire.send(self._encoded(call)):
                break
            self._exchange.sent(call, self.welcome.run if self.welcome else "", now_s)
        shown = (self.link, self.mirror.needs_snapshot)
        if shown != self._shown:
            self._shown, self._changed = shown, True
        if not self.ready.done() and self.mirror.run and self._first_beat_by_s:
            if shown[0] is Link.LIVE or now_s >= self._first_beat_by_s:
                self.ready.set_result(None)

    def _encoded(self, call: Call) -> bytes:
        return msgspec.json.encode(
            Request(
                v=1,
                id=call.asked.id,
                session="" if call.opens_session else self._session,
                deadline_ns=call.asked.deadline_ns,
                command=call.asked.command,
                body=msgspec.Raw(call.asked.body),
            )
        )

    def _ask_internal(
        self, command: str, body: Message | None, then: Callable[[CommandReply], None]
    ) -> None:
        encoded = b"{}" if body is None else msgspec.json.encode(body)
        deadline_ns = time.time_ns() + int(INTERNAL_S * 10**9)
        asked = Asked(id=new_id(), command=command, body=encoded, deadline_ns=deadline_ns)
        call = Call(asked=asked, give_up_s=time.monotonic() + INTERNAL_S)

        def finish(done: "Future[CommandReply]") -> None:
            if done.exception() is None:
                then(done.result())

        call.future.add_done_callback(finish)
        self._exchange.add(call)

    def _on_reply(self, reply: Reply) -> None:
        lost_session = reply.outcome is Outcome.REFUSED and reply.code == SESSION_UNKNOWN
        if lost_session and self._exchange.command_of(reply.id) not in ("", "hello"):
            self._session = ""
            self._exchange.again(reply.id)
            return
        self._exchange.take(reply)

    def _on_hello(self, reply: CommandReply) -> None:
        self._hello_at_s = time.monotonic() + self._back_off()
        if not reply.done:
            if reply.outcome is Outcome.REFUSED and reply.code not in PASSING:
                self._refused(reply)
            return
        try:
            welcome = msgspec.convert(reply.body, Welcome)
            self.role = _role(welcome.role)
        except (msgspec.ValidationError, KeyError, ValueError) as error:
            self._warn(f"the engine's welcome can't be read: {error}")
            return
        if self.welcome is not None and self.welcome.run != welcome.run:
            self._exchange.engine_restarted(welcome.run)
        self.welcome = welcome
        self._session = welcome.session
        for channel in CHANNELS[: 2 if self.role >= Role.TRADER else 1]:
            self._wire.connect(channel)
            self._watch.follow(channel)
        self._first_beat_by_s = self._first_beat_by_s or time.monotonic() + FIRST_BEAT_S
        self._changed = True

    def _refused(self, reply: CommandReply) -> None:
        text = f"the engine does not admit this client: {reply.text or reply.code}"
        if self.ready.done():
            self._warn(text)
        else:
            hint = "take the token of another role, or let an admin make a new one"
            self.ready.set_exception(NotAdmitted(text, reply.code, hint))

    def _on_snapshot(self, reply: CommandReply) -> None:
        self._snapshot_at_s = time.monotonic() + self._back_off()
        if not reply.done:
            return
        try:
            snapshot = msgspec.convert(reply.body, Snapshot)
        except msgspec.ValidationError as error:
            self._warn(f"a snapshot can't be read: {error}")
            return
        self._tell(self.mirror.take_snapshot(snapshot))
        if not self.mirror.needs_snapshot:
            self._pause_s = AGAIN_S_MIN

    def _on_published(self, message: Published | None, channel: str) -> None:
        if message is None:
            self._warn(f"a message on channel {channel} can't be read")
            return
        if message.channel != channel:
            self._warn(f"a message of channel {message.channel} came on channel {channel}")
            return
        if message.kind == "heartbeat":
            self._watch.beat(channel, time.monotonic())
            if channel == PUBLIC:
                self._see_head(message)
                self._see_state(message)
        if self.welcome is not None and message.run != self.welcome.run:
            self._session = ""  # the engine was started anew: it knows nothing of the session
        self._tell(self.mirror.take(message))

    def _see_head(self, message: Published) -> None:
        head = message.value.get("head") if isinstance(message.value, dict) else None
        self._warn(self._anchors.see(head, message.run, message.ts_ns, time.monotonic()))

    def _see_state(self, message: Published) -> None:
        said = message.value.get("state") if isinstance(message.value, dict) else None
        self.engine_state = said if isinstance(said, str) else ""

    def _tell(self, events: list[Event]) -> None:
        self._changed = True
        for event in events:
            for listener in tuple(self._listeners):
                listener(event)

    def _warn(self, text: str) -> None:
        if text and text not in self.warnings:
            self.warnings.append(text)

    def _back_off(self) -> float:
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, AGAIN_S_MAX)
        return pause_s

    def _end(self) -> None:
        with self._guard:
            self._closing.set()
        while self._inbox:
            self._exchange.add(self._inbox.popleft())
        self._exchange.close()
        if not self.ready.done():
            self.ready.set_exception(ClientClosed("the client was closed while connecting"))
        self._warn(self._anchors.flush())
        self._wire.close()
        with self._guard:
            listeners, self._listeners = self._listeners, []
            observers, self._observers = self._observers, []
        for listener in listeners:
            listener(None)
        for observer in observers:
            observer()


def new_id() -> str:
    """Return an id that no other command has."""
    return uuid.uuid4().hex


def _role(value: Any) -> Role:
    """Read a role by number or name."""
    return Role[value.upper()] if isinstance(value, str) else Role(value)
