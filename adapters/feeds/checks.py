"""Checks that every imported table passes, and the last steps that all formats share."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from adapters.feeds.interval import interval_name
from adapters.feeds.sources import RawTable
from mmats.model.errors import DataError
from mmats.ports.data_format import Column

Where = Callable[[int], tuple[str, int]]
_FIX = "correct or remove the row"


def utc_text(ts_ns: int) -> str:
    """`2023-11-07 06:57:00` (UTC), with the fraction only where there is one."""
    text = str(np.datetime64(ts_ns, "ns")).replace("T", " ")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_epochs(texts: pa.Array, where: Where, column: str = "time") -> NDArray[np.int64]:
    """Epoch times to ns; the unit (s, ms, us, ns) follows from the number of digits.

    Vendors change units (Binance went from ms to us in 2025). The digits are unambiguous from
    2001 to 2286: 10 for s, 13 for ms, 16 for us, 19 for ns.
    """
    good = pc.match_substring_regex(texts, r"^[0-9]{10}([0-9]{3}){0,3}$")
    if not pc.all(good).as_py():
        index = int(pc.index(good, False).as_py())
        problem = f"{texts[index].as_py()!r} is no epoch time in s, ms, us or ns"
        raise at(problem, where, index, column)
    digits = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    values: NDArray[np.int64] = pc.cast(texts, pa.int64()).to_numpy()
    factors: NDArray[np.int64] = 10 ** (19 - digits)
    return values * factors


def parse_times(texts: pa.Array, pattern: str, where: Where) -> NDArray[np.int64]:
    """Wall-clock texts of one strptime `pattern` to ns, without a zone."""
    stamps = pc.strptime(texts, format=pattern, unit="s", error_is_null=True)
    if stamps.null_count:
        index = int(pc.index(pc.is_null(stamps), True).as_py())
        raise at(f"{texts[index].as_py()!r} is no time like {pattern}", where, index, "time")
    seconds: NDArray[np.int64] = pc.cast(stamps, pa.int64()).to_numpy()
    return seconds * np.int64(1_000_000_000)


def at(problem: str, where: Where, index: int, column: str = "", hint: str = _FIX) -> DataError:
    """DataError at row `index`."""
    file, row = where(index)
    return DataError(problem, file=file, row=row, column=column, hint=hint)


def check_bars(columns: dict[str, Column], where: Where) -> None:
    """Prices above zero, low <= open, close <= high, volume not negative."""
    for name in ("open", "high", "low", "close"):
        _refuse(columns[name] <= 0, f"{name} is zero or negative", where, name)
    opened, high, low, close = (columns[n] for n in ("open", "high", "low", "close"))
    _refuse(high < low, "high is below low", where, "high")
    _refuse((opened > high) | (opened < low), "open is outside low to high", where, "open")
    _refuse((close > high) | (close < low), "close is outside low to high", where, "close")
    _refuse(columns["volume"] < 0, "volume is negative", where, "volume")


def check_quotes(columns: dict[str, Column], where: Where) -> None:
    """Prices above zero, not crossed; sizes not negative."""
    for name in ("bid", "ask"):
        _refuse(columns[name] <= 0, f"{name} is zero or negative", where, name)
        _refuse(columns[f"{name}_size"] < 0, "size is negative", where, f"{name}_size")
    crossed = columns["bid"] > columns["ask"]
    if crossed.any():
        problem = f"bid is above ask ({int(crossed.sum())} such quotes)"
        raise at(problem, where, int(np.argmax(crossed)), "bid", "--drop-crossed leaves them out")


def check_trades(columns: dict[str, Column], where: Where) -> None:
    """Price and size above zero."""
    _refuse(columns["price"] <= 0, "price is zero or negative", where, "price")
    _refuse(columns["size"] <= 0, "size is zero or negative", where, "size")


def _refuse(bad: NDArray[np.bool_], problem: str, where: Where, column: str) -> None:
    if bad.any():
        raise at(problem, where, int(np.argmax(bad)), column)


def order_files(raw: RawTable, ts_ns: Column) -> NDArray[np.int64] | None:
    """Row order that puts whole files by their first time; None where they already are."""
    ends = [*raw.starts[1:], raw.rows]
    spans = sorted(zip(raw.starts, ends, strict=True), key=lambda span: int(ts_ns[span[0]]))
    if [start for start, _ in spans] == list(raw.starts):
        return None
    return np.concatenate([np.arange(start, end) for start, end in spans])


def unique_rows(
    columns: dict[str, Column], where: Where, drop_duplicates: bool
) -> NDArray[np.bool_] | None:
    """Require increasing times; return which rows to keep where identical ones are dropped.

    Raises DataError for times that go back, for two different rows of one time, and for
    identical rows unless `drop_duplicates`.
    """
    ts = columns["ts_event_ns"]
    step = np.diff(ts)
    if (step < 0).any():
        index = int(np.argmax(step < 0)) + 1
        raise at(
            f"time goes back from {utc_text(int(ts[index - 1]))} to {utc_text(int(ts[index]))} UTC",
            where,
            index,
            "time",
            "sort the file; is the time zone right?",
        )
    same = np.flatnonzero(step == 0) + 1
    if len(same) == 0:
        return None
    for name, values in columns.items():
        differs = values[same] != values[same - 1]
        if differs.any():
            index = int(same[np.argmax(differs)])
            raise at(
                f"two different rows for {utc_text(int(ts[index]))} UTC",
                where,
                index,
                name,
                "remove the wrong one",
            )
    if not drop_duplicates:
        index = int(same[0])
        raise at(
            f"the row for {utc_text(int(ts[index]))} UTC appears twice ({len(same)} such rows)",
            where,
            index,
            "",
            "--drop-duplicates keeps one of each",
        )
    keep = np.ones(len(ts), dtype=np.bool_)
    keep[same] = False
    return keep


def check_interval(open_ns: Column, interval_ns: int, where: Where) -> None:
    """Opens lie on multiples of the interval and are at least one interval apart."""
    off = open_ns % interval_ns != 0
    if off.any():
        index = int(np.argmax(off))
        raise at(
            f"opens at {utc_text(int(open_ns[index]))} UTC, no multiple of "
            f"{interval_name(interval_ns)}",
            where,
            index,
            "time",
            "check --stamp, --zone and --interval",
        )
    if len(open_ns) > 2:
        common = int(np.gcd.reduce(np.diff(open_ns)))
        if common > interval_ns:
            raise at(
                f"rows are {interval_name(common)} apart, the interval is "
                f"{interval_name(interval_ns)}",
                where,
                0,
                "time",
                f"give --interval {interval_name(common)}",
            )


def warnings_of(parts: Sequence[str]) -> tuple[str, ...]:
    """Drop empty parts and repetitions, keep the order."""
    return tuple(dict.fromkeys(part for part in parts if part))


def parse_integers(texts: pa.Array, column: str, where: Where) -> NDArray[np.int64]:
    """Whole numbers as int64; DataError on anything else."""
    good = pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$")
    if not pc.all(good).as_py():
        index = int(pc.index(good, False).as_py())
        raise at(f"{texts[index].as_py()!r} is no whole number", where, index, column)
    values: NDArray[np.int64] = pc.cast(texts, pa.int64()).to_numpy()
    return values
