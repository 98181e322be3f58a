"""What an operator may do: cancel, close, order by hand, switch strategies and states."""

from typing import Any

import pytest

from mmats._core import (
    ClosingState,
    OrderRole,
    OrderState,
    Reason,
    RecordKind,
    ReloadError,
    ReportKind,
    StateScope,
    TradingState,
    open_orders,
)
from mmats.model import TradeSignal
from strategies.trend_compiled import TrendCompiled
from tests.fakes.backtests import SYMBOL, Script
from tests.fakes.execution import CANCEL, QUERY, SECOND, SUBMIT, Floor, ids
from tests.fakes.live import TICKS

CANCELED, REJECTED = ReportKind.REPORT_CANCELED, ReportKind.REPORT_REJECTED
FLAT, PENDING, FAILED = (
    ClosingState.CLOSING_FLAT, ClosingState.CLOSING_PENDING, ClosingState.CLOSING_FAILED,
)  # fmt: skip
SYMBOLS = ("AAABBB", "CCCBBB")


@pytest.fixture
def floor() -> Floor:
    """Two strategies and two instruments, each with a price."""
    floor = Floor(Script(), Script(), symbols=SYMBOLS)
    floor.bar()
    floor.bar(TICKS, 1)
    return floor


def place(floor: Floor, strategy: int, instrument: int, side: int = 1, **fields: Any) -> int:
    order_id, reason, _, _ = floor.controls.submit_manual(
        floor.now, strategy, instrument, side, 100, **fields
    )
    assert order_id, reason
    return order_id


def closing(floor: Floor, strategy: int = 0, instrument: int = 0) -> ClosingState:
    return floor.controls.flatten_state()[(strategy, instrument)][0]


# -- cancels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "which"),
    [
        ({}, {(0, 0), (0, 1), (1, 0), (1, 1)}),
        ({"strategy": 1}, {(1, 0), (1, 1)}),
        ({"instrument": 1}, {(0, 1), (1, 1)}),
        ({"strategy": 0, "instrument": 1}, {(0, 1)}),
        ({"market": 0}, {(0, 0), (0, 1), (1, 0), (1, 1)}),
    ],
)
def test_a_cancel_reaches_its_scope_and_no_further(
    floor: Floor, scope: dict[str, int], which: set[tuple[int, int]]
) -> None:
    orders = {(s, k): place(floor, s, k) for s in (0, 1) for k in (0, 1)}
    floor.requests()
    wanted = [order for cell, order in orders.items() if cell in which]
    assert floor.controls.preview_cancel(**scope) == sorted(wanted)
    assert floor.requests() == []
    assert floor.controls.cancel_all(floor.now, **scope) == len(which)
    assert ids(floor.requests(), CANCEL) == sorted(wanted)
    assert floor.controls.cancel_all(floor.now, **scope) == 0


def test_a_cancel_of_entries_spares_what_reduces(floor: Floor) -> None:
    floor.hold(1000, stop_loss_ticks=9_000, take_profit_ticks=11_000)
    entry = place(floor, 0, 0)
    place(floor, 0, 0, -1, price_ticks=TICKS + 5, reduce_only=True)
    floor.requests()
    assert floor.controls.cancel_all(floor.now, entries_only=True) == 1
    assert ids(floor.requests(), CANCEL) == [entry]


def test_canceled_stops_are_not_sent_again_and_close_nothing(floor: Floor) -> None:
    floor.hold(1000, stop_loss_ticks=9_000, take_profit_ticks=11_000)
    floor.requests()
    assert floor.controls.cancel_all(floor.now) == 2
    for order in ids(floor.requests(), CANCEL):
        floor.report(CANCELED, order)
    assert floor.requests() == []
    assert floor.position() == 1000
    floor.assert_nothing_open()


def test_one_leg_of_a_bracket_can_be_canceled(floor: Floor) -> None:
    floor.hold(1000, stop_loss_ticks=9_000, take_profit_ticks=11_000)
    rows = open_orders(floor.orders)
    (stop,) = rows["order_id"][rows["role"] == OrderRole.ROLE_STOP]
    floor.requests()
    assert floor.controls.cancel_order(int(stop), floor.now)
    floor.report(CANCELED, int(stop))
    assert ids(floor.requests(), SUBMIT) == []
    floor.hold(100)  # the target follows the position, a stop is not sent
    assert [int(role) for role in open_orders(floor.orders)["role"]] == [OrderRole.ROLE_TARGET]
    assert not floor.controls.cancel_order(int(stop), floor.now)
    assert not floor.controls.cancel_order(12_345, floor.now)


