"""Advice: what passes the gate is recorded and goes nowhere."""

from typing import Any

import pytest

from mmats._core import Reason, RecordKind, open_orders
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script, config
from tests.fakes.execution import SUBMIT, Floor, ids
from tests.fakes.live import TICKS

SIGNAL, DENIED = RecordKind.RECORD_SIGNAL, RecordKind.RECORD_DENIED


def buy(size: float = 1.0, **fields: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **fields)


def answers() -> dict[int, Any]:
    return {
        0: buy(1, stop_loss=95, take_profit=110), 1: buy(10_000), 2: [buy(1), buy(0.0001)],
        3: buy(1, stop_loss=105), 4: TradeSignal("SELL", SYMBOL, 1, reduce_only=True),
        5: buy(1, order_type="limit", price=99.5),
    }  # fmt: skip


def test_without_a_venue_there_is_no_way_out() -> None:
    script = Script(answers())
    floor = Floor(script, has_venue=False)
    for _ in range(7):
        floor.bar()
    kinds = floor.kinds()
    assert kinds.count("SIGNAL") == 7
    assert kinds.count("ADVISED") == 3
    assert kinds.count("DENIED") == 4
    assert set(kinds) == {"SIGNAL", "ADVISED", "DENIED"}
    assert script.statuses == ["DENIED"] * 4  # of advice it is told nothing
    assert len(open_orders(floor.orders)) == 0
    assert floor.orders.order_sequence == 0
    assert floor.pipeline.resolve(floor.now) == 0
    assert floor.controls.cancel_all(floor.now) == 0
    assert floor.controls.submit_manual(floor.now, 0, 0, 1, 10) == (0, Reason.REASON_OK, 0, 0)
    assert floor.orders.mark_open_unknown(floor.now) == 0
    floor.assert_nothing_open()


def test_signals_and_denials_are_those_of_an_engine_that_trades() -> None:
    # Each order is within its own limits: what other orders hold open plays no role.
    risk = {**config()["risk"], "message_rate_max": "2/h", "order_notional_max": "5000 BBB"}
    told = []
    for has_venue in (True, False):
        floor = Floor(Script(answers()), has_venue=has_venue, risk=risk)
        for _ in range(7):
            floor.bar()
        rows = floor.records(SIGNAL, DENIED)
        rows["order_id"] = 0
        told.append(rows.tobytes())
    assert told[0] == told[1]
    assert Reason.REASON_MESSAGE_RATE in rows["reason"]


def test_one_strategy_advises_and_the_other_trades() -> None:
    advisor, trader = Script({0: buy(), 1: buy()}), Script({0: buy(), 1: buy()})
    floor = Floor(advisor, trader)
    floor.orders.set_advisory(0, True)
    floor.bar()
    (request,) = floor.requests()
    assert request["strategy"] == 1
    assert [int(r["strategy"]) for r in floor.records(RecordKind.RECORD_ADVISED)] == [0]
    floor.orders.set_advisory(0, False)
    floor.bar()
    assert len(ids(floor.requests(), SUBMIT)) == 2
    with pytest.raises(ValueError, match="no strategy 2"):
        floor.orders.set_advisory(2, True)


def test_a_position_of_a_strategy_that_only_advises_now_stays_protected() -> None:
    floor = Floor(Script({0: buy(1, stop_loss=95), 1: buy(1)}))
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    floor.orders.set_advisory(0, True)
    floor.fill(entry, 400, 600)
    (stop,) = floor.requests()
    assert (stop["trigger_ticks"], stop["quantity_lots"]) == (9_500, 400)
    floor.bar(TICKS + 1)
    assert floor.requests() == []
