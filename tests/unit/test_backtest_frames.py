"""Bars from data frames and arrays: what is taken, and how errors name row and column."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmats._core import BAR_DTYPE, EventKind
from mmats.backtest.frames import bar_chunks
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from tests.fakes.backtests import MINUTE_NS, START_NS, bars

INSTRUMENT = Instrument(
    "AAABBB",
    "SIM",
    "test",
    "AAA",
    "BBB",
    Decimal("0.01"),
    Decimal("0.001"),
    Decimal("0.001"),
    Decimal(1000),
    Decimal(0),
)
FIELDS = ("open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")


def chunks(data: Any, stamp: str = "close", index: int = 0) -> Any:
    return list(bar_chunks(data, INSTRUMENT, index, MINUTE_NS, stamp))


def one(data: Any, stamp: str = "close") -> Any:
    (chunk,) = chunks(data, stamp)
    return chunk


def refusal(data: Any, stamp: str = "close") -> DataError:
    with pytest.raises(DataError) as caught:
        chunks(data, stamp)
    return caught.value


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three bars: 100.00, 101.50, 99.25."""
    return bars([100.0, 101.5, 99.25], volume=[1.0, 2.5, 0.0])


def test_prices_become_ticks_and_volume_lots(frame):
    chunk = one(frame)
    assert chunk.dtype == BAR_DTYPE
    assert [list(row) for row in chunk[list(FIELDS)].tolist()] == [
        [10000, 10000, 10000, 10000, 1000],
        [10000, 10150, 10000, 10150, 2500],
        [10150, 10150, 9925, 9925, 0],
    ]
    assert (chunk["kind"] == EventKind.EVENT_BAR).all()
    assert chunk["ts_event_ns"].tolist() == [START_NS + k * MINUTE_NS for k in (1, 2, 3)]
    assert (chunk["ts_recv_ns"] == chunk["ts_event_ns"]).all()


def test_times_that_are_opens_move_to_the_close(frame):
    moved = one(frame, stamp="open")["ts_event_ns"] - one(frame, stamp="close")["ts_event_ns"]
    assert (moved == MINUTE_NS).all()


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_an_index_with_a_zone_is_the_same_moment(frame, zone):
    assert (one(frame.tz_convert(zone)) == one(frame)).all()


def test_a_naive_index_is_utc(frame):
    assert (one(frame.tz_localize(None)) == one(frame)).all()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_resolution_of_the_index_does_not_matter(frame, unit):
    coarse = frame.copy()
    coarse.index = frame.index.as_unit(unit)
    assert (one(coarse) == one(frame)).all()


@pytest.mark.parametrize("name", ["timestamp", "Time", "DATE", "ts_event_ns"])
def test_times_may_be_a_column(frame, name):
    flat = frame.reset_index(names=name)
    assert (one(flat) == one(frame)).all()
    flat[name] = flat[name].dt.as_unit("ns").astype("int64")
    assert (one(flat) == one(frame)).all()


def test_a_time_column_with_a_zone(frame):
    local = frame.tz_convert("Asia/Tokyo").reset_index(names="time")
    assert (one(local) == one(frame)).all()


def test_column_names_in_any_case_and_no_volume(frame):
    capital = frame.rename(columns=str.title).drop(columns="Volume")
    assert (one(capital)["close_ticks"] == one(frame)["close_ticks"]).all()
    assert not one(capital)["volume_lots"].any()


def test_a_structured_array(frame):
    names = ["timestamp", "open", "high", "low", "close", "volume"]
    table = np.zeros(3, [("timestamp", "<i8"), *((name, "<f8") for name in names[1:])])
    table["timestamp"] = one(frame)["ts_event_ns"]
    for name in names[1:]:
        table[name] = frame[name]
    assert (one(table) == one(frame)).all()


def test_bars_of_the_core_are_taken_as_they_are(frame):
    made = one(frame)
    assert chunks(made)[0].base is not None  # a view, no copy
    (other,) = chunks(made, index=3)
    assert (other["instrument"] == 3).all()
    assert (made["instrument"] == 0).all()


