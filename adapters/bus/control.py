"""The control server: a thread of its own between clients and the trading thread."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import uvloop

from adapters.bus.control_audit import AuditNote, AuditQueue
from adapters.bus.control_dispatch import Dispatcher, Facts, Ways
from adapters.bus.control_links import Links, TcpOptions
from adapters.bus.control_mirror import Mirror, PublicationQueue
from adapters.bus.control_replies import Replies
from adapters.bus.control_requests import answered, body_hash
from adapters.bus.control_sessions import ControlLimits, Peer, Sessions
from adapters.bus.users import UserStore
from mmats.model.errors import MmatsError
from mmats.model.messages import Answer, Command
from mmats.model.profile import Profile
from mmats.ports.clock import IClock

__all__ = ["ControlLimits", "ControlServer", "SystemClock", "TcpOptions"]

_S = 1_000_000_000
_HEARTBEAT_S = 0.25
_TICK_S = 0.1
_PUBLISH_S = 0.005  # changes of so long leave together: the trading thread has the interpreter
_START_S_MAX = 10.0
_FAREWELL_S = 0.05
_STOP_S_MAX = 10.0


class SystemClock:
    """The clocks of the machine."""

    def now_ns(self) -> int:
        """UTC, ns."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Since some start, ns."""
        return time.monotonic_ns()


class ILog(Protocol):
    """As much of a logger as is needed; both structlog's and the standard one's have it."""

    def error(self, event: str, /, *args: Any, **kwargs: Any) -> Any:
        """Log a message; `exc_info` is an exception."""


