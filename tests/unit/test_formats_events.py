"""LEAN, generic columns and recorded streams."""

from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from adapters.feeds.bars import bars_from_trades
from adapters.feeds.formats.binance_stream import BinanceStream
from adapters.feeds.formats.columns import Columns
from adapters.feeds.formats.lean import Lean
from mmats._core import EventFlag
from mmats.model.errors import DataError
from mmats.ports.data_format import DataKind, ImportOptions
from tests.fakes.market_files import BTC, values, write_lines

MINUTE_NS = 60_000_000_000
DAY_20180404_NS = 1_522_800_000_000_000_000
ANY = ImportOptions("XRPETH.BINANCE")


def test_lean_quote_bars_are_bids_with_the_measured_spread(tmp_path: Path) -> None:
    folder = tmp_path / "forex" / "oanda" / "minute" / "eurusd"
    row = "60000,1.22926,1.22927,1.22914,1.2292,0,1.2294,1.2294,1.22928,1.22936,0"
    write_lines(folder / "20180404_quote.zip", row)
    (table,) = Lean().read([tmp_path], ImportOptions("EURUSD.OANDA"))
    assert values(table, "ts_event_ns") == [DAY_20180404_NS + 2 * MINUTE_NS]
    assert (values(table, "open"), table.price_scale) == ([122926], 5)
    assert values(table, "spread_x4") == [14 + 13 + 14 + 16]
    assert values(table, "flags") == [EventFlag.BAR_BID | EventFlag.BAR_SPREAD]


@pytest.mark.parametrize(
    ("market", "symbol", "hours"), [("oanda", "EURUSD.OANDA", 0), ("fxcm", "EURUSD.FXCM", 5)]
)
def test_lean_zone_follows_from_the_market(
    tmp_path: Path, market: str, symbol: str, hours: int
) -> None:
    path = write_lines(
        tmp_path / "forex" / market / "tick" / "eurusd" / "20180404_quote.zip",
        "1787,1.38727,1.38729",
        "1787,1.38727,1.38727",
    )
    (table,) = Lean().read([path], ImportOptions(symbol))
    assert table.kind is DataKind.QUOTE
    expected = DAY_20180404_NS + hours * 60 * MINUTE_NS + 1787 * 1_000_000
    assert values(table, "ts_event_ns") == [expected, expected]
    assert values(table, "ask") == [138729, 138727]


def test_lean_equity_is_new_york_and_ten_thousandths(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "equity" / "usa" / "minute" / "spy" / "20131008_trade.zip",
        "14400000,1674200,1674300,1674200,1674210,210",
    )
    (table,) = Lean().read([path], ImportOptions("SPY.USA"))
    # 04:00 in New York is 08:00 UTC in summer.
    assert values(table, "ts_event_ns") == [
        1_381_190_400_000_000_000 + 8 * 3600 * 10**9 + MINUTE_NS
    ]
    assert [v / 10**table.price_scale for v in values(table, "close")] == [167.421]


def test_lean_needs_its_folders_and_one_choice(tmp_path: Path) -> None:
    stray = write_lines(tmp_path / "20180404_quote.zip", "0,1.1,1.2")
    with pytest.raises(DataError, match="not in a LEAN folder"):
        Lean().read([stray], BTC)
    folder = tmp_path / "crypto" / "coinbase" / "minute" / "btcusd"
    write_lines(folder / "20180404_quote.zip", "0,1,1,1,1,2,2,2,2,2,3")
    write_lines(folder / "20180404_trade.zip", "0,1,1,1,1,2.5")
    with pytest.raises(DataError, match="trade and quote bars") as caught:
        Lean().read([folder], BTC)
    assert "--basis" in caught.value.hint
    (trades,) = Lean().read([folder], replace(BTC, basis="trade"))
    assert (values(trades, "volume"), trades.size_scale) == ([25], 1)
    (bids,) = Lean().read([folder], replace(BTC, basis="bid"))
    assert values(bids, "spread_x4") == [4]


def test_crossed_quotes_are_refused_or_left_out(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "forex" / "fxcm" / "tick" / "eurusd" / "20140501_quote.zip",
        "1,1.1,1.2",
        "2,1.3,1.2",
        "3,1.1,1.3",
    )
    options = ImportOptions("EURUSD.FXCM")
    with pytest.raises(DataError, match="bid is above ask") as caught:
        Lean().read([path], options)
    assert caught.value.row == 2
    (table,) = Lean().read([path], replace(options, drop_crossed=True))
    assert values(table, "ask") == [12, 13]
    assert table.warnings == ("1 quotes with bid above ask left out",)


