"""The catalog gives back what was stored, merges what is equal, refuses what contradicts."""

import multiprocessing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.feeds.catalog import Catalog
from adapters.feeds.feed import CatalogFeed
from mmats._core import EventFlag, EventKind
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.data_format import (
    PRICE_COLUMNS,
    DataKind,
    ImportedTable,
    VolumeUnit,
    columns_of,
)
from mmats.ports.feed import FeedOptions

MINUTE_NS = 60_000_000_000
START_NS = 1_698_796_800_000_000_000
COIN = Instrument(
    "BTCUSDT", "BINANCE", "crypto", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"),
    Decimal("0.00001"), Decimal(9000), Decimal(5),
)  # fmt: skip


def bar_table(
    closes: list[int], first: int = 1, price_scale: int = 2, **changes: object
) -> ImportedTable:
    """Flat minute bars with the given close mantissas; the first closes `first` minutes in."""
    close = np.array(closes, dtype=np.int64)
    minutes = np.arange(first, first + len(closes), dtype=np.int64)
    zeros = np.zeros(len(closes), dtype=np.int64)
    columns = {
        "ts_event_ns": START_NS + MINUTE_NS * minutes,
        "flags": zeros,
        **dict.fromkeys(("open", "high", "low", "close"), close),
        "spread_x4": zeros,
        "volume": zeros + 3,
    }
    table = ImportedTable(
        DataKind.BAR, COIN.id, MINUTE_NS, columns, price_scale, 3, VolumeUnit.BASE, "test", "UTC",
        "open", {"a.csv": "00"},
    )  # fmt: skip
    return replace(table, **changes)  # type: ignore[arg-type]


def closes_of(catalog: Catalog) -> list[int]:
    return [int(c) for c in catalog.load(COIN, DataKind.BAR, MINUTE_NS)["close_ticks"]]


def write_part(root: Path, first: int) -> None:
    Catalog(root).write(bar_table([100 + k for k in range(first, first + 2000)], first))


def test_processes_that_import_at_once_lose_no_row_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_part, args=(tmp_path, k)) for k in (1, 1001, 2001)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
        assert writer.exitcode == 0
    catalog = Catalog(tmp_path)
    assert len(closes_of(catalog)) == 4000
    assert len(catalog.ranges()) == 1


def test_ticks_and_lots_are_exact(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([10050, 10100], price_scale=1))
    bars = catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    assert bars["close_ticks"].tolist() == [100500, 101000]
    assert bars["volume_lots"].tolist() == [300, 300]  # 0.003 of a coin in lots of 0.00001
    assert bars["kind"].tolist() == [EventKind.EVENT_BAR] * 2
    assert bars["ts_recv_ns"].tolist() == bars["ts_event_ns"].tolist()
    assert bars["instrument"].tolist() == [0, 0]


def test_price_between_ticks_is_refused_or_rounded(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([100500, 101235], price_scale=3))
    with pytest.raises(DataError, match=r"open 101\.235 at 2023-11-01 00:02:00 UTC") as caught:
        catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    assert "tick" in caught.value.hint
    rounded = catalog.load(COIN, DataKind.BAR, MINUTE_NS, round_ticks=True)
    assert rounded["close_ticks"].tolist() == [10050, 10124]


def test_volume_is_floored_to_lots_and_counts_stay_counts(tmp_path: Path) -> None:
    coarse = replace(COIN, lot_size=Decimal("0.002"))
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([10050]))
    assert catalog.load(coarse, DataKind.BAR, MINUTE_NS)["volume_lots"].tolist() == [1]
    counted = Catalog(tmp_path / "other")
    counted.write(bar_table([10050], volume_unit=VolumeUnit.COUNT, size_scale=0))
    assert counted.load(coarse, DataKind.BAR, MINUTE_NS)["volume_lots"].tolist() == [3]


@pytest.mark.parametrize(
    ("spread_x4", "ticks"), [(0, 0), (1, 1), (4, 1), (5, 2), (57, 15), (4 * 65535, 65535)]
)
def test_spread_is_the_mean_rounded_up(tmp_path: Path, spread_x4: int, ticks: int) -> None:
    table = bar_table([10050])
    flags = np.array([EventFlag.BAR_BID | EventFlag.BAR_SPREAD], dtype=np.int64)
    columns = {**table.columns, "spread_x4": np.array([spread_x4]), "flags": flags}
    catalog = Catalog(tmp_path)
    catalog.write(replace(table, columns=columns))
    (bar,) = catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    assert (bar["spread_ticks"], bar["flags"]) == (ticks, 5)


def test_spread_that_does_not_fit(tmp_path: Path) -> None:
    table = bar_table([10050])
    catalog = Catalog(tmp_path)
    catalog.write(replace(table, columns={**table.columns, "spread_x4": np.array([4 * 65535 + 1])}))
    with pytest.raises(DataError, match="a spread of 65536 ticks"):
        catalog.load(COIN, DataKind.BAR, MINUTE_NS)


