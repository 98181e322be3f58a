"""Starts the processes of a profile, starts again those that die, stops all in order."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mmats.engine.kill import write_kill_file
from mmats.engine.locks import FileLock
from mmats.engine.logs import get_logger
from mmats.model.errors import MmatsError
from mmats.model.profile import Profile
from mmats.supervisor.alarm import Alarm
from mmats.supervisor.children import (
    EXIT_BAD_INPUT,
    Backoff,
    Child,
    ChildSpec,
    Part,
    RestartPolicy,
)
from mmats.supervisor.pids import (
    ChildState,
    Status,
    children_state,
    pid_file,
    start_ticks,
    write_state,
)
from mmats.supervisor.signals import SignalWait

EXIT_DONE = 0
EXIT_FAILED = 1
_NAME = "supervisor"


@dataclass(frozen=True, slots=True)
class StopDeadlines:
    """How long processes may take to end before they are killed."""

    engine_s: float = 15.0  # it cancels its orders and closes the journal
    others_s: float = 5.0


class Supervisor:
    """Runs the children of one profile until told to stop, or until it makes no sense any more.

    Parameters
    ----------
    profile : its folders are made
    specs : what to start, in this order
    alarm : told when a child is given up, or must be killed
    tell : shows a line to the user
    seed : of the jitter of restarts
    """

    def __init__(
        self,
        profile: Profile,
        specs: Sequence[ChildSpec],
        *,
        alarm: Alarm,
        tell: Callable[[str], None],
        policy: RestartPolicy | None = None,
        deadlines: StopDeadlines | None = None,
        seed: int = 0,
    ) -> None:
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names) or _NAME in names:
            raise ValueError(f"names of processes must differ: {', '.join(names)}")
        source = random.Random(seed)
        self._profile = profile
        self._policy = policy or RestartPolicy()
        self._deadlines = deadlines or StopDeadlines()
        self._children = [Child(spec, profile, Backoff(self._policy, source)) for spec in specs]
        self._alarm = alarm
        self._tell = tell
        self._log = get_logger(_NAME)
        self._exit_code = EXIT_DONE
        self._stages: Iterator[list[Child]] | None = None  # None: not stopping
        self._stage: list[Child] = []
        self._stage_ends_s = 0.0

    def run(self, on_started: Callable[[], None] | None = None) -> int:
        """Start everything and stay until the end; return the exit code: 0, 1, or 2 (bad input).

        Must be called on the main thread; `on_started` is called once all children were started.

        Raises
        ------
        LockHeld
            Another supervisor runs this profile.
        MmatsError
            A process of an earlier supervisor still lives.
        """
        self._profile.create()
        with FileLock(self._profile.run_dir / "supervisor.lock", "a supervisor"):
            self._clean_up()
            with SignalWait() as signals:
                self._write_own_state("running")
                try:
                    self._loop(signals, on_started)
                finally:
                    for child in self._children:  # of a loop that failed
                        child.terminate()
                    self._write_own_state("ended")
        return self._exit_code

    def _loop(self, signals: SignalWait, on_started: Callable[[], None] | None) -> None:
        while True:
            now_s = time.monotonic()
            self._reap(now_s)
            if signals.stop and self._stages is None:
                self._log.info("stopping", signal=signal.Signals(signals.stop).name)
                self._stop()
            if self._stages is None:
                self._start_due(now_s)
                if on_started is not None:
                    on_started()
                    on_started = None
            elif self._advance_stop(now_s):
                return
            signals.wait(self._patience_s(time.monotonic()))

    def _start_due(self, now_s: float) -> None:
        for child in self._children:
            if child.start_at_s is not None and child.start_at_s <= now_s:
                try:
                    child.start(now_s)
                except OSError as error:
                    self._log.error("not started", child=child.spec.name, error=error)
                    self._on_end(child, EXIT_FAILED, now_s)
                    continue
                pid = child.process.pid if child.process else 0
                self._log.info("started", child=child.spec.name, pid=pid)

    def _patience_s(self, now_s: float) -> float | None:
        """Seconds until there is something to do without a signal; None: nothing."""
        if self._stages is not None:
            return max(0.0, self._stage_ends_s - now_s)
        due_s = [c.start_at_s for c in self._children if c.start_at_s is not None]
        return max(0.0, min(due_s) - now_s) if due_s else None

    def _reap(self, now_s: float) -> None:
        for child in self._children:
            code = child.poll()
            if code is not None:
                self._on_end(child, code, now_s)

    def _on_end(self, child: Child, code: int, now_s: float) -> None:
        name, part = child.spec.name, child.spec.part
        if self._stages is not None:
            child.ended(code, now_s, again=False)
            self._log.info("ended", child=name, exit_code=code)
        elif code == EXIT_BAD_INPUT:
            child.ended(code, now_s, again=False)
            self._log.error("refused", child=name, text=child.last_words())
            self._tell(child.last_words() or f"{name}: exit code {code}")
            self._stop(EXIT_BAD_INPUT)
        elif code == 0 and part in (Part.ENGINE, Part.FEED):
            child.ended(code, now_s, again=False)
            self._log.info("ended", child=name, exit_code=code)
            if part is Part.ENGINE:
                self._stop()
        else:
            delay_s = child.ended(code, now_s, again=True)
            self._log.error("died", child=name, exit_code=code, text=child.last_words())
            if delay_s is None:
                self._give_up(child, code)
            else:
                self._tell(f"{name} {_how(code)}; starts again in {delay_s:.1f} s")

    def _give_up(self, child: Child, code: int) -> None:
        """A child keeps dying: without the engine nothing goes on, without another one less."""
        name = child.spec.name
        reason = f"{name} keeps dying ({_how(code)}); it is not started again"
        self._alarm.sound(reason)
        self._tell(f"{reason}; see {self._profile.logs_dir}")
        if child.spec.part is Part.ENGINE:
            try:
                write_kill_file(self._profile.kill_file, reason)
            except OSError as error:
                self._alarm.sound(f"the kill file can't be written: {error.strerror}")
            self._stop(EXIT_FAILED)

    def _stop(self, exit_code: int = EXIT_DONE) -> None:
        """Begin to stop: the engine first, since it cancels its orders through the others."""
        self._exit_code = self._exit_code or exit_code
        if self._stages is None:
            engines = [c for c in self._children if c.spec.part is Part.ENGINE]
            watchers = [c for c in self._children if c.spec.part is Part.WATCHDOG]
            others = [c for c in self._children if c not in engines + watchers]
            # The watchdog may have to act, through the venue process.
            self._stages = iter((engines, watchers, others))
            self._stage_ends_s = 0.0

    def _advance_stop(self, now_s: float) -> bool:
        """Go on to the next stage once one has ended, by itself or killed; True: all have."""
        while not [c for c in self._stage if c.process is not None]:
            stage = next(self._stages or iter(()), None)
            if stage is None:
                return True
            self._stage = stage
            for child in stage:
                child.terminate()
            is_slow = any(c.spec.part in (Part.ENGINE, Part.WATCHDOG) for c in stage)
            limit_s = self._deadlines.engine_s if is_slow else self._deadlines.others_s
            self._stage_ends_s = now_s + limit_s
        if now_s >= self._stage_ends_s:
            for child in self._stage:
                if child.process is not None:
                    self._kill_late(child)
            self._stage_ends_s = now_s + self._deadlines.others_s
        return False

    def _kill_late(self, child: Child) -> None:
        if child.spec.part is Part.ENGINE:
            self._exit_code = self._exit_code or EXIT_FAILED
            self._alarm.sound("the engine did not stop in time and was killed; look at its orders")
        self._log.error("killed", child=child.spec.name)
        child.kill_group()

    def _clean_up(self) -> None:
        """Remove the pid files of an earlier supervisor; refuse where its processes still live."""
        for state in children_state(self._profile):
            if state.is_alive:
                raise MmatsError(
                    f"{state.name} of an earlier start still runs as process {state.pid}",
                    f"profile {self._profile.name}",
                    "it ends by itself when it has finished its work; try again then, or kill it",
                )
            pid_file(self._profile, state.name).unlink(missing_ok=True)

    def _write_own_state(self, status: Status) -> None:
        pid = os.getpid()
        write_state(
            self._profile,
            ChildState(
                name=_NAME,
                pid=pid,
                start_ticks=start_ticks(pid) if status == "running" else 0,
                status=status,
                since=datetime.now(UTC).isoformat(timespec="seconds"),
                exit_code=None if status == "running" else self._exit_code,
            ),
        )


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
