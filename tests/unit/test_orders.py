"""Life of orders and brackets through the whole pipeline, told by the journal."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from mmats._core import RecordKind
from mmats.config import load_config
from mmats.engine import assembly as wiring
from mmats.engine.simulation import simulated_venue
from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, Script, bars, config, play

BUY, SELL = "BUY", "SELL"
ENTRY, PROTECT, TARGET, FLATTEN = 1, 2, 3, 5
REDUCE_ONLY = 2


def signal(action: str, size: float | None = None, **fields: Any) -> TradeSignal:
    return TradeSignal(action, SYMBOL, size, **fields)


def story(report: Any, *kinds: str) -> list[tuple[str, int, int]]:
    """(kind, role, lots) of the records; all kinds unless some are named."""
    names = {int(kind): kind.name.removeprefix("RECORD_").lower() for kind in RecordKind}
    return [
        (names[int(r["kind"])], int(r["role"]), int(r["lots"]))
        for r in report.result.records
        if not kinds or names[int(r["kind"])] in kinds
    ]


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The risk gate of every run of the test."""
    made: list[Any] = []
    build = wiring.RiskGate

    def remember(*args: Any) -> Any:
        made.append(build(*args))
        return made[-1]

    monkeypatch.setattr(wiring, "RiskGate", remember)
    return made


def assert_nothing_open(gate: Any) -> None:
    assert (gate.reserved, gate.open_order_count, gate.open_lots(0)) == (0, 0, (0, 0))


def frame(*rows: Sequence[float]) -> pd.DataFrame:
    """Bars of (open, high, low, close[, volume])."""
    columns = {name: [row[k] for row in rows] for k, name in enumerate(("open", "high", "low"))}
    volume = [row[4] if len(row) > 4 else 10.0 for row in rows]
    return bars([row[3] for row in rows], **columns, volume=volume)


FLAT = (100, 100, 100, 100)
SLOW = {"fill": {"market": "close", "order_latency": "90s"}}


def test_target_cancels_stop_and_everything_is_released(gates: list[Any]) -> None:
    _, report = play(
        {0: signal(BUY, 1, stop_loss=90, take_profit=110)},
        frame(FLAT, FLAT, (100, 120, 100, 118), FLAT),
    )
    assert story(report, "filled") == [("filled", ENTRY, 1000), ("filled", TARGET, 1000)]
    assert ("canceled", PROTECT, 1000) in story(report)
    assert_nothing_open(gates[0])


def test_stop_cancels_target(gates: list[Any]) -> None:
    _, report = play(
        {0: signal(BUY, 1, stop_loss=90, take_profit=110)},
        frame(FLAT, FLAT, (100, 100, 80, 85), FLAT),
    )
    assert story(report, "filled") == [("filled", ENTRY, 1000), ("filled", PROTECT, 1000)]
    assert ("canceled", TARGET, 1000) in story(report)
    assert_nothing_open(gates[0])


def test_bracket_follows_a_position_that_grows_and_turns(gates: list[Any]) -> None:
    _, report = play(
        {
            0: signal(BUY, 1, stop_loss=90, take_profit=110),
            2: signal(BUY, 2),
            4: signal(SELL, 5, stop_loss=105, take_profit=95),
            6: signal(BUY, 2),
        },
        frame(*[FLAT] * 8, (100, 106, 100, 106), FLAT),
    )
    fills = story(report, "filled")
    assert [lots for _, role, lots in fills if role == ENTRY] == [1000, 2000, 5000, 2000]
    assert fills[-1] == ("filled", ENTRY, 2000)
    assert_nothing_open(gates[0])


def test_partial_entry_fills_are_protected_at_once(gates: list[Any]) -> None:
    # Half of each bar's volume may be taken: 10 units come as 4 + 4 + 2.
    _, report = play(
        {0: signal(BUY, 10, stop_loss=90)},
        frame(*[(*FLAT, 8.0)] * 6, (100, 100, 85, 85, 100.0), FLAT),
        costs={**config()["costs"], "volume_share": "50%"},
        fill={"market": "next_open"},
    )
    fills = story(report, "filled")
    assert [row for row in fills if row[1] == ENTRY] == [
        ("filled", ENTRY, 4000), ("filled", ENTRY, 4000), ("filled", ENTRY, 2000),
    ]  # fmt: skip
    assert sum(lots for _, role, lots in fills if role == PROTECT) == 10_000
    assert len(story(report, "submitted")) == 2  # one entry and one stop that grows
    assert_nothing_open(gates[0])


