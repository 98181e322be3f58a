"""Calls over their budget are told and interrupted; none that has ended is."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mmats.engine.budget import CallWatch, Overrun, StrategyTimeout
from mmats.ports.strategy import IStrategy

MS = 1_000_000
PATIENCE_S = 20.0
Reports = queue.SimpleQueue[Overrun]


@contextmanager
def watching(budget_ns: int, limit_ns: int) -> Iterator[tuple[CallWatch, Reports]]:
    """A watch of this thread and what it reports."""
    reports: Reports = queue.SimpleQueue()
    budgets_ns = [budget_ns] * 4
    watch = CallWatch(budgets_ns, reports.put, grace_ns=limit_ns - budget_ns)
    watch.start()
    try:
        yield watch, reports
    finally:
        watch.close()


def spin_until(condition: Any) -> None:
    """Loop as a bad strategy does, but not for ever."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        pass


def test_an_endless_loop_is_told_and_then_interrupted() -> None:
    with watching(5 * MS, 20 * MS) as (watch, reports):
        with pytest.raises(StrategyTimeout, match="time budget"):
            watch.guard(3, spin_until)(lambda: False)
        first = reports.get(timeout=PATIENCE_S)
        second = reports.get(timeout=PATIENCE_S)
    assert (first.strategy, first.interrupted) == (3, False)
    assert first.elapsed_ns > 5 * MS
    assert (second.strategy, second.interrupted) == (3, True)
    assert reports.empty()


def test_a_loop_that_catches_everything_is_interrupted_again() -> None:
    caught: list[Exception] = []

    def stubborn() -> None:
        while len(caught) < 2:
            try:
                spin_until(lambda: False)
            except StrategyTimeout as error:
                caught.append(error)
        spin_until(lambda: False)

    with watching(5 * MS, 10 * MS) as (watch, _), pytest.raises(StrategyTimeout):
        watch.guard(0, stubborn)()
    assert len(caught) == 2


def test_a_slow_call_below_the_limit_is_told_only() -> None:
    with watching(2 * MS, 60_000 * MS) as (watch, reports):
        answer = watch.guard(1, lambda: (spin_until(lambda: not reports.empty()), 7)[1])()
    assert answer == 7
    assert reports.get_nowait().interrupted is False


def test_quick_calls_are_left_alone() -> None:
    with watching(10_000 * MS, 10_000 * MS) as (watch, reports):
        guarded = watch.guard(0, lambda a, b: a + b)
        assert [guarded(i, 1) for i in range(1_000)] == list(range(1, 1_001))
    assert reports.empty()


def test_no_interrupt_outlives_its_call() -> None:
    """Calls that end just about when they are interrupted: what is after them is never hit."""
    interrupted = 0
    with watching(MS, 2 * MS) as (watch, _):
        for step in range(150):
            end = time.monotonic() + (1 + step % 20) / 5_000
            try:
                watch.guard(0, spin_until)(lambda end=end: time.monotonic() > end)
            except StrategyTimeout:
                interrupted += 1
            for _unused in range(2_000):  # an interrupt that came too late would end the test here
                pass
    assert interrupted > 0


def test_exceptions_of_the_strategy_pass_through() -> None:
    with watching(1_000 * MS, 1_000 * MS) as (watch, _), pytest.raises(ZeroDivisionError):
        watch.guard(0, lambda: 1 // 0)()


class Inherits(IStrategy):
    """Leaves on_signal_result to the port."""

    name = "inherits"
    supported_symbols = ()

    def initialize(self, config: Any) -> None: ...

    def on_market_data(self, data: Any) -> Any:
        return data


def test_only_methods_of_its_own_are_guarded() -> None:
    watch = CallWatch([MS, MS], lambda overrun: None)
    strategy = Inherits()
    assert watch.attach(0, strategy)
    assert vars(strategy).keys() == {"on_market_data"}
    assert strategy.on_market_data(5) == 5
    assert not watch.attach(1, object())  # type: ignore[arg-type]


def test_each_strategy_has_a_budget_of_its_own() -> None:
    reports: Reports = queue.SimpleQueue()
    watch = CallWatch([60_000 * MS, 5 * MS], reports.put)
    watch.start()
    try:
        end = time.monotonic() + 0.05
        watch.guard(0, spin_until)(lambda: time.monotonic() > end)
        assert reports.empty()
        with pytest.raises(StrategyTimeout):
            watch.guard(1, spin_until)(lambda: False)
        assert reports.get(timeout=PATIENCE_S).strategy == 1
    finally:
        watch.close()


@pytest.mark.parametrize(("budget", "grace"), [(0, 1), (2, -1), (-1, 1)])
def test_absurd_budgets_are_refused(budget: int, grace: int) -> None:
    with pytest.raises(ValueError, match="budget"):
        CallWatch([1, budget], lambda overrun: None, grace_ns=grace)