@pytest.mark.parametrize("scope", [{"strategy": 2}, {"instrument": 2}, {"market": 1},
                                   {"strategy": -2}])  # fmt: skip
def test_a_scope_that_does_not_exist(floor: Floor, scope: dict[str, int]) -> None:
    for act in (floor.controls.preview_cancel, floor.controls.preview_flatten):
        with pytest.raises(ValueError, match=r"no (strategy|instrument|market)"):
            act(**scope)
    for command in (floor.controls.cancel_all, floor.controls.flatten):
        with pytest.raises(ValueError, match=r"no (strategy|instrument|market)"):
            command(floor.now, **scope)


# -- flatten ---------------------------------------------------------------------------------------


def test_a_position_without_orders_is_closed_at_once(floor: Floor) -> None:
    floor.hold(1000)
    floor.requests()
    assert floor.controls.preview_flatten() == [(0, 0, 1000, TICKS)]
    assert floor.controls.flatten(floor.now) == 1
    (close,) = floor.requests()
    assert (close["side"], close["quantity_lots"], close["role"]) == (-1, 1000, 5)
    assert close["flags"] == 2
    assert closing(floor) == PENDING
    assert floor.controls.flatten(floor.now) == 0  # one is under way
    floor.fill(int(close["order_id"]), 1000, 0)
    floor.controls.step(floor.now)
    assert closing(floor) == FLAT
    assert floor.controls.preview_flatten() == []
    floor.assert_nothing_open()


def test_what_a_stop_may_close_is_closed_when_its_cancel_is_answered(floor: Floor) -> None:
    floor.hold(1000, stop_loss_ticks=9_000, take_profit_ticks=11_000)
    entry = place(floor, 0, 0)
    floor.requests()
    assert floor.controls.flatten(floor.now, strategy=0) == 0
    canceled = ids(floor.requests(), CANCEL)
    assert len(canceled) == 3
    assert entry in canceled
    assert floor.controls.step(floor.now) == 0
    for order in canceled:
        floor.report(CANCELED, order)
    assert floor.controls.step(floor.now) == 1
    (close,) = floor.requests()
    assert (close["side"], close["quantity_lots"]) == (-1, 1000)


def test_a_stop_that_fills_meanwhile_closes_nothing_twice(floor: Floor) -> None:
    floor.hold(1000, stop_loss_ticks=9_000)
    floor.requests()
    floor.controls.flatten(floor.now)
    (stop,) = ids(floor.requests(), CANCEL)
    floor.fill(stop, 400, 600, price=9_000)
    floor.report(CANCELED, stop)
    assert floor.controls.step(floor.now) == 1
    (close,) = floor.requests()
    assert close["quantity_lots"] == 600


def test_an_entry_that_fills_after_its_cancel_is_closed_too(floor: Floor) -> None:
    entry = place(floor, 0, 0)
    floor.controls.flatten(floor.now)
    assert closing(floor) == PENDING
    floor.requests()
    floor.fill(entry, 60, 40)
    assert floor.controls.step(floor.now) == 1
    (close,) = floor.requests()
    assert (close["side"], close["quantity_lots"]) == (-1, 60)
    floor.fill(int(close["order_id"]), 60, 0)
    floor.controls.step(floor.now)
    assert closing(floor) == PENDING  # the cancel has no answer yet
    floor.report(CANCELED, entry)
    floor.controls.step(floor.now)
    assert closing(floor) == FLAT


def test_a_rejected_closing_order_is_tried_again_and_then_given_up(floor: Floor) -> None:
    floor.hold(1000)
    floor.orders.set_closing(retry_ns=SECOND, attempts_max=3)
    floor.requests()
    floor.controls.flatten(floor.now)
    sent = 0
    for _ in range(10):
        for order in ids(floor.requests(), SUBMIT):
            sent += 1
            floor.report(REJECTED, order)
        floor.now += SECOND
        floor.controls.step(floor.now)
    assert sent == 3
    assert floor.controls.flatten_state() == {(0, 0): (FAILED, 1000, 3)}
    assert floor.controls.flatten(floor.now) == 1  # asked for again, it starts anew