def test_a_reduction_leaves_as_reduce_only_and_never_opens_a_position(gates: list[Any]) -> None:
    # A limit exit rests while the stop closes the position: the exit must not open a short.
    _, report = play(
        {
            0: signal(BUY, 1, stop_loss=90),
            2: signal(SELL, 1, order_type="limit", price=110),
        },
        frame(FLAT, FLAT, FLAT, FLAT, (100, 100, 80, 85), (85, 130, 85, 125), FLAT),
    )
    assert story(report, "filled") == [("filled", ENTRY, 1000), ("filled", PROTECT, 1000)]
    exits = [r for r in report.result.records if r["side"] == -1 and r["role"] == ENTRY]
    assert exits[1]["flags"] & REDUCE_ONLY  # as submitted; the signal itself was plain
    assert not exits[0]["flags"] & REDUCE_ONLY
    assert_nothing_open(gates[0])


def test_two_exits_in_one_bar_close_once_and_open_once() -> None:
    _, report = play(
        {0: signal(BUY, 1), 2: [signal(SELL, 1), signal(SELL, 1)]},
        frame(*[FLAT] * 5),
        fill={"market": "next_open"},
        risk={**config()["risk"], "position_notional_max": "150 BBB"},
    )
    sells = [r for r in report.result.records if r["side"] == -1 and r["kind"] == 3]
    assert [bool(r["flags"] & REDUCE_ONLY) for r in sells] == [True, False]
    assert [r["observed"] for r in report.result.records if r["kind"] == 6] == [1000, 0, -1000]


def test_reports_that_come_after_the_end_are_counted(gates: list[Any]) -> None:
    # With latency, exits race: each order's cancel reaches the venue after its fill.
    answers: Mapping[int, Any] = {
        0: signal(BUY, 1, stop_loss=99, take_profit=101),
        8: signal(BUY, 1, stop_loss=99, take_profit=101),
        16: signal(SELL, 1, stop_loss=101, take_profit=99),
    }
    wild = [(100, 100, 100, 100), (100, 103, 97, 100)] * 14
    _, report = play(answers, frame(*wild), **SLOW)
    assert len([row for row in story(report, "filled") if row[1] == ENTRY]) == 3
    assert_nothing_open(gates[0])


def test_an_add_while_the_stop_fills_stays_protected(gates: list[Any]) -> None:
    # The change of the stop is under way when the old, smaller one fills at the venue.
    _, report = play(
        {0: signal(BUY, 1, stop_loss=90), 6: signal(BUY, 2, stop_loss=90)},
        frame(*[FLAT] * 9, (100, 100, 85, 95), *[(95, 95, 95, 95)] * 4, (95, 95, 80, 80),
              *[(80, 80, 80, 80)] * 5),
        **SLOW,
    )  # fmt: skip
    position = sum(
        int(r["lots"]) * int(r["side"]) for r in report.result.records if r["kind"] in (6, 13)
    )
    assert position == 0
    assert_nothing_open(gates[0])


def test_a_stop_that_is_refused_closes_the_position(gates: list[Any]) -> None:
    # The gate passes what it can't know: the fill leaves less than the venue takes as an order.
    _, report = play(
        {0: signal(BUY, 10, stop_loss=90)},
        frame((*FLAT, 8.0), (*FLAT, 0.002), *[(*FLAT, 100.0)] * 4),
        instruments=[{**config()["instruments"][0], "quantity_min": "0.01"}],
        costs={**config()["costs"], "volume_share": "50%"},
        fill={"market": "next_open"},
    )
    denied = [r for r in report.result.records if r["kind"] == 2]
    assert [(int(r["role"]), int(r["lots"])) for r in denied[:2]] == [(PROTECT, 1), (FLATTEN, 1)]
    # The rest of the entry fills, and now a stop of the whole size is there.
    stops = [r for r in report.result.records if r["role"] == PROTECT and r["kind"] == 3]
    assert [int(r["lots"]) for r in stops] == [10_000]


