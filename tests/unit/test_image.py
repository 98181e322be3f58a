"""State images: what they hold, how big they are, and what they refuse."""

from typing import Any

import numpy as np
import pytest

from mmats._core import (
    REPORT_DTYPE,
    ExecutionPort,
    ImageError,
    Intake,
    MemoryJournal,
    Pipeline,
    SimulatedVenue,
    StateImage,
    image_dtype,
    read_image,
    resubmit_open,
    seal_image,
)
from mmats.model import TradeSignal
from tests.fakes.backtests import OTHER, SYMBOL, Script, instrument
from tests.fakes.live import TICKS, at, bar, wire, wire_port

PAGE = 1024


def trading(made: Any, first: int = 1, last: int = 40) -> None:
    """Play bars through a pipeline whose strategy trades at each."""
    taker = Intake(made.pipeline, made.venue)
    for minute in range(first, last):
        taker.on_events(bar(minute, TICKS + minute % 5))


def trader() -> Script:
    """Buys with a stop and sells, in turn."""

    def turn(script: Script, _: Any) -> TradeSignal:
        if len(script.seen) % 2:
            return TradeSignal("BUY", SYMBOL, 1.0, stop_loss=50.0)
        return TradeSignal("SELL", SYMBOL, 1.0)

    return Script(each=turn)


def test_an_image_can_be_read_by_name() -> None:
    made = wire([trader()])
    trading(made)
    data = StateImage(made.pipeline).to_bytes()
    image = read_image(data)[0]
    head = image["head"]
    assert image_dtype(head).itemsize == len(data)
    assert len(data) % PAGE == 0
    assert head["now_ns"] == at(39)
    assert head["record_count"] == made.journal.record_count
    assert head["state_hash"] == made.journal.state_hash
    assert head["signal_sequence"] == image["switches"]["signal_count"][0] == 39
    assert image["balances"][0].sum() == 0
    assert image["holdings"]["mark_ticks"][0] == TICKS + 4
    assert tuple(image["cells"][0, 0])[:2] == made.ledger.cell(0, 0)[:2]
    assert image["overall"]["trading_state"] == 1
    orders = image["slots"]["orders"].reshape(-1)[: head["order_count"]]
    assert np.array_equal(orders["order_id"] & 4095, np.arange(head["order_count"]))
    assert seal_image(read_image(data)) == data


def test_images_differ_in_few_pages_and_grow_in_steps() -> None:
    made = wire([trader()])
    image = StateImage(made.pipeline)
    trading(made, 1, 40)
    before = image.to_bytes()
    trading(made, 40, 41)
    after = image.to_bytes()
    assert len(after) == len(before)
    changed = [
        place
        for place in range(0, len(after), PAGE)
        if after[place : place + PAGE] != before[place : place + PAGE]
    ]
    assert len(changed) <= 10
    trading(made, 41, 80)
    assert len(image.to_bytes()) - len(before) in (13 * PAGE, 26 * PAGE)


def test_taking_an_image_changes_nothing() -> None:
    one, other = wire([trader()]), wire([trader()])
    image = StateImage(one.pipeline)
    for minute in range(1, 30):
        trading(one, minute, minute + 1)
        image.to_bytes()
        trading(other, minute, minute + 1)
    assert one.journal.state_hash == other.journal.state_hash
    assert one.ledger.state_bytes() == other.ledger.state_bytes()
    assert image.to_bytes() == StateImage(other.pipeline).to_bytes()


def test_a_disabled_strategy_stays_so_and_the_journal_goes_on() -> None:
    made = wire([Script({0: lambda _: 1 / 0})])
    trading(made, 1, 3)
    fresh = wire([Script()])
    StateImage(fresh.pipeline).restore(StateImage(made.pipeline).to_bytes())
    assert not fresh.pipeline.strategies[0].enabled
    assert fresh.journal.record_count == made.journal.record_count == 1
    assert fresh.journal.take_bytes() == b""
    assert fresh.pipeline.now_ns == at(2)


def test_a_port_knows_its_orders_and_fills_again() -> None:
    made = wire_port([trader()], [SYMBOL])
    taker = Intake(made.pipeline)
    taker.on_events(bar(1))
    order_id = int(made.venue.take_requests(1)["order_id"][0])
    fresh = wire_port([Script()], [SYMBOL])
    data = StateImage(made.pipeline, made.venue).to_bytes()
    StateImage(fresh.pipeline, fresh.venue).restore(data)
    report = np.zeros(1, REPORT_DTYPE)
    report["order_id"], report["kind"] = order_id, 1
    assert fresh.venue.give_reports(report) == 1
    report["order_id"] = order_id + 1
    assert fresh.venue.give_reports(report) == 0


def test_a_stop_holds_at_a_simulated_venue_that_starts_anew() -> None:
    signal = TradeSignal("BUY", SYMBOL, 1.0, stop_loss=90.0)
    made = wire([Script({0: signal})])
    Intake(made.pipeline, made.venue).on_events(bar(1))
    fresh = wire([Script()])
    StateImage(fresh.pipeline).restore(StateImage(made.pipeline).to_bytes())
    fresh.venue.take_positions()
    assert resubmit_open(fresh.pipeline, at(1)) == 1
    taker = Intake(fresh.pipeline, fresh.venue)
    taker.on_events(bar(2))
    assert fresh.pipeline.gate.open_order_count == 1
    taker.on_events(bar(3, 8_900))
    assert fresh.ledger.holding(0).lots == fresh.pipeline.gate.open_order_count == 0
    assert fresh.venue.position_lots(0, 0) == 0


