"""Times of files of unknown origin: epochs, typed timestamps, or text with or without a zone."""

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from adapters.feeds.checks import at, parse_epochs
from adapters.feeds.zones import parse_zone, to_utc
from mmats.model.errors import DataError

_PATTERNS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%Y%m%d %H%M%S",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y%m%d",
)
_SUFFIX = r"(?:\s?(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2}))$"

Where = Callable[[int], tuple[str, int]]


def any_times(
    values: pa.Array, zone: str | None, where: Where
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Return (UTC ns, wall-clock ns in the zone, name of the zone).

    Raises DataError where the texts carry no zone and `zone` is not given, where they carry one
    that contradicts `zone`, and where one file mixes zones.
    """
    if pa.types.is_timestamp(values.type):
        local = pc.cast(pc.cast(values, pa.timestamp("ns", values.type.tz)), pa.int64()).to_numpy()
        # Arrow keeps zoned timestamps in UTC whatever zone they are shown in.
        own = "UTC" if values.type.tz else None
        return _placed(local, own, zone, where)
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.string())
    if re.fullmatch(r"[0-9]{10}([0-9]{3}){0,3}", str(values[0])):
        return _placed(parse_epochs(values, where), "UTC", zone, where)
    suffixes = pc.struct_field(pc.extract_regex(values, _SUFFIX), "zone")
    kinds = pc.unique(suffixes).to_pylist()
    if len(kinds) > 1:
        index = int(pc.index(pc.equal(_filled(suffixes), kinds[1] or ""), True).as_py())
        shown = " and ".join(str(kind or "none") for kind in kinds[:2])
        raise at(
            f"mixed zones: {shown}", where, index, "time", "split the file, or export it in UTC"
        )
    if kinds[0] is not None:
        values = pc.replace_substring_regex(values, _SUFFIX.replace("?P<zone>", "?:"), "")
    return _placed(_wall_clock(values, where), _zone_name(kinds[0]), zone, where)


def _filled(suffixes: pa.Array) -> pa.Array:
    return pc.fill_null(suffixes, "")


def _zone_name(suffix: str | None) -> str | None:
    if suffix is None:
        return None
    if suffix in ("Z", "UTC") or suffix.strip("+-0:") == "":
        return "UTC"
    digits = suffix[1:].replace(":", "")
    return f"UTC{suffix[0]}{digits[:2]}:{digits[2:]}"


def _placed(
    local: NDArray[np.int64], own: str | None, declared: str | None, where: Where
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    if own is None and declared is None:
        raise at("times without a zone", where, 0, "time", "give --zone, e.g. --zone UTC")
    if own is not None and declared is not None and parse_zone(declared).name != own:
        raise at(
            f"the file says zone {own}, --zone says {declared}", where, 0, "time", "omit --zone"
        )
    name = own or str(declared)
    return to_utc(local, parse_zone(name), where), local, parse_zone(name).name


def _wall_clock(values: pa.Array, where: Where) -> NDArray[np.int64]:
    values = pc.replace_substring(values, "T", " ")
    parts = pc.extract_regex(values, r"^(?P<whole>.*[0-9]{2}:[0-9]{2}:[0-9]{2})\.(?P<rest>[0-9]+)$")
    has_fraction = pc.is_valid(parts)
    whole = pc.if_else(has_fraction, pc.struct_field(parts, "whole"), values)
    rest = pc.fill_null(pc.struct_field(parts, "rest"), "0")
    if int(pc.max(pc.binary_length(rest)).as_py()) > 9:
        raise DataError("times finer than nanoseconds", column="time")
    nanos: NDArray[np.int64] = pc.cast(pc.utf8_rpad(rest, 9, "0"), pa.int64()).to_numpy()
    for pattern in _PATTERNS:
        first = pc.strptime(whole[:1], format=pattern, unit="s", error_is_null=True)
        # strptime takes short fields; writing the time again shows whether it was all of it.
        if first.null_count == 0 and pc.strftime(first, format=pattern)[0].as_py() in (
            whole[0].as_py(),
            f"{whole[0].as_py()}.000000000",
        ):
            break
    else:
        raise at(
            f"{values[0].as_py()!r} is no known form of time", where, 0, "time", "use ISO 8601"
        )
    stamps = pc.strptime(whole, format=pattern, unit="s", error_is_null=True)
    if stamps.null_count:
        index = int(pc.index(pc.is_null(stamps), True).as_py())
        raise at(f"{values[index].as_py()!r} is no time like {pattern}", where, index, "time")
    seconds: NDArray[np.int64] = pc.cast(stamps, pa.int64()).to_numpy()
    return seconds * np.int64(1_000_000_000) + nanos
