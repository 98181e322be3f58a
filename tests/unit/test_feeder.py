"""A feed process: pace, batches, heartbeats, and what it does when the engine is slow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmats._core import EVENT_DTYPE
from mmats.config import load_config
from mmats.engine.feeder import BATCH_NS, HEARTBEAT_NS, Feeder, FeedPlan, run_feed
from mmats.engine.outbox import Outbox, conflated
from mmats.model.errors import ConfigError, DataError
from mmats.ports.bus import FrameKind
from tests.fakes.bus import bars, quotes
from tests.fakes.feeding import FakeClock, FakePublisher, FakeStop
from tests.fakes.installed import install_entry_points

SECOND = 10**9
MINUTE = 60 * SECOND
MAX = 0
DATA, HEARTBEAT, START, END, STALE = FrameKind


class Bench:
    """A feeder with its fakes."""

    def __init__(self, end_ns: int = 2**62, **plan: Any) -> None:
        self.clock = FakeClock()
        self.publisher = FakePublisher(self.clock)
        self.stop = FakeStop(self.clock, end_ns)
        self.told: list[str] = []
        self.plan = FeedPlan(**plan)
        self.feeder = Feeder(
            self.publisher, self.plan, self.stop, self.clock, self.told.append
        )  # fmt: skip

    def run(self, config: dict[str, Any]) -> dict[str, int]:
        return run_feed(
            load_config(config), self.publisher, self.plan, self.stop,
            clock=self.clock, tell=self.told.append,
        )  # fmt: skip


def spaced(kind: int, count: int, step_ns: int, instrument: int = 0) -> np.ndarray:
    events = quotes(count, 1, instrument)
    events["kind"] = kind
    events["ts_event_ns"] = 1000 + step_ns * np.arange(count)
    return events


def test_events_leave_at_their_time() -> None:
    bench = Bench(speed_ppm=2_000_000)
    bench.feeder.replay(iter([spaced(2, 20, SECOND)[:7], spaced(2, 20, SECOND)[7:]]))
    assert bench.publisher.kinds[0] is START
    assert bench.publisher.kinds[-1] is END
    sent = [(at, row) for kind, at, rows in bench.publisher.sent for row in rows]
    assert bench.publisher.events.tobytes() == spaced(2, 20, SECOND).tobytes()
    for at, row in sent:
        due = (int(row["ts_event_ns"]) - 1000) // 2
        assert 0 <= at - due <= 2 * BATCH_NS + 1000


def test_what_is_due_within_a_moment_leaves_together() -> None:
    bench = Bench()
    bench.feeder.replay(iter([spaced(2, 1000, BATCH_NS // 20)]))
    data = [rows for kind, _, rows in bench.publisher.sent if kind is DATA]
    assert sum(map(len, data)) == 1000
    assert len(data) <= 1000 // 20 + 2
    assert bench.feeder.counters() == {
        "frames": len(data), "events": 1000, "conflated": 0, "lost": 0
    }  # fmt: skip


def test_heartbeats_fill_the_silence() -> None:
    bench = Bench()
    bench.feeder.replay(iter([spaced(2, 2, 10 * SECOND)]))
    times = [at for _, at, _ in bench.publisher.sent]
    assert max(np.diff(times)) <= HEARTBEAT_NS + 2 * BATCH_NS
    assert 38 <= bench.publisher.kinds.count(HEARTBEAT) <= 40


def test_at_full_speed_frames_are_full_and_bars_of_a_moment_together() -> None:
    bench = Bench(speed_ppm=MAX, batch_max=10)
    together = bars([5] * 25)
    bench.feeder.replay(iter([bars([1, 2, 3]), together, quotes(35, 100)]))
    sizes = [len(rows) for kind, _, rows in bench.publisher.sent if kind is DATA]
    assert sizes == [3, 25, 10, 10, 10, 5]
    assert HEARTBEAT not in bench.publisher.kinds
    assert bench.clock.mono_ns == 0


def test_at_full_speed_a_full_pipe_holds_the_feed_up_and_nothing_is_dropped() -> None:
    bench = Bench(speed_ppm=MAX, batch_max=10, queue_max=20)
    refused = 0

    def free_after_five() -> None:
        nonlocal refused
        refused += 1
        bench.publisher.full = refused % 5 != 0

    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, 1000, 100):
            bench.publisher.full = True
            yield quotes(100, first)

    bench.publisher.on_refused = free_after_five
    bench.feeder.replay(blocks())
    assert bench.publisher.events.tobytes() == quotes(1000).tobytes()
    assert refused >= 50
    assert bench.feeder.counters()["lost"] == bench.feeder.counters()["conflated"] == 0


def test_a_stop_ends_it_while_the_engine_is_not_there() -> None:
    bench = Bench()
    bench.publisher.full = True
    bench.publisher.on_refused = bench.stop.set
    bench.feeder.replay(iter([quotes(3)]))
    assert bench.publisher.sent == []


@pytest.mark.parametrize("speed", [MAX, 1_000_000])
def test_a_stop_ends_a_run_with_end(speed: int) -> None:
    bench = Bench(end_ns=30 * SECOND, speed_ppm=speed)

    def blocks() -> Iterator[np.ndarray]:
        for k in range(100):
            yield spaced(2, 1, 0)
            bench.clock.advance(SECOND)
            if k == 40:
                bench.stop.set()

    bench.feeder.replay(blocks())
    assert bench.publisher.kinds[-1] is END
    assert len(bench.publisher.events) <= 41


def test_no_data_no_frames() -> None:
    bench = Bench()
    bench.feeder.replay(iter([]))
    assert bench.publisher.sent == []


def test_quotes_are_conflated_and_the_rest_is_kept_while_the_pipe_is_full() -> None:
    bench = Bench()
    every = 10 * BATCH_NS
    trades = spaced(3, 100, every, instrument=0)
    ticks = [spaced(2, 100, every, instrument) for instrument in (1, 2)]
    events = np.concatenate([trades, *ticks])
    events = events[np.argsort(events["ts_event_ns"], kind="stable")]
    bench.stop.at = [
        (20 * every, lambda: setattr(bench.publisher, "full", True)),
        (60 * every + 1, lambda: setattr(bench.publisher, "full", False)),
    ]
    bench.feeder.replay(iter([events]))
    found = bench.publisher.events
    counts = bench.feeder.counters()
    assert found[found["kind"] == 3].tobytes() == trades.tobytes()
    assert (np.diff(found["ts_event_ns"]) >= 0).all()
    assert counts["conflated"] == len(events) - len(found) > 60
    assert counts["lost"] == 0
    assert STALE not in bench.publisher.kinds
    for instrument in (1, 2):  # the newest of what waited, and all that came later
        mine = found[found["instrument"] == instrument]["ts_event_ns"].tolist()
        assert set(range(1000 + 61 * every, 1000 + 100 * every, every)) <= set(mine)


def test_a_full_queue_is_told_as_stale_before_the_next_events() -> None:
    bench = Bench(queue_max=50)
    every = 10 * BATCH_NS
    bench.stop.at = [
        (20 * every, lambda: setattr(bench.publisher, "full", True)),
        (90 * every, lambda: setattr(bench.publisher, "full", False)),
    ]
    trades = spaced(3, 200, every)
    bench.feeder.replay(iter([trades]))
    counts = bench.feeder.counters()
    assert counts["lost"] > 50
    assert counts["lost"] + counts["events"] == 200
    assert bench.publisher.kinds.count(STALE) == 1
    assert "dropped" in bench.told[0]
    at = bench.publisher.kinds.index(STALE)
    before = sum(len(rows) for _, _, rows in bench.publisher.sent[:at])
    kept = [*trades[:before], *trades[before + counts["lost"] :]]
    assert bench.publisher.events.tobytes() == np.array(kept).tobytes()


def test_conflation_keeps_the_last_quote_of_each_instrument() -> None:
    events = np.zeros(7, EVENT_DTYPE)
    events["kind"] = [2, 3, 2, 2, 1, 2, 4]
    events["instrument"] = [0, 0, 1, 0, 0, 1, 0]
    events["a"] = np.arange(7)
    assert conflated(events)["a"].tolist() == [1, 3, 4, 5, 6]
    assert conflated(events[:2]).tobytes() == events[:2].tobytes()


def test_stale_waits_for_room_too() -> None:
    clock = FakeClock()
    publisher = FakePublisher(clock)
    outbox = Outbox(publisher, 10, 100, lambda text: None)
    publisher.full = True
    outbox.put(quotes(2))
    outbox.stale()
    assert not outbox.flush()
    publisher.full = False
    assert outbox.flush()
    assert publisher.kinds == [DATA, STALE]
    assert outbox.is_empty


# -- a configuration's feeds -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_points(tmp_path, monkeypatch)


def config(*feeds: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "account": {"currency": "USDT", "balances": ["150 USDT"]},
        "feeds": [{"source": "synthetic", "days": 2, **feed} for feed in feeds],
        "strategies": [{"name": "x", "source": "a:B", "symbols": ["BTCUSDT"]}],
        **changes,
    }


BTC = {"symbol": "BTCUSDT.BINANCE"}
EUR = {"symbol": "EURUSD.OANDA"}


def test_two_synthetic_markets_in_one_stream() -> None:
    bench = Bench(speed_ppm=MAX)
    counts = bench.run(config(BTC, EUR))
    events = bench.publisher.events
    assert counts["events"] == len(events)
    assert set(events["instrument"]) == {0, 1}
    assert (np.diff(events["ts_event_ns"]) >= 0).all()
    ends = [(rows[0], rows[-1]) for kind, _, rows in bench.publisher.sent if kind is DATA]
    for (_, last), (first, _) in zip(ends, ends[1:], strict=False):  # noqa: RUF007
        assert last["ts_event_ns"] < first["ts_event_ns"]


def test_endless_data_go_on_where_they_were() -> None:
    bench = Bench(speed_ppm=MAX)
    once = Bench(speed_ppm=MAX)
    once.run(config(BTC))

    def enough() -> None:
        if len(bench.publisher.events) > 4 * 2880:
            bench.stop.set()

    send = bench.publisher.send

    def counting(*args: Any) -> bool:
        enough()
        return send(*args)

    bench.publisher.send = counting  # type: ignore[method-assign]
    bench.plan = FeedPlan(speed_ppm=MAX, endless=True)
    bench.run(config(BTC))
    events = bench.publisher.events
    first = len(once.publisher.events)
    assert events[:first].tobytes() == once.publisher.events.tobytes()
    close, opened = events["d"].astype(float), events["a"].astype(float)
    jumps = np.abs(np.log(opened[1:] / close[:-1]))
    assert jumps.max() < 0.02
    assert (np.diff(events["ts_event_ns"]) >= MINUTE).all()


def test_endless_forex_rests_at_weekends() -> None:
    bench = Bench(end_ns=9 * SECOND, speed_ppm=86_400 * 1_000_000, endless=True)
    bench.run(config({**EUR, "days": 1}, {**BTC, "days": 1}))
    events = bench.publisher.events
    mine = events[events["instrument"] == 0]
    assert len(mine) > 4000
    assert np.diff(mine["ts_event_ns"]).max() > 2 * 86_400 * SECOND


def test_stored_data_are_not_endless() -> None:
    bench = Bench(endless=True)
    with pytest.raises(ConfigError, match="only synthetic"):
        bench.run(config({**BTC, "source": "catalog"}))


def test_live_synthetic_bars_come_when_their_minute_is_over() -> None:
    bench = Bench(end_ns=240 * SECOND, live=True)
    start = bench.clock.wall_ns
    bench.clock.wall_ns += 20 * SECOND
    bench.run(config(BTC))
    for kind, at, rows in bench.publisher.sent:
        for row in rows:
            late = start + 20 * SECOND + at - int(row["ts_event_ns"])
            assert 0 <= late <= 20_000_000
            assert 0 <= row["ts_recv_ns"] - row["ts_event_ns"] <= 20_000_000
        assert kind is not STALE
    assert 3 <= len(bench.publisher.events) <= 4
    assert bench.publisher.kinds[-1] is END


def test_live_and_stored_data_do_not_mix() -> None:
    bench = Bench()
    with pytest.raises(ConfigError, match="another time"):
        bench.run(config({**BTC, "live": True}, EUR))


def test_data_without_rows_are_told() -> None:
    bench = Bench(speed_ppm=MAX)
    with pytest.raises(DataError, match="no rows"):
        bench.run(config(BTC, backtest={"start": "2030-01-01"}))
    assert bench.publisher.sent == []


def test_a_followed_file_that_is_replaced_makes_the_feed_stale(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    header = "time,open,high,low,close,volume\n"
    path.write_text(header + "1704067200,9,9,9,9,9\n")
    bench = Bench(end_ns=10 * SECOND)

    def append(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def replace() -> None:
        path.unlink()
        path.write_text(header + "1704067320,1,1,1,1,1\nnonsense\n")

    bench.stop.at = [
        (2 * SECOND, lambda: append("1704067260,1,1,1,1,1\n")),
        (4 * SECOND, replace),
    ]
    bench.run(config({**BTC, "source": "tail", "path": str(path)}))
    kinds = [kind for kind in bench.publisher.kinds if kind is not HEARTBEAT]
    assert kinds == [START, DATA, STALE, DATA, END]
    assert bench.publisher.events["ts_event_ns"].tolist() == [
        1_704_067_320 * SECOND,
        1_704_067_380 * SECOND,
    ]
    assert any("replaced" in text for text in bench.told)
    assert any("nonsense" in text or "1 bad lines" in text for text in bench.told)
