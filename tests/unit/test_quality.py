"""The quality report finds what was put there, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from adapters.feeds.quality import quality_report
from mmats.model.errors import DataError
from mmats.ports.data_format import DataKind, ImportedTable, VolumeUnit
from mmats.ports.quality import Gap, StuckRun

MINUTE_NS = 60_000_000_000
MONDAY_NS = 1_698_624_000_000_000_000  # 2023-10-30 00:00 UTC


def walk(minutes: np.ndarray, symbol: str = "BTCUSDT.BINANCE", zone: str = "UTC") -> ImportedTable:
    """Bars that zigzag by one or two units, closing at the given minutes after Monday 00:00."""
    close = 100_000 + np.arange(len(minutes), dtype=np.int64) % 3
    zeros = np.zeros(len(minutes), dtype=np.int64)
    columns = {
        "ts_event_ns": MONDAY_NS + MINUTE_NS * minutes.astype(np.int64),
        "flags": zeros,
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "spread_x4": zeros,
        "volume": zeros + 1,
    }
    return ImportedTable(
        DataKind.BAR, symbol, MINUTE_NS, columns, 2, 0, VolumeUnit.BASE, "test", zone, "open"
    )


def changed(table: ImportedTable, **columns: np.ndarray) -> ImportedTable:
    return replace(table, columns={**table.columns, **columns})


def test_complete_data_has_no_findings() -> None:
    report = quality_report([walk(np.arange(1, 1441))])
    assert (report.rows, report.expected_rows, report.missing_rows) == (1440, 1440, 0)
    assert (report.gaps, report.outliers, report.stuck) == ((), (), ())
    assert (report.duplicate_rows, report.zero_volume_rows, report.bad_price_rows) == (0, 0, 0)
    assert report.calendar == "24/7"


def test_gaps_are_listed_with_their_size() -> None:
    minutes = np.array([k for k in range(1, 1441) if not 100 <= k < 130 and k != 500])
    report = quality_report([walk(minutes)])
    assert report.missing_rows == 31
    assert report.gaps == (
        Gap(MONDAY_NS + 99 * MINUTE_NS, MONDAY_NS + 129 * MINUTE_NS, 30),
        Gap(MONDAY_NS + 499 * MINUTE_NS, MONDAY_NS + 500 * MINUTE_NS, 1),
    )


def test_gap_between_files_is_found() -> None:
    report = quality_report([walk(np.arange(1, 100)), walk(np.arange(110, 200))])
    assert report.gaps == (Gap(MONDAY_NS + 99 * MINUTE_NS, MONDAY_NS + 109 * MINUTE_NS, 10),)


def test_forex_weekend_is_no_gap_but_bars_in_it_are_unexpected() -> None:
    # The week ended on Friday 21:00 UTC (New York still in summer time) and started, with New
    # York back in winter time, on Sunday 22:00 UTC.
    friday, sunday = (4 * 24 + 21) * 60, (6 * 24 + 22) * 60
    minutes = np.concatenate([np.arange(1, friday + 1), np.arange(sunday + 1, sunday + 61)])
    report = quality_report([walk(minutes, "EURUSD.OANDA")])
    assert report.calendar == "forex"
    assert (report.missing_rows, report.unexpected_rows, report.gaps) == (0, 0, ())
    late = np.concatenate([minutes[: friday + 0], [friday + 30], minutes[friday:]])
    assert quality_report([walk(late, "EURUSD.OANDA")]).unexpected_rows == 1


def test_unknown_calendar_expects_nothing() -> None:
    report = quality_report([walk(np.array([1, 50, 900]), "SPY.USA", "America/New_York")])
    assert (report.calendar, report.expected_rows, report.missing_rows) == ("none", None, None)
    with pytest.raises(DataError, match="unknown"):
        quality_report([walk(np.arange(1, 5))], "lunar")


def test_outlier_stuck_zero_volume_and_bad_prices() -> None:
    table = walk(np.arange(1, 1001))
    close, volume = table.columns["close"].copy(), table.columns["volume"].copy()
    close[400] = 103_000
    close[600:650] = 100_001
    volume[10:13] = 0
    flat = {"open": close, "close": close, "high": close.copy(), "low": close.copy()}
    flat["high"][[i for i in range(1000) if not 600 <= i < 650]] += 1
    flat["low"][[i for i in range(1000) if not 600 <= i < 650]] -= 1
    flat["high"][20] = flat["low"][20] - 1
    report = quality_report([changed(table, **flat, volume=volume)])
    assert [o.ts_event_ns for o in report.outliers] == [
        MONDAY_NS + 401 * MINUTE_NS, MONDAY_NS + 402 * MINUTE_NS,
    ]  # fmt: skip
    assert report.outliers[0].log_return == pytest.approx(0.0295, abs=1e-3)
    assert report.stuck == (StuckRun(MONDAY_NS + 601 * MINUTE_NS, MONDAY_NS + 650 * MINUTE_NS, 50),)
    assert (report.zero_volume_rows, report.bad_price_rows) == (3, 1)


def test_duplicate_times_are_counted() -> None:
    assert quality_report([walk(np.array([1, 2, 2, 3]))]).duplicate_rows == 1


def test_event_data_reports_pauses() -> None:
    ts = MONDAY_NS + MINUTE_NS * np.array([0, 1, 1, 20], dtype=np.int64)
    one = np.ones(4, dtype=np.int64)
    columns = {
        "ts_event_ns": ts, "ts_recv_ns": ts, "trade_id": np.arange(4), "flags": one, "price": one,
        "size": one,
    }  # fmt: skip
    table = replace(walk(np.arange(4)), kind=DataKind.TRADE, interval_ns=0, columns=columns)
    report = quality_report([table])
    assert report.gaps == (Gap(int(ts[2]), int(ts[3]), 0),)
    assert (report.duplicate_rows, report.expected_rows) == (0, None)


def test_nothing_stored() -> None:
    with pytest.raises(DataError, match="nothing stored"):
        quality_report([])
