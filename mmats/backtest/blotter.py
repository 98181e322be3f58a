"""Orders, executions and denials of a run as data frames, read from its records."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmats._core.journal import RecordKind
from mmats._core.types import (
    Liquidity,
    OrderFlag,
    OrderRole,
    OrderState,
    OrderType,
    TimeInForce,
    VenueReason,
)
from mmats.backtest.result import Int64Array, RecordArray, RunResult
from mmats.model.instrument import MONEY_SCALE

ORDER_KINDS = tuple(
    int(kind)
    for kind in (
        RecordKind.RECORD_SUBMITTED, RecordKind.RECORD_ACCEPTED, RecordKind.RECORD_TRIGGERED,
        RecordKind.RECORD_FILLED, RecordKind.RECORD_CANCELED, RecordKind.RECORD_EXPIRED,
        RecordKind.RECORD_REJECTED, RecordKind.RECORD_UPDATED, RecordKind.RECORD_CANCEL_SENT,
        RecordKind.RECORD_LATE_FILL,
    )
)  # fmt: skip


def _names(enum: type, prefix: str) -> dict[int, str]:
    return {int(member): member.name.removeprefix(prefix) for member in enum}  # type: ignore[attr-defined]


TYPES = _names(OrderType, "ORDER_")
TIFS = _names(TimeInForce, "TIF_")
ROLES = _names(OrderRole, "ROLE_")
STATES = _names(OrderState, "STATE_")
LIQUIDITIES = _names(Liquidity, "LIQUIDITY_")
VENUE_REASONS = _names(VenueReason, "VENUE_")
SIDES = {1: "BUY", -1: "SELL"}


def utc(ts_ns: Int64Array) -> pd.DatetimeIndex:
    """Times in ns as a UTC index."""
    return pd.DatetimeIndex(pd.to_datetime(ts_ns, utc=True, unit="ns"))


def order_counts(result: RunResult, orders: pd.DataFrame) -> dict[str, int]:
    """Return how many signals, denials and orders there were, and how the orders ended.

    Every submitted order is in exactly one of filled, partially_filled (some, not all, whatever
    ended it), canceled, expired, rejected (nothing executed) and open (still working, untouched).
    """
    kinds = result.records["kind"]
    partial = (orders["filled_quantity"] > 0) & (orders["state"] != "FILLED")
    ended = orders["state"][~partial].value_counts()
    counts = {
        "signals": int((kinds == RecordKind.RECORD_SIGNAL).sum()),
        "denied": int((kinds == RecordKind.RECORD_DENIED).sum()),
        "submitted": len(orders),
        "filled": int(ended.get("FILLED", 0)),
        "partially_filled": int(partial.sum()),
        "canceled": int(ended.get("CANCELED", 0)),
        "rejected": int(ended.get("REJECTED", 0)),
        "expired": int(ended.get("EXPIRED", 0)),
    }
    counts["open"] = counts["submitted"] - sum(
        counts[end] for end in ("filled", "partially_filled", "canceled", "rejected", "expired")
    )
    return counts | {name: n for name, n in result.counts.items() if name not in counts}


def denial_counts(result: RunResult) -> dict[str, int]:
    """Return how often the risk gate said no, by reason, most frequent first."""
    denied = result.records[result.records["kind"] == RecordKind.RECORD_DENIED]
    codes, numbers = np.unique(denied["reason"], return_counts=True)
    named = [(reason_name(result, int(c)), int(n)) for c, n in zip(codes, numbers, strict=True)]
    return dict(sorted(named, key=lambda row: (-row[1], row[0])))


def reason_name(result: RunResult, code: int) -> str:
    """Name of a denial code; REASON_n for one that the run did not name."""
    return result.reasons.get(code, f"REASON_{code}")


def orders_frame(result: RunResult) -> pd.DataFrame:
    """Return every order that left, in order of submission, with how it ended.

    Quantity and prices are as submitted, in decimals; `avg_fill_price` is NaN and `reason` empty
    where there is none; `commission` and `realized_pnl` are in account currency.
    """
    records = result.records
    submitted = records[records["kind"] == RecordKind.RECORD_SUBMITTED]
    # An id of the pipeline is used once; the first SUBMITTED counts.
    ids, first = np.unique(submitted["order_id"], return_index=True)
    life = records[np.isin(records["kind"], ORDER_KINDS) & np.isin(records["order_id"], ids)]
    state, reason, updated = _last_of_each(life, ids, submitted[first])
    totals = _executed(result.fills, ids)

    back = np.argsort(first, kind="stable")
    rows = submitted[first][back]
    lots, ticklots, commission, realized = (total[back] for total in totals)
    state, reason, updated = state[back], reason[back], updated[back]
    tick_size, lot_size = result.increments
    ticks, which = tick_size[rows["instrument"]], rows["instrument"]
    average = np.full(len(rows), np.nan)
    np.divide(ticklots, lots, out=average, where=lots > 0)
    return pd.DataFrame(
        {
            "order_id": rows["order_id"],
            "signal_id": rows["signal_id"],
            "submitted": utc(rows["ts_ns"]),
            "updated": utc(updated),
            **who(result, rows),
            "side": look_up(SIDES, rows["side"]),
            "type": look_up(TYPES, rows["order_type"]),
            "role": look_up(ROLES, rows["role"]),
            "time_in_force": look_up(TIFS, rows["tif"]),
            "post_only": (rows["flags"] & OrderFlag.FLAG_POST_ONLY) != 0,
            "reduce_only": (rows["flags"] & OrderFlag.FLAG_REDUCE_ONLY) != 0,
            "quantity": rows["lots"] * lot_size[which],
            "filled_quantity": lots * lot_size[which],
            "limit_price": _price(rows["price_ticks"]) * ticks,
            "trigger_price": _price(rows["trigger_ticks"]) * ticks,
            "avg_fill_price": average * ticks,
            "state": look_up(STATES, state),
            "reason": look_up(VENUE_REASONS | {0: ""}, reason),
            "commission": commission / MONEY_SCALE,
            "realized_pnl": realized / MONEY_SCALE,
        }
    )


def _last_of_each(
    life: RecordArray, ids: Int64Array, submitted: RecordArray
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """State, venue reason and time of the last record of each order that tells its state."""
    state = submitted["state"].astype(np.int64)
    reason = np.zeros(len(ids), np.int64)
    updated = submitted["ts_ns"].astype(np.int64)
    telling = life[life["state"] != 0]
    # Of equal indices the last assignment stays, so records in order leave the last state.
    at = np.searchsorted(ids, telling["order_id"])
    state[at], updated[at] = telling["state"], telling["ts_ns"]
    reason[at] = np.where(telling["kind"] == RecordKind.RECORD_SUBMITTED, 0, telling["reason"])
    return state, reason, updated


def _executed(fills: RecordArray, ids: Int64Array) -> tuple[Int64Array, ...]:
    """Lots, ticks * lots, commission and realised result executed by each order, in units."""
    known = fills[np.isin(fills["order_id"], ids)]
    at = np.searchsorted(ids, known["order_id"])
    parts = (known["lots"], known["lots"] * known["price_ticks"], known["fee"], known["realized"])
    totals = tuple(np.zeros(len(ids), np.int64) for _ in parts)
    for total, part in zip(totals, parts, strict=True):
        np.add.at(total, at, part)
    return totals


def fills_frame(result: RunResult) -> pd.DataFrame:
    """Return every execution in order; money in account currency, position as a decimal."""
    rows = result.fills
    tick_size, lot_size = result.increments
    which = rows["instrument"]
    return pd.DataFrame(
        {
            "trade_id": rows["trade_id"],
            "order_id": rows["order_id"],
            "signal_id": rows["signal_id"],
            "time": utc(rows["ts_ns"]),
            "venue_time": utc(rows["ts_event_ns"]),
            **who(result, rows),
            "side": look_up(SIDES, rows["side"]),
            "role": look_up(ROLES, rows["role"]),
            "liquidity": look_up(LIQUIDITIES, rows["liquidity"]),
            "quantity": rows["lots"] * lot_size[which],
            "price": rows["price_ticks"] * tick_size[which],
            "position": rows["observed"] * lot_size[which],
            "realized_pnl": rows["realized"] / MONEY_SCALE,
            "commission": rows["fee"] / MONEY_SCALE,
            "spread_cost": rows["spread_cost"] / MONEY_SCALE,
            "slippage_cost": rows["slippage_cost"] / MONEY_SCALE,
        }
    )


def denials_frame(result: RunResult) -> pd.DataFrame:
    """Return every denial with its reason; `observed` and `limit` are in the check's own units."""
    rows = result.records[result.records["kind"] == RecordKind.RECORD_DENIED]
    _, lot_size = result.increments
    reasons = {int(code): reason_name(result, int(code)) for code in np.unique(rows["reason"])}
    return pd.DataFrame(
        {
            "time": utc(rows["ts_ns"]),
            "signal_id": rows["signal_id"],
            **who(result, rows),
            "side": look_up(SIDES, rows["side"]),
            "quantity": rows["lots"] * lot_size[rows["instrument"]],
            "reason": look_up(reasons, rows["reason"]),
            "observed": rows["observed"],
            "limit": rows["limit"],
        }
    )


def who(result: RunResult, rows: RecordArray) -> dict[str, pd.Series]:
    """Strategy, symbol and market of each row, as columns."""
    markets = [instrument.market for instrument in result.instruments]
    return {
        "strategy": look_up(dict(enumerate(result.strategies)), rows["strategy"]),
        "symbol": look_up(dict(enumerate(result.symbols)), rows["instrument"]),
        "market": look_up(dict(enumerate(markets)), rows["instrument"]),
    }


def look_up(names: Mapping[int, str], codes: Int64Array) -> pd.Series:
    """Name of each code; the number itself where the code is not known."""
    distinct, at = np.unique(codes, return_inverse=True)
    table = np.array([names.get(int(code), str(int(code))) for code in distinct], dtype=object)
    return pd.Series(table[at] if len(table) else [], dtype="str")


def _price(ticks: Int64Array) -> NDArray[np.float64]:
    """Ticks as floats, with NaN for 0, which means "no price"."""
    return np.where(ticks != 0, ticks, np.nan)