def test_a_venue_takes_positions_of_its_own_ledger_only() -> None:
    made = wire([Script()])
    venue = SimulatedVenue([made.catalogue.terms(0)], strategy_count=2)
    with pytest.raises(ValueError, match="use_ledger"):
        venue.take_positions()
    venue.use_ledger(made.ledger)
    with pytest.raises(ValueError, match="other strategies"):
        venue.take_positions()


def refusal(data: bytes, made: Any, port: ExecutionPort | None = None) -> str:
    image = StateImage(made.pipeline, port)
    before = image.to_bytes()
    with pytest.raises(ImageError) as caught:
        image.restore(data)
    assert image.to_bytes() == before
    assert caught.value.hint
    return str(caught.value)


def test_an_image_of_something_else_is_refused() -> None:
    data = StateImage(wire([Script()]).pipeline).to_bytes()
    assert "made for 1 strategies, not 2" in refusal(data, wire([Script(), Script()]))
    assert "made for 2 currencies, not 3" in refusal(data, wire([Script()], (SYMBOL, OTHER)))
    port = wire_port([Script()], [SYMBOL])
    assert "made for 0 execution ports, not 1" in refusal(data, port, port.venue)
    taken = StateImage(wire([Script()], (SYMBOL,)).pipeline).to_bytes()
    assert "other terms" in refusal(taken, wire([Script()], (OTHER,), **terms()))
    assert "too few" in refusal(b"", wire([Script()]))
    assert "no image" in refusal(b"x" * len(data), wire([Script()]))
    assert "do not hold" in refusal(data + bytes(PAGE), wire([Script()]))
    assert "checksum" in refusal(data[:-1] + b"x", wire([Script()]))


def terms() -> dict[str, Any]:
    """The instrument with another tick."""
    return {"instruments": [instrument(OTHER, tick_size="0.1")]}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("head", "version"), 9, "version 9, not 2"),
        (("head", "sent_count"), -1, "a count is out of range"),
        (("head", "ended_first"), 4096, "a count is out of range"),
        (("head", "open_order_count"), 7, "open orders and their counts differ"),
        (("head", "pending_closing_count"), 1, "pending closings"),
        (("overall", "trading_state"), 4, "a limit is negative, or no TradingState"),
        (("symbols", "exposure_max"), -1, "a limit is negative, or no TradingState"),
        (("brackets", "side"), 2, "a side is neither"),
        (("switches", "enabled"), 2, "a switch is neither"),
        (("holdings", "mark_ticks"), -1, "a mark is negative"),
        (("holdings", "lots"), 5, "do not balance"),
        (("balances",), 5, "do not balance"),
        (("ended_slots",), 1, "the ended slots are not"),
        (("closings", "state"), 9, "pending closings"),
    ],
)
def test_each_part_is_checked(path: tuple[str, ...], value: int, told: str) -> None:
    made = wire([trader()])
    trading(made)
    made.journal.take_bytes()
    image = read_image(StateImage(made.pipeline).to_bytes())
    part = image
    for name in path:
        part = part[name]
    part.reshape(-1)[0] = value
    assert told in refusal(seal_image(image), made)


@pytest.mark.parametrize("name", ["order_id", "strategy", "instrument", "side", "state", "role"])
def test_each_order_is_checked(name: str) -> None:
    made = wire([trader()])
    trading(made)
    made.journal.take_bytes()
    image = read_image(StateImage(made.pipeline).to_bytes())
    image["slots"]["orders"][name].reshape(-1)[3] = 99
    assert "an order is out of range" in refusal(seal_image(image), made)


def test_records_that_nobody_took_are_not_forgotten() -> None:
    made = wire([trader()])
    empty = StateImage(made.pipeline).to_bytes()
    trading(made, 1, 2)
    assert "records wait to be taken" in refusal(empty, made)


def test_what_is_no_image_can_not_be_read() -> None:
    for data, told in ((b"", "too few"), (bytes(5000), "version 0 of something")):
        with pytest.raises(ImageError, match=told):
            read_image(data)
    data = StateImage(wire([Script()]).pipeline).to_bytes()
    with pytest.raises(ImageError, match="size"):
        read_image(data + b"x")


def test_an_image_needs_a_ring_and_all_strategies() -> None:
    made = wire([Script()])
    without = Pipeline(made.ledger, made.gate, made.venue, MemoryJournal(), [("A",)],
                       [(1, 1, 1, 1)], 1)  # fmt: skip
    with pytest.raises(TypeError, match="RingJournal"):
        StateImage(without)
    without = Pipeline(made.ledger, made.gate, made.venue, made.journal, [("A",)],
                       [(1, 1, 1, 1)], 1)  # fmt: skip
    with pytest.raises(ValueError, match="all strategies"):
        StateImage(without)
