"""The whole risk gate, called from C with varied orders, each call timed by itself."""

from typing import Any

import numpy as np

from benchmarks.bars import bar_events, ema_bars
from benchmarks.budget import note
from benchmarks.compiled import module
from benchmarks.ours import CONFIG, EmaCross
from benchmarks.wiring import ring_replay
from mmats._core import OrderType, TimeInForce
from mmats._core.frames import ORDER_DTYPE

ORDERS = 200_000
ROUNDS = 5
MEDIAN_NS_MAX, P99_NS_MAX = 100, 1000

# Every level has limits, so that no check is skipped.
STRICT: dict[str, Any] = {
    **CONFIG,
    "risk": {
        **CONFIG["risk"],
        "gross_exposure_max": "500%",
        "price_collar": "20%",
        "open_orders_max": 1000,
        "markets": {"crypto": {"exposure_max": "500%"}},
        "strategies": {"ema": {"exposure_max": "500%", "daily_loss_max": "400000 USDT"}},
        "symbols": {
            "BTCUSDT": {
                "order_notional_max": "900000 USDT",
                "position_notional_max": "2000000 USDT",
            }
        },
    },
}


def varied_orders(count: int, mark: int, seed: int = 5) -> np.ndarray[Any, Any]:
    """Market and limit orders of both sides, one in eight of them too large."""
    rng = np.random.default_rng(seed)
    orders = np.zeros(count, ORDER_DTYPE)
    orders["order_id"] = np.arange(1, count + 1) << 12
    orders["quantity_lots"] = rng.integers(1, 1_000, count)
    orders["quantity_lots"][rng.random(count) < 1 / 8] = 5_000_000
    orders["side"] = rng.choice([-1, 1], count)
    is_limit = rng.random(count) < 0.5
    orders["type"] = np.where(is_limit, OrderType.ORDER_LIMIT, OrderType.ORDER_MARKET)
    orders["tif"] = TimeInForce.TIF_GTC
    orders["role"] = 1
    orders["reference_ticks"] = mark
    orders["price_ticks"] = np.where(is_limit, mark + rng.integers(-500, 500, count), 0)
    orders["reference_ticks"] = np.where(is_limit, orders["price_ticks"], mark)
    orders["stop_loss_ticks"] = orders["reference_ticks"] - orders["side"] * mark // 50
    return orders


def test_gate_from_c() -> None:
    events = bar_events(ema_bars(2_000))
    run, assembly = ring_replay(STRICT, EmaCross(), events)
    run()
    orders = varied_orders(ORDERS, int(events["close_ticks"][-1]))
    now_ns = int(events["ts_event_ns"][-1])
    rounds = [
        module("gate_timing").time_checks(assembly.gate, orders, now_ns) for _ in range(ROUNDS)
    ]
    median = float(np.median([np.percentile(ns, 50) for ns, _ in rounds]))
    p99 = float(np.median([np.percentile(ns, 99) for ns, _ in rounds]))
    passed = rounds[-1][1]
    note(
        "the whole risk gate, from C",
        f"median at most {MEDIAN_NS_MAX} ns, p99 at most {P99_NS_MAX} ns",
        f"median {median:.0f} ns, p99 {p99:.0f} ns ({passed / ORDERS:.0%} of orders pass)",
        median <= MEDIAN_NS_MAX and p99 <= P99_NS_MAX,
    )
    assert 0.5 * ORDERS < passed < ORDERS
    assert median < 20 * MEDIAN_NS_MAX
