"""Bar formats: exact integers, the right moment, and refusals that say where and why."""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.feeds.formats.binance_klines import BinanceKlines
from adapters.feeds.formats.bitfinex import Bitfinex
from adapters.feeds.formats.histdata import HistData
from adapters.feeds.formats.mt5 import Mt5
from mmats.model.errors import DataError
from mmats.ports.data_format import ImportOptions, VolumeUnit
from tests.fakes.market_files import (
    BTC,
    EUR,
    KLINES,
    MT5_HEADER,
    MT5_ROWS,
    values,
    write_lines,
)

MINUTE_NS = 60_000_000_000
FIRST_OPEN_NS = 1_698_796_800_000_000_000
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_base,taker_quote,x"
)


@pytest.mark.parametrize("name", ["BTC.csv", "BTC.zip", "BTC.csv.gz"])
def test_klines_are_exact_and_stamped_at_close(tmp_path: Path, name: str) -> None:
    path = write_lines(tmp_path / name, *KLINES)
    (table,) = BinanceKlines().read([path], BTC)
    assert values(table, "ts_event_ns") == [FIRST_OPEN_NS + k * MINUTE_NS for k in (1, 2, 3)]
    assert table.price_scale == 2
    assert values(table, "open") == [10000, 10100, 10090]
    assert values(table, "high") == [10150, 10120, 10090]
    assert values(table, "low") == [9990, 10080, 10010]
    assert values(table, "close") == [10100, 10090, 10025]
    assert table.size_scale == 3
    assert values(table, "volume") == [2500, 1, 1000]
    assert values(table, "flags") == [0, 0, 0]
    assert list(table.sources) == [name]


def test_klines_in_microseconds_with_header_are_the_same(tmp_path: Path) -> None:
    plain = write_lines(tmp_path / "a.csv", *KLINES)
    micros = []
    for line in KLINES:
        cells = line.split(",")
        cells[0], cells[6] = cells[0] + "000", cells[6] + "999"
        micros.append(",".join(cells))
    newer = write_lines(tmp_path / "b.csv", HEADER, *micros)
    (one,), (two,) = (BinanceKlines().read([path], BTC) for path in (plain, newer))
    for name, column in one.columns.items():
        assert column.tolist() == two.columns[name].tolist(), name


def test_files_in_any_order_make_one_series(tmp_path: Path) -> None:
    early = write_lines(tmp_path / "z.csv", *KLINES[:2])
    late = write_lines(tmp_path / "a.csv", KLINES[2])
    (table,) = BinanceKlines().read([late, early], BTC)
    assert values(table, "close") == [10100, 10090, 10025]


def kline(**changes: str) -> str:
    names = ("time", "open", "high", "low", "close", "volume")
    cells = KLINES[1].split(",")
    for name, value in changes.items():
        cells[names.index(name)] = value
    return ",".join(cells)


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        (kline(high="NaN"), "high", "'NaN' is no finite number"),
        (kline(low="inf"), "low", "'inf' is no finite number"),
        (kline(volume=""), "volume", "is empty"),
        (kline(open="0"), "open", "open is zero or negative"),
        (kline(close="-100.9"), "close", "close is zero or negative"),
        (kline(high="100.95"), "open", "open is outside low to high"),
        (kline(high="100.00"), "high", "high is below low"),
        (kline(close="101.30"), "close", "close is outside low to high"),
        (kline(volume="-1"), "volume", "volume is negative"),
        (kline(open="1e400"), "open", "too large"),
        (kline(open="1" + "0" * 20), "open", "too large"),
        (kline(open="100,5"), "", "13 columns instead of 12"),
        ("1698796860000,101.00", "", "2 columns instead of 12"),
        (kline(time="tomorrow"), "time", "no epoch time"),
        (kline(open="101.0000000000001"), "open", "more than 12 decimals"),
    ],
)
def test_bad_row_is_named(tmp_path: Path, row: str, column: str, problem: str) -> None:
    path = write_lines(tmp_path / "bad.csv", KLINES[0], row, KLINES[2])
    with pytest.raises(DataError, match=problem) as caught:
        BinanceKlines().read([path], BTC)
    error = caught.value
    assert (error.file, error.row, error.column) == ("bad.csv", 2, column)
    assert error.hint


def test_duplicates(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "twice.csv", KLINES[0], KLINES[1], KLINES[1], KLINES[2])
    with pytest.raises(DataError, match="appears twice") as caught:
        BinanceKlines().read([path], BTC)
    assert caught.value.row == 3
    assert "--drop-duplicates" in caught.value.hint
    (table,) = BinanceKlines().read([path], replace(BTC, drop_duplicates=True))
    assert values(table, "close") == [10100, 10090, 10025]


def test_conflicting_duplicates_are_never_dropped(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "odd.csv", KLINES[0], KLINES[1], kline(close="101.10"))
    with pytest.raises(DataError, match="two different rows") as caught:
        BinanceKlines().read([path], replace(BTC, drop_duplicates=True))
    assert (caught.value.row, caught.value.column) == (3, "close")


def test_time_that_goes_back(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "back.csv", KLINES[1], KLINES[0])
    with pytest.raises(DataError, match="time goes back") as caught:
        BinanceKlines().read([path], BTC)
    assert caught.value.row == 2