def test_long_data_comes_in_chunks():
    long = bars(np.full(70_000, 50.0))
    assert [len(chunk) for chunk in chunks(long)] == [65536, 4464]
    broken = long.copy()
    broken.iloc[65_540, broken.columns.get_loc("close")] = -1.0
    error = refusal(broken)
    assert (error.row, error.column) == (65_540, "close")


def test_a_step_back_at_a_chunk_boundary_is_found():
    index = bars(np.full(65_540, 50.0)).index.to_numpy().copy()
    index[65_536] = index[65_535]
    error = refusal(bars(np.full(65_540, 50.0)).set_axis(pd.DatetimeIndex(index)))
    assert (error.row, error.column) == (65_536, "time")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_bad_price(frame, column, value):
    frame.iloc[1, frame.columns.get_loc(column)] = value
    error = refusal(frame)
    assert (error.row, error.column) == (1, column)
    assert "AAABBB.SIM, row 1" in str(error)
    assert "finite number above 0" in str(error)


def test_a_price_or_volume_too_large_for_the_core(frame):
    for column in ("open", "high", "low", "close"):
        frame[column] = 1e300
    assert "is too large" in str(refusal(frame))
    frame = bars([100.0, 101.5], volume=[1.0, 1e300])
    assert (refusal(frame).row, refusal(frame).column) == (1, "volume")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.001])
def test_a_bad_volume(frame, value):
    frame.iloc[2, frame.columns.get_loc("volume")] = value
    error = refusal(frame)
    assert (error.row, error.column) == (2, "volume")


def test_high_below_low(frame):
    frame.iloc[1, frame.columns.get_loc("high")] = 99.0
    error = refusal(frame)
    assert (error.row, error.column, error.problem) == (1, "high", "is below low")


@pytest.mark.parametrize("column", ["open", "close"])
def test_a_price_outside_the_range(frame, column):
    frame.iloc[2, frame.columns.get_loc(column)] = 150.0
    error = refusal(frame)
    assert (error.row, error.column, error.problem) == (2, column, "is outside low to high")


def test_a_price_between_ticks_says_what_to_do(frame):
    frame.iloc[1, frame.columns.get_loc("high")] = 101.507
    error = refusal(frame)
    assert (error.row, error.column) == (1, "high")
    assert "tick size 0.01" in str(error)
    assert "tick_size" in error.hint


def test_float_noise_is_no_price_between_ticks(frame):
    frame["high"] = frame["high"] * (1 + 1e-15)
    assert one(frame)["high_ticks"].tolist() == [10000, 10150, 10150]


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1], [2, 1, 0]])
def test_times_must_rise(frame, order):
    moved = frame.iloc[order].reset_index(drop=True).set_axis(frame.index[order])
    error = refusal(moved)
    row = next(k for k in (1, 2) if order[k] <= order[k - 1])
    assert (error.row, error.column) == (row, "time")
    assert "is not after the row before it" in str(error)


def test_missing_columns_times_and_rows(frame):
    assert "lacks the columns high, low" in str(refusal(frame.drop(columns=["high", "low"])))
    assert "has no times" in str(refusal(frame.reset_index(drop=True)))
    assert "has no rows" in str(refusal(frame.iloc[:0]))
    assert "DataFrame or a structured array" in str(refusal([1, 2, 3]))
    assert "has no rows" in str(refusal(np.zeros(0, BAR_DTYPE)))


def test_a_missing_time(frame):
    index = frame.index.to_series().reset_index(drop=True)
    index[1] = pd.NaT
    assert "NaT" in str(refusal(frame.set_axis(pd.DatetimeIndex(index))))


def test_times_as_text_are_refused(frame):
    text = frame.reset_index(names="time").astype({"time": str})
    assert "times are of type" in str(refusal(text))


def test_text_in_a_price_column(frame):
    frame["open"] = frame["open"].astype(object)
    frame.iloc[1, frame.columns.get_loc("open")] = "100,5"
    error = refusal(frame)
    assert error.column == "open"
