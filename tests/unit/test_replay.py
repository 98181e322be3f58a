"""Market data in time order: merging, latency, quotes, trades, books, progress."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.feeds.catalog import Catalog
from mmats._core import BAR_DTYPE, EventFlag, EventKind, OutOfOrder, Replay
from mmats.backtest import Report, run
from mmats.config import load_config
from mmats.engine.assembly import assemble
from mmats.engine.simulation import simulated_venue
from mmats.model import MarketData, TradeSignal
from mmats.model.errors import DataError
from mmats.plugins import forget_plugins
from mmats.ports.data_format import DataKind, ImportedTable, VolumeUnit
from tests.fakes.backtests import MINUTE_NS, OTHER, START_NS, SYMBOL, Script, bars, config, play
from tests.fakes.installed import install_entry_points

SECOND_NS = 10**9


@pytest.fixture(autouse=True)
def _plugins(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    install_entry_points(tmp_path_factory.mktemp("site"), monkeypatch)
    yield
    forget_plugins()


def buy(size: float = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("BUY", SYMBOL, size, **more)


def sell(size: float = 1.0, **more: Any) -> TradeSignal:
    return TradeSignal("SELL", SYMBOL, size, **more)


# -- order -----------------------------------------------------------------------------------------


def replay_of(*sources: tuple[int, list[Any]]) -> Replay:
    loaded = load_config(config(symbols=(SYMBOL, OTHER)))
    made = assemble(
        loaded, [(loaded.strategies[0], Script())],
        lambda catalogue, ledger, count: simulated_venue(loaded, catalogue, ledger, count),
    )  # fmt: skip
    replay = Replay(made.pipeline, made.venue)
    for instrument, chunks in sources:
        replay.add_source(instrument, chunks)
    return replay


def rows(*minutes: int, instrument: int = 0) -> Any:
    out = np.zeros(len(minutes), BAR_DTYPE)
    out["kind"] = EventKind.EVENT_BAR
    out["instrument"] = instrument
    out["ts_event_ns"] = out["ts_recv_ns"] = [START_NS + m * MINUTE_NS for m in minutes]
    for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
        out[name] = 100
    return out


@pytest.mark.parametrize("chunks", [[rows(1, 3, 2)], [rows(1, 3), rows(2)]])
def test_time_that_goes_back_is_refused(chunks):
    with pytest.raises(OutOfOrder, match="instrument 0 is at 1704067320000000000 ns, after one"):
        replay_of((0, chunks)).run()


def test_a_row_of_another_instrument_is_refused():
    with pytest.raises(ValueError, match="belongs to instrument 1, not to 0"):
        replay_of((0, [rows(1, instrument=1)])).run()


def test_what_is_no_event_array_is_refused():
    with pytest.raises(ValueError, match="64-byte event records"):
        replay_of((0, [np.zeros(3)])).run()
    with pytest.raises(ValueError, match="64-byte event records"):
        replay_of((0, [rows(1, 2, 3, 4)[::2]])).run()


def test_empty_chunks_are_skipped():
    replay = replay_of((0, [rows(), rows(1), rows(), rows(2), rows()]))
    replay.run()
    assert replay.event_count == 2
    assert (replay.first_ns, replay.last_ns) == (START_NS + MINUTE_NS, START_NS + 2 * MINUTE_NS)


def test_the_data_hash_sees_every_field_and_not_the_chunks():
    def hashed(*chunks: Any) -> int:
        replay = replay_of((0, list(chunks)))
        replay.run()
        return replay.data_hash

    same = hashed(rows(1, 2, 3))
    assert hashed(rows(1), rows(2, 3)) == same
    for name in ("ts_event_ns", "open_ticks", "close_ticks", "volume_lots"):
        other = rows(1, 2, 3)
        other[name][2] += 1
        if name != "ts_event_ns":
            other["high_ticks"] += 1
        assert hashed(other) != same
    swapped = rows(1, 2, 3)
    swapped["volume_lots"] = [0, 1, 0]
    moved = rows(1, 2, 3)
    moved["volume_lots"] = [1, 0, 0]
    assert hashed(swapped) != hashed(moved)


def test_progress_is_told_and_ends_with_everything():
    calls: list[tuple[int, int]] = []
    frame = bars(np.full(140_000, 100.0))
    run(config(), {SYMBOL: frame}, strategies={"script": Script()},
        progress=lambda events, ts_ns: calls.append((events, ts_ns)))  # fmt: skip
    assert [events for events, _ in calls] == sorted(events for events, _ in calls)
    assert len(calls) == 3
    assert calls[-1] == (140_000, START_NS + 140_000 * MINUTE_NS)


def test_an_error_in_progress_ends_the_run():
    def interrupt(events: int, ts_ns: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(), {SYMBOL: bars([1.0])}, strategies={"script": Script()}, progress=interrupt)


def test_two_feeds_of_one_instrument_are_merged_by_time():
    """Bars that a hand made: three of them in each source, taking turns."""
    replay = replay_of((0, [rows(1, 4)]), (1, [rows(2, 3, 5, instrument=1)]))
    replay.run()
    assert replay.event_count == 5
    assert replay.marks(0).tolist() == [[START_NS + MINUTE_NS, 100]]
    assert replay.marks(1).tolist() == [[START_NS + 2 * MINUTE_NS, 100]]


# -- latency ---------------------------------------------------------------------------------------


def test_order_latency_moves_a_fill_along_the_bar():
    """The order of 00:01 arrives a third of a bar later: at the first extreme of the path."""
    frame = bars([100.0, 106.0], high=[100.0, 109.0], low=[100.0, 97.0])
    script, _ = play({0: buy()}, frame, fill={
        "market": "next_open", "order_latency": "20s", "path": "low_first"})  # fmt: skip
    assert script.results[0][1].fill_price == 97.0


@pytest.mark.parametrize(("latency", "price"), [("0ms", 100.0), ("30s", 100.0), ("90s", 101.0)])
def test_orders_that_arrive_late_meet_a_later_market(latency, price):
    """Prices stand still inside each bar and jump between them."""
    frame = bars([100.0, 100.0, 101.0, 102.0], open=[100.0, 100.0, 101.0, 102.0],
                 low=[100.0, 100.0, 101.0, 102.0])  # fmt: skip
    script, _ = play({0: buy()}, frame, fill={"market": "next_open", "order_latency": latency})
    assert script.results[0][1].fill_price == price


def test_feed_latency_shows_events_late_but_in_order():
    """A bar that reaches us after the next one has closed can only be answered in the one after."""
    frame = bars([100.0, 100.0, 101.0, 102.0, 103.0], open=[100.0, 100.0, 101.0, 102.0, 103.0],
                 low=[100.0, 100.0, 101.0, 102.0, 103.0])  # fmt: skip
    prices = {}
    for latency in ("0ms", "30s", "70s"):
        fill = {"market": "next_open", "feed_latency": latency}
        script, _ = play({0: buy()}, frame, fill=fill)
        assert [ts for _, ts, _ in script.seen] == [START_NS + k * MINUTE_NS for k in range(1, 6)]
        prices[latency] = script.results[0][1].fill_price
    assert prices == {"0ms": 100.0, "30s": 100.0, "70s": 101.0}


def test_reports_travel_back_with_the_latency():
    """Told at 00:01 + 2 x 40 s; the bar of 00:02 comes before that, the bar of 00:03 after."""
    held = []
    play({0: buy()}, [100.0] * 4, lambda script, _: held.append(script.account.position(SYMBOL)),
         fill={"market": "next_open", "order_latency": "40s"})  # fmt: skip
    assert held == [0.0, 0.0, 1.0, 1.0]


def test_jitter_is_drawn_from_the_seed():
    rng = np.random.default_rng(2)
    closes = np.round(100 + np.cumsum(rng.normal(0, 0.3, 400)), 2)

    def state(seed: int) -> str:
        fill = {"market": "next_open", "feed_latency": "5s", "feed_jitter": "50s",
                "order_latency": "1s", "order_jitter": "20s"}  # fmt: skip
        answers = {k: buy() if k % 20 else sell(19) for k in range(390)}
        _, report = play(answers, closes, fill=fill, backtest={"seed": seed})
        return report.result.state_hash

    assert state(1) == state(1)
    assert state(1) != state(2)


# -- ticks and books from the catalog --------------------------------------------------------------


def table(kind: DataKind, columns: dict[str, Sequence[int]], symbol: str = SYMBOL) -> ImportedTable:
    """A table with prices in cents and sizes in thousandths."""
    made = {name: np.asarray(values, np.int64) for name, values in columns.items()}
    return ImportedTable(
        kind, f"{symbol}.SIM", 0, made, 2, 3, VolumeUnit.BASE, "test", "UTC", "", {}
    )


def ticks(folder: Path, kind: DataKind, columns: dict[str, Sequence[int]], script: Any,
          **changes: Any) -> Report:  # fmt: skip
    Catalog(folder / "catalog").write(table(kind, columns))
    setup = config(**changes)
    setup["feeds"] = [
        {"symbol": SYMBOL, "source": "catalog", "kind": kind.value,
         "path": str(folder / "catalog")}
    ]  # fmt: skip
    return run(setup, strategies={"script": script})


def at(*seconds: float) -> list[int]:
    return [START_NS + round(second * SECOND_NS) for second in seconds]


def test_quotes_fill_at_the_touch_and_make_bars(tmp_path):
    times = at(10, 50, 70, 110, 130)
    script = Script({0: buy(2), 1: sell(2)})
    report = ticks(
        tmp_path,
        DataKind.QUOTE,
        {
            "ts_event_ns": times,
            "ts_recv_ns": times,
            "sequence": range(5),
            "bid": [9990, 9992, 10010, 10020, 10030],
            "ask": [10010, 10008, 10030, 10040, 10050],
            "bid_size": [5000] * 5,
            "ask_size": [5000] * 5,
        },
        script,
        instruments=[{**config()["instruments"][0], "price_basis": "mid"}],
    )
    # Minute bars of mid prices; the first closes with the quote of 70 s, which is also where the
    # order is filled: at the ask of that moment.
    assert [(close, ts - START_NS) for _, ts, close in script.seen] == [
        (100.0, MINUTE_NS), (100.3, 2 * MINUTE_NS),
    ]  # fmt: skip
    fills = [(row.side, row.quantity, row.price) for row in report.fills.itertuples()]
    assert fills == [("BUY", 2.0, 100.3), ("SELL", 2.0, 100.3)]
    assert report.costs["spread"] == pytest.approx(2 * 0.1 + 2 * 0.1)


def test_trades_make_bars_and_fill_the_next_trade(tmp_path):
    times = at(10, 50, 70, 110, 130, 190)
    script = Script({0: buy(2)})
    report = ticks(
        tmp_path,
        DataKind.TRADE,
        {
            "ts_event_ns": times,
            "ts_recv_ns": times,
            "trade_id": range(1, 7),
            "flags": [0, int(EventFlag.TRADE_SELLER)] * 3,
            "price": [10000, 10010, 10020, 10005, 10030, 10040],
            "size": [1000, 2000, 3000, 4000, 5000, 6000],
        },
        script,
    )
    assert [(ts - START_NS) // MINUTE_NS for _, ts, _ in script.seen] == [1, 2, 3]
    assert [close for _, _, close in script.seen] == [100.1, 100.05, 100.3]
    assert [(row.side, row.quantity) for row in report.fills.itertuples()] == [("BUY", 2.0)]
    assert report.fills["price"].tolist()[0] == 100.05


class BookWatcher(Script):
    """Looks at the order book after each whole update."""

    def __init__(self, answers: Any = None) -> None:
        super().__init__()
        self.books: list[tuple[str, int, int]] = []
        self.book_answers = answers or {}

    def on_order_book(self, symbol: str, book: Any) -> Any:
        self.books.append((symbol, book.best_bid[0], book.best_ask[0]))
        return self.book_answers.get(len(self.books))


SNAPSHOT = int(EventFlag.DELTA_SNAPSHOT)
ASK = int(EventFlag.DELTA_ASK)
LAST = int(EventFlag.DELTA_LAST)


def deltas() -> dict[str, list[int]]:
    """A snapshot of four levels, then three updates, the second of two rows."""
    data = [
        # second, flags, price, size, first, last
        (1, SNAPSHOT | int(EventFlag.DELTA_CLEAR), 9990, 1000, 10, 10),
        (1, SNAPSHOT, 9980, 5000, 10, 10),
        (1, SNAPSHOT | ASK, 10010, 1000, 10, 10),
        (1, SNAPSHOT | ASK | LAST, 10020, 5000, 10, 10),
        (2, LAST, 9995, 2000, 11, 11),
        (3, ASK, 10010, 0, 12, 12),
        (3, ASK | LAST, 10015, 2000, 12, 12),
        (4, LAST, 9995, 0, 13, 13),
    ]
    names = ("flags", "price", "size", "first_sequence", "last_sequence")
    columns = {name: [row[k + 1] for row in data] for k, name in enumerate(names)}
    times = at(*(row[0] for row in data))
    return {"ts_event_ns": times, "ts_recv_ns": times, **columns}


def test_order_book_hook_and_fills_on_the_book(tmp_path):
    watcher = BookWatcher({2: buy(3), 4: sell(3)})
    report = ticks(tmp_path, DataKind.DELTA, deltas(), watcher)
    assert watcher.books == [
        (SYMBOL, 9990, 10010), (SYMBOL, 9995, 10010), (SYMBOL, 9995, 10015), (SYMBOL, 9990, 10015),
    ]  # fmt: skip
    fills = [(row.side, row.quantity, round(row.price, 9)) for row in report.fills.itertuples()]
    # 1 at 100.10 and 2 at the next level; then 1 at 99.90 and 2 at 99.80.
    assert fills == [
        ("BUY", 1.0, 100.1), ("BUY", 2.0, 100.2), ("SELL", 1.0, 99.9), ("SELL", 2.0, 99.8),
    ]  # fmt: skip
    assert watcher.statuses == ["PARTIALLY_FILLED", "FILLED"] * 2


def test_an_error_in_the_book_hook_disables(tmp_path):
    watcher = BookWatcher({2: 7})
    report = ticks(tmp_path, DataKind.DELTA, deltas(), watcher)
    (error,) = report.result.strategy_errors
    assert error["where"] == "on_order_book"
    assert len(watcher.books) == 2


def test_an_empty_range_of_given_data():
    with pytest.raises(DataError, match="has no rows in the range of the run"):
        play(None, [100.0] * 3, backtest={"start": "2024-02-01"})


def test_the_range_is_start_exclusive_end_inclusive_in_closes():
    span = {"start": "2024-01-01T00:02:00Z", "end": "2024-01-01T00:05:00Z"}
    script, _ = play(None, [100.0] * 10, backtest=span)
    assert [(ts - START_NS) // MINUTE_NS for _, ts, _ in script.seen] == [3, 4, 5]


def test_given_data_out_of_order_is_a_data_error():
    made = rows(1, 3, 2)
    with pytest.raises(DataError, match="after one at"):
        run(config(), {SYMBOL: made}, strategies={"script": Script()})


def test_market_data_can_be_made_by_hand():
    data = MarketData(5, "X", 1.0, 2.0, 0.5, 1.5, 9.0, {"ema:3": 1.2})
    assert (data.indicators["ema:3"], data.ready, data.close) == (1.2, True, 1.5)
