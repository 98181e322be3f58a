"""Bars from data frames and arrays, for notebooks: checked, then turned into ticks and lots."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmats._core import BAR_DTYPE, EventKind
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument

CHUNK_ROWS = 65536
GRID_TOLERANCE = 1e-3
"""Of one tick or lot; a float this near to the grid was meant to be on it."""

TICKS_MAX = 2**53
"""Above it a float has no room for single ticks."""

PRICES = ("open", "high", "low", "close")
TIME_NAMES = ("ts_event_ns", "timestamp", "time", "ts", "date", "datetime")


def bar_chunks(
    data: Any, instrument: Instrument, index: int, interval_ns: int, stamp: str
) -> Iterator[NDArray[np.void]]:
    """Yield BAR_DTYPE arrays of at most 65,536 rows from a DataFrame or structured array.

    Parameters
    ----------
    data
        DataFrame with a DatetimeIndex (UTC where naive) or a time column, or a structured array;
        columns open, high, low, close and, where it is known, volume. A BAR_DTYPE array is taken
        as it is.
    index
        Dense index of the instrument.
    stamp
        "open" where the times are the bars' opens, "close" where they are their ends.

    Raises
    ------
    DataError
        A column is missing, times are not strictly ascending, or a price is NaN, infinite, not
        positive, contradicts the bar's range, or is no multiple of the tick size. The row it
        names counts from 0, as `iloc` does.
    """
    if isinstance(data, np.ndarray) and data.dtype == BAR_DTYPE:
        yield from _as_they_are(data, index)
        return
    columns, times = _columns(data, instrument.id)
    if len(times) == 0:
        raise DataError("has no rows", file=instrument.id)
    shift = interval_ns if stamp == "open" else 0
    last = np.iinfo(np.int64).min
    for first in range(0, len(times), CHUNK_ROWS):
        part = slice(first, first + CHUNK_ROWS)
        close_ns = times[part].astype(np.int64) + shift
        rising = np.diff(close_ns, prepend=last) > 0 if first else np.diff(close_ns) > 0
        _raise_at(
            ~rising,
            first + (0 if first else 1),
            "time",
            "is not after the row before it",
            instrument,
        )
        last = int(close_ns[-1])
        yield _bars(
            {name: column[part] for name, column in columns.items()},
            close_ns,
            instrument,
            index,
            first,
        )


def _as_they_are(data: NDArray[np.void], index: int) -> Iterator[NDArray[np.void]]:
    if len(data) == 0:
        raise DataError("has no rows", file=f"instrument {index}")
    for first in range(0, len(data), CHUNK_ROWS):
        chunk = data[first : first + CHUNK_ROWS]
        if index or chunk["instrument"][0] != index or chunk["kind"][0] != EventKind.EVENT_BAR:
            chunk = chunk.copy()
            chunk["instrument"] = index
            chunk["kind"] = EventKind.EVENT_BAR
        yield chunk


def _columns(data: Any, name: str) -> tuple[dict[str, NDArray[np.float64]], NDArray[Any]]:
    """Return price and volume columns as floats, and the times as int64 ns."""
    if isinstance(data, pd.DataFrame):
        have = {str(column).lower(): _values(data[column]) for column in data.columns}
        if isinstance(data.index, pd.DatetimeIndex):
            have["timestamp"] = _values(data.index.to_series())
    elif isinstance(data, np.ndarray) and data.dtype.names:
        have = {column.lower(): data[column] for column in data.dtype.names}
    else:
        raise DataError(
            f"is {type(data).__name__}", file=name, hint="give a DataFrame or a structured array"
        )
    missing = [column for column in PRICES if column not in have]
    if missing:
        raise DataError(f"lacks the columns {', '.join(missing)}", file=name)
    time_name = next((column for column in TIME_NAMES if column in have), None)
    if time_name is None:
        raise DataError(
            "has no times", file=name, hint="use a DatetimeIndex or a column named timestamp"
        )
    rows = len(have["close"])
    columns = {column: _floats(have[column], column, name) for column in PRICES}
    columns["volume"] = _floats(have.get("volume", np.zeros(rows)), "volume", name)
    return columns, _nanoseconds(have[time_name], name)


def _values(column: "pd.Series[Any]") -> NDArray[Any]:
    """Return a column as an array; times with a zone become UTC without one."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy()


def _floats(values: NDArray[Any], column: str, name: str) -> NDArray[np.float64]:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"holds what is no number: {error}", file=name, column=column) from None


def _nanoseconds(times: NDArray[Any], name: str) -> NDArray[np.int64]:
    if times.dtype.kind == "M":
        if np.isnat(times).any():
            raise DataError("a time is missing (NaT)", file=name, column="time")
        return times.astype("datetime64[ns]").astype(np.int64)
    if times.dtype.kind == "i":
        return times.astype(np.int64)
    raise DataError(
        f"times are of type {times.dtype}",
        file=name,
        column="time",
        hint="use datetimes, or int64 nanoseconds since 1970 UTC",
    )


def _bars(
    columns: dict[str, NDArray[np.float64]],
    close_ns: NDArray[np.int64],
    instrument: Instrument,
    index: int,
    first_row: int,
) -> NDArray[np.void]:
    for name in PRICES:
        bad = ~np.isfinite(columns[name]) | (columns[name] <= 0)
        _raise_at(bad, first_row, name, "is not a finite number above 0", instrument)
    volume = columns["volume"]
    _raise_at(
        ~np.isfinite(volume) | (volume < 0),
        first_row,
        "volume",
        "is not a finite number of 0 or more",
        instrument,
    )
    out = np.zeros(len(close_ns), dtype=BAR_DTYPE)
    out["kind"] = EventKind.EVENT_BAR
    out["instrument"] = index
    out["ts_event_ns"] = out["ts_recv_ns"] = close_ns
    tick_num, tick_den = instrument.tick_size.as_integer_ratio()
    for name in PRICES:
        steps = columns[name] * tick_den / tick_num
        _raise_at(steps > TICKS_MAX, first_row, name, "is too large", instrument)
        nearest = np.rint(steps)
        _raise_at(
            np.abs(steps - nearest) > GRID_TOLERANCE,
            first_row,
            name,
            f"is no multiple of the tick size {instrument.tick_size}",
            instrument,
            hint="round the prices, or change tick_size with [[instruments]]",
        )
        out[f"{name}_ticks"] = nearest
    _raise_at(out["high_ticks"] < out["low_ticks"], first_row, "high", "is below low", instrument)
    for name in ("open", "close"):
        ticks = out[f"{name}_ticks"]
        _raise_at(
            (ticks > out["high_ticks"]) | (ticks < out["low_ticks"]),
            first_row,
            name,
            "is outside low to high",
            instrument,
        )
    lot_num, lot_den = instrument.lot_size.as_integer_ratio()
    lots = np.floor(volume * lot_den / lot_num + GRID_TOLERANCE)
    _raise_at(lots > TICKS_MAX, first_row, "volume", "is too large", instrument)
    out["volume_lots"] = lots
    return out


def _raise_at(
    bad: NDArray[np.bool_],
    first_row: int,
    column: str,
    problem: str,
    instrument: Instrument,
    hint: str = "",
) -> None:
    if bad.any():
        row = first_row + int(np.argmax(bad))
        raise DataError(problem, file=instrument.id, row=row, column=column, hint=hint)
