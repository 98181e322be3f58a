"""Orders, executions and denials of a run as data frames, read from its records."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmats._core import (
    Liquidity,
    OrderFlag,
    OrderRole,
    OrderState,
    OrderType,
    RecordKind,
    TimeInForce,
    VenueReason,
)
from mmats.backtest.result import Int64Array, RecordArray, RunResult
from mmats.model.instrument import MONEY_SCALE

IS_ORDER_KIND = np.zeros(128, dtype=np.bool_)
IS_ORDER_KIND[
    [
        int(kind)
        for kind in (
            RecordKind.RECORD_SUBMITTED,
            RecordKind.RECORD_ACCEPTED,
            RecordKind.RECORD_TRIGGERED,
            RecordKind.RECORD_FILLED,
            RecordKind.RECORD_CANCELED,
            RecordKind.RECORD_EXPIRED,
            RecordKind.RECORD_REJECTED,
            RecordKind.RECORD_UPDATED,
            RecordKind.RECORD_CANCEL_SENT,
            RecordKind.RECORD_LATE_FILL,
        )
    ]
] = True
"""By record kind: whether it belongs to the life of an order that left."""

ORDER_FIELDS = (
    "order_id", "signal_id", "ts_ns", "strategy", "instrument", "side", "order_type", "role",
    "tif", "flags", "lots", "price_ticks", "trigger_ticks",
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


@dataclass(frozen=True, eq=False)
class Outcomes:
    """How each submitted order ended, as columns in order of submission."""

    record: Int64Array
    """Index of its SUBMITTED record."""
    terms: Int64Array
    """Index of the record with its quantity and prices: the last UPDATED, else SUBMITTED."""
    state: Int64Array
    reason: Int64Array
    updated_ns: Int64Array
    lots: Int64Array
    """Executed, as are the following."""
    ticklots: Int64Array
    commission: Int64Array
    realized: Int64Array


def order_outcomes(result: RunResult) -> Outcomes:
    """Follow every order that left through its records."""
    records, fills = result.records, result.fills
    submitted = np.flatnonzero(records["kind"] == RecordKind.RECORD_SUBMITTED)
    # An id of the pipeline is used once; the first SUBMITTED counts.
    ids, first = np.unique(records["order_id"][submitted], return_index=True)
    index = submitted[first]

    telling = np.flatnonzero(IS_ORDER_KIND[records["kind"]] & (records["state"] != 0))
    known, at = _find(ids, records["order_id"][telling])
    telling = telling[known]
    last = index.copy()
    # Of equal indices the last assignment stays, so records in order leave the last one.
    last[at] = telling

    updates = np.flatnonzero(records["kind"] == RecordKind.RECORD_UPDATED)
    known, at = _find(ids, records["order_id"][updates])
    terms = index.copy()
    terms[at] = updates[known]

    known, at = _find(ids, fills["order_id"])
    lots = fills["lots"]
    parts = (lots, lots * fills["price_ticks"], fills["fee"], fills["realized"])
    totals = [np.zeros(len(ids), np.int64) for _ in parts]
    for total, part in zip(totals, parts, strict=True):
        np.add.at(total, at, part[known])

    columns = (index, terms, records["state"][last], records["reason"][last])
    by_submission = np.argsort(index)
    return Outcomes(
        *(column[by_submission] for column in (*columns, records["ts_ns"][last], *totals))
    )


def _find(ids: Int64Array, wanted: Int64Array) -> tuple[NDArray[np.bool_], Int64Array]:
    """Which of `wanted` are among the sorted `ids`, and where those are."""
    if not len(ids):
        return np.zeros(len(wanted), np.bool_), np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    known = ids[at] == wanted
    return known, at[known]


def order_counts(result: RunResult, outcomes: Outcomes) -> dict[str, int]:
    """Return how many signals, denials and orders there were, and how the orders ended.

    Every submitted order is in exactly one of filled, partially_filled (some, not all, whatever
    ended it), canceled, expired, rejected (nothing executed) and open (still working, untouched).
    """
    kinds = result.records["kind"]
    partial = (outcomes.lots > 0) & (outcomes.state != OrderState.STATE_FILLED)
    ended = outcomes.state[~partial]
    counts = {
        "signals": int((kinds == RecordKind.RECORD_SIGNAL).sum()),
        "denied": int((kinds == RecordKind.RECORD_DENIED).sum()),
        "submitted": len(outcomes.state),
        "filled": int((ended == OrderState.STATE_FILLED).sum()),
        "partially_filled": int(partial.sum()),
        "canceled": int((ended == OrderState.STATE_CANCELED).sum()),
        "rejected": int((ended == OrderState.STATE_REJECTED).sum()),
        "expired": int((ended == OrderState.STATE_EXPIRED).sum()),
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


def orders_frame(result: RunResult, outcomes: Outcomes) -> pd.DataFrame:
    """Return every order that left, in order of submission, with how it ended.

    Quantity and prices are as last agreed with the venue, in decimals; `avg_fill_price` is NaN and
    `reason` empty where there is none; `commission` and `realized_pnl` are in account currency.
    """
    rows = {name: result.records[name][outcomes.record] for name in ORDER_FIELDS}
    terms = result.records[outcomes.terms]
    which = rows["instrument"]
    average = np.full(len(which), np.nan)
    np.divide(outcomes.ticklots, outcomes.lots, out=average, where=outcomes.lots > 0)
    return pd.DataFrame(
        {
            "order_id": rows["order_id"],
            "signal_id": rows["signal_id"],
            "submitted": utc(rows["ts_ns"]),
            "updated": utc(outcomes.updated_ns),
            **who(result, rows),
            "side": look_up(SIDES, rows["side"]),
            "type": look_up(TYPES, rows["order_type"]),
            "role": look_up(ROLES, rows["role"]),
            "time_in_force": look_up(TIFS, rows["tif"]),
            "post_only": (rows["flags"] & OrderFlag.FLAG_POST_ONLY) != 0,
            "reduce_only": (rows["flags"] & OrderFlag.FLAG_REDUCE_ONLY) != 0,
            "quantity": result.quantities(which, terms["lots"]),
            "filled_quantity": result.quantities(which, outcomes.lots),
            "limit_price": result.prices(which, _price(terms["price_ticks"])),
            "trigger_price": result.prices(which, _price(terms["trigger_ticks"])),
            "avg_fill_price": result.prices(which, average),
            "state": look_up(STATES, outcomes.state),
            "reason": look_up(VENUE_REASONS | {0: ""}, outcomes.reason),
            "commission": outcomes.commission / MONEY_SCALE,
            "realized_pnl": outcomes.realized / MONEY_SCALE,
        }
    )


def fills_frame(result: RunResult) -> pd.DataFrame:
    """Return every execution in order; money in account currency, position as a decimal."""
    rows = result.fills
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
            "quantity": result.quantities(which, rows["lots"]),
            "price": result.prices(which, rows["price_ticks"]),
            "position": result.quantities(which, rows["observed"]),
            "realized_pnl": rows["realized"] / MONEY_SCALE,
            "commission": rows["fee"] / MONEY_SCALE,
            "spread_cost": rows["spread_cost"] / MONEY_SCALE,
            "slippage_cost": rows["slippage_cost"] / MONEY_SCALE,
        }
    )


def denials_frame(result: RunResult) -> pd.DataFrame:
    """Return every denial with its reason; `observed` and `limit` are in the check's own units."""
    rows = result.records[result.records["kind"] == RecordKind.RECORD_DENIED]
    reasons = {int(code): reason_name(result, int(code)) for code in np.unique(rows["reason"])}
    return pd.DataFrame(
        {
            "time": utc(rows["ts_ns"]),
            "signal_id": rows["signal_id"],
            **who(result, rows),
            "side": look_up(SIDES, rows["side"]),
            "quantity": result.quantities(rows["instrument"], rows["lots"]),
            "reason": look_up(reasons, rows["reason"]),
            "observed": rows["observed"],
            "limit": rows["limit"],
        }
    )


def who(result: RunResult, rows: RecordArray | Mapping[str, Int64Array]) -> dict[str, pd.Series]:
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
    table = [names.get(int(code), str(int(code))) for code in distinct]
    return pd.Series(pd.array(table, dtype="str").take(at))


def _price(ticks: Int64Array) -> NDArray[np.float64]:
    """Ticks as floats, with NaN for 0, which means "no price"."""
    return np.where(ticks != 0, ticks, np.nan)
