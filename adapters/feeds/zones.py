"""Local times to UTC. A zone is declared, never guessed; times it can't place are errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.interval import DAY_NS, MINUTE_NS
from mmats.model.errors import DataError

NEW_YORK = "America/New_York"
BROKER = "NY+7"
"""Server time of most MT5 brokers: New York plus 7 hours, so that a week has five daily bars."""

_HALF_HOUR_NS = 30 * MINUTE_NS
_HINT = "write an IANA name (Europe/Berlin), UTC, UTC-5, UTC+05:30 or NY+7"


@dataclass(frozen=True, slots=True)
class Zone:
    """A wall clock: `base` shifted by `shift_ns`."""

    name: str
    base: tzinfo
    shift_ns: int = 0


@cache
def parse_zone(name: str) -> Zone:
    """Understand IANA names, `UTC`, `UTC-5`, `UTC+05:30` and `NY+7`."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return Zone("UTC", UTC)
    shifted = re.fullmatch(r"(UTC|GMT|NY)([+-])(\d{1,2})(?::(\d{2}))?", name.upper())
    if shifted is not None:
        minutes = int(shifted[3]) * 60 + int(shifted[4] or 0)
        minutes = -minutes if shifted[2] == "-" else minutes
        if abs(minutes) > 15 * 60:
            raise DataError(f"zone {name!r} is more than 15 hours off", hint=_HINT)
        if shifted[1] == "NY":
            return Zone(name.upper(), ZoneInfo(NEW_YORK), minutes * MINUTE_NS)
        return Zone(name.upper(), timezone(timedelta(minutes=minutes)))
    try:
        return Zone(name, ZoneInfo("America/New_York" if name.upper() == "NY" else name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"time zone {name!r} is unknown", hint=_HINT) from None


def to_utc(
    local_ns: NDArray[np.int64], zone: Zone, where: Callable[[int], tuple[str, int]]
) -> NDArray[np.int64]:
    """Convert wall-clock ns to UTC ns.

    Raises DataError for a time that the zone had twice (clocks went back) or never (forward):
    such a file is not in that zone, or needs to be exported in UTC.
    """
    if isinstance(zone.base, timezone):
        return local_ns - _offset_ns(zone.base, 0, 0)
    base_ns = local_ns - zone.shift_ns
    days, inverse = np.unique(base_ns // DAY_NS, return_inverse=True)
    offsets = np.array([_day_offset(zone.base, int(day)) for day in days], dtype=np.int64)
    out = base_ns - offsets[inverse]
    changing = offsets == _CHANGES
    for index in np.flatnonzero(changing[inverse]) if changing.any() else ():
        out[index] = base_ns[index] - _exact_offset(zone, int(base_ns[index]), where, int(index))
    return out


def from_utc(utc_ns: NDArray[np.int64], zone: Zone) -> NDArray[np.int64]:
    """Convert UTC ns to wall-clock ns of the zone."""
    # Clocks change on whole or half hours of UTC.
    halves, inverse = np.unique(utc_ns // _HALF_HOUR_NS, return_inverse=True)
    offsets = np.array(
        [_utc_offset_ns(zone.base, int(half) * _HALF_HOUR_NS) for half in halves], dtype=np.int64
    )
    return utc_ns + offsets[inverse] + zone.shift_ns


_CHANGES = np.iinfo(np.int64).min
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone


@cache
def _day_offset(base: tzinfo, day: int) -> int:
    """Offset of a whole local day, or _CHANGES where the clocks move on it."""
    start, end = _offset_ns(base, day * DAY_NS, 0), _offset_ns(base, (day + 1) * DAY_NS, 0)
    return start if start == end else int(_CHANGES)


def _offset_ns(base: tzinfo, local_ns: int, fold: int) -> int:
    local = (_EPOCH + timedelta(microseconds=local_ns // 1000)).replace(fold=fold)
    offset = base.utcoffset(local)
    if offset is None:
        raise DataError(f"zone {base} has no offset at {local}")
    return round(offset.total_seconds()) * 1_000_000_000


@cache
def _utc_offset_ns(base: tzinfo, utc_ns: int) -> int:
    moment = datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).astimezone(base)
    offset = moment.utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * 1_000_000_000


def _exact_offset(
    zone: Zone, base_ns: int, where: Callable[[int], tuple[str, int]], index: int
) -> int:
    first, second = (_offset_ns(zone.base, base_ns, fold) for fold in (0, 1))
    if first == second:
        return first
    # Going back, the later reading has the smaller offset; going forward it is the other way.
    word = "twice" if first > second else "never"
    shown = _EPOCH + timedelta(microseconds=(base_ns + zone.shift_ns) // 1000)
    file, row = where(index)
    raise DataError(
        f"the time {shown} happened {word} in zone {zone.name}: the clocks changed",
        file=file,
        row=row,
        column="time",
        hint="the file is in another zone, or export it in UTC",
    )
