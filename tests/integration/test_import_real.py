"""Vendors' own files: all of them import, and the facts known about them hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.feeds.bars import bars_from_trades
from adapters.feeds.catalog import Catalog
from adapters.feeds.checks import utc_text
from adapters.feeds.formats.binance_klines import BinanceKlines
from adapters.feeds.formats.binance_stream import BinanceStream
from adapters.feeds.formats.bitfinex import Bitfinex
from adapters.feeds.formats.columns import Columns
from adapters.feeds.formats.histdata import HistData
from adapters.feeds.formats.lean import Lean
from adapters.feeds.formats.mt5 import Mt5
from adapters.feeds.quality import quality_report
from mmats._core import EventFlag
from mmats.config import builtin_instruments
from mmats.model.errors import DataError
from mmats.ports.data_format import DataKind, ImportedTable, ImportOptions
from tests.shared_data import shared_data

MINUTE_NS = 60_000_000_000


def closes(table: ImportedTable) -> dict[int, int]:
    """Close mantissa by close time."""
    return dict(
        zip(table.columns["ts_event_ns"].tolist(), table.columns["close"].tolist(), strict=True)
    )


def test_binance_months_are_complete() -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        path = shared_data("binance-vision-spot-m1", symbol)
        (table,) = BinanceKlines().read([path], ImportOptions(f"{symbol}.BINANCE"))
        report = quality_report([table])
        assert (report.rows, report.expected_rows, report.gaps) == (61 * 1440, 61 * 1440, ())
        assert len(table.sources) == 61


def test_binance_and_eurusd_share_their_minutes(tmp_path: Path) -> None:
    binance = shared_data("binance-vision-spot-m1", "BTCUSDT")
    forex = shared_data("eurusd-mt5-2023-2024")
    catalog = Catalog(tmp_path)
    for table in (
        *BinanceKlines().read([binance], ImportOptions("BTCUSDT.BINANCE")),
        *Mt5().read([forex], ImportOptions("EURUSD.OANDA", zone="NY+7")),
    ):
        assert table.warnings == ()
        catalog.write(table)
    known = builtin_instruments()
    coin, euro = (
        catalog.load(known[symbol], DataKind.BAR, MINUTE_NS)
        for symbol in ("BTCUSDT.BINANCE", "EURUSD.OANDA")
    )
    shared = np.intersect1d(coin["ts_event_ns"], euro["ts_event_ns"])
    assert len(shared) == len(euro) == 52_636
    assert (euro["flags"] == EventFlag.BAR_BID).all()
    assert coin["open_ticks"][0] == 3_463_978
    assert coin["volume_lots"][0] == 2_701_885
    report = quality_report(catalog.tables("EURUSD.OANDA", DataKind.BAR, MINUTE_NS))
    assert report.unexpected_rows == 0


@pytest.mark.parametrize("zone", ["UTC", "UTC+2", "Europe/Berlin"])
def test_wrong_zone_of_mt5_is_noticed(zone: str) -> None:
    forex = shared_data("eurusd-mt5-2023-2024")
    if zone == "UTC+2":
        # Right all winter: nothing contradicts it in a file that has no summer.
        (table,) = Mt5().read([forex], ImportOptions("EURUSD.OANDA", zone=zone))
        assert table.warnings == ()
        return
    (table,) = Mt5().read([forex], ImportOptions("EURUSD.OANDA", zone=zone))
    (warning,) = table.warnings
    assert f"declared zone {zone}" in warning
    assert "--zone NY+7 would fit" in warning


def test_histdata_contradicts_its_vendor() -> None:
    """Declared EST without daylight saving; the weeks and another vendor's prices say New York."""
    path = shared_data("histdata-m1")
    other = shared_data("lean", "forex", "oanda", "minute", "eurusd")
    options = ImportOptions("EURUSD.OANDA")
    (declared,) = HistData().read([path], options)
    assert declared.rows == 372_607
    assert any("America/New_York would fit" in warning for warning in declared.warnings)
    (fitting,) = HistData().read([path], replace(options, zone="America/New_York"))
    assert fitting.warnings == ()
    (oanda,) = Lean().read([other], options)
    distances = []
    for table in (declared, fitting):
        ours, theirs = closes(table), closes(oanda)
        both = sorted(set(ours) & set(theirs))
        assert len(both) > 2_000
        scale = 10 ** (table.price_scale - oanda.price_scale)
        distances.append(np.mean([abs(ours[t] - theirs[t] * scale) for t in both]))
    assert distances[1] < 10 < distances[0]


