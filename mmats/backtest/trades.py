"""Round trips: the executions of one strategy in one instrument, from flat to flat."""

import numpy as np
import pandas as pd

from mmats._core import OrderRole
from mmats.backtest.blotter import look_up, utc, who
from mmats.backtest.result import FloatArray, Int64Array, RecordArray, RunResult
from mmats.model.instrument import MONEY_SCALE

MONEY_FIELDS = ("realized", "fee", "spread_cost", "slippage_cost")
FILL_FIELDS = (
    "ts_ns", "strategy", "instrument", "side", "role", "lots", "price_ticks", *MONEY_FIELDS,
)  # fmt: skip

ROUND_TRIP_DTYPE = np.dtype(
    [
        ("strategy", "<i4"),
        ("instrument", "<i4"),
        ("side", "i1"),
        ("is_open", "?"),
        ("exit_role", "i1"),
        ("fills", "<i8"),
        ("opened_ns", "<i8"),
        ("closed_ns", "<i8"),
        ("entry_lots", "<i8"),
        ("entry_ticklots", "<i8"),
        ("exit_lots", "<i8"),
        ("exit_ticklots", "<i8"),
        ("realized", "<i8"),
        ("fee", "<i8"),
        ("spread_cost", "<i8"),
        ("slippage_cost", "<i8"),
    ]
)
"""One round trip in exact integers; `closed_ns` is the last execution's while it is open."""

EXIT_REASONS = {
    0: "",
    int(OrderRole.ROLE_ENTRY): "signal",
    int(OrderRole.ROLE_STOP): "stop",
    int(OrderRole.ROLE_TARGET): "target",
    int(OrderRole.ROLE_MANUAL): "manual",
    int(OrderRole.ROLE_FLATTEN): "flatten",
}


def round_trips(fills: RecordArray) -> RecordArray:
    """Return the round trips of executions in record order, as `ROUND_TRIP_DTYPE` by opening.

    A trip opens at the first execution from flat and closes at the one that makes the position
    flat or turns it round; partial closes stay inside. An execution that turns the position round
    is split: its result belongs to the trip it closes, its costs are shared by quantity, and no
    unit is lost. Every execution belongs to exactly one trip, so sums over trips are the ledger's.
    """
    if not len(fills):
        return np.empty(0, ROUND_TRIP_DTYPE)
    by_cell = np.lexsort((fills["instrument"], fills["strategy"]))
    rows, before, after, origin = _split_turns(fills, by_cell)
    first = np.flatnonzero(before == 0)
    last = np.append(first[1:], len(before)) - 1
    trip_of = np.cumsum(before == 0) - 1
    is_entry = rows["side"] == rows["side"][first][trip_of]
    ticklots = rows["lots"] * rows["price_ticks"]

    trips = np.empty(len(first), ROUND_TRIP_DTYPE)
    for name in ("strategy", "instrument", "side"):
        trips[name] = rows[name][first]
    trips["opened_ns"] = rows["ts_ns"][first]
    trips["closed_ns"] = rows["ts_ns"][last]
    trips["is_open"] = after[last] != 0
    trips["exit_role"] = rows["role"][last]
    trips["fills"] = last - first + 1
    for side, chosen in (("entry", is_entry), ("exit", ~is_entry)):
        trips[f"{side}_lots"] = np.add.reduceat(np.where(chosen, rows["lots"], 0), first)
        trips[f"{side}_ticklots"] = np.add.reduceat(np.where(chosen, ticklots, 0), first)
    for name in MONEY_FIELDS:
        trips[name] = np.add.reduceat(rows[name], first)
    return trips[np.argsort(origin[first], kind="stable")]