class ControlServer:
    """Serves clients of the engine; see `mmats.ports.bus.IControlServer`.

    Parameters
    ----------
    profile : Profile
        Sockets go to its run folder, which has to be there.
    run, mode, version : str
        Told to clients; the mode is that of the published key `engine` once there is one.
    users : UserStore
        Asked at every message.
    tcp : (host, port), optional
        Listen for clients of other machines, too, on three ports from `port` on (`TcpOptions`);
        with CURVE keys only.
    limits : ControlLimits, optional
    clock : IClock, optional
        Wall clock and monotonic clock, also where the engine's time is that of a replayed feed.
    log : logger, optional
        Gets errors of handlers, after which the server goes on.
    executed_ids : iterable of (id, hash, reply as JSON), optional
        Commands of earlier runs, from what `record` returned: they are not executed again.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        run: str,
        mode: str,
        version: str,
        users: UserStore,
        tcp: tuple[str, int] | None = None,
        limits: ControlLimits | None = None,
        clock: IClock | None = None,
        log: ILog | None = None,
        executed_ids: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        self._profile = profile
        self._users = users
        self._tcp = TcpOptions(*tcp) if tcp is not None else None
        self._limits = limits = limits or ControlLimits()
        self._clock = clock = clock or SystemClock()
        self._log: ILog = log or logging.getLogger("mmats.control")
        self._wake_engine: Callable[[], None] = lambda: None
        self._queue = PublicationQueue(limits.published_queued_max)
        self._audit = AuditQueue(limits.audit_queued_max, limits.refusals_audited_per_s, clock)
        self._mirror = Mirror(run, clock.now_ns, self._publish)
        self._sessions = Sessions(users, limits, clock)
        replies = Replies(
            limits.replies_kept_max,
            limits.replies_kept_s * _S,
            executed_ids,
            clock.monotonic_ns(),
        )
        self._replies = replies
        self._dispatcher = Dispatcher(
            Facts(run, profile.name, mode, version),
            self._sessions,
            replies,
            self._mirror,
            self._audit,
            limits,
            clock,
            Ways(self._send, self._command_waits, self._verify),
        )
        self._heartbeat: tuple[dict[str, Any], int] | None = None  # value, renewed at
        self._loop: Any = None
        self._links: Links | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._start_error: BaseException | None = None
        self._publish_due = False
        self._settle_due = False
        self._endpoints: dict[str, str] = {}
        self._errors = 0
        self._keys_refused = 0

    # -- the trading thread ------------------------------------------------------------------------

    def start(self) -> None:
        """Bind the sockets and serve; raises what keeps it from doing so, mostly BusError."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="mmats-passphrase")
        self._thread = threading.Thread(target=self._serve, name="mmats-control", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_S_MAX):
            raise MmatsError(f"the control server did not start within {_START_S_MAX} s")
        if self._start_error is not None:
            self._thread.join()
            self._executor.shutdown()
            self._thread = None
            raise self._start_error

    @property
    def endpoints(self) -> dict[str, str]:
        """Where clients connect to once it is started: `ipc.control`, `tcp.private`, ..."""
        return dict(self._endpoints)

    def take_commands(self, commands_max: int) -> list[Command]:
        """Take commands in order of arrival, but for those whose deadline is over."""
        taken = self._dispatcher.take_commands(commands_max)
        if self._dispatcher.has_answers:
            self._wake_settle()
        return taken

    def answer(self, command: Command, answer: Answer) -> None:
        """Reply to a command; of several answers the first counts."""
        self._dispatcher.answer(command, answer)
        self._wake_settle()

    @staticmethod
    def record(command: Command, answer: Answer) -> dict[str, Any]:
        """Return what the journal is to keep of a command.

        `id`, `hash` and `reply` of it are what `executed_ids` takes after a restart.
        """
        return {
            "id": command.id,
            "principal": command.principal,
            "role": command.role.name.lower(),
            "command": command.command,
            "outcome": str(answer.outcome),
            "code": answer.code,
            "hash": body_hash(command.principal, command.command, command.body),
            "reply": answered(command.id, answer).decode(),
        }

    def publish_state(self, channel: str, changes: Sequence[tuple[str, Any]]) -> None:
        """Set keys of the published state; values must not be changed afterwards."""
        self._queue.put_state(channel, changes)
        self._wake_publish()

    def publish_event(self, channel: str, kind: str, value: dict[str, Any]) -> None:
        """Publish an event; the value must not be changed afterwards."""
        self._queue.put_event(channel, kind, value)
        self._wake_publish()

    def set_heartbeat(self, value: dict[str, Any]) -> None:
        """Renew what heartbeats carry."""
        self._heartbeat = (value, self._clock.monotonic_ns())
        self._queue.flush()
        if self._queue:
            self._wake_publish()

    def on_command(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called, on the control thread, when a command waits."""
        self._wake_engine = wake

    def take_audit(self, notes_max: int = 256) -> list[AuditNote]:
        """Take what the audit record is to say, oldest first: (kind, facts)."""
        return self._audit.take(notes_max)

    def counters(self) -> dict[str, int]:
        """Counts since the start, and what is queued now."""
        links = self._links
        counts = self._dispatcher.counts
        names = ("requests", "commands", "refused", "dropped", "duplicates", "unanswered", "hellos")
        return {name: counts[name] for name in names} | {
            "sessions": len(self._sessions),
            "commands_queued": self._dispatcher.commands_queued,
            "commands_pending": self._replies.pending,
            "replies_kept": len(self._replies),
            "replies_dropped": links.replies_dropped if links is not None else 0,
            "published": self._mirror.published,
            "publications_queued": len(self._queue),
            "publications_unfit": self._mirror.unfit,
            "events_lost": self._queue.events_lost,
            "audit_queued": len(self._audit),
            "audit_lost": self._audit.lost,
            "keys_refused": self._keys_refused,
            "errors": self._errors,
        }

    def close(self) -> None:
        """Send what is on its way, stop the thread, remove the sockets; twice is fine."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._call(self._stop)
        thread.join(_STOP_S_MAX)
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        if thread.is_alive():
            raise MmatsError(f"the control server did not stop within {_STOP_S_MAX} s")

    # -- between the threads -----------------------------------------------------------------------

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        """Run on the control thread; after the end of the loop, not at all."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback, *args)

    def _wake_publish(self) -> None:
        if not self._publish_due and self._loop is not None:
            self._publish_due = True
            self._call(self._publish_soon)

    def _wake_settle(self) -> None:
        if not self._settle_due and self._loop is not None:
            self._settle_due = True
            self._call(self._settle)

    # -- the control thread ------------------------------------------------------------------------

    def _serve(self) -> None:
        loop = uvloop.new_event_loop()
        links: Links | None = None
        try:
            links = Links(self._profile, self._tcp, self._users, loop, self)
            links.open()
            self._endpoints = links.endpoints
        except BaseException as error:  # noqa: BLE001 - told by start()
            self._start_error = error
            loop.close()
            return
        finally:
            if self._start_error is None:
                self._links, self._loop = links, loop
            self._started.set()
        loop.set_exception_handler(self._loop_failed)
        self._every(_HEARTBEAT_S, self._beat)
        self._every(_TICK_S, self._tick)
        self._publish_now()
        self._settle()
        try:
            loop.run_forever()
        finally:
            links.close()
            loop.close()

    def _stop(self) -> None:
        self._publish_now()
        self._settle()
        self._beat()
        # A client may drop what it has not read yet when the connection goes: it gets a moment.
        self._loop.call_later(_FAREWELL_S, self._loop.stop)

    def _every(self, period_s: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._loop.call_later(period_s, run)
            self._guarded(work)

        self._loop.call_soon(run)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - logged and counted; the loop goes on
            self.on_error(getattr(work, "__name__", "timer"), error)

    def _beat(self) -> None:
        heartbeat = self._heartbeat
        if heartbeat is None:
            return
        value, renewed_ns = heartbeat
        if self._clock.monotonic_ns() - renewed_ns < self._limits.hang_s * _S:
            self._mirror.heartbeat(value)

    def _tick(self) -> None:
        assert self._links is not None  # noqa: S101 - set before the loop runs
        self._links.tick()
        self._dispatcher.tick()
        self._settle()

    def _publish_soon(self) -> None:
        self._loop.call_later(_PUBLISH_S, self._publish_now)

    def _publish_now(self) -> None:
        # Cleared first: what is queued from here on wakes us again.
        self._publish_due = False
        self._guarded(lambda: self._mirror.apply(self._queue.take()))

    def _settle(self) -> None:
        self._settle_due = False
        self._publish_now()  # a client that has its reply finds the state changed
        self._guarded(self._dispatcher.settle)

    def _publish(self, channel: str, message: bytes) -> None:
        if self._links is not None:
            self._links.publish(channel, message)

    def _send(self, peer: Peer, reply: bytes) -> None:
        if self._links is not None:
            self._links.send(peer, reply)

    def _command_waits(self) -> None:
        self._guarded(self._wake_engine)

    def _verify(self, passphrase: str, verified: Callable[[bool], None]) -> None:
        def tell(future: Future[bool]) -> None:
            is_right = not future.cancelled() and future.exception() is None and future.result()
            self._call(self._guarded, lambda: verified(is_right))

        assert self._executor is not None  # noqa: S101 - made by start()
        self._executor.submit(self._users.check_passphrase, passphrase).add_done_callback(tell)

    def _loop_failed(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.on_error("loop", error if isinstance(error, Exception) else RuntimeError(str(context)))

    # -- what the links say ------------------------------------------------------------------------

    def on_message(self, peer: Peer, payload: bytes, curve_key: str) -> None:
        """A client's message."""
        self._dispatcher.handle(peer, payload, curve_key)

    def on_bad_message(self, peer: Peer, reason: str) -> None:
        """A message of the wrong shape."""
        self._dispatcher.counts["requests"] += 1
        self._dispatcher.drop(peer, reason)

    def on_gone(self, peer: Peer) -> None:
        """A reply found its client gone."""
        self._sessions.close_peer(peer)

    def on_key_refused(self, domain: str, address: str) -> None:
        """A CURVE key may not come in."""
        self._keys_refused += 1
        self._audit.refuse("control.key_refused", {"domain": domain, "address": address})

    def on_error(self, where: str, error: Exception) -> None:
        """A handler raised: log it, count it, go on."""
        self._errors += 1
        with contextlib.suppress(Exception):
            self._log.error(f"control server: {where} failed", exc_info=error)