def test_protective_orders_pass_the_message_rate() -> None:
    _, report = play(
        {0: signal(BUY, 1, stop_loss=90, take_profit=110), 1: signal(BUY, 1)},
        frame(*[FLAT] * 4),
        risk={**config()["risk"], "message_rate_max": "1/m"},
    )
    assert {role for _, role, _ in story(report, "accepted")} >= {ENTRY, PROTECT, TARGET}
    assert not [row for row in story(report, "denied") if row[1] != ENTRY]


def test_a_disabled_strategy_keeps_its_exits() -> None:
    def fails(data: Any) -> Any:
        raise RuntimeError("no more")

    _, report = play(
        {
            0: signal(BUY, 1, stop_loss=90),
            1: [
                signal(SELL, 1, order_type="limit", price=120),
                signal(BUY, 1, order_type="limit", price=50),
            ],
            2: fails,
        },
        frame(*[FLAT] * 4, (100, 125, 100, 125), FLAT),
    )
    assert story(report, "cancel_sent")[0] == ("cancel_sent", ENTRY, 1000)
    assert story(report, "filled")[-1] == ("filled", ENTRY, 1000)  # the limit exit
    assert len(report.result.strategy_errors) == 1


def test_more_orders_than_slots_are_denied(gates: list[Any]) -> None:
    many = [signal(BUY, 0.001, order_type="limit", price=50) for _ in range(4100)]
    script, _ = play(
        {0: many}, frame(*[FLAT] * 3), risk={**config()["risk"], "open_orders_max": 10_000}
    )
    denied = [result for _, result in script.results if result.status == "DENIED"]
    assert [result.reason for result in denied] == ["OPEN_ORDERS"] * 4
    assert gates[0].open_order_count == 4096


def test_slots_are_used_again_for_more_orders_than_there_are() -> None:
    def flip(script: Script, data: Any) -> Any:
        return signal(BUY if len(script.seen) % 2 else SELL, 1)

    _, report = play(None, frame(*[FLAT] * 9_000), each=flip)
    assert len(story(report, "filled")) >= 8_999


def test_limits_of_a_configuration_arrive_in_the_gate() -> None:
    checked = load_config(
        config(
            "one",
            risk={
                "trading_state": "reducing", "stop_loss_required": True,
                "daily_loss_max": "5%", "drawdown_max": "70 BBB", "gross_exposure_max": "150%",
                "order_notional_max": "20 BBB", "order_notional_min": "3 BBB",
                "price_collar": "2%", "message_rate_max": "7/s", "open_orders_max": 9,
                "markets": {"test": {"exposure_max": "30%"}},
                "strategies": {"one": {"daily_loss_max": "1%", "drawdown_max": "2%"}},
                "symbols": {SYMBOL: {"position_notional_max": "40 BBB", "order_quantity_max": "2"}},
            },
        )
    )  # fmt: skip
    script = Script()
    built = wiring.assemble(
        checked, [(checked.strategies[0], script)],
        lambda catalogue, ledger, count: simulated_venue(checked, catalogue, ledger, count),
    )  # fmt: skip
    unit = 10**8
    overall = built.gate.limits("global")
    assert overall["trading_state"] == 2
    assert overall["stop_loss_required"] == 1
    assert overall["daily_loss_ppm"] == 50_000
    assert overall["drawdown_max"] == 70 * unit
    assert overall["exposure_ppm"] == 1_500_000
    assert (overall["order_notional_max"], overall["order_notional_min"]) == (20 * unit, 3 * unit)
    assert overall["price_collar_ppm"] == 20_000
    assert (overall["messages_max"], overall["message_window_ns"]) == (7, 10**9)
    assert overall["open_orders_max"] == 9
    assert built.gate.limits("market")["exposure_ppm"] == 300_000
    assert built.gate.limits("strategy")["daily_loss_ppm"] == 10_000
    assert built.gate.limits("strategy")["drawdown_ppm"] == 20_000
    assert built.gate.limits("symbol")["position_notional_max"] == 40 * unit


def test_a_strategys_percentage_stops_its_entries() -> None:
    # 1 % of 10,000 is 100: a loss of 10 units * 10.
    script, _ = play(
        {0: signal(BUY, 10), 2: signal(BUY, 1)},
        frame(FLAT, (100, 100, 90, 90), (90, 90, 90, 90), (90, 90, 90, 90)),
        risk={**config()["risk"], "strategies": {"script": {"daily_loss_max": "1%"}}},
    )
    assert [result.reason for _, result in script.results if result.status == "DENIED"] == [
        "STRATEGY_DAILY_LOSS"
    ]