@pytest.mark.parametrize("name", ["cut.zip", "cut.csv.gz"])
def test_truncated_archive(tmp_path: Path, name: str) -> None:
    path = write_lines(tmp_path / name, *KLINES * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged or incomplete") as caught:
        BinanceKlines().read([path], BTC)
    assert caught.value.file == name


@pytest.mark.parametrize("text", ["", "\n", HEADER])
def test_empty_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"empty|no rows"):
        BinanceKlines().read([path], BTC)


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        BinanceKlines().read([tmp_path / "absent.csv"], BTC)
    with pytest.raises(DataError, match="no data files"):
        BinanceKlines().read([tmp_path], BTC)


def test_mt5_server_time_is_new_york_plus_seven(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "EURUSD.csv.gz", MT5_HEADER, *MT5_ROWS)
    (table,) = Mt5().read([path], EUR)
    # 13:57 on the server is 06:57 in New York, in winter 11:57 UTC; the bar closes a minute later.
    assert values(table, "ts_event_ns")[0] == 1_699_358_280_000_000_000
    assert (values(table, "open")[0], table.price_scale) == (106715, 5)
    assert table.volume_unit is VolumeUnit.COUNT
    assert values(table, "volume") == [47, 51]
    assert values(table, "flags") == [1, 1]  # BAR_BID


def test_mt5_own_layout_has_a_measured_spread(tmp_path: Path) -> None:
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    row = "2023.07.07\t13:57:00\t1.08710\t1.08730\t1.08710\t1.08720\t47\t0\t12"
    path = write_lines(tmp_path / "EURUSD_M1.csv", header, row)
    (table,) = Mt5().read([path], EUR)
    assert values(table, "ts_event_ns") == [1_688_727_480_000_000_000]  # 10:58 UTC, summer
    assert values(table, "spread_x4") == [4 * 12 * 10 ** (table.price_scale - 5)]
    assert values(table, "flags") == [1 | 4]  # BAR_BID | BAR_SPREAD
    assert values(table, "volume") == [47]


def test_mt5_needs_a_zone(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "EURUSD.csv", MT5_HEADER, *MT5_ROWS)
    with pytest.raises(DataError, match="does not say its time zone"):
        Mt5().read([path], replace(EUR, zone=None))
    with pytest.raises(DataError, match="unknown"):
        Mt5().read([path], replace(EUR, zone="Mars/Olympus"))


def test_mt5_without_the_needed_columns(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.csv", "Date,Open,High,Low", "2023.11.07 13:57:00,1,1,1")
    with pytest.raises(DataError, match=r"no column close, volume"):
        Mt5().read([path], EUR)


def test_bitfinex_column_order_is_open_close_high_low(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "b.csv.gz", "1514764800000,13763,13753,13788,13752.18233851,5.13326771"
    )
    (table,) = Bitfinex().read([path], ImportOptions("BTCUSD.BITFINEX"))
    scale = 10**8
    assert values(table, "open") == [13763 * scale]
    assert values(table, "close") == [13753 * scale]
    assert values(table, "high") == [13788 * scale]
    assert values(table, "low") == [1375218233851]
    assert values(table, "volume") == [513326771]


def test_histdata_declared_zone_and_contradiction(tmp_path: Path) -> None:
    """Summer weeks that end at 16:59 contradict UTC-5, where they would end at 15:59."""
    days = ("20180706 165900", "20180708 170000", "20180713 165900", "20180715 170000")
    rows = [f"{day};1.1;1.2;1.0;1.1;0" for day in days]
    path = write_lines(tmp_path / "DAT_ASCII_EURUSD_M1_2018.zip", *rows)
    options = ImportOptions("EURUSD.OANDA", interval_ns=MINUTE_NS)
    (declared,) = HistData().read([path], options)
    assert declared.zone == "UTC-5"
    assert values(declared, "ts_event_ns")[0] == 1_530_914_400_000_000_000  # 22:00 UTC
    (warning,) = declared.warnings
    assert "Fri 2018-07-06 18:00" in warning
    assert "Fri 17:00" in warning
    assert "--zone America/New_York would fit" in warning
    (fitting,) = HistData().read([path], replace(options, zone="America/New_York"))
    assert fitting.warnings == ()
    assert values(fitting, "ts_event_ns")[0] == 1_530_910_800_000_000_000


def test_clock_changes_are_errors(tmp_path: Path) -> None:
    zone = ImportOptions("EURUSD.OANDA", zone="Europe/Berlin")
    twice = write_lines(tmp_path / "a.csv", "20181028 023000;1.1;1.2;1.0;1.1;0")
    never = write_lines(tmp_path / "b.csv", "20180325 023000;1.1;1.2;1.0;1.1;0")
    with pytest.raises(DataError, match="happened twice in zone Europe/Berlin") as caught:
        HistData().read([twice], zone)
    assert caught.value.row == 1
    with pytest.raises(DataError, match="happened never in zone Europe/Berlin"):
        HistData().read([never], zone)


def test_interval_must_fit(tmp_path: Path) -> None:
    rows = [f"20180702 00{m:02d}00;1.1;1.2;1.0;1.1;0" for m in (0, 5, 10, 15)]
    path = write_lines(tmp_path / "m5.csv", *rows)
    with pytest.raises(DataError, match="rows are 5m apart") as caught:
        HistData().read([path], ImportOptions("EURUSD.OANDA"))
    assert "--interval 5m" in caught.value.hint
    (table,) = HistData().read([path], ImportOptions("EURUSD.OANDA", interval_ns=5 * MINUTE_NS))
    assert table.rows == 4