def test_fxcm_is_five_hours_behind_oanda() -> None:
    folder = shared_data("lean", "forex")
    tables = [
        Lean().read([folder / venue / "minute"], ImportOptions(f"EURUSD.{venue.upper()}"))[0]
        for venue in ("oanda", "fxcm")
    ]
    assert [table.rows for table in tables] == [2_818, 2_862]
    ours, theirs = (closes(table) for table in tables)
    both = sorted(set(ours) & set(theirs))
    assert len(both) > 2_000
    assert np.mean([abs(ours[t] - theirs[t]) for t in both]) < 10


def test_bitfinex_outages_are_in_the_gap_list() -> None:
    path = shared_data("bitfinex-m1", "bitfinex_BTCUSD_1m_2018.csv.gz")
    (table,) = Bitfinex().read([path], ImportOptions("BTCUSD.BITFINEX"))
    report = quality_report([table])
    assert report.rows == 520_499
    # 1,440 bars a day in 2018 less those that are there, counted from the first to the last.
    assert report.missing_rows == (report.end_ns - report.start_ns) // MINUTE_NS + 1 - 520_499
    assert sum(gap.missing_rows for gap in report.gaps) == report.missing_rows
    long = [
        (utc_text(gap.start_ns), gap.missing_rows) for gap in report.gaps if gap.missing_rows >= 60
    ]
    assert long == [
        ("2018-06-05 10:35:00", 60),
        ("2018-06-05 13:34:00", 67),
        ("2018-10-04 08:31:00", 66),
    ]


LEAN_ROWS = {
    ("crypto/coinbase/minute/btceur", "trade"): 3_663,
    ("crypto/coinbase/minute/btceur", "bid"): 4_313,
    ("crypto/coinbase/minute/btcusd", "trade"): 3_887,
    ("crypto/coinbase/minute/btcusd", "bid"): 2_873,
    ("crypto/coinbase/minute/ethusd", "trade"): 2_449,
    ("crypto/coinbase/minute/ethusd", "bid"): 2_876,
    ("crypto/coinbase/minute/ltcusd", "trade"): 3_887,
    ("crypto/coinbase/minute/ltcusd", "bid"): 4_316,
    ("equity/usa/minute/ibm", "trade"): 2_155,
    ("equity/usa/minute/ibm", "bid"): 2_853,
    ("equity/usa/minute/spy", "trade"): 4_128,
    ("equity/usa/minute/spy", "bid"): 4_557,
}


@pytest.mark.parametrize(("folder", "basis"), LEAN_ROWS)
def test_lean_bars(folder: str, basis: str) -> None:
    path = shared_data("lean", *folder.split("/"))
    (table,) = Lean().read([path], ImportOptions("ANY.LEAN", basis=basis))
    assert table.rows == LEAN_ROWS[folder, basis]
    spread = table.columns["spread_x4"]
    assert (spread.max() > 0) == (basis == "bid")


def test_lean_ticks() -> None:
    folder = shared_data("lean", "forex")
    (oanda,) = Lean().read([folder / "oanda" / "tick"], ImportOptions("EURUSD.OANDA"))
    assert (oanda.kind, oanda.rows) == (DataKind.QUOTE, 73_520)
    options = ImportOptions("EURUSD.FXCM")
    with pytest.raises(DataError, match="bid is above ask"):
        Lean().read([folder / "fxcm" / "tick"], options)
    (fxcm,) = Lean().read([folder / "fxcm" / "tick"], replace(options, drop_crossed=True))
    assert fxcm.rows == 147_459 - 16_052


