"""Time budget of strategies, watched by a thread of its own: a call that hangs stops the loop."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmats.model.errors import StrategyError
from mmats.ports.strategy import IStrategy

_METHODS = ("on_market_data", "on_signal_result", "on_order_book")
PAUSE_S_MIN = 0.002
"""The watch looks at most so often: it needs the interpreter that it lets others have."""
_Slot = tuple[int, int]  # strategy index, monotonic start in ns


class StrategyTimeout(StrategyError):
    """Raised inside a strategy that is over its hard limit; the pipeline then disables it."""

    def __init__(self) -> None:
        super().__init__(
            "took longer than its time budget", hint="do less in a call, or raise the budget"
        )


@dataclass(frozen=True, slots=True)
class Overrun:
    """A call that is over its budget and still running."""

    strategy: int
    elapsed_ns: int
    interrupted: bool  # True: StrategyTimeout has been raised in it


class CallWatch:
    """Tells of calls over their strategy's budget; interrupts those that go on.

    A strategy is interrupted between two instructions of Python. A call into C that does not come
    back (a socket without a timeout, a sleep) is told, and interrupted once it does come back.

    Parameters
    ----------
    budgets_ns : by strategy, time a call may take; above it `report` is told, once a call
    grace_ns : so long after that StrategyTimeout is raised in it, again and again until it ends
    report : called on the watching thread; it must not touch what belongs to the trading thread
    """

    def __init__(
        self, budgets_ns: Sequence[int], report: Callable[[Overrun], None], *, grace_ns: int = 0
    ) -> None:
        if min(budgets_ns, default=1) <= 0 or grace_ns < 0:
            raise ValueError("a budget must be above 0, and no grace below it")
        self._budgets_ns = tuple(budgets_ns)
        self._grace_ns = grace_ns
        self._pause_s = max(min(budgets_ns, default=10**9) / 2e9, PAUSE_S_MIN)
        self._report = report
        self._slot: _Slot | None = None
        self._interrupting = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched = 0

    def start(self) -> None:
        """Watch the thread that calls this."""
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="call-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watching thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def attach(self, index: int, strategy: IStrategy) -> bool:
        """Guard the methods of a strategy, before the pipeline takes it.

        False: it has no attributes of its own (compiled, or with `__slots__`) and is not guarded.
        """
        if not hasattr(strategy, "__dict__"):
            return False
        for name in _METHODS:
            method = getattr(strategy, name, None)
            inherited = getattr(IStrategy, name, None)
            if method is not None and getattr(method, "__func__", None) is not inherited:
                setattr(strategy, name, self.guard(index, method))
        return True

    def guard(self, index: int, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with a time budget; it may raise StrategyTimeout, also at its end."""
        now_ns = time.monotonic_ns

        def guarded(*arguments: Any) -> Any:
            self._slot = (index, now_ns())
            try:
                try:
                    return function(*arguments)
                finally:
                    self._slot = None  # an interrupt may come just before this
            finally:
                self._slot = None
                if self._interrupting:
                    self._settle()

        return guarded

    def _settle(self) -> None:
        """Take back an interrupt that came too late to be raised in the call it was meant for."""
        with self._lock:
            self._interrupting = False
            _raise_in(self._watched, None)

    def _watch(self) -> None:
        told: _Slot | None = None
        interrupted_ns = 0
        while not self._ended.wait(self._pause_s):
            slot = self._slot
            if slot is None:
                continue
            elapsed_ns = time.monotonic_ns() - slot[1]
            budget_ns = self._budgets_ns[slot[0]]
            if elapsed_ns <= budget_ns:
                continue
            if told is not slot:
                told = slot
                interrupted_ns = 0
                self._report(Overrun(slot[0], elapsed_ns, interrupted=False))
            limit_ns = budget_ns + self._grace_ns
            if elapsed_ns - interrupted_ns > limit_ns and self._interrupt(slot):
                if not interrupted_ns:
                    self._report(Overrun(slot[0], elapsed_ns, interrupted=True))
                interrupted_ns = elapsed_ns

    def _interrupt(self, slot: _Slot) -> bool:
        """Raise in the watched thread if the same call is still running.

        The flag is set before the slot is looked at, and the guard clears the slot before it looks
        at the flag: one of the two sees the other, so no interrupt outlives its call.
        """
        with self._lock:
            self._interrupting = True
            if self._slot is not slot:
                self._interrupting = False
                return False
            _raise_in(self._watched, StrategyTimeout)
            return True


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let a thread raise `error` at its next instruction; None takes a pending one back."""
    argument = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)
