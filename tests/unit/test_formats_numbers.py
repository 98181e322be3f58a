"""Decimal texts and local times against the standard library as an oracle."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.feeds.calendars import in_forex_week, is_forex
from adapters.feeds.decimals import (
    float_texts,
    parse_decimals,
    rescale,
    truncate_decimals,
)
from adapters.feeds.interval import interval_name, parse_interval
from adapters.feeds.zones import from_utc, parse_zone, to_utc
from mmats.model.errors import DataError

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS


def where(index: int) -> tuple[str, int]:
    return "test.csv", index + 1


def texts(values: list[str]) -> pa.Array:
    return pa.array(values, pa.string())


NUMBERS = st.decimals(-(10**6), 10**6, allow_nan=False, places=8).flatmap(
    lambda d: st.sampled_from([format(d, "f"), format(d.normalize(), "f"), str(d.normalize())])
)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_values_and_scale_are_exact(values: list[str]) -> None:
    mantissas, scale = parse_decimals(texts(values), "x", where, 12)
    expected = [Decimal(value) for value in values]
    assert [Decimal(int(m)).scaleb(-scale) for m in mantissas] == expected
    finest = max((-int(d.normalize().as_tuple().exponent) for d in expected if d), default=0)
    assert scale == max(0, finest)


@given(st.lists(st.floats(1e-6, 1e6, allow_nan=False).map(lambda f: float(f"{f:.7g}"))))
def test_doubles_round_trip(values: list[float]) -> None:
    if values:
        mantissas, scale = parse_decimals(float_texts(pa.array(values)), "x", where, 12)
        assert [float(Decimal(int(m)).scaleb(-scale)) for m in mantissas] == values


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", ".5", "+1", "1_000", "1 000", "1,5", "0x1F", "nan", "Infinity", "1e", "٣"],
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_decimals(texts(["1.5", text]), "open", where, 12)
    assert (caught.value.row, caught.value.column) == (2, "open")


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "1" * 60])
def test_beyond_int64(text: str) -> None:
    with pytest.raises(DataError, match="too large"):
        parse_decimals(texts([text]), "x", where, 12)


def test_limits_of_int64_are_kept() -> None:
    ends = ["9223372036854775807", "-9223372036854775808"]
    mantissas, scale = parse_decimals(texts(ends), "x", where, 12)
    assert ([str(m) for m in mantissas], scale) == (ends, 0)
    with pytest.raises(DataError, match="overflows"):
        rescale(mantissas, 0, 1)


def test_sizes_lose_only_digits_beyond_the_limit() -> None:
    cut, lost = truncate_decimals(
        texts(["0.34307688999999997", "2", "1.500000000", "-0.000000019"]), 8
    )
    assert cut.to_pylist() == ["0.34307688", "2", "1.50000000", "-0.00000001"]
    assert lost == 2


ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")


@given(st.sampled_from(ZONES), st.lists(st.integers(10**9, 2 * 10**9), min_size=1, max_size=10))
def test_local_times_agree_with_zoneinfo(name: str, seconds: list[int]) -> None:
    zone = parse_zone(name)
    utc = np.array(seconds, dtype=np.int64) * SECOND_NS
    moments = [datetime.fromtimestamp(s, UTC).astimezone(ZoneInfo(name)) for s in seconds]
    local = [int(m.replace(tzinfo=UTC).timestamp()) * SECOND_NS for m in moments]
    ambiguous = any(m.utcoffset() != m.replace(fold=1 - m.fold).utcoffset() for m in moments)
    if ambiguous:
        with pytest.raises(DataError, match="twice"):
            to_utc(np.array(local), zone, where)
    else:
        assert to_utc(np.array(local), zone, where).tolist() == utc.tolist()


def _new_york_as_utc(moment: datetime) -> int:
    """Seconds since 1970 of New York's wall clock at a moment, read as if it were UTC."""
    local = moment.astimezone(ZoneInfo("America/New_York"))
    return int(local.replace(tzinfo=UTC).timestamp())


def test_shown_local_time_is_zoneinfos_at_whole_hours() -> None:
    utc = np.arange(1_520_000_000, 1_550_000_000, 7200, dtype=np.int64) * SECOND_NS
    expected = [
        _new_york_as_utc(datetime.fromtimestamp(int(t) // SECOND_NS, UTC)) * SECOND_NS for t in utc
    ]
    assert from_utc(utc, parse_zone("America/New_York")).tolist() == expected
    shifted = from_utc(utc, parse_zone("NY+7")) - np.array(expected)
    assert set(shifted.tolist()) == {7 * HOUR_NS}


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("utc-5", -5), ("UTC+05:30", 5.5), ("GMT+2", 2)]
)
def test_fixed_offsets(name: str, hours: float) -> None:
    local = np.array([1_520_000_000 * SECOND_NS])
    assert (local - to_utc(local, parse_zone(name), where)).tolist() == [int(hours * HOUR_NS)]


@pytest.mark.parametrize("name", ["", "UTC+20", "Mars/Olympus", "EST+", "../etc", "NY+99"])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(DataError):
        parse_zone(name)


@pytest.mark.parametrize(
    ("moment", "trades"),
    [
        ("2018-07-06T20:59", True), ("2018-07-06T21:00", False),
        ("2018-07-08T20:59", False), ("2018-07-08T21:00", True),
        ("2018-01-05T21:59", True), ("2018-01-05T22:00", False),
    ],
)  # fmt: skip
def test_forex_week(moment: str, trades: bool) -> None:
    utc = np.array([int(np.datetime64(moment, "ns").astype(np.int64))])
    assert in_forex_week(utc).tolist() == [trades]


@pytest.mark.parametrize(
    ("symbol", "forex"),
    [("EURUSD.OANDA", True), ("EUR_USD", True), ("XAUUSD", True), ("BTCUSD.X", False),
     ("EURUSDT.BINANCE", False), ("USDCUSDT", False)],
)  # fmt: skip
def test_forex_symbols(symbol: str, forex: bool) -> None:
    assert is_forex(symbol) is forex


@pytest.mark.parametrize("text", ["1s", "5m", "1h", "1d", "90s"])
def test_intervals(text: str) -> None:
    assert parse_interval(interval_name(parse_interval(text))) == parse_interval(text)


@pytest.mark.parametrize("text", ["", "m", "0m", "-1m", "1w", "1.5h"])
def test_no_intervals(text: str) -> None:
    with pytest.raises(DataError):
        parse_interval(text)