def test_overlapping_imports_merge_into_one_file(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.write(bar_table([1, 2, 3])).rows_new == 3
    result = catalog.write(bar_table([2, 3, 4], first=2))
    assert (result.rows_new, result.rows_identical, result.rows_replaced) == (1, 2, 0)
    catalog.write(bar_table([9], first=9))
    assert closes_of(catalog) == [1, 2, 3, 4, 9]
    assert [(r.rows, r.start_ns) for r in catalog.ranges()] == [
        (4, START_NS + MINUTE_NS),
        (1, START_NS + 9 * MINUTE_NS),
    ]


def test_rows_at_another_scale_are_the_same_rows(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2]))
    result = catalog.write(bar_table([10, 20, 30], price_scale=3))
    assert (result.rows_new, result.rows_identical) == (1, 2)
    assert closes_of(catalog) == [1, 2, 3]


def test_conflict_needs_replace_and_changes_nothing(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2, 3]))
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    with pytest.raises(DataError, match="stored row for 2023-11-01 00:02:00 UTC has open 2") as bad:
        catalog.write(bar_table([1, 5, 3, 4]))
    assert "--replace" in bad.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    result = catalog.write(bar_table([1, 5, 3, 4], sources={"b.csv": "11"}), replace=True)
    assert (result.rows_new, result.rows_identical, result.rows_replaced) == (1, 2, 1)
    assert closes_of(catalog) == [1, 5, 3, 4]


@pytest.mark.parametrize("change", [{"zone": "UTC-5"}, {"stamp": "close"}])
def test_other_zone_or_stamp_is_another_nature(tmp_path: Path, change: dict[str, str]) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2, 3]))
    other = bar_table([1, 2, 3], **change)
    with pytest.raises(DataError, match=f"have {next(iter(change))} "):
        catalog.write(other)
    foreign = replace(other, sources={"b.csv": "11"})
    with pytest.raises(DataError, match="these have"):
        catalog.write(foreign, replace=True)


def test_same_files_in_another_zone_replace_all_of_the_first_import(tmp_path: Path) -> None:
    """Rows at wrong times must not survive where the right import has a pause."""
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2, 3, 4], zone="UTC-5"))
    result = catalog.write(bar_table([7, 8], first=2), replace=True)
    assert result.rows_replaced == 4
    assert closes_of(catalog) == [7, 8]


def test_made_up_data_never_mixes_with_imported(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2, 3]))
    with pytest.raises(DataError, match="seed"):
        catalog.write(bar_table([1, 2, 3], seed=7))


def test_leftover_of_an_interrupted_merge_is_not_read_twice(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([2, 3], first=2))
    (old,) = tmp_path.rglob("*.parquet")
    content = old.read_bytes()
    catalog.write(bar_table([1, 2, 3, 4]))
    assert not old.exists()
    old.write_bytes(content)
    assert closes_of(catalog) == [1, 2, 3, 4]
    catalog.write(bar_table([5], first=5))
    assert closes_of(catalog) == [1, 2, 3, 4, 5]


def test_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Catalog(tmp_path / name).write(bar_table([1, 2, 3]))
    (one,), (two,) = ((tmp_path / n).rglob("*.parquet") for n in ("one", "two"))
    assert one.name == two.name == "20231101T000100Z-20231101T000300Z.parquet"
    assert one.read_bytes() == two.read_bytes()


