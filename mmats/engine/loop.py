"""The trading thread: takes inputs, lets the session decide, and lets go of what is durable.

Nothing leaves and nothing is told before the journal has it. The thread never waits for the disk:
while one group is being committed the next one gathers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from mmats._core import (
    RECORD_DTYPE,
    REQUEST_DTYPE,
    ExecutionPort,
    FeedFault,
    FeedProblem,
    OrderState,
    RequestKind,
    TradingState,
    open_orders,
)
from mmats.engine.commands import CommandDesk
from mmats.engine.feeds_seen import FeedsSeen
from mmats.engine.kill import KillSwitch
from mmats.engine.logs import get_logger
from mmats.engine.merging import cut
from mmats.engine.publisher import Publisher
from mmats.engine.session import EngineFault, Input, Session
from mmats.engine.teller import Teller
from mmats.model.messages import Answer, Command, Outcome
from mmats.ports.bus import FeedFrame, IControlServer, IEngineBus, Ready
from mmats.ports.clock import IEngineClock
from mmats.ports.journal import Group, IJournalWriter, Note

FRAMES_A_TURN = 64
FRAMES_AT_ONCE = 8
EVENTS_AT_ONCE = 1024
RECORDS_GATHERED = 8_192
"""So many records in the ring are taken out of it, to go with the next group."""
RECORDS_WAITING_MAX = 16_384
"""With more the journal is behind: market data wait in their pipe."""
REPORTS_A_TURN = 64
COMMANDS_A_TURN = 32
TELL_MS = 1
"""What is durable is told so much later, unless an input comes before: orders leave first."""
TIMER_NS = 100_000_000
IMAGE_NS = 5_000_000_000
"""Events alone move peaks and day ends: at least this often the state is committed again."""
STOP_NS_MAX = 3_000_000_000
"""So long a clean stop waits for the venue to confirm cancels."""
VENUE_SILENT_NS = 1_000_000_000
FAILURE_CHARS_MAX = 4_000
RECONCILE_NS = 30_000_000_000
"""So often the venue is asked about every open order."""


NO_RECORDS: NDArray[np.void] = np.empty(0, RECORD_DTYPE)
NO_REQUESTS: NDArray[np.void] = np.empty(0, REQUEST_DTYPE)


class Recorder(Protocol):
    """Keeps inputs for a replay."""

    def append(self, kind: int, ts_ns: int, payload: bytes | memoryview = b"") -> None:
        """Write one input down before it is acted on."""


@dataclass(slots=True)
class InFlight:
    """A group on its way to the disk, and what waits for it."""

    number: int = 0
    records: NDArray[np.void] = field(default_factory=lambda: NO_RECORDS)
    requests: int = 0  # of the execution port, that may leave once it is durable
    decided_ns: int = 0  # monotonic, when the first event that led to them was taken
    notes: tuple[Note, ...] = ()
    answers: list[tuple[Command, Answer]] = field(default_factory=list)


class TradingLoop:
    """Single writer of one session; `run` returns when the engine is asked to stop."""

    def __init__(
        self,
        session: Session,
        bus: IEngineBus,
        control: IControlServer,
        writer: IJournalWriter,
        clock: IEngineClock,
        *,
        recorder: Recorder | None,
        stop_asked: Callable[[], str],
        kill: KillSwitch,
        publisher: Publisher,
        feeds: FeedsSeen,
    ) -> None:
        """Nothing runs before `run`; `stop_asked` returns a reason or nothing."""
        self.session = session
        self.fault = ""
        self.turns = 0
        self._bus, self._control, self._writer, self._clock = bus, control, writer, clock
        self._recorder = recorder
        self._stop_asked, self._kill = stop_asked, kill
        self._publisher, self._feeds = publisher, feeds
        self._teller = Teller(session, control)
        self._desk = CommandDesk(session)
        self._log = get_logger("trading")
        self._notes: list[Note] = []
        self._answers: list[tuple[Command, Answer]] = []
        self._in_flight: InFlight | None = None
        self._group_number = 0
        self._gathered: list[NDArray[np.void]] = []
        self._gathered_count = 0
        self._requests_sent = 0  # messages
        self._unsent: NDArray[np.void] | None = None
        self._failures = 0  # of strategies, that have been written down
        self._is_dirty = True
        self._turn_ns = self._decided_ns = 0
        self._timer_due_ns = self._image_due_ns = 0
        self._stopping = ""
        self._stop_due_ns = 0
        self._has_ended = False
        self._last_image = b""
        self._venue_gaps = self._venue_session = self._bad_frames = 0
        self._greeted_ns = 0
        self._reconcile_due_ns = time.monotonic_ns() + RECONCILE_NS
        writer.on_done(bus.wake)
        control.on_command(bus.wake)

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> str:
        """Trade until asked to stop; returns why it stopped."""
        try:
            return self._run()
        finally:
            self._teller.finish()

    def _run(self) -> str:
        while True:
            self.turn()
            if not self._stopping or not self._is_settled():
                continue
            if self._has_ended or self._writer.failure is not None:
                return self._stopping
            if time.monotonic_ns() >= self._stop_due_ns or not self._cancels_wait():
                self._has_ended = True
                self._is_dirty = True  # the last state has everything that was recorded
                self.note("run.ended", reason=self._stopping, fault=self.fault)

    def turn(self) -> None:
        """Wait for something, and deal with all that has come."""
        self.turns += 1
        ready = self._bus.wait(self._timeout_ms())
        now_ns = time.monotonic_ns()
        self._turn_ns = now_ns
        try:
            if not self._has_ended:
                self._take_inputs(ready)
        except EngineFault as error:
            self._end_trading(str(error))
        requests = self._requests_sent
        self._settle(now_ns)
        # After a send another thread needs the processor: it puts the orders on the wire.
        if requests == self._requests_sent or self.turns % 8 == 0:
            if self._teller.turn():
                self._publisher.changed()
            self._publisher.publish(now_ns)
        self._publisher.turn_ended(now_ns)

    def _take_inputs(self, ready: Ready) -> None:
        """Deal with what has come; not after the end of the run, which the last state is of."""
        is_timer_due = self._turn_ns >= self._timer_due_ns
        if is_timer_due or ready & Ready.WAKE:
            self._obey_kill_switch()
        if ready & Ready.VENUE:
            self._take_reports()
        self._take_commands()
        if ready & Ready.FEED:
            self._take_frames()
        if is_timer_due:
            self._timer_due_ns = self._turn_ns + TIMER_NS
            self._on_timer()
        self._note_failures()

    def _timeout_ms(self) -> int:
        if self._unsent is not None or (self._writer.is_idle and self._pending()):
            return 0
        if not self._teller.is_done:
            return TELL_MS
        due_ns = self._timer_due_ns - time.monotonic_ns()
        return max(0, min(100, due_ns // 1_000_000 + 1))

    def begin(self, **facts: object) -> None:
        """Write the start of the run into the journal, before what recovery has recorded."""
        self._notes.insert(0, Note("run.started", time.time_ns(), facts))

    def note(self, kind: str, **data: object) -> None:
        """Write a fact into the journal with the next group."""
        self._notes.append(Note(kind, time.time_ns(), data, self._records_waiting))

    # -- inputs ----------------------------------------------------------------------------------

    def _record(self, kind: Input, ts_ns: int, payload: bytes | memoryview = b"") -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.append(kind, ts_ns, payload)
        except OSError as error:
            raise EngineFault(f"the recording can't be written: {error}") from error

    def _take_reports(self) -> None:
        now_ns = self._clock.now_ns()
        for rows in self._bus.reports(REPORTS_A_TURN):
            if self.fault:
                continue
            self._gather()
            self._record(Input.REPORTS, now_ns, rows.view("u1").data)
            foreign = self.session.foreign_reports
            self.session.reports(rows, now_ns)
            if self.session.foreign_reports != foreign:
                count = self.session.foreign_reports - foreign
                self.note("incident", what="reports that are malformed or not ours", count=count)
            self._is_dirty = True
        state = self._bus.venue_state()
        gaps, session = int(state.get("gaps", 0)), int(state.get("session", 0))
        known, self._venue_session = self._venue_session, session
        if gaps != self._venue_gaps:
            self._venue_gaps = gaps
            self.note("venue", problem="messages of the venue were lost", gaps=gaps)
            self._ask_venue(Input.RESYNC, now_ns)
        elif known not in (0, session):
            self.note("venue", problem="the venue was started anew")
            self._ask_venue(Input.RESYNC, now_ns)

    def _greet_venue(self) -> None:
        """A venue that is silent may be a new one, which does not know us yet."""
        heard_ns = int(self._bus.venue_state().get("last_recv_monotonic_ns", 0))
        if self._turn_ns - max(heard_ns, self._greeted_ns) > VENUE_SILENT_NS:
            self._greeted_ns = self._turn_ns
            self._bus.send_requests(NO_REQUESTS)

    def _ask_venue(self, kind: Input, now_ns: int) -> None:
        """Have the venue tell again what it knows of every open order."""
        self._reconcile_due_ns = time.monotonic_ns() + RECONCILE_NS
        if not self.fault:
            self._record(kind, now_ns)
            ask = self.session.resync if kind is Input.RESYNC else self.session.reconcile
            if ask(now_ns):
                self._is_dirty = True

    def _take_frames(self) -> None:
        for _ in range(FRAMES_A_TURN // FRAMES_AT_ONCE):
            if self._records_waiting > RECORDS_WAITING_MAX:
                return
            frames = self._bus.feed_frames(FRAMES_AT_ONCE)
            for frame in frames:
                self._take_frame(frame)
            self._take_commands()  # a flood of market data holds no command up
            if len(frames) < FRAMES_AT_ONCE:
                return

    def _take_frame(self, frame: FeedFrame) -> None:
        problem = self._feeds.take(frame, self._turn_ns, time.time_ns())
        if problem:
            self._break(frame.feed, problem)
        start = 0
        while start < len(frame.events) and not self.fault:
            end = cut(frame.events, start, EVENTS_AT_ONCE)
            self._gather()
            self._play(frame.events[start:end])
            start = end

    def _break(self, feed: int, problem: str) -> None:
        """Nobody knows what a feed would have said: write it down, and begin its books anew."""
        self.note("feed", feed=feed, problem=problem)
        if not self.fault:
            self._record(Input.BREAK, self.session.pipeline.now_ns)
            self.session.feed_broken()

    def _play(self, rows: NDArray[np.void]) -> None:
        self._record(Input.EVENTS, 0, rows.view("u1").data)
        before = self.session.journal.record_count
        self.session.events(rows)
        if self.session.journal.record_count != before:
            self._decided_ns = self._decided_ns or self._turn_ns
            self._publisher.decided(self._turn_ns)
        self._clock.follow(self.session.pipeline.now_ns)
        self._note_problems()

    def _note_failures(self) -> None:
        """Write down why strategies were disabled; what they raised is nowhere else."""
        errors = self.session.pipeline.errors
        for name, _, where, text in errors[self._failures :]:
            told = text[-FAILURE_CHARS_MAX:]
            self.note("strategy", strategy=name, what="disabled", where=where, error=told)
            self._log.error("strategy disabled", strategy=name, where=where, error=told)
        self._failures = len(errors)

    def _note_problems(self) -> None:
        """Write down the first refused event of each kind and how many there were, not all."""
        instruments = self.session.catalogue.instruments
        found: dict[tuple[int, int], list[FeedFault]] = {}
        for fault in self.session.intake.take_problems():
            found.setdefault((fault.instrument, fault.problem), []).append(fault)
        for (instrument, _), faults in found.items():
            first = faults[0]
            self.note(
                "feed",
                symbol=instruments[instrument].id if instrument >= 0 else "?",
                problem=FeedProblem(first.problem).name.removeprefix("FEED_"),
                count=len(faults),
                event_ns=first.ts_event_ns,
                observed=first.observed,
                limit=first.limit,
            )

    def _obey_kill_switch(self) -> None:
        kill = self._kill.tripped()
        if not kill or self.fault:
            return
        if self.session.gate.limits("global")["trading_state"] != TradingState.TRADING_HALTED:
            self.note("halt", reason=kill, principal="kill switch")
            self._command("halt", {"scope": "all", "reason": kill}, may_raise=False)

    def _on_timer(self) -> None:
        jump_ns = self._clock.take_jump_ns()
        if jump_ns:
            self.note("clock", jump_ns=jump_ns)
            self._command(
                "pause", {"scope": "all", "reason": f"the clock jumped by {jump_ns} ns"}, False
            )
        for feed in self._feeds.lost(self._turn_ns):
            self._break(feed, "lost: it is silent")
        bad_frames = self._bus.counters()["bad_frames"]
        if bad_frames != self._bad_frames:
            self.note("feed", problem="frames that are none", count=bad_frames - self._bad_frames)
            self._bad_frames = bad_frames
        for what, facts in self._control.take_audit():
            if what != "control.command":  # noted with its outcome when it is carried out
                self.note(what, **facts)
        stop = self._stop_asked()
        if stop and not self._stopping:
            self.stop(stop)
        if not self.fault:
            now_ns = self._clock.now_ns()
            self._record(Input.TIMER, now_ns)
            self.session.timer(now_ns)
            if self.session.port is not None:
                self._greet_venue()
                if self._turn_ns >= self._reconcile_due_ns:
                    self._ask_venue(Input.RECONCILE, now_ns)

    # -- commands --------------------------------------------------------------------------------

    def _take_commands(self) -> None:
        for command in self._control.take_commands(COMMANDS_A_TURN):
            body = msgspec.to_builtins(command.body)
            if self.fault and command.command != "down":
                answer = Answer(outcome=Outcome.REFUSED, code="FAULT", text=self.fault)
            elif command.command == "down":
                answer = self.stop(f"down: {body['reason'] or command.principal}", body["cancel"])
            else:
                answer = self._command(command.command, body, command.may_raise)
            record = self._control.record(command, answer)
            self.note("command", body=body, **record)
            self._answers.append((command, answer))
            self._is_dirty = True

    def _command(self, name: str, body: dict[str, Any], may_raise: bool) -> Answer:
        now_ns = max(self._clock.now_ns(), self.session.pipeline.now_ns)
        payload = orjson.dumps({"command": name, "body": body, "may_raise": may_raise})
        self._record(Input.COMMAND, now_ns, payload)
        self._is_dirty = True
        try:
            answer = self._desk.execute_plain(name, body, may_raise, now_ns)
        except EngineFault as error:
            self._end_trading(str(error))
            return Answer(outcome=Outcome.UNKNOWN, code="FAULT", text=self.fault)
        if name == "resume" and body["scope"] == "all" and answer.outcome is Outcome.DONE:
            return self._unlatch(answer)
        return answer

    def _unlatch(self, resumed: Answer) -> Answer:
        """Trading goes on, so the kill file goes; while it can't, it halts again at once."""
        try:
            self._kill.release()
        except OSError as error:
            self._obey_kill_switch()
            text = f"the kill file can't be removed: {error.strerror}"
            return Answer(outcome=Outcome.REFUSED, code="KILL_FILE", text=text)
        return resumed

    def stop(self, reason: str, cancel: str = "configured") -> Answer:
        """Begin a clean stop: cancel what the policy says, then wait for the journal."""
        answer = Answer(outcome=Outcome.DONE)
        if not self.fault:
            answer = self._command("down", {"cancel": cancel, "reason": reason}, may_raise=False)
        self._stopping = reason
        self._stop_due_ns = time.monotonic_ns() + STOP_NS_MAX
        self.note("stopping", reason=reason, **answer.body)
        self._is_dirty = True
        return answer

    def _cancels_wait(self) -> bool:
        """Whether the venue has yet to confirm a cancel; a simulated one ends with this process."""
        if self.session.port is None or self.fault:
            return False
        states = open_orders(self.session.pipeline.orders)["state"]
        return bool((states == OrderState.STATE_PENDING_CANCEL).any())

    def _end_trading(self, reason: str) -> None:
        """The session can't be trusted, or the journal is gone: nothing is decided any more.

        The process ends, so that the watchdog sees it, and its successor begins halted.
        """
        if self.fault:
            return
        self.fault = reason
        self.note("incident", what="fault", reason=reason)
        self._publisher.arm = reason
        self._stopping = self._stopping or reason
        self._stop_due_ns = time.monotonic_ns() + STOP_NS_MAX
        try:
            self._kill.trip(f"fault: {reason}")
        except OSError as error:
            self._log.error("the kill file can't be written", error=str(error))

    # -- durability ------------------------------------------------------------------------------

    @property
    def _records_waiting(self) -> int:
        return self._gathered_count + self.session.journal.waiting_count

    def _gather(self, least: int = RECORDS_GATHERED) -> None:
        """Make room in the ring of records."""
        if self.session.journal.waiting_count >= least:
            records = self.session.journal.take()
            self._gathered.append(records)
            self._gathered_count += len(records)

    def _pending(self) -> bool:
        return bool(self._is_dirty or self._notes or self._answers or self._records_waiting)

    def _is_settled(self) -> bool:
        if self._writer.failure is not None:
            return True
        is_sent = self._unsent is None or time.monotonic_ns() >= self._stop_due_ns
        return self._in_flight is None and not self._pending() and is_sent

    def _settle(self, now_ns: int) -> None:
        """Let go of what has become durable, and hand over the next group."""
        self._land()
        if self._unsent is not None:
            self._send(self._unsent)
        if self._writer.failure is not None:
            self._on_journal_failure()
            return
        if now_ns >= self._image_due_ns:
            self._image_due_ns = now_ns + IMAGE_NS
            self._is_dirty = True
        if self._writer.is_idle and self._in_flight is None and self._pending():
            self._commit()
            self._land()  # a writer may be done before it returns

    def _land(self) -> None:
        """Send the requests of the group that has become durable, and have the rest told."""
        flight = self._in_flight
        if flight is None or self._writer.committed < flight.number:
            return
        self._in_flight = None
        self._release(flight)
        self._publisher.committed(self._writer.commit_ns_last)
        self._teller.add(flight.records, flight.notes, flight.answers)

    def _commit(self) -> None:
        session = self.session
        self._group_number += 1
        self._gather(1)
        records = np.concatenate([NO_RECORDS, *self._gathered])
        flight = InFlight(
            self._group_number,
            records,
            session.port.request_count if session.port is not None and not self.fault else 0,
            self._decided_ns,
            tuple(self._notes),
            self._answers,
        )
        self._decided_ns = 0
        image = session.image() if self._is_dirty or len(records) else b""
        if image == self._last_image:
            image = b""
        self._last_image = image or self._last_image
        self._notes, self._answers, self._is_dirty = [], [], False
        self._gathered, self._gathered_count = [], 0
        self._in_flight = flight
        self._writer.submit(
            Group(
                flight.number,
                time.time_ns(),
                records.tobytes(),
                flight.notes,
                b"" if self.fault else image,
            )
        )

    def _release(self, flight: InFlight) -> None:
        port = self.session.port
        if port is None or flight.requests <= port.taken_count:
            return
        requests = port.take_requests(flight.requests - port.taken_count)
        self._send(requests if self._unsent is None else np.concatenate([self._unsent, requests]))
        self._publisher.sent(flight.decided_ns)

    def _send(self, requests: NDArray[np.void]) -> None:
        self._unsent = None if self._bus.send_requests(requests) else requests
        self._requests_sent += self._unsent is None

    def _on_journal_failure(self) -> None:
        """Nothing can be made durable: cancel what works at the venue, decide nothing, stop."""
        reason = f"the journal can't be written: {self._writer.failure}"
        if not self.fault:
            self._end_trading(reason)
            if self.session.port is not None:
                self.session.controls.cancel_all(self.session.pipeline.now_ns)
                self._send_cancels(self.session.port)
        lost = self._in_flight.answers if self._in_flight is not None else []
        for command, _ in [*lost, *self._answers]:
            self._control.answer(command, Answer(outcome=Outcome.UNKNOWN, text=reason))
        self._in_flight = None
        self._answers = []
        self._notes = []
        self._stopping = self._stopping or reason

    def _send_cancels(self, port: ExecutionPort) -> None:
        """Cancels lower risk: they may leave without a record; nothing else may."""
        waiting = port.take_requests(port.waiting)
        cancels = waiting[waiting["kind"] == RequestKind.REQUEST_CANCEL]
        if len(cancels):
            self._send(cancels)
