"""Bar intervals as traders write them: 1m, 5m, 1h, 1d."""

import re

from mmats.model.errors import DataError

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

_UNITS_NS = {"d": DAY_NS, "h": HOUR_NS, "m": MINUTE_NS, "s": SECOND_NS}


def parse_interval(text: str) -> int:
    """`5m` -> nanoseconds; DataError on anything but a positive count of s, m, h or d."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text)
    if match is None:
        raise DataError(f"{text!r} is no interval", hint="write e.g. 1s, 1m, 5m, 1h, 1d")
    return int(match[1]) * _UNITS_NS[match[2]]


def interval_name(interval_ns: int) -> str:
    """Nanoseconds -> `5m` in the largest unit that divides it; `-` for 0 (not bars)."""
    if interval_ns == 0:
        return "-"
    for unit, size_ns in _UNITS_NS.items():
        if interval_ns % size_ns == 0:
            return f"{interval_ns // size_ns}{unit}"
    raise DataError(f"an interval of {interval_ns} ns is no whole number of seconds")
