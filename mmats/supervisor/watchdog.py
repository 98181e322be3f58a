"""Watches the engine's heartbeats from outside, and acts at the venues when they are lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmats.engine.logs import get_logger
from mmats.model.errors import MmatsError
from mmats.ports.venue_access import IVenueAccess

EXIT_DONE = 0
EXIT_ORPHAN = 1


class IHeartbeats(Protocol):
    """The engine's heartbeats, as the watchdog hears them."""

    def wait(self, timeout_s: float) -> None:
        """Let so much time pass, or less if there is something new."""

    def last_s(self) -> float:
        """Monotonic time of the last heartbeat; -inf before the first."""

    def has_ended(self) -> bool:
        """Whether the engine has said that it ends in good order."""


@dataclass(frozen=True, slots=True)
class WatchdogOptions:
    """When to act, and how hard to try."""

    timeout_s: float = 2.0  # heartbeats are four a second
    start_s: float = 15.0  # until the first heartbeat; an engine that recovers takes its time
    flatten: bool = False  # close positions too, after the orders
    attempts: int = 8  # at each venue
    first_retry_s: float = 0.25
    longest_retry_s: float = 5.0
    look_s: float = 0.1  # between two looks at the heartbeats


class Watchdog:
    """Acts once for each loss of the heartbeats; heartbeats that come back arm it again.

    A loss is told first. Then at every venue that it has access to all orders are canceled, and
    positions closed where that is configured, until the venue says that none is left.

    Parameters
    ----------
    heartbeats : where they are heard
    venues : access by name of the venue; may be empty: then it only tells
    alarm : takes the reason
    monotonic_s : clock
    latch : makes the engine halt, should it come back, before anything is done at a venue
    """

    def __init__(
        self,
        heartbeats: IHeartbeats,
        venues: Sequence[tuple[str, IVenueAccess]],
        *,
        alarm: Callable[[str], None],
        monotonic_s: Callable[[], float],
        options: WatchdogOptions | None = None,
        latch: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._heartbeats = heartbeats
        self._venues = tuple(venues)
        self._alarm = alarm
        self._latch = latch
        self._now_s = monotonic_s
        self._options = options or WatchdogOptions()
        if self._options.timeout_s <= 0 or self._options.attempts < 1:
            raise MmatsError("the timeout must be above 0, and there must be an attempt")
        self._start_s = monotonic_s()
        self._acted = False
        self._log = get_logger("watchdog")

    def run(self, should_end: Callable[[], bool], is_orphan: Callable[[], bool]) -> int:
        """Watch until told to end; an orphan stays until it has acted, or has nothing to watch."""
        self._log.info("watching", venues=[name for name, _ in self._venues])
        while not should_end():
            self.look()
            if is_orphan() and (self._acted or self._heartbeats.has_ended()):
                self._log.warning("orphaned")
                return EXIT_ORPHAN
            self._heartbeats.wait(self._options.look_s)
        if self._is_unsaid_end():
            self._act(self._silent_s())
        return EXIT_DONE

    def _is_unsaid_end(self) -> bool:
        """Told to end, though the engine was heard and has not said that it ended in good order.

        An engine that beats is only given the time to say it.
        """
        if self._acted or self._heartbeats.last_s() < self._start_s:
            return False
        end_s = self._now_s() + 2 * self._options.timeout_s
        while not self._heartbeats.has_ended() and self._now_s() < end_s:
            if self._silent_s() > 0:
                return True
            self._heartbeats.wait(self._options.look_s)
        return False

    def look(self) -> None:
        """Look at the heartbeats once, and act on a loss."""
        silent_s = self._silent_s()
        if silent_s <= 0:
            if self._acted:
                self._acted = False
                self._log.warning("heartbeats are back")
        elif not self._acted and not self._heartbeats.has_ended():
            self._acted = True
            self._act(silent_s)

    def _silent_s(self) -> float:
        """Seconds beyond what is allowed; 0 or less: all is well."""
        last_s = self._heartbeats.last_s()
        if last_s < self._start_s:
            return self._now_s() - self._start_s - self._options.start_s
        return self._now_s() - last_s - self._options.timeout_s

    def _act(self, silent_s: float) -> None:
        allowed_s = self._options.timeout_s
        if self._heartbeats.last_s() < self._start_s:
            allowed_s = self._options.start_s
        self._alarm(
            f"no heartbeat of the engine for {allowed_s + silent_s:.1f} s"
            + ("" if self._venues else "; it has access to no venue, so nothing else is done")
        )
        if self._venues:
            self._latch("the watchdog acted: what the engine believes may be wrong")
        waiting = [(name, access, "") for name, access in self._venues]
        delay_s = self._options.first_retry_s
        for attempt in range(1, self._options.attempts + 1):
            # Every venue has its turn before the first is tried again.
            waiting = [
                (name, access, problem)
                for name, access, _ in waiting
                if (problem := self._try(name, access, attempt))
            ]
            if not waiting:
                return
            if attempt == self._options.attempts:
                break
            if not self._pause(delay_s):
                self._alarm("heartbeats are back: the engine goes on with what is left")
                return
            delay_s = min(2 * delay_s, self._options.longest_retry_s)
        for name, _, problem in waiting:
            self._alarm(f"{name}: {problem} after {self._options.attempts} attempts")

    def _try(self, name: str, access: IVenueAccess, attempt: int) -> str:
        """Cancel, and close if configured; return what is left to do, empty if nothing."""
        try:
            asked = access.cancel_all()
            left = access.open_orders()
            self._log.warning("canceled", venue=name, asked=asked, left=left, attempt=attempt)
            if left:
                return f"{left} orders are open"
            if not self._options.flatten:
                return ""
            positions = access.flatten()
            self._log.warning("flattened", venue=name, left=positions, attempt=attempt)
        except Exception as error:  # noqa: BLE001 - nothing may keep it from the next attempt
            self._log.error("failed", venue=name, attempt=attempt, exc_info=error)
            return f"{type(error).__qualname__}: {error}"
        return f"{positions} positions are open" if positions else ""

    def _pause(self, pause_s: float) -> bool:
        """Wait between two attempts; False: heartbeats came back."""
        end_s = self._now_s() + pause_s
        while (left_s := end_s - self._now_s()) > 0:
            self._heartbeats.wait(min(left_s, self._options.look_s))
            if self._silent_s() <= 0:
                return False
        return True
