"""Builds a `RunResult` from a list of executions, with a small ledger in exact integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from mmats._core.frames import RECORD_DTYPE
from mmats._core.journal import RecordKind
from mmats._core.types import Liquidity, OrderRole, OrderState, OrderType, TimeInForce
from mmats.backtest.result import RunResult
from mmats.model.instrument import Instrument, Settlement

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
START_NS = 1_698_796_800 * 10**9  # 2023-11-01T00:00Z
INITIAL_UNITS = 150 * 10**8

BTC = Instrument(
    symbol="BTCUSDT", venue="BINANCE", market="crypto", base="BTC", quote="USDT",
    tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"), quantity_min=Decimal("0.00001"),
    quantity_max=Decimal("9000"), notional_min=Decimal("5"),
)  # fmt: skip
EUR = Instrument(
    symbol="EURUSD", venue="OANDA", market="forex", base="EUR", quote="USD",
    tick_size=Decimal("0.00001"), lot_size=Decimal("1"), quantity_min=Decimal("1"),
    quantity_max=Decimal("1000000"), notional_min=Decimal("0"),
    settlement=Settlement.MARGIN, leverage=30,
)  # fmt: skip


@dataclass(frozen=True)
class Fill:
    """One execution; `side` +1 buys, -1 sells; money in 1e-8 units of account currency."""

    side: int
    lots: int
    price_ticks: int
    ts_ns: int = START_NS
    strategy: int = 0
    instrument: int = 0
    fee: int = 0
    spread_cost: int = 0
    slippage_cost: int = 0
    role: int = int(OrderRole.ROLE_ENTRY)


class Cell:
    """Average-cost position; realised money is rounded per execution, the rest stays in cost."""

    def __init__(self, instrument: Instrument) -> None:
        num, den = instrument.money_per_ticklot
        self.unit = Fraction(num, den)
        self.lots = 0
        self.cost = Fraction(0)
        self.realized = 0
        self.fees = 0

    def fill(self, fill: Fill) -> int:
        """Book the execution, return what it realised."""
        signed, realized = fill.side * fill.lots, 0
        if self.lots * signed < 0:
            closed = min(abs(signed), abs(self.lots))
            released = self.cost * closed / abs(self.lots)
            worth = closed * fill.price_ticks * (1 if self.lots > 0 else -1)
            realized = round((worth - released) * self.unit)
            self.cost -= released
            opened = signed + (closed if self.lots > 0 else -closed)
        else:
            opened = signed
        self.lots += signed
        self.cost += opened * fill.price_ticks
        self.realized += realized
        self.fees += fill.fee
        return realized

    def pnl(self, price_ticks: int) -> int:
        """Net result with the position valued at the price."""
        open_result = round((self.lots * price_ticks - self.cost) * self.unit)
        return self.realized - self.fees + open_result


def record(kind: RecordKind, **fields: int) -> np.ndarray:
    """One record with the given fields, the others 0."""
    row = np.zeros(1, RECORD_DTYPE)
    row["kind"] = int(kind)
    for name, value in fields.items():
        row[name] = int(value)
    return row


def fill_records(fills: Sequence[Fill], instruments: Sequence[Instrument]) -> list[np.ndarray]:
    """Signal, submission, acceptance and execution of one market order for each fill."""
    cells: dict[tuple[int, int], Cell] = {}
    rows = []
    for number, fill in enumerate(fills, start=1):
        cell = cells.setdefault(
            (fill.strategy, fill.instrument), Cell(instruments[fill.instrument])
        )
        realized = cell.fill(fill)
        common = {
            "ts_ns": fill.ts_ns, "ts_event_ns": fill.ts_ns, "signal_id": number,
            "order_id": number << 12, "lots": fill.lots, "side": fill.side, "role": fill.role,
            "strategy": fill.strategy, "instrument": fill.instrument,
            "order_type": OrderType.ORDER_MARKET, "tif": TimeInForce.TIF_GTC,
        }  # fmt: skip
        rows += [
            record(RecordKind.RECORD_SIGNAL, **common),
            record(RecordKind.RECORD_SUBMITTED, **common, state=OrderState.STATE_SUBMITTED),
            record(RecordKind.RECORD_ACCEPTED, **common, state=OrderState.STATE_ACCEPTED),
            record(
                RecordKind.RECORD_FILLED, **common, state=OrderState.STATE_FILLED,
                trade_id=number, price_ticks=fill.price_ticks, observed=cell.lots,
                realized=realized, fee=fill.fee, spread_cost=fill.spread_cost,
                slippage_cost=fill.slippage_cost, liquidity=Liquidity.LIQUIDITY_TAKER,
            ),
        ]  # fmt: skip
    return rows


def curves(
    fills: Sequence[Fill],
    instruments: Sequence[Instrument],
    strategies: int,
    times: np.ndarray,
    prices: dict[int, np.ndarray],
) -> np.ndarray:
    """Net result of every cell at each time, int64[times, strategies, instruments]."""
    pnl = np.zeros((len(times), strategies, len(instruments)), np.int64)
    cells = {
        (s, i): Cell(instrument)
        for s in range(strategies)
        for i, instrument in enumerate(instruments)
    }
    waiting = sorted(fills, key=lambda fill: fill.ts_ns)
    done, last = 0, [0] * len(instruments)
    for row, ts_ns in enumerate(times):
        while done < len(waiting) and waiting[done].ts_ns <= ts_ns:
            fill = waiting[done]
            cells[fill.strategy, fill.instrument].fill(fill)
            last[fill.instrument] = fill.price_ticks
            done += 1
        for (s, i), cell in cells.items():
            price = int(prices[i][row]) if i in prices else last[i]
            pnl[row, s, i] = cell.pnl(price)
    return pnl


def run_result(
    fills: Sequence[Fill] = (),
    *,
    days: int = 2,
    instruments: Sequence[Instrument] = (BTC, EUR),
    strategies: Sequence[str] = ("trend", "reversion"),
    initial_units: int = INITIAL_UNITS,
    prices: dict[int, np.ndarray] | None = None,
    extra_records: Sequence[np.ndarray] = (),
    **changes: Any,
) -> RunResult:
    """A run of `days` days with hourly samples. `prices` holds ticks at each sample by instrument
    index; without it a position is valued at its last execution's price."""
    times = START_NS + HOUR_NS * np.arange(24 * days + 1, dtype=np.int64)
    fills = sorted(fills, key=lambda fill: fill.ts_ns)
    rows = [*fill_records(fills, instruments), *extra_records]
    records = np.concatenate(rows) if rows else np.empty(0, RECORD_DTYPE)
    pnl = curves(fills, instruments, len(strategies), times, prices or {})
    equity = initial_units + pnl.sum(axis=(1, 2))
    fields: dict[str, Any] = {
        "records": records,
        "equity_ts_ns": times,
        "equity_units": equity,
        "cells_ts_ns": times,
        "cells_pnl": pnl,
        "instruments": list(instruments),
        "strategies": list(strategies),
        "account_currency": "EUR",
        "initial_units": initial_units,
        "final_units": int(equity[-1]),
        "reasons": {3: "NOTIONAL_MIN", 7: "PRICE_COLLAR"},
        "state_hash": "0123456789abcdef",
        "run": {
            "config_hash": "c0ffee", "data_hash": "da7a", "version": "0.1.0", "seed": 1,
            "start": "2023-11-01T00:00:00Z", "end": "2023-11-03T00:00:00Z", "events": 1000,
            "wall_s": 0.5, "events_per_s": 2000.0,
        },
    }  # fmt: skip
    return RunResult(**(fields | changes))


def empty_result(**changes: Any) -> RunResult:
    """A run in which no event came and nothing was sampled."""
    nothing = np.empty(0, np.int64)
    return run_result(
        equity_ts_ns=nothing, equity_units=nothing, cells_ts_ns=nothing,
        cells_pnl=np.empty((0, 2, 2), np.int64), final_units=INITIAL_UNITS, **changes,
    )  # fmt: skip