def test_columns_by_name_and_by_common_spelling(tmp_path: Path) -> None:
    common = write_lines(
        tmp_path / "a.csv", "timestamp;open;high;low;close;volume", "2018-04-04T00:01:00Z;1;2;1;2;3"
    )
    odd = write_lines(tmp_path / "b.csv", "When,O,H,L,Last,Vol,x", "2018-04-04 02:01,1,2,1,2,3,?")
    options = replace(ANY, stamp="open")
    (one,) = Columns().read([common], options)
    (two,) = Columns().read(
        [odd], replace(options, zone="Europe/Berlin", columns={"time": "When", "close": "Last"})
    )
    assert values(one, "ts_event_ns") == [DAY_20180404_NS + 2 * MINUTE_NS]
    assert values(one, "ts_event_ns") == values(two, "ts_event_ns")
    assert values(one, "close") == values(two, "close") == [2]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (ANY, "opens or closes"),
        (replace(ANY, stamp="open", columns={"open": "absent"}), "no column 'absent'"),
        (replace(ANY, stamp="open", columns={"opne": "open"}), "'opne' is none of"),
        (replace(ANY, stamp="open", zone="UTC-5"), "the file says zone UTC"),
        (replace(ANY, kind=DataKind.TRADE), "neither bars, trades nor quotes"),
    ],
)
def test_columns_ask_instead_of_guessing(
    tmp_path: Path, options: ImportOptions, problem: str
) -> None:
    path = write_lines(
        tmp_path / "a.csv", "time,open,high,low,close,volume", "2018-04-04T00:01:00Z,1,2,1,2,3"
    )
    with pytest.raises(DataError, match=problem):
        Columns().read([path], options)


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("2018-04-04T00:01:00Z", "2018-04-04T02:02:00+02:00", "mixed zones"),
        ("2018-04-04T00:01:00Z", "2018-04-04T00:02:00", "mixed zones"),
        ("2018-04-04 00:01:00", "2018-04-04 00:02:00", "without a zone"),
        ("04/05/2018 00:01", "04/05/2018 00:02", "no known form of time"),
        ("2018-04-04T00:01:00Z", "2018-04-04T25:02:00Z", "no time like"),
    ],
)
def test_times_that_are_refused(tmp_path: Path, first: str, second: str, problem: str) -> None:
    rows = [f"{time},1,2,1,2,3" for time in (first, second)]
    path = write_lines(tmp_path / "a.csv", "time,open,high,low,close,volume", *rows)
    with pytest.raises(DataError, match=problem):
        Columns().read([path], replace(ANY, stamp="close"))


def test_doubles_become_the_decimal_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "trades.feather"
    table = pa.table(
        {
            "timestamp": [1570752011620, 1570752071621],
            "id": ["13519807", "13519808"],
            "side": ["sell", "buy"],
            "price": [0.00141342, 1e-07],
            "amount": [23.0, 0.1],
        }
    )
    feather.write_feather(table, str(path))
    (trades,) = Columns().read([path], ANY)
    assert (values(trades, "price"), trades.price_scale) == ([141342, 10], 8)
    assert (values(trades, "size"), trades.size_scale) == ([230, 1], 1)
    assert values(trades, "flags") == [EventFlag.TRADE_SELLER, 0]
    assert values(trades, "trade_id") == [13519807, 13519808]
    bars = bars_from_trades(trades, MINUTE_NS)
    assert values(bars, "ts_event_ns") == [1570752060000000000, 1570752120000000000]
    assert values(bars, "close") == [141342, 10]
    assert values(bars, "volume") == [230, 1]


def test_missing_values_in_binary_files(tmp_path: Path) -> None:
    path = tmp_path / "holes.feather"
    table = pa.table({"timestamp": [1570752011620], "price": [None], "amount": [1.0]})
    feather.write_feather(
        table.cast(table.schema.set(1, pa.field("price", pa.float64()))), str(path)
    )
    with pytest.raises(DataError, match="is empty") as caught:
        Columns().read([path], ANY)
    assert caught.value.column == "price"


def message(recv_ns: int, stream: str, **data: object) -> str:
    return f"{recv_ns} " + orjson.dumps({"stream": stream, "data": data}).decode()


BASE_NS = 1_723_161_253_000_000_000
BASE_MS = BASE_NS // 1_000_000


def depth(recv_ms: int, sent_ms: int, first: int, last: int, bids: object, asks: object) -> str:
    return message(
        BASE_NS + recv_ms * 1_000_000, "btcusdt@depth@100ms", e="depthUpdate", s="BTCUSDT",
        E=BASE_MS + sent_ms, U=first, u=last, b=bids, a=asks,
    )  # fmt: skip


SNAPSHOT = (
    f"{BASE_NS + 150_000_000} "
    + orjson.dumps(
        {"lastUpdateId": 12, "bids": [["10.0", "1"], ["9.9", "2"]], "asks": [["10.1", "3"]]}
    ).decode()
)


