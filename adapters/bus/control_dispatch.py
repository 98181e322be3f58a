"""Decides about every request: refuse it, answer it here, or hand it to the trading thread."""

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.bus.control_audit import AuditQueue
from adapters.bus.control_mirror import Mirror
from adapters.bus.control_replies import Kept, Replies
from adapters.bus.control_requests import (
    SECRET_COMMANDS,
    Code,
    Refusal,
    answered,
    body_hash,
    decode_body,
    decode_request,
    refused,
)
from adapters.bus.control_sessions import (
    Bucket,
    ControlLimits,
    Failures,
    Peer,
    Session,
    Sessions,
)
from mmats.model.messages import (
    PUBLIC,
    Answer,
    Command,
    CommandSpec,
    Hello,
    Message,
    Outcome,
    Reauthenticate,
    Reply,
    Request,
)
from mmats.ports.clock import IClock

STOPS = frozenset({"halt", "flatten", "pause"})
"""Commands that lower risk at once: they have a rate and a room in the queue of their own."""

_S = 1_000_000_000
_HELLOS_PER_S = 50  # of a link
_VERIFYING_MAX = 2  # passphrases at a time: each takes 16 MiB
_TOKEN = re.compile(r"mm_[A-Za-z0-9_-]{8,}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a client learns about the engine when it says hello."""

    run: str
    profile: str
    mode: str
    version: str


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways out of the dispatcher."""

    send: Callable[[Peer, bytes], None]  # a reply; must not block
    wake: Callable[[], None]  # a command waits
    verify: Callable[[str, Callable[[bool], None]], None]  # a passphrase, elsewhere


class Dispatcher:
    """All rules of the control plane, without sockets; for the control thread.

    The trading thread calls `take_commands` and `answer`, which only append to and take from
    queues, and has to see to it that `settle` is then called on the control thread.
    """

    def __init__(
        self,
        facts: Facts,
        sessions: Sessions,
        replies: Replies,
        mirror: Mirror,
        audit: AuditQueue,
        limits: ControlLimits,
        clock: IClock,
        ways: Ways,
    ) -> None:
        self._facts = facts
        self._sessions = sessions
        self._replies = replies
        self._mirror = mirror
        self._audit = audit
        self._limits = limits
        self._clock = clock
        self._ways = ways
        self._queue: deque[tuple[Command, int]] = deque()
        self._answers: deque[tuple[Command, Answer | None]] = deque()
        self._hellos: dict[str, Bucket] = {}
        self._wrong_passphrases: dict[str, Failures] = {}
        self._verifying = 0
        self.counts: Counter[str] = Counter()

    # -- the trading thread ------------------------------------------------------------------------

    @property
    def commands_queued(self) -> int:
        """Commands that wait for the trading thread."""
        return len(self._queue)

    def take_commands(self, commands_max: int) -> list[Command]:
        """Take commands in order of arrival; those that came too late are not among them."""
        taken: list[Command] = []
        while self._queue and len(taken) < commands_max:
            command, deadline_ns = self._queue.popleft()
            if deadline_ns < self._clock.now_ns():
                self._answers.append((command, None))
            else:
                taken.append(command)
        return taken

    def answer(self, command: Command, answer: Answer) -> None:
        """Queue the answer to a command."""
        self._answers.append((command, answer))

    @property
    def has_answers(self) -> bool:
        """Whether `settle` has something to do."""
        return bool(self._answers)

    # -- the control thread ------------------------------------------------------------------------

    def handle(self, peer: Peer, payload: bytes, curve_key: str = "") -> None:
        """Deal with one message of a client; `curve_key` is what ZAP knows it by."""
        self.counts["requests"] += 1
        request: Request | None = None
        session: Session | None = None
        try:
            request, spec = decode_request(payload)
            if request.command == "hello":
                self._hello(peer, request, curve_key)
                return
            session = self._sessions.find(request.session, peer, curve_key)
            self._check_rate(session, request.command)
            if spec.role is None or session.user.role < spec.role:
                role = session.user.role.name.lower()
                raise Refusal(Code.ROLE, f"{request.command} is not for a {role}")
            body = decode_body(request)
            if spec.in_engine:
                self._command(session, request, spec, body)
            else:
                self._check_deadline(request)
                self._local(session, request, body)
        except Refusal as refusal:
            self._refuse(peer, refusal, request, session)

    def settle(self) -> None:
        """Reply to commands that the trading thread has answered."""
        while self._answers:
            command, answer = self._answers.popleft()
            if answer is None:
                text = "the deadline passed before the engine could see to it; not executed"
                self._note_refusal(Code.EXPIRED, text, command.id, command.command, command)
                reply = refused(command.id, Code.EXPIRED, text)
                peers = self._replies.drop(command.id)
            else:
                reply = self._encoded(command, answer)
                peers = self._replies.settle(command.id, reply)
            for peer in peers:
                self._ways.send(peer, reply)

    def tick(self) -> None:
        """Tell clients who waited for too long; forget what is over. Some ten times a second."""
        now_ns = self._clock.monotonic_ns()
        for request_id, peer in self._replies.overdue(now_ns):
            self.counts["unanswered"] += 1
            text = "no answer of the engine in time; ask again with the same id"
            reply = Reply(id=request_id, outcome=Outcome.UNKNOWN, code="TIMEOUT", text=text)
            self._ways.send(peer, msgspec.json.encode(reply))
            self._audit.note("control.unanswered", {"id": request_id})
        self._replies.expire(now_ns)
        self._sessions.expire()

    def drop(self, peer: Peer, reason: str) -> None:
        """Count and note a message that can't be replied to."""
        self.counts["dropped"] += 1
        self._audit.refuse("control.dropped", {"link": peer.link, "reason": _clean(reason)})

    # -- commands ----------------------------------------------------------------------------------

    def _hello(self, peer: Peer, request: Request, curve_key: str) -> None:
        now_ns = self._clock.monotonic_ns()
        rate = self._hellos.setdefault(peer.link, Bucket(_HELLOS_PER_S, now_ns))
        if not rate.take(now_ns):
            raise Refusal(Code.RATE, "too many say hello at a time; try again")
        body = decode_body(request)
        assert isinstance(body, Hello)  # noqa: S101 - the table of commands says so
        self._check_deadline(request)
        session = self._sessions.open(peer, curve_key, body.token, body.client, request.id)
        self.counts["hellos"] += 1
        facts = {"principal": session.user.name, "role": session.user.role.name.lower()}
        where = {"link": peer.link, "client": _clean(body.client)}
        self._audit.note("control.session", facts | where)
        engine = self._mirror.channels[PUBLIC].state.get("engine")
        mode = engine.get("mode") if isinstance(engine, dict) else None
        self._done(
            peer,
            request,
            {
                "session": session.id,
                "role": facts["role"],
                "principal": session.user.name,
                "run": self._facts.run,
                "profile": self._facts.profile,
                "mode": mode or self._facts.mode,
                "version": self._facts.version,
            },
        )

    def _local(self, session: Session, request: Request, body: Message) -> None:
        if request.command == "ping":
            now_ns = self._clock.now_ns()
            self._done(session.peer, request, {"run": self._facts.run, "ts_ns": now_ns})
        elif request.command == "snapshot":
            if not session.snapshots.take(self._clock.monotonic_ns()):
                raise Refusal(Code.RATE, f"{self._limits.snapshots_per_s} snapshots a second")
            snapshot = self._mirror.snapshot(session.user.role)
            self._done(session.peer, request, msgspec.structs.asdict(snapshot))
        elif isinstance(body, Reauthenticate):
            self._reauthenticate(session, request, body.passphrase)
        else:
            raise Refusal(Code.BAD_MESSAGE, f"{request.command} is not served")

    def _reauthenticate(self, session: Session, request: Request, passphrase: str) -> None:
        name = session.user.name
        wrong = self._wrong_passphrases.setdefault(name, Failures(self._limits.failures_max, 60))
        locked_s = wrong.locked_s(self._clock.monotonic_ns())
        if locked_s:
            raise Refusal(Code.LOCKED, f"too many wrong passphrases; try again in {locked_s} s")
        if self._verifying >= _VERIFYING_MAX:
            raise Refusal(Code.BUSY, "other passphrases are being checked; try again")
        self._verifying += 1

        def verified(is_right: bool) -> None:
            self._verifying -= 1
            now_ns = self._clock.monotonic_ns()
            if not is_right:
                wrong.add(now_ns)
                refusal = Refusal(Code.PASSPHRASE, "it is not the passphrase")
                self._refuse(session.peer, refusal, request, session)
                return
            session.raise_until_ns = now_ns + self._limits.raise_s * _S
            self._audit.note("control.reauthenticated", {"principal": name})
            self._done(session.peer, request, {"seconds": self._limits.raise_s})

        self._ways.verify(passphrase, verified)

    def _command(
        self, session: Session, request: Request, spec: CommandSpec, body: Message
    ) -> None:
        now_ns = self._clock.monotonic_ns()
        hashed = body_hash(session.user.name, request.command, body)
        kept = self._replies.find(request.id, hashed)
        if kept is not None:
            self.counts["duplicates"] += 1
            if kept.reply is not None:
                self._ways.send(session.peer, kept.reply)
                return
            self._wait(kept, session.peer, request)
            return
        self._check_deadline(request)
        if spec.raises_risk:
            _check_raise(session, body, now_ns)
        is_stop = request.command in STOPS
        room = self._limits.commands_queued_max + is_stop * self._limits.stops_queued_max
        if len(self._queue) >= room:
            raise Refusal(Code.BUSY, "the engine has too many commands; not executed")
        kept = self._replies.add(request.id, hashed, now_ns, must=is_stop)
        self._wait(kept, session.peer, request)
        command = Command(
            id=request.id,
            session=session.id,
            principal=session.user.name,
            role=session.user.role,
            may_raise=session.may_raise(now_ns),
            command=request.command,
            body=body,
        )
        self._note_command(command, session)
        self._queue.append((command, request.deadline_ns))
        self.counts["commands"] += 1
        self._ways.wake()

    def _wait(self, kept: Kept, peer: Peer, request: Request) -> None:
        left_ns = max(0, min(request.deadline_ns - self._clock.now_ns(), self._ahead_ns))
        grace_ns = int(self._limits.answer_grace_s * _S)
        self._replies.wait(kept, peer, self._clock.monotonic_ns() + left_ns + grace_ns)

    # -- checks ------------------------------------------------------------------------------------

    @property
    def _ahead_ns(self) -> int:
        return self._limits.deadline_s_max * _S

    def _check_rate(self, session: Session, command: str) -> None:
        bucket = session.stops if command in STOPS else session.commands
        if not bucket.take(self._clock.monotonic_ns()):
            raise Refusal(Code.RATE, f"{self._limits.commands_per_s} commands a second")

    def _check_deadline(self, request: Request) -> None:
        left_ns = request.deadline_ns - self._clock.now_ns()
        if left_ns <= 0:
            raise Refusal(Code.EXPIRED, "the deadline is over; not executed")
        if left_ns > self._ahead_ns:
            text = f"the deadline is more than {self._limits.deadline_s_max} s ahead; not executed"
            raise Refusal(Code.DEADLINE, text)

    # -- replies and notes -------------------------------------------------------------------------

    def _done(self, peer: Peer, request: Request, body: dict[str, Any]) -> None:
        reply = Reply(id=request.id, outcome=Outcome.DONE, body=body)
        self._ways.send(peer, msgspec.json.encode(reply))

    def _encoded(self, command: Command, answer: Answer) -> bytes:
        try:
            return answered(command.id, answer)
        except (TypeError, ValueError, RecursionError):
            self.counts["unfit_answers"] += 1
            plain = msgspec.structs.replace(
                answer, body={}, text=f"{answer.text} (the rest of the answer is not JSON)".strip()
            )
            return answered(command.id, plain)

    def _refuse(
        self, peer: Peer, refusal: Refusal, request: Request | None, session: Session | None
    ) -> None:
        request_id = request.id if request is not None else refusal.id
        if not request_id:
            self.drop(peer, refusal.text)
            return
        command = request.command if request is not None else ""
        is_secret = command in SECRET_COMMANDS and refusal.code is Code.BAD_MESSAGE
        text = "" if is_secret else refusal.text
        self._note_refusal(refusal.code, text, request_id, command, session, peer.link)
        self._ways.send(peer, refused(request_id, refusal.code, refusal.text))

    def _note_refusal(
        self,
        code: Code,
        text: str,
        request_id: str,
        command: str,
        who: Session | Command | None,
        link: str = "",
    ) -> None:
        self.counts["refused"] += 1
        principal = who.principal if isinstance(who, Command) else who.user.name if who else ""
        facts = {
            "id": _clean(request_id),
            "principal": principal,
            "command": _clean(command),
            "code": str(code),
            "text": _clean(text),
            "link": link,
        }
        self._audit.refuse("control.refused", facts)

    def _note_command(self, command: Command, session: Session) -> None:
        body = msgspec.json.decode(_clean(msgspec.json.encode(command.body).decode()))
        facts = {
            "id": _clean(command.id),
            "principal": command.principal,
            "role": command.role.name.lower(),
            "command": command.command,
            "body": body,
            "link": session.peer.link,
            "client": _clean(session.client),
        }
        self._audit.note("control.command", facts)


def _check_raise(session: Session, body: Message, now_ns: int) -> None:
    if not session.may_raise(now_ns):
        raise Refusal(Code.REAUTHENTICATE, "raises risk: show the admin passphrase first")
    if not str(getattr(body, "reason", "")).strip():
        raise Refusal(Code.REAUTHENTICATE, "raises risk: say why")


def _clean(text: str) -> str:
    """Take out what looks like a token: people paste them into the wrong fields."""
    return _TOKEN.sub("mm_***", text)
