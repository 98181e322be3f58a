"""What the trading loop does while the disk is busy, and in which order things leave."""

import os
import signal
from pathlib import Path

from mmats._core import TradingState
from tests.fakes.live import bar
from tests.fakes.loops import Stage

MINUTES = 200


def test_ticks_are_decided_while_a_commit_is_on_its_way_and_no_order_leaves_before_it(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, is_held=True)
    stage.turns()
    stage.writer.commit()  # what the start had to say
    stage.bus.put(bar(1))
    stage.turns(2)
    first_group = len(stage.writer.groups)
    assert not stage.writer.is_idle
    for minute in range(2, MINUTES):
        stage.bus.put(bar(minute))
        stage.turns()
    assert stage.session.pipeline.event_count == MINUTES - 1
    assert sum(slot.signal_count for slot in stage.session.pipeline.strategies) == MINUTES - 1
    assert len(stage.writer.groups) == first_group
    assert stage.bus.orders == 0
    assert not [kind for _, kind, _ in stage.control.events if kind == "signal"]
    stage.writer.commit()
    stage.turns()
    assert stage.bus.orders == 1
    stage.writer.commit()
    stage.turns()
    limit = stage.session.config.risk.open_orders_max
    assert 1 < stage.bus.orders <= limit


def test_an_order_leaves_in_the_turn_of_its_commit_and_is_told_in_a_later_one(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, is_held=False)
    stage.turns(3)
    stage.control.events.clear()
    stage.bus.put(bar(1))
    stage.turns()
    assert stage.bus.orders == 1
    assert stage.control.events == []
    stage.turns()
    assert {kind for _, kind, _ in stage.control.events} >= {"signal", "order"}


def test_what_was_decided_in_a_burst_is_told_over_many_turns_whole_and_in_order(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, is_held=False)
    stage.turns(3)
    stage.control.events.clear()
    for minute in range(1, 60):
        stage.bus.put(bar(minute))
    stage.turns()
    told = []
    for _ in range(20):
        stage.turns()
        told.append(len(stage.control.events))
    assert told[0] < told[2] < told[-1]
    signals = [value["signal_id"] for _, kind, value in stage.control.events if kind == "signal"]
    assert signals == list(range(1, 60))


def test_a_kill_signal_halts_in_the_turn_that_it_wakes(tmp_path: Path) -> None:
    stage = Stage(tmp_path, is_held=True)
    stage.turns()
    before = signal.getsignal(signal.SIGUSR1)
    try:
        stage.kill.install()
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    stage.turns()
    assert stage.session.gate.limits("global", 0)["trading_state"] == TradingState.TRADING_HALTED