def test_a_closing_order_that_fills_in_part_is_followed_by_one_for_the_rest(floor: Floor) -> None:
    floor.hold(1000)
    floor.requests()
    floor.controls.flatten(floor.now)
    (close,) = ids(floor.requests(), SUBMIT)
    floor.fill(close, 700, 300)
    floor.report(CANCELED, close)
    floor.now += SECOND
    assert floor.controls.step(floor.now) == 1
    assert floor.sent() == [(SUBMIT, 300)]


def test_an_unknown_closing_order_is_asked_for_and_not_sent_again(floor: Floor) -> None:
    floor.hold(1000)
    floor.requests()
    floor.controls.flatten(floor.now)
    (close,) = ids(floor.requests(), SUBMIT)
    for _ in range(20):
        floor.after(1)
        floor.controls.step(floor.now)
    requests = floor.requests()
    assert ids(requests, SUBMIT) == []
    assert set(ids(requests, QUERY)) == {close}
    floor.fill(close, 1000, 0)
    floor.controls.step(floor.now)
    assert closing(floor) == FLAT


def test_a_halted_account_can_be_closed(floor: Floor) -> None:
    floor.hold(1000)
    floor.controls.set_trading_state("global", 0, TradingState.TRADING_HALTED, floor.now)
    assert floor.controls.flatten(floor.now) == 1


# -- orders by hand --------------------------------------------------------------------------------


def test_an_order_by_hand_passes_the_gate_and_opens_a_bracket(floor: Floor) -> None:
    order = floor.buy(1000, price_ticks=TICKS - 10, stop_loss_ticks=9_000)
    (request,) = floor.requests()
    assert (request["type"], request["price_ticks"], request["role"]) == (2, TICKS - 10, 4)
    floor.fill(order, 1000, 0)
    (stop,) = floor.requests()
    assert (stop["type"], stop["trigger_ticks"], stop["quantity_lots"]) == (3, 9_000, 1000)


def test_a_denial_says_what_was_seen_and_what_is_allowed(floor: Floor) -> None:
    floor.gate.set_limits("global", order_notional_max=1)
    previewed = floor.controls.preview_manual(floor.now, 0, 0, 1, 1000)
    order_id, reason, observed, limit = floor.controls.submit_manual(floor.now, 0, 0, 1, 1000)
    assert (order_id, reason, limit) == (0, Reason.REASON_NOTIONAL_MAX, 1)
    assert observed >= 100 * 10**8
    assert previewed == (reason, observed, limit)
    assert floor.kinds() == ["DENIED"]
    assert floor.requests() == []


def test_a_reduce_only_order_closes_at_most_the_position(floor: Floor) -> None:
    floor.hold(300)
    floor.requests()
    floor.order(-1, 1000, reduce_only=True)
    assert floor.sent() == [(SUBMIT, 300)]
    assert floor.controls.preview_manual(floor.now, 0, 0, 1, 10, reduce_only=True)[0] == (
        Reason.REASON_NOTHING_TO_REDUCE
    )


@pytest.mark.parametrize("where", [(2, 0), (0, 2), (-1, 0), (0, -1)])
def test_an_order_by_hand_needs_a_place(floor: Floor, where: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"strategy|instrument"):
        floor.controls.submit_manual(floor.now, *where, 1, 10)


@pytest.mark.parametrize("fields", [{"side": 0}, {"side": 3}, {"lots": 0}, {"lots": -5},
                                    {"price_ticks": -1}, {"stop_loss_ticks": -1}])  # fmt: skip
def test_nonsense_by_hand_is_denied(floor: Floor, fields: dict[str, int]) -> None:
    values = {"side": 1, "lots": 10, **fields}
    order_id, reason, _, _ = floor.controls.submit_manual(floor.now, 0, 0, **values)
    assert order_id == 0
    assert reason != Reason.REASON_OK


# -- strategies and states -------------------------------------------------------------------------


def buy(size: float = 1.0, **fields: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **fields)


def test_a_disabled_strategy_is_silent_until_it_is_enabled() -> None:
    script = Script({k: buy(order_type="limit", price=99.0) for k in range(5)})
    floor = Floor(script)
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    assert floor.controls.set_enabled(0, False, floor.now)
    assert not floor.controls.set_enabled(0, False, floor.now)
    assert ids(floor.requests(), CANCEL) == [entry]
    floor.bar()
    assert len(script.seen) == 1
    assert floor.controls.set_enabled(0, True, floor.now)
    floor.bar()
    assert len(script.seen) == 2
    states = floor.records(RecordKind.RECORD_STATE)
    assert [(int(r["limit"]), int(r["observed"])) for r in states] == [(0, 0), (0, 1)]
    with pytest.raises(ValueError, match="no strategy 1"):
        floor.controls.set_enabled(1, True, floor.now)


