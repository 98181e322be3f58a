"""Commands on their way: asked again until the reply or the deadline comes, under one id.

No sockets: the connection sends what is due and hands in replies. The engine executes an id once,
so that asking again never does anything twice.
"""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from mmats.client.errors import ClientClosed, ClientError, EngineUnreachable
from mmats.client.replies import Asked, CommandReply, reply_to, unknown
from mmats.model.messages import Reply

ASK_AGAIN_S = 0.5


@dataclass(slots=True, eq=False)
class Call:
    """One command that waits for its reply; times are of a monotonic clock."""

    asked: Asked
    give_up_s: float
    future: "Future[CommandReply]" = field(default_factory=Future)
    ask_at_s: float = 0.0
    sent_run: str | None = None  # run of the engine that it was first sent to

    @property
    def opens_session(self) -> bool:
        """Whether it may be sent without a session."""
        return self.asked.command == "hello"


class Exchange:
    """All calls that are open; used by one thread."""

    def __init__(self, stop_hint: str) -> None:
        self._calls: dict[str, Call] = {}
        self._stop_hint = stop_hint

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Open a call. One that is asked again while it is open waits for the same reply."""
        before = self._calls.get(call.asked.id)
        if before is None:
            self._calls[call.asked.id] = call
            return
        before.give_up_s = max(before.give_up_s, call.give_up_s)
        before.future.add_done_callback(lambda done: _copy(done, call.future))

    def is_open(self, command: str) -> bool:
        """Whether a command of that name waits for its reply."""
        return any(call.asked.command == command for call in self._calls.values())

    def due(self, now_s: float, has_session: bool) -> list[Call]:
        """Calls to send now."""
        return [
            call
            for call in self._calls.values()
            if call.ask_at_s <= now_s and (has_session or call.opens_session)
        ]

    def sent(self, call: Call, run: str, now_s: float) -> None:
        """Note that a call has left."""
        call.ask_at_s = now_s + ASK_AGAIN_S
        if call.sent_run is None:
            call.sent_run = run

    def again(self, message_id: str) -> None:
        """Send a call once more, as soon as there is a session."""
        if message_id in self._calls:
            self._calls[message_id].ask_at_s = 0.0

    def take(self, reply: Reply) -> None:
        """Close the call that a reply belongs to; one that nobody waits for is passed over."""
        call = self._calls.pop(reply.id, None)
        if call is not None:
            _finish(call, reply_to(call.asked, reply))

    def command_of(self, message_id: str) -> str:
        """Name of an open call's command; empty: there is none of that id."""
        call = self._calls.get(message_id)
        return call.asked.command if call else ""

    def expire(self, now_s: float) -> None:
        """Close calls whose time is over: unknown if they were sent, unreachable if not."""
        for call in self._leave(c for c in self._calls.values() if c.give_up_s <= now_s):
            self._give_up(call)

    def engine_restarted(self, run: str) -> None:
        """Close calls that another run of the engine was asked: it can't tell of them."""
        old = (c for c in self._calls.values() if c.sent_run not in (None, "", run))
        for call in self._leave(c for c in old if not c.opens_session):
            text = "the engine was restarted before it replied"
            _finish(call, unknown(call.asked, "RESTARTED", text))

    def close(self) -> None:
        """Close all calls."""
        for call in self._leave(self._calls.values()):
            error = ClientClosed("the client was closed before the reply", call.asked.command)
            _fail(call, error)

    def _leave(self, calls: Iterable[Call]) -> list[Call]:
        chosen = list(calls)
        for call in chosen:
            del self._calls[call.asked.id]
        return chosen

    def _give_up(self, call: Call) -> None:
        if call.sent_run is not None:
            reply = unknown(call.asked, "NO_REPLY", "no reply in time: it may have been executed")
            _finish(call, reply)
            return
        text = "the engine can't be reached; the command was not sent"
        error = EngineUnreachable(text, call.asked.command, self._stop_hint)
        _fail(call, error)


def _finish(call: Call, reply: CommandReply) -> None:
    if call.future.set_running_or_notify_cancel():
        call.future.set_result(reply)


def _fail(call: Call, error: ClientError) -> None:
    if call.future.set_running_or_notify_cancel():
        call.future.set_exception(error)


def _copy(done: "Future[CommandReply]", target: "Future[CommandReply]") -> None:
    if not target.set_running_or_notify_cancel():
        return
    error = done.exception()
    if error is not None:
        target.set_exception(error)
    else:
        target.set_result(done.result())
