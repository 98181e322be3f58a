"""Wired pipelines without a driver around them, and market data made by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmats._core import (
    BAR_DTYPE,
    EVENT_DTYPE,
    QUOTE_DTYPE,
    TRADE_DTYPE,
    EventKind,
    ExecutionPort,
    RingJournal,
)
from mmats.backtest.driver import simulated_venue
from mmats.config import load_config
from mmats.engine.assembly import Assembly, assemble
from tests.fakes.backtests import MINUTE_NS, START_NS, Script, config

RING_RECORDS = 1 << 14
TICKS = 10_000  # 100.00


def wire(scripts: Sequence[Any] = (), symbols: Sequence[str] = (), **changes: Any) -> Assembly:
    """Return strategies at a simulated venue with a ring for a journal; `changes` as `config`."""
    names = [f"script{number}" for number in range(max(1, len(scripts)))]
    table = config(*names, **({"symbols": symbols} if symbols else {}), **changes)
    loaded = load_config(table)
    return assemble(
        loaded,
        list(zip(loaded.strategies, list(scripts) or [Script()], strict=True)),
        lambda *parts: simulated_venue(loaded, *parts),
        RingJournal(RING_RECORDS),
    )


def wire_port(
    scripts: Sequence[Any], symbols: Sequence[str], names: Sequence[str] = (), **changes: Any
) -> Assembly:
    """Return the same with an execution port, as `venue`, in place of the simulated venue."""
    names = names or [f"script{number}" for number in range(len(scripts))]
    loaded = load_config(config(*names, symbols=symbols, **changes))
    return assemble(
        loaded,
        list(zip(loaded.strategies, scripts, strict=True)),
        lambda catalogue, ledger, count: ExecutionPort(ledger.currency_count),
        RingJournal(RING_RECORDS),
    )


def event(dtype: Any, kind: int, ts_ns: int, instrument: int, fields: Mapping[str, int]) -> Any:
    """Return an array of one event."""
    out = np.zeros(1, dtype)
    out["kind"] = kind
    out["instrument"] = instrument
    out["ts_event_ns"] = out["ts_recv_ns"] = ts_ns
    for name, value in fields.items():
        out[name] = value
    return out.view(EVENT_DTYPE)


def bar(minute: float, close: int = TICKS, instrument: int = 0, **fields: int) -> Any:
    """Return a bar that closes so many minutes after the start; flat where nothing is said."""
    prices = {f"{name}_ticks": close for name in ("open", "high", "low", "close")}
    values = {**prices, "volume_lots": 10_000, **fields}
    return event(BAR_DTYPE, EventKind.EVENT_BAR, at(minute), instrument, values)


def quote(minute: float, bid: int, ask: int, instrument: int = 0, **fields: int) -> Any:
    """Return a quote of one lot on each side."""
    values = {"bid_ticks": bid, "ask_ticks": ask, "bid_lots": 1000, "ask_lots": 1000, **fields}
    return event(QUOTE_DTYPE, EventKind.EVENT_QUOTE, at(minute), instrument, values)


def trade(minute: float, price: int, instrument: int = 0, **fields: int) -> Any:
    """Return a trade of one lot."""
    values = {"price_ticks": price, "size_lots": 1000, **fields}
    return event(TRADE_DTYPE, EventKind.EVENT_TRADE, at(minute), instrument, values)


def at(minute: float) -> int:
    """Return a time so many minutes after the start, ns."""
    return START_NS + int(minute * MINUTE_NS)


def batch(*events: Any) -> Any:
    """Return one array of them all."""
    return np.concatenate(events) if events else np.zeros(0, EVENT_DTYPE)