def test_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Catalog(tmp_path).write(bar_table([1, 2, 3]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("rows", [1, 2, 7, 65536])
def test_chunks_are_the_whole_in_pieces(tmp_path: Path, rows: int) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table(list(range(1, 12))))
    catalog.write(bar_table(list(range(20, 25)), first=20))
    whole = catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    parts = list(catalog.chunks(COIN, DataKind.BAR, MINUTE_NS, rows=rows))
    assert max(len(part) for part in parts) <= rows
    assert np.array_equal(np.concatenate(parts), whole)


def test_range_holds_the_bars_that_lie_in_it(tmp_path: Path) -> None:
    """A bar that closes at the end of the range is its last, not the first of the next."""
    catalog = Catalog(tmp_path)
    catalog.write(bar_table(list(range(1, 12))))
    cut = START_NS + 5 * MINUTE_NS
    early = catalog.load(COIN, DataKind.BAR, MINUTE_NS, START_NS, cut)
    late = catalog.load(COIN, DataKind.BAR, MINUTE_NS, cut, START_NS + 11 * MINUTE_NS)
    assert early["close_ticks"].tolist() == [1, 2, 3, 4, 5]
    assert late["close_ticks"].tolist() == list(range(6, 12))


def test_range_of_events_is_half_open(tmp_path: Path) -> None:
    one = np.ones(4, dtype=np.int64)
    ts = START_NS + np.arange(4, dtype=np.int64)
    columns = {"ts_event_ns": ts, "ts_recv_ns": ts, "trade_id": ts, "flags": one * 0}
    trades = replace(
        bar_table([1]), kind=DataKind.TRADE, interval_ns=0,
        columns={**columns, "price": one, "size": one},
    )  # fmt: skip
    catalog = Catalog(tmp_path)
    catalog.write(trades)
    part = catalog.load(COIN, DataKind.TRADE, 0, START_NS + 1, START_NS + 3)
    assert part["ts_event_ns"].tolist() == [START_NS + 1, START_NS + 2]


def test_nothing_stored_says_what_is(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    with pytest.raises(DataError, match=r"no bar rows of BTCUSDT\.BINANCE") as caught:
        catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    assert "mmats data import" in caught.value.hint
    catalog.write(bar_table([1, 2]))
    with pytest.raises(DataError) as caught:
        catalog.load(COIN, DataKind.BAR, MINUTE_NS, start_ns=START_NS + 10 * MINUTE_NS)
    assert "1m 2023-11-01 00:01:00 to 2023-11-01 00:02:00" in caught.value.hint


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write(bar_table([1, 2, 3]))
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="damaged") as caught:
        catalog.load(COIN, DataKind.BAR, MINUTE_NS)
    assert caught.value.file == str(path)
    path.rename(path.with_name("notes.parquet"))
    with pytest.raises(DataError, match="not a file of this catalog"):
        catalog.load(COIN, DataKind.BAR, MINUTE_NS)


@pytest.mark.parametrize("symbol", ["../up.X", "BTCUSDT", "a/b.C", ""])
def test_symbols_can_not_leave_the_folder(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(DataError, match="no instrument"):
        Catalog(tmp_path).write(bar_table([1], symbol=symbol))


TICKS = st.integers(1, 10**9)
SIZES = st.integers(0, 10**12)


@given(
    kind=st.sampled_from([DataKind.QUOTE, DataKind.TRADE, DataKind.DELTA]),
    rows=st.lists(
        st.tuples(st.integers(0, 3), TICKS, TICKS, SIZES, st.integers(0, 5)),
        min_size=1,
        max_size=30,
    ),
    cut=st.integers(0, 30),
)
def test_round_trip_of_events(
    tmp_path_factory: pytest.TempPathFactory,
    kind: DataKind,
    rows: list[tuple[int, int, int, int, int]],
    cut: int,
) -> None:
    """Written, written again, and read: the same rows in the same order, equal times included."""
    steps, one, two, sizes, flags = (
        np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)
    )
    ts = START_NS + np.cumsum(steps)
    sources = {"ts_event_ns": ts, "ts_recv_ns": ts + 5, "flags": flags}
    prices = iter((one, two))
    columns = {
        name: sources[name]
        if name in sources
        else next(prices)
        if name in PRICE_COLUMNS[kind]
        else sizes
        for name in columns_of(kind)
    }
    table = ImportedTable(
        kind, COIN.id, 0, columns, 2, 5, VolumeUnit.BASE, "test", "UTC", "", {"a": "0"}
    )
    catalog = Catalog(tmp_path_factory.mktemp("catalog"))
    catalog.write(table)
    part = {name: values[cut:] for name, values in columns.items()}
    if 0 < cut < len(rows) and ts[cut] != ts[cut - 1]:
        assert catalog.write(replace(table, columns=part)).rows_new == 0
    assert catalog.write(table).rows_identical == len(rows)
    events = catalog.load(COIN, kind)
    fields = {
        DataKind.QUOTE: {"bid": "bid_ticks", "ask": "ask_ticks", "bid_size": "bid_lots"},
        DataKind.TRADE: {"price": "price_ticks", "size": "size_lots", "flags": "flags"},
        DataKind.DELTA: {"price": "price_ticks", "size": "size_lots", "flags": "flags"},
    }[kind]
    assert events["ts_event_ns"].tolist() == ts.tolist()
    assert events["ts_recv_ns"].tolist() == (ts + 5).tolist()
    for name, field in fields.items():
        assert events[field].tolist() == columns[name].tolist()


def test_feed_replays_the_catalog(tmp_path: Path) -> None:
    Catalog(tmp_path).write(bar_table([1, 2, 3, 4]))
    feed = CatalogFeed(FeedOptions(path=tmp_path, interval_ns=MINUTE_NS))
    (batch,) = feed.events(COIN, START_NS + MINUTE_NS, None)
    assert batch["close_ticks"].tolist() == [2, 3, 4]
    described = feed.describe(COIN, START_NS + MINUTE_NS, None)
    assert described["synthetic"] is False
    assert feed.describe(COIN, START_NS + 9 * MINUTE_NS, None)["files"] == []
    (stored,) = described["files"]
    assert (stored["symbol"], stored["rows"], stored["sources"]) == (COIN.id, 4, {"a.csv": "00"})