def _split_turns(
    fills: RecordArray, by_cell: Int64Array
) -> tuple[dict[str, Int64Array], Int64Array, Int64Array, Int64Array]:
    """Split executions that turn a position round into the part that closes and the one that opens.

    `by_cell` puts executions of the same strategy and instrument together, in their order. Returns
    rows as columns, position before and after each, and the index of the execution it comes from.
    """
    after = fills["observed"][by_cell]
    same_cell = np.ones(len(after) - 1, np.bool_)
    for name in ("strategy", "instrument"):
        same_cell &= np.diff(fills[name][by_cell]) == 0
    before = np.zeros_like(after)
    before[1:][same_cell] = after[:-1][same_cell]
    turns = np.sign(before) * np.sign(after) < 0

    source = np.repeat(np.arange(len(after)), 1 + turns)
    before, after, origin = before[source], after[source], by_cell[source]
    rows = {name: fills[name][origin] for name in FILL_FIELDS}
    opening = np.flatnonzero(np.diff(source) == 0) + 1
    closing = opening - 1
    lots, closed = rows["lots"][closing], np.abs(before[closing])
    rows["lots"][closing], rows["lots"][opening] = closed, lots - closed
    rows["realized"][opening] = 0
    for name in MONEY_FIELDS[1:]:
        total = rows[name][closing]
        # The share is rounded, the other part is the exact rest: nothing appears or vanishes.
        share = np.rint(total * (closed / lots)).astype(np.int64)
        rows[name][closing], rows[name][opening] = share, total - share
    after[closing] = before[opening] = 0
    return rows, before, after, origin


def trades_frame(result: RunResult, trips: RecordArray) -> pd.DataFrame:
    """Return the round trips as people read them: prices and quantities in decimals, UTC times.

    Money is in account currency. `pnl` is net of commission; spread and slippage are already part
    of the prices and are shown for information. `return_pct` is `pnl` in per cent of the entry's
    value. An open trade has no `closed` time and shows the result realised so far.
    """
    which, is_open = trips["instrument"], trips["is_open"]
    end_ns = np.where(is_open, np.maximum(result.end_ns, trips["closed_ns"]), trips["closed_ns"])
    exit_role = np.where(is_open, 0, trips["exit_role"])
    pnl = trips["realized"] - trips["fee"]
    return pd.DataFrame(
        {
            "trade_id": np.arange(1, len(trips) + 1),
            **who(result, trips),
            "side": look_up({1: "LONG", -1: "SHORT"}, trips["side"]),
            "opened": utc(trips["opened_ns"]),
            "closed": pd.Series(utc(trips["closed_ns"])).mask(is_open),
            "duration_s": (end_ns - trips["opened_ns"]) / 1e9,
            "quantity": result.quantities(which, trips["entry_lots"]),
            "entry_price": result.prices(
                which, _average(trips["entry_ticklots"], trips["entry_lots"])
            ),
            "exit_price": result.prices(
                which, _average(trips["exit_ticklots"], trips["exit_lots"])
            ),
            "pnl": pnl / MONEY_SCALE,
            "gross_pnl": trips["realized"] / MONEY_SCALE,
            "commission": trips["fee"] / MONEY_SCALE,
            "spread_cost": trips["spread_cost"] / MONEY_SCALE,
            "slippage_cost": trips["slippage_cost"] / MONEY_SCALE,
            "return_pct": 100 * (pnl / MONEY_SCALE) / _entry_value(result, trips),
            "exit_reason": look_up(EXIT_REASONS, exit_role),
            "fills": trips["fills"],
            "open": is_open,
        }
    )


def notional(
    result: RunResult, which: Int64Array, ticklots: Int64Array, ts_ns: Int64Array
) -> FloatArray:
    """Value in account currency of price * quantity sums per instrument; NaN without a rate."""
    value = np.full(len(which), np.nan)
    for index, instrument in enumerate(result.instruments):
        rows = which == index
        if rows.any():
            num, den = instrument.money_per_ticklot
            rate = result.rate(instrument.quote, ts_ns[rows])
            value[rows] = ticklots[rows] * (num / den / MONEY_SCALE) * rate
    return value


def _entry_value(result: RunResult, trips: RecordArray) -> FloatArray:
    value = notional(result, trips["instrument"], trips["entry_ticklots"], trips["opened_ns"])
    return np.where(value > 0, value, np.nan)


def _average(ticklots: Int64Array, lots: Int64Array) -> FloatArray:
    """Average price in ticks; NaN where nothing was executed."""
    out = np.full(len(lots), np.nan)
    np.divide(ticklots, lots, out=out, where=lots > 0)
    return out
