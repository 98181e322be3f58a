"""Quotes, trades, an order book, brackets, latency: the same decisions in every mode."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmats._core import OrderRole, RecordKind
from mmats.config import Config
from mmats.engine.session import Session
from mmats.model import MarketData, Strategy, TradeSignal
from tests.fakes import sessions, tick_market

SEEDS = (1, 2, 3)
SECONDS = 1500


class Bracketed(Strategy):
    """Enters with a stop and a target, at the market or at a limit, on a price pattern."""

    name = "bracketed"

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        """Alternate between order types by the last digits of the price."""
        turn = round(data.close * 100) // 10 % 7
        if turn > 3:
            return None
        bracket = {"stop_loss": data.close * 0.9995, "take_profit": data.close * 1.0005}
        if turn == 0:
            return TradeSignal("SELL", data.symbol, 0.0002)
        if turn == 1:
            price = round(data.close * 0.9998, 2)
            return TradeSignal(
                "BUY", data.symbol, 0.0002, price=price, order_type="limit", **bracket
            )
        return TradeSignal("BUY", data.symbol, 0.0002, **bracket)


STRATEGIES = [
    {
        "name": "bracketed", "source": "tests.parity.test_modes_ticks:Bracketed",
        "symbols": ["BTCUSDT"], "timeframe": "5s",
    },
    {
        "name": "compiled", "source": "strategies.trend_compiled:TrendCompiled",
        "symbols": ["BTCUSDT"], "timeframe": "10s", "sizing": "fixed_fractional",
        "risk_per_trade": "0.1%", "params": {"fast": 3, "slow": 8, "atr": 5, "stop_atr": 3.0},
    },
]  # fmt: skip
FEEDS = {
    "quotes": ("quote",),
    "trades": ("trade",),
    "book": ("quote", "delta"),
    "all": ("quote", "trade", "delta"),
}
FILLS: dict[str, dict[str, Any]] = {
    "at once": {},
    "late": {"order_latency": "250ms", "order_jitter": "700ms"},
}


@pytest.fixture(scope="module", params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def catalog(seed: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp(f"catalog{seed}")
    tick_market.write_market(root, SECONDS, seed)
    return root


def made(catalog: Path, seed: int, kinds: tuple[str, ...], fill: dict[str, Any]) -> Config:
    feed = {"symbol": tick_market.SYMBOL, "path": str(catalog)}
    return sessions.small_config(
        account={"currency": "USDT", "balances": ["1000 USDT"]},
        feeds=[feed | {"kind": kind} for kind in kinds],
        strategies=STRATEGIES,
        risk={"message_rate_max": "none", "daily_loss_max": "none", "drawdown_max": "none"},
        fill=fill,
        backtest={"seed": seed},
    )


@pytest.mark.parametrize("feeds", FEEDS)
@pytest.mark.parametrize("fill", FILLS)
def test_orders_and_fills_are_those_of_the_backtest(
    catalog: Path, seed: int, feeds: str, fill: str
) -> None:
    config = made(catalog, seed, FEEDS[feeds], FILLS[fill])
    backtest = sessions.backtest_records(config)
    filled = backtest[backtest["kind"] == RecordKind.RECORD_FILLED]
    assert len(filled) > 20
    assert len(np.unique(filled["strategy"])) == 2
    assert {OrderRole.ROLE_STOP, OrderRole.ROLE_TARGET} <= set(filled["role"].tolist())
    blocks = sessions.events_of(config)
    _, paper = sessions.session_records(sessions.in_mode(config, "paper"), blocks)
    sessions.same(backtest, paper)
    _, operator = sessions.operator_records(sessions.in_mode(config, "operator"), blocks)
    sessions.same(backtest, operator)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_how_events_are_packed_makes_no_difference(
    catalog: Path, seed: int, data: st.DataObject
) -> None:
    config = sessions.in_mode(made(catalog, seed, FEEDS["all"], FILLS["late"]), "paper")
    rows = np.concatenate(sessions.events_of(config))[:6000]
    edges = np.flatnonzero(np.diff(rows["ts_event_ns"])) + 1
    whole = Session(config)
    whole.events(rows)
    cuts = data.draw(st.sets(st.sampled_from(edges.tolist()), max_size=40))
    parts = Session(config)
    found = []
    for part in np.split(rows, sorted(cuts)):
        parts.events(np.ascontiguousarray(part))
        found.append(parts.journal.take())
    sessions.same(whole.journal.take(), np.concatenate(found))
    assert parts.image() == whole.image()
