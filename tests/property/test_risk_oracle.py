"""The gate says what a slow, plain oracle says: a million random orders in random accounts."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from mmats._core import NO_LIMIT, Ledger, Reason, RiskGate
from mmats._core.frames import ORDER_DTYPE
from tests.fakes.oracles_risk import SPOT, Scene, judge

UNIT = 10**8
SCENES = 1_000
ORDERS = 1_000
STRATEGIES, INSTRUMENTS, MARKETS = 3, 3, 2
NOW = 1_704_067_200 * 10**9
# Reasons that these scenes have no way to reach; tests/unit/test_risk.py reaches them.
ELSEWHERE = {
    "VALUATION_UNKNOWN", "MARKET_DAILY_LOSS", "STRATEGY_DAILY_LOSS", "STRATEGY_DRAWDOWN",
    "OVERFLOW", "SIZE_UNKNOWN", "PORT_FULL",
    "ORDER_UNKNOWN",
}  # fmt: skip


def random_terms(random: Random, index: int) -> dict[str, int]:
    return {
        "index": index,
        "market": random.randrange(MARKETS),
        "base_currency": 1 + index,
        "quote_currency": 0,
        "settlement": random.choice([SPOT, 2]),
        "money_num": random.choice([1000, 7000, 10**5, 10**6]),
        "money_den": random.choice([1, 3, 100]),
        "lot_units": 10**6,
        "quantity_min_lots": random.choice([1, 2, 5]),
        "quantity_max_lots": random.choice([60, 1000, 10**9]),
        "notional_min": random.choice([0, 0, 10**6, 10**8]),
        "margin_ppm": random.choice([33_334, 200_000, 1_000_000]),
    }


def random_limits(random: Random, **names: int) -> dict[str, int]:
    """Each limit is lifted two times out of three, or near the sizes that occur."""
    return {
        name: NO_LIMIT if random.random() < 0.8 else random.randrange(1, most)
        for name, most in names.items()
    }


MONEY = 300 * UNIT


def set_all(random: Random, gate: RiskGate) -> None:
    state = [1] * 30 + [2, 3]
    notionals = {"order_notional_max": MONEY, "position_notional_max": 2 * MONEY}
    exposures = {"exposure_max": 3 * MONEY, "exposure_ppm": 2_000_000}
    gate.set_limits(
        "global",
        trading_state=random.choice(state),
        stop_loss_required=int(random.random() < 0.2),
        open_orders_max=random.choice([4, 20, 20]),
        order_notional_min=random.choice([0, 0, UNIT // 10]),
        messages_max=random.choice([3, 20, 20, 20]),
        message_window_ns=1000,
        **random_limits(
            random, **notionals, **exposures, daily_loss_max=5 * MONEY, daily_loss_ppm=300_000,
            drawdown_max=5 * MONEY, drawdown_ppm=300_000, price_collar_ppm=300_000,
        ),
    )  # fmt: skip
    for market in range(MARKETS):
        limits = random_limits(random, **notionals, **exposures)
        gate.set_limits("market", market, trading_state=random.choice(state), **limits)
    for strategy in range(STRATEGIES):
        gate.set_limits(
            "strategy", strategy, trading_state=random.choice(state),
            stop_loss_required=int(random.random() < 0.2),
            open_orders_max=random.choice([2, 20, 20, 20]),
            **random_limits(random, **notionals, **exposures),
        )  # fmt: skip
    for k in range(INSTRUMENTS):
        gate.set_limits("symbol", k, **random_limits(random, **notionals))


def random_account(random: Random) -> tuple[RiskGate, Scene]:
    terms = [random_terms(random, k) for k in range(INSTRUMENTS)]
    ledger = Ledger(1 + INSTRUMENTS, INSTRUMENTS, STRATEGIES, 0)
    for fields in terms:
        ledger.declare_instrument(**fields)
    for k in range(INSTRUMENTS):
        ledger.set_rate(1 + k, 3, k)  # worth its mark
    ledger.deposit(0, random.choice([1000, 20_000, 100_000]) * UNIT)
    gate = RiskGate(ledger, MARKETS)
    marks = [random.choice([50, 1000, 30_000]) for _ in range(INSTRUMENTS)]
    for k, price in enumerate(marks):
        ledger.mark_price(k, price, NOW)
    gate.update(NOW)
    day_start = ledger.account_equity
    cells = random_positions(random, ledger, terms, marks)
    gate.update(NOW)
    peak = max(day_start, ledger.account_equity)
    if random.random() < 0.5:
        marks = [max(1, price * random.randrange(80, 121) // 100) for price in marks]
        for k, price in enumerate(marks):
            ledger.mark_price(k, price, NOW)
        gate.update(NOW)
        peak = max(peak, ledger.account_equity)
    fee, buffer = random.choice([0, 1000]), random.choice([0, 5000])
    gate.set_reserve(fee, buffer)
    lots_max = [(random.choice([30, 10**9]), random.choice([40, 10**9])) for _ in terms]
    for k, (most, position) in enumerate(lots_max):
        gate.set_quantity_limits(k, most, position)
    set_all(random, gate)
    sent = [NOW - random.randrange(2000) for _ in range(random.randrange(6))]
    for ts in sorted(sent):
        gate.tell_sent(ts)
    pending, open_orders = random_open_orders(random, gate)
    scene = Scene(
        instruments=terms, marks=marks, cells=cells, pending=pending, open_orders=open_orders,
        reserved=gate.reserved, equity=ledger.account_equity, day_start=day_start, peak=peak,
        free_money=ledger.account_free_money, overall=gate.limits("global"),
        markets=[gate.limits("market", k) for k in range(MARKETS)],
        strategies=[gate.limits("strategy", k) for k in range(STRATEGIES)],
        symbols=[gate.limits("symbol", k) for k in range(INSTRUMENTS)],
        lots_max=lots_max, fee_ppm=fee, buffer_ppm=buffer, sent=sent, now_ns=NOW,
    )  # fmt: skip
    return gate, scene


def random_positions(
    random: Random, ledger: Ledger, terms: list[dict[str, int]], marks: list[int]
) -> dict[tuple[int, int], int]:
    cells = {}
    for strategy in range(STRATEGIES):
        for k, fields in enumerate(terms):
            lots = random.choice([0, 0, random.randrange(1, 40)])
            side = 1 if fields["settlement"] == SPOT else random.choice([1, -1])
            if lots:
                ledger.apply(
                    strategy=strategy, instrument=k, side=side, lots=lots, price=marks[k],
                    now_ns=NOW,
                )  # fmt: skip
                cells[strategy, k] = side * lots
    return cells


def random_open_orders(
    random: Random, gate: RiskGate
) -> tuple[dict[tuple[int, int, int], int], dict[int, int]]:
    pending: Counter[tuple[int, int, int]] = Counter()
    open_orders: Counter[int] = Counter()
    for _ in range(random.randrange(5)):
        strategy, k = random.randrange(STRATEGIES), random.randrange(INSTRUMENTS)
        side, role = random.choice([1, -1]), random.choice([1, 1, 2, 3, 5])
        lots = random.randrange(1, 30)
        reserve = random.randrange(UNIT) if role == 1 else 0
        gate.hold(strategy=strategy, instrument=k, side=side, role=role, quantity_lots=lots,
                  reserved=reserve)  # fmt: skip
        open_orders[strategy] += 1
        if role not in (2, 3):
            pending[strategy, k, side] += lots
    return pending, open_orders


def random_orders(rng: np.random.Generator, scene: Scene, count: int) -> Any:
    orders = np.zeros(count, dtype=ORDER_DTYPE)

    def pick(choices: list[int], weights: list[float] | None = None) -> Any:
        return rng.choice(choices, count, p=weights)

    orders["strategy"] = rng.integers(0, STRATEGIES, count)
    orders["instrument"] = rng.integers(0, INSTRUMENTS, count)
    mark = np.array(scene.marks)[orders["instrument"]]
    near = (mark * rng.integers(70, 131, (5, count))) // 100
    orders["side"] = pick([1, -1, 0], [0.495, 0.495, 0.01])
    orders["type"] = pick([0, 1, 2, 3, 4, 5, 6, 7], [0.005, 0.3, 0.3, 0.1, 0.1, 0.09, 0.1, 0.005])
    orders["tif"] = pick([1, 3, 5, 6], [0.4, 0.3, 0.29, 0.01])
    orders["role"] = pick([1, 2, 3, 4, 5], [0.88, 0.03, 0.03, 0.03, 0.03])
    own = np.isin(orders["role"], (2, 3, 5))
    orders["flags"] = np.where(own & (rng.random(count) < 0.95), 2, pick([0, 2], [0.95, 0.05]))
    orders["quantity_lots"] = np.where(
        rng.random(count) < 0.05, rng.integers(-1, 3, count), rng.integers(1, 70, count)
    )
    limited, triggered = np.isin(orders["type"], (2, 4)), np.isin(orders["type"], (3, 4, 5))
    keep = rng.random((5, count)) < 0.97
    orders["price_ticks"] = np.where(limited & keep[0], near[0], 0)
    orders["trigger_ticks"] = np.where(triggered & keep[1], near[1], 0)
    orders["trail_ticks"] = np.where((orders["type"] == 6) & keep[2], near[2], 0)
    has_stop, has_target = rng.random((2, count)) < 0.3
    orders["stop_loss_ticks"] = np.where(has_stop, near[3], 0) - (rng.random(count) < 0.002)
    orders["take_profit_ticks"] = np.where(has_target, near[4], 0)
    orders["reference_ticks"] = np.where(orders["price_ticks"] > 0, orders["price_ticks"], mark)
    return orders


def compare(seed: int, scenes: int, orders: int) -> Counter[str]:
    random, rng = Random(seed), np.random.default_rng(seed)
    names = [
        "strategy", "instrument", "side", "type", "tif", "role", "flags", "quantity_lots",
        "price_ticks", "trigger_ticks", "trail_ticks", "stop_loss_ticks", "take_profit_ticks",
        "reference_ticks",
    ]  # fmt: skip
    codes = {int(reason): reason.name.removeprefix("REASON_") for reason in Reason}
    seen: Counter[str] = Counter()
    for _ in range(scenes):
        gate, scene = random_account(random)
        table = random_orders(rng, scene, orders)
        given = gate.check_many(table, NOW)[["reason", "reserve", "reduces"]].tolist()
        for row, (reason, reserve, reduces) in zip(table[names].tolist(), given, strict=True):
            order = dict(zip(names, row, strict=True))
            name = codes[reason]
            assert judge(scene, order) == (name, reserve, reduces), (order, scene)
            seen[name] += 1
    return seen


def test_a_million_random_orders() -> None:
    seen = compare(seed=1, scenes=SCENES, orders=ORDERS)
    assert seen.total() == 1_000_000
    rare = {name for name in seen if seen[name] < 20}
    missing = {r.name.removeprefix("REASON_") for r in Reason} - set(seen) - ELSEWHERE
    assert not missing | rare
    assert seen["OK"] > 50_000


def test_one_by_one_is_as_many_at_once() -> None:
    gate, scene = random_account(Random(5))
    table = random_orders(np.random.default_rng(5), scene, 300)
    for row, many in zip(table, gate.check_many(table, NOW), strict=True):
        fields = {name: int(row[name]) for name in ORDER_DTYPE.names or ()}
        one = gate.check_order(NOW, **fields)
        assert {name: int(value) for name, value in one.items()} == {
            name: int(many[name]) for name in one
        }


def test_check_many_refuses_what_is_no_order() -> None:
    gate, scene = random_account(Random(6))
    table = random_orders(np.random.default_rng(6), scene, 3)
    assert len(gate.check_many(table[:0], NOW)) == 0
    for wrong in (np.zeros(3), table[::2]):
        with pytest.raises(ValueError, match="ORDER_DTYPE"):
            gate.check_many(wrong, NOW)
    for name in ("strategy", "instrument"):
        for index in (-1, 3):
            bad = table.copy()
            bad[name][1] = index
            with pytest.raises(IndexError, match=name):
                gate.check_many(bad, NOW)