def test_trades_rebuild_every_candle() -> None:
    folder = shared_data("freqtrade")
    options = ImportOptions("XRPETH.BINANCE", stamp="open")
    (trades,) = Columns().read([folder / "XRP_ETH-trades.feather"], options)
    (minutes,) = Columns().read([folder / "XRP_ETH-1m.feather"], options)
    built = bars_from_trades(trades, MINUTE_NS)
    assert built.rows == minutes.rows == 2_469
    for name in ("ts_event_ns", "open", "high", "low", "close", "volume"):
        assert built.columns[name].tolist() == minutes.columns[name].tolist(), name
    fives = replace(options, interval_ns=5 * MINUTE_NS)
    (five,) = Columns().read([folder / "XRP_ETH-5m.feather"], fives)
    assert (
        bars_from_trades(trades, 5 * MINUTE_NS).columns["volume"].sum()
        == five.columns["volume"].sum()
    )


def test_websocket_capture(tmp_path: Path) -> None:
    path = shared_data("hftbacktest", "spot")
    tables = BinanceStream().read([path], ImportOptions("BTCUSDT.BINANCE"))
    assert {table.kind: table.rows for table in tables} == {
        DataKind.DELTA: 300_094,
        DataKind.TRADE: 19_904,
        DataKind.QUOTE: 73_174,
    }
    deltas, trades, quotes = tables
    assert not any("gap" in warning for warning in deltas.warnings)
    assert any("1.277 s behind" in warning for warning in deltas.warnings)
    flags = deltas.columns["flags"]
    assert ((flags & EventFlag.DELTA_SNAPSHOT) > 0).sum() == 2_000
    assert ((flags & EventFlag.DELTA_CLEAR) > 0).sum() == 1
    assert (np.diff(trades.columns["trade_id"]) == 1).all()
    for table in tables:
        assert (table.columns["ts_recv_ns"] >= table.columns["ts_event_ns"]).all()
    agree = _agreement_with_quotes(deltas, quotes)
    assert agree > 0.99
    catalog = Catalog(tmp_path)
    coin = builtin_instruments()["BTCUSDT.BINANCE"]
    for table in tables:
        catalog.write(table)
        assert len(catalog.load(coin, table.kind)) == table.rows


def _agreement_with_quotes(deltas: ImportedTable, quotes: ImportedTable) -> float:
    """Share of book states, at a sequence that a quote also has, with the quote's best prices."""
    best = {
        int(u): (int(b), int(a))
        for u, b, a in zip(
            *(quotes.columns[name] for name in ("sequence", "bid", "ask")), strict=True
        )
    }
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    names = ("last_sequence", "price", "size", "flags")
    agreed = compared = 0
    for last, price, size, flags in zip(*(deltas.columns[n].tolist() for n in names), strict=True):
        side = sides[1 if flags & EventFlag.DELTA_ASK else 0]
        if size:
            side[price] = size
        else:
            side.pop(price, None)
        if flags & EventFlag.DELTA_LAST and last in best:
            compared += 1
            agreed += best[last] == (max(sides[0]), min(sides[1]))
    assert compared > 100
    return agreed / compared


@pytest.mark.parametrize(
    ("symbol", "kinds"), [("NKNUSDT", {"delta", "trade", "quote"}), ("RUNEEUR", {"delta"})]
)
def test_cryptofeed_capture(symbol: str, kinds: set[str]) -> None:
    files = [shared_data("cryptofeed", f"BINANCE.{n}.gz") for n in ("http.0.0", "ws.1.0")]
    tables = BinanceStream().read(files, ImportOptions(f"{symbol}.BINANCE"))
    assert {table.kind.value for table in tables} == kinds