@pytest.mark.parametrize(
    ("level", "index", "reason", "scope"),
    [
        ("global", 0, Reason.REASON_REDUCING, StateScope.SCOPE_GLOBAL),
        ("market", 0, Reason.REASON_MARKET_HALTED, StateScope.SCOPE_MARKET),
        ("strategy", 0, Reason.REASON_STRATEGY_HALTED, StateScope.SCOPE_STRATEGY),
        ("symbol", 0, Reason.REASON_SYMBOL_HALTED, StateScope.SCOPE_SYMBOL),
    ],
)
def test_a_trading_state_holds_for_the_next_order(
    floor: Floor, level: str, index: int, reason: Reason, scope: StateScope
) -> None:
    floor.controls.set_trading_state(level, index, TradingState.TRADING_REDUCING, floor.now)
    assert floor.controls.submit_manual(floor.now, 0, 0, 1, 10)[1] == reason
    floor.controls.set_trading_state(level, index, TradingState.TRADING_ACTIVE, floor.now)
    place(floor, 0, 0)
    states = floor.records(RecordKind.RECORD_STATE)
    assert [(int(r["limit"]), int(r["observed"])) for r in states] == [(scope, 2), (scope, 1)]


@pytest.mark.parametrize(("level", "index", "state"), [("trade", 0, 1), ("market", 7, 1),
                                                       ("global", 0, 9)])  # fmt: skip
def test_a_trading_state_that_does_not_exist(
    floor: Floor, level: str, index: int, state: int
) -> None:
    with pytest.raises(ValueError, match=r"trading|scope"):
        floor.controls.set_trading_state(level, index, state, floor.now)
    assert floor.kinds() == []


def test_a_reloaded_strategy_takes_over_series_orders_and_positions() -> None:
    old = Script({0: buy(1, stop_loss=95)})
    floor = Floor(old, table={"indicators": ["sma:2"]})
    floor.bar()
    (entry,) = ids(floor.requests(), SUBMIT)
    new = Script({0: buy(2)})
    new.indicators = ("sma:2",)
    floor.controls.lend_account(0, new)
    assert new.account.position(SYMBOL) == 0.0
    floor.controls.replace_strategy(0, new)
    floor.fill(entry, 1000, 0)
    assert old.results == []
    assert [(signal, result.status) for signal, result in new.results] == [(None, "FILLED")]
    assert new.account.position(SYMBOL) == 1.0
    assert floor.state(ids(floor.requests(), SUBMIT)[0]) == OrderState.STATE_SUBMITTED
    floor.bar()
    assert (len(old.seen), len(new.seen)) == (1, 1)
    assert floor.sent() == [(SUBMIT, 2000)]


def test_a_reloaded_strategy_gets_no_indicators_that_are_not_there() -> None:
    old = Script()
    floor = Floor(old, table={"indicators": ["sma:2"]})
    new = Script()
    new.indicators = ("sma:2", "sma:3")
    with pytest.raises(ReloadError, match=r"asks for sma:3.*AAABBB.*restart"):
        floor.controls.replace_strategy(0, new)
    floor.bar()
    assert (len(old.seen), len(new.seen)) == (1, 0)
    with pytest.raises(ValueError, match="no strategy 1"):
        floor.controls.replace_strategy(1, old)


def test_a_compiled_strategy_takes_the_place_of_a_python_one_and_back() -> None:
    compiled = TrendCompiled("trend")
    compiled.initialize({"fast": 2, "slow": 4, "atr": 2, "stop_atr": 1.0})
    script = Script()
    table = {"indicators": list(compiled.indicators), "sizing": "fixed_fractional"}
    floor = Floor(script, table=table)
    floor.bar()
    floor.controls.replace_strategy(0, compiled)
    for k in range(12):
        floor.bar(TICKS + (-20 * k if k < 6 else 30 * k - 300))
    assert floor.pipeline.strategies[0].strategy is compiled
    assert (len(script.seen), floor.kinds().count("SIGNAL")) == (1, 1)
    floor.controls.replace_strategy(0, script)
    floor.bar()
    assert len(script.seen) == 2