def test_stream_starts_with_the_snapshot_and_chains_sequences(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "capture.gz",
        depth(100, 100, 8, 10, [["9.0", "1"]], []),
        SNAPSHOT,
        depth(200, 200, 11, 14, [["9.9", "0"]], [["10.2", "5"]]),
        depth(300, 300, 15, 15, [], [["10.1", "4"]]),
        message(BASE_NS + 250_000_000, "btcusdt@bookTicker", u=14, s="BTCUSDT", b="10.0", B="1",
                a="10.1", A="3"),
        message(BASE_NS + 260_000_000, "btcusdt@trade", e="trade", E=BASE_MS + 255, s="BTCUSDT",
                t=7, p="10.1", q="0.5", T=BASE_MS + 254, m=True),
        message(BASE_NS + 270_000_000, "ethusdt@trade", e="trade", E=BASE_MS + 255, s="ETHUSDT",
                t=7, p="1.1", q="0.5", T=BASE_MS + 254, m=True),
    )  # fmt: skip
    deltas, trades, quotes = BinanceStream().read([path], BTC)
    snapshot, ask, last = (
        int(flag) for flag in (EventFlag.DELTA_SNAPSHOT, EventFlag.DELTA_ASK, EventFlag.DELTA_LAST)
    )
    assert values(deltas, "flags") == [
        snapshot | int(EventFlag.DELTA_CLEAR), snapshot, snapshot | ask | last, 0, ask | last,
        ask | last,
    ]  # fmt: skip
    assert values(deltas, "first_sequence") == [12, 12, 12, 11, 11, 15]
    assert values(deltas, "last_sequence") == [12, 12, 12, 14, 14, 15]
    assert values(deltas, "price") == [100, 99, 101, 99, 102, 101]
    assert values(deltas, "size") == [1, 2, 3, 0, 5, 4]
    assert values(deltas, "ts_event_ns")[3] == BASE_NS + 200_000_000
    assert deltas.warnings == ("1 depth messages from before the snapshot left out",)
    assert values(trades, "ts_event_ns") == [BASE_NS + 254_000_000]
    assert values(trades, "flags") == [EventFlag.TRADE_SELLER]
    assert values(trades, "trade_id") == [7]
    assert values(quotes, "sequence") == [14]
    assert values(quotes, "ts_event_ns") == values(quotes, "ts_recv_ns")


def test_stream_gap_and_slow_clock_are_said(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "capture.gz",
        SNAPSHOT,
        depth(200, 1200, 13, 14, [["9.9", "0"]], []),
        depth(300, 1250, 16, 16, [], [["10.1", "4"]]),
    )
    (deltas,) = BinanceStream().read([path], BTC)
    assert any("1.000 s behind" in warning for warning in deltas.warnings)
    assert any(warning.startswith("1 gaps") for warning in deltas.warnings)
    assert (deltas.columns["ts_recv_ns"] >= deltas.columns["ts_event_ns"]).all()


def test_stream_in_cryptofeed_lines(tmp_path: Path) -> None:
    rest = write_lines(
        tmp_path / "x.http.gz",
        "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000 -> "
        f'{BASE_MS / 1000:.3f}: {{"lastUpdateId":12,"bids":[["10.0","1"]],"asks":[]}}',
    )
    stream = write_lines(
        tmp_path / "x.ws.gz",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@depth <-> 1723161253.1",
        '1723161253.25: {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate",'
        f'"E":{BASE_MS + 200},"s":"BTCUSDT","U":13,"u":13,"b":[["10.0","2"]],"a":[]}}}}',
    )
    (deltas,) = BinanceStream().read([rest, stream], BTC)
    assert values(deltas, "ts_recv_ns") == [BASE_NS, BASE_NS + 250_000_000]
    assert values(deltas, "size") == [1, 2]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('1723161253937085768 {"stream":"btcusdt@depth@100ms","da', "damaged JSON"),
        ("what is this", "no recorded message"),
    ],
)
def test_stream_damaged_line(tmp_path: Path, line: str, problem: str) -> None:
    path = write_lines(tmp_path / "capture.gz", SNAPSHOT, line)
    with pytest.raises(DataError, match=problem) as caught:
        BinanceStream().read([path], BTC)
    assert caught.value.row == 2


def test_stream_message_without_a_field(tmp_path: Path) -> None:
    bad = message(BASE_NS, "btcusdt@trade", e="trade", E=BASE_MS, s="BTCUSDT", t=7, p="1")
    path = write_lines(tmp_path / "capture.gz", bad)
    with pytest.raises(DataError, match="lacks a field"):
        BinanceStream().read([path], BTC)
