"""Session calendars: when a market trades, and whether a file's times agree with that."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.interval import DAY_NS, HOUR_NS, MINUTE_NS
from adapters.feeds.zones import BROKER, NEW_YORK, from_utc, parse_zone, to_utc
from mmats.model.errors import DataError

_PAIR_HALF = (
    "AUD|CAD|CHF|CNH|CZK|DKK|EUR|GBP|HKD|HUF|JPY|MXN|NOK|NZD|PLN|SEK|SGD|THB|TRY|USD|ZAR|XAU|XAG"
)
_PAIR = re.compile(rf"({_PAIR_HALF})[_/-]?({_PAIR_HALF})")
_WEEK_NS = 7 * DAY_NS
# 1970-01-01 was a Thursday: the first Friday 17:00 of the epoch is 1 day and 17 hours in.
_FRIDAY_CLOSE_NS = DAY_NS + 17 * HOUR_NS
_WEEKEND_NS = 48 * HOUR_NS
_TOLERANCE_NS = 30 * MINUTE_NS
"""Brokers open up to a few minutes late. The usual fault, a summer time not applied, is exactly
one hour, so the tolerance has to be less than that."""

_CANDIDATES = ("UTC", NEW_YORK, BROKER, "UTC-5", "UTC+2", "UTC+3", "Europe/London", "Europe/Berlin")


def is_forex(symbol: str) -> bool:
    """True for `EURUSD`, `EURUSD.OANDA`, `EUR_USD`: both halves are state currencies or metals."""
    return _PAIR.fullmatch(symbol.split(".")[0].upper()) is not None


def in_forex_week(utc_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each moment lies in Sunday 17:00 to Friday 17:00 New York."""
    local = from_utc(utc_ns, parse_zone(NEW_YORK))
    result: NDArray[np.bool_] = (local - _FRIDAY_CLOSE_NS) % _WEEK_NS >= _WEEKEND_NS
    return result


def expected_closes(
    start_ns: int, end_ns: int, interval_ns: int, calendar: str
) -> NDArray[np.int64]:
    """Close times of all bars from close `start_ns` to close `end_ns`, both inclusive."""
    # Not arange over the times themselves: it computes the number of steps in floating point.
    count = (end_ns - start_ns) // interval_ns + 1
    closes = start_ns + interval_ns * np.arange(count, dtype=np.int64)
    if calendar == "forex":
        return closes[in_forex_week(closes - interval_ns)]
    if calendar != "24/7":
        raise DataError(f"calendar {calendar!r} is unknown", hint="use 24/7 or forex")
    return closes


@dataclass(frozen=True, slots=True)
class WeekEdges:
    """Last close and next open around each weekend, UTC ns."""

    close_ns: NDArray[np.int64]
    open_ns: NDArray[np.int64]


def week_edges(close_ns: NDArray[np.int64], interval_ns: int) -> WeekEdges:
    """Pauses of 36 to 60 hours; others are holidays or outages and say nothing of the zone."""
    gaps = np.diff(close_ns) - interval_ns
    at = np.flatnonzero((gaps >= 36 * HOUR_NS) & (gaps <= 60 * HOUR_NS))
    return WeekEdges(close_ns[at], close_ns[at + 1] - interval_ns)


def session_warnings(
    local_close_ns: NDArray[np.int64], zone_name: str, interval_ns: int
) -> list[str]:
    """Compare weekly edges of forex bars with Friday 17:00 and Sunday 17:00 New York.

    Returns nothing where more than nine in ten edges agree, else one warning that names the
    observed and the expected edge and the zone that would fit.
    """
    share, example = _agreement(local_close_ns, zone_name, interval_ns)
    if share is None or share > 0.9:
        return []
    fitting = [
        name
        for name in _CANDIDATES
        if (_agreement(local_close_ns, name, interval_ns)[0] or 0.0) > 0.9
    ]
    fix = f"; --zone {fitting[0]} would fit" if fitting else "; no usual zone fits"
    return [
        f"declared zone {zone_name} fits only {share:.0%} of the weekly session edges: "
        f"{example}{fix}"
    ]


def _agreement(
    local_close_ns: NDArray[np.int64], zone_name: str, interval_ns: int
) -> tuple[float | None, str]:
    # Clock changes fall into the forex weekend in New York but not everywhere: a candidate zone
    # that can't place a row does not fit.
    try:
        utc = to_utc(local_close_ns, parse_zone(zone_name), lambda index: ("", index))
    except DataError:
        return 0.0, ""
    edges = week_edges(utc, interval_ns)
    if len(edges.close_ns) == 0:
        return None, ""
    local_close = from_utc(edges.close_ns, parse_zone(NEW_YORK))
    local_open = from_utc(edges.open_ns, parse_zone(NEW_YORK))
    close_off = _signed_week(local_close - _FRIDAY_CLOSE_NS)
    open_off = _signed_week(local_open - _FRIDAY_CLOSE_NS - _WEEKEND_NS)
    off = (np.abs(close_off) > _TOLERANCE_NS) | (np.abs(open_off) > _TOLERANCE_NS)
    worst = int(np.argmax(np.abs(close_off) + np.abs(open_off)))
    example = (
        f"it puts the close at {_weekday(int(local_close[worst]))} and the open at "
        f"{_weekday(int(local_open[worst]))} New York, expected Fri 17:00 and Sun 17:00"
    )
    return float(1 - off.mean()), example


def _signed_week(offset_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    return (offset_ns + _WEEK_NS // 2) % _WEEK_NS - _WEEK_NS // 2


def _weekday(local_ns: int) -> str:
    shown = np.datetime64(local_ns, "ns").astype("datetime64[m]").astype(object)
    return f"{shown:%a %Y-%m-%d %H:%M}"
