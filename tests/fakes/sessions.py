"""One configuration and one stream of events through every mode, without sockets."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmats._core import EventFlag, EventKind, Exchange
from mmats.backtest import run
from mmats.config import Config, load_config
from mmats.engine.feeds import stored_events
from mmats.engine.merging import merge
from mmats.engine.session import Session
from mmats.engine.simulation import simulated_venue

Rows = NDArray[np.void]


def in_mode(config: Config, mode: str) -> Config:
    """The same configuration for an engine of another mode."""
    engine = msgspec.structs.replace(config.engine, mode=mode, venue="sim")
    return msgspec.structs.replace(config, engine=engine)


def events_of(config: Config) -> list[Rows]:
    """All events of the configuration's feeds, merged; no moment is split over two arrays."""
    sources = [stored_events(config, feed, (None, None)) for feed in config.feeds]
    return list(merge(sources))


def moments(rows: Rows) -> Iterator[Rows]:
    """Split an array where its time changes."""
    cuts = np.flatnonzero(np.diff(rows["ts_event_ns"])) + 1
    yield from np.split(rows, cuts)


def messages(rows: Rows) -> Iterator[Rows]:
    """Split an array as data arrives: event by event, a book change whole, bars of one moment."""
    is_delta = rows["kind"] == EventKind.EVENT_DELTA
    is_last = (rows["flags"] & int(EventFlag.DELTA_LAST)) != 0
    ends = (rows["kind"] != EventKind.EVENT_BAR) & (~is_delta | is_last)
    cuts = np.flatnonzero((np.diff(rows["ts_event_ns"]) != 0) | ends[:-1]) + 1
    yield from np.split(rows, cuts)


def backtest_records(config: Config) -> Rows:
    """Journal of the backtest."""
    return run(config).result.records


def session_records(config: Config, blocks: list[Rows]) -> tuple[Session, Rows]:
    """Journal of a paper or advisory session."""
    session = Session(config)
    parts = [some for rows in blocks for some in np.array_split(rows, max(1, len(rows) // 4096))]
    found = []
    for rows in _whole(parts):
        session.events(rows)
        found.append(session.journal.take())
    return session, np.concatenate(found)


def _whole(parts: list[Rows]) -> Iterator[Rows]:
    """Whole moments only, as feeds send them."""
    held: Rows | None = None
    for rows in parts:
        if held is not None:
            rows = np.concatenate([held, rows])
            held = None
        if not len(rows):
            continue
        last = rows["ts_event_ns"][-1]
        keep = rows["ts_event_ns"] != last
        held = rows[~keep]
        if keep.any():
            yield np.ascontiguousarray(rows[keep])
    if held is not None:
        yield held


def operator_records(config: Config, blocks: list[Rows]) -> tuple[Session, Rows]:
    """Journal of an operator session whose orders go to a simulated venue, in lock step."""
    session = Session(config)
    ledger = session.ledger
    exchange = Exchange(simulated_venue(config, session.catalogue, ledger, len(session.names)))
    port = session.port
    assert port is not None

    def send(now_ns: int) -> None:
        requests = port.take_requests(port.waiting)
        if len(requests):
            exchange.on_requests(requests, now_ns)

    def answer(now_ns: int) -> None:
        send(now_ns)
        while len(reports := exchange.take_reports(now_ns)):
            for report in np.split(reports, len(reports)):
                arrival_ns = int(report["ts_recv_ns"][0])
                session.reports(report, arrival_ns)
                send(arrival_ns)

    found = []
    for block in blocks:
        for rows in messages(block):
            exchange.on_events(rows, answer)
            answer(int(rows["ts_event_ns"][0]))
            session.events(rows)
            answer(int(rows["ts_event_ns"][0]))
            found.append(session.journal.take())
    return session, np.concatenate(found)


def same(one: Rows, other: Rows, where: Callable[[Rows], Any] = lambda rows: slice(None)) -> None:
    """Assert that two journals hold the same records, and say the first that differs."""
    one, other = one[where(one)], other[where(other)]
    for k, (a, b) in enumerate(zip(one, other, strict=False)):
        assert a.tobytes() == b.tobytes(), f"record {k}: {_shown(a)} != {_shown(b)}"
    assert len(one) == len(other)


def _shown(row: Any) -> dict[str, Any]:
    return {name: row[name].item() for name in row.dtype.names if row[name]}


def small_config(**changes: Any) -> Config:
    """Three days of two synthetic markets, two of the example strategies and a small account."""
    data = {
        "account": {"currency": "EUR", "balances": ["150 EUR"]},
        "feeds": [
            {"symbol": "BTCUSDT.BINANCE", "source": "synthetic", "days": 6},
            {"symbol": "EURUSD.OANDA", "source": "synthetic", "days": 6},
        ],
        "strategies": [
            {
                "name": "trend",
                "source": "strategies.trend:Trend",
                "symbols": ["BTCUSDT"],
                "timeframe": "5m",
                "indicators": ["ema:5", "ema:15", "atr:14"],
                "sizing": "fixed_fractional",
                "risk_per_trade": "1%",
                "params": {"fast": 5, "slow": 15, "atr": 14, "stop_atr": 3.0},
            },
            {
                "name": "reversion",
                "source": "strategies.mean_reversion:MeanReversion",
                "symbols": ["EURUSD"],
                "timeframe": "5m",
                "indicators": ["bbands:20:2", "atr:14"],
                "sizing": "fixed_fractional",
                "risk_per_trade": "0.1%",
                "params": {
                    "length": 20,
                    "width": 2.0,
                    "atr": 14,
                    "stop_atr": 4.0,
                    "edge_min": 0.0001,
                    "allow_short": True,
                },
            },
        ],
        "risk": {"order_notional_max": "130 EUR", "message_rate_max": "none"},
        **changes,
    }
    return load_config(data)
