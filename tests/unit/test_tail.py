"""Following a file of bars: growth, half lines, cuts and rotations, lines that are none."""

import json
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from adapters.feeds.bar_lines import BarLines
from adapters.feeds.tail import LINE_BYTES_MAX, READ_BYTES, TailFeed, TailStream
from mmats.model.errors import DataError
from mmats.model.instrument import Instrument
from mmats.ports.feed import FeedOptions, ILiveFeed, ILiveStream

HEADER = "time,open,high,low,close,volume\n"
START_S = 1_704_067_200
MINUTE_NS = 60 * 10**9
BTC = Instrument(
    "BTCUSDT", "BINANCE", "crypto", "BTC", "USDT",
    Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal(1000), Decimal(5),
)  # fmt: skip


def line(minute: int, price: str = "100.00") -> str:
    return f"{START_S + 60 * minute},{price},{price},{price},{price},1.5\n"


def options(path: Path, **changes: object) -> FeedOptions:
    return FeedOptions(path=path, **changes)  # type: ignore[arg-type]


def follow(path: Path, from_start: bool = True, **changes: object) -> TailStream:
    return TailFeed(options(path, **changes)).follow(BTC, 0, from_start)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def minutes(events: np.ndarray) -> list[int]:
    """Which minute each bar opened in."""
    return ((events["ts_event_ns"] // 10**9 - START_S) // 60 - 1).tolist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.csv"


def test_it_keeps_the_ports(path: Path) -> None:
    assert isinstance(TailFeed(options(path)), ILiveFeed)
    stream: ILiveStream = follow(path)
    stream.close()


def test_lines_are_told_as_they_come(path: Path) -> None:
    path.write_text(HEADER)
    stream = follow(path)
    assert len(stream.poll(7)) == 0
    append(path, line(0, "42000.12"))
    (bar,) = stream.poll(7)
    assert bar["ts_event_ns"] == (START_S + 60) * 10**9
    assert bar["ts_recv_ns"] == 7
    assert bar["open_ticks"] == bar["close_ticks"] == 4_200_012
    assert bar["volume_lots"] == 150_000
    assert bar["kind"] == 1
    assert len(stream.poll(8)) == 0
    append(path, line(1) + line(2))
    assert minutes(stream.poll(9)) == [1, 2]
    assert stream.counters() == {"events": 3, "bad_lines": 0, "old_lines": 0, "reopened": 0}
    stream.close()
    stream.close()


def test_half_a_line_waits_for_its_other_half(path: Path) -> None:
    path.write_text(HEADER[:7])
    stream = follow(path)
    text = HEADER[7:] + line(0) + line(1)
    found = []
    for character in text:
        append(path, character)
        found += minutes(stream.poll(0))
    assert found == [0, 1]
    assert stream.counters()["bad_lines"] == 0
    stream.close()


@pytest.mark.parametrize("written", ["", HEADER, HEADER + line(0) + line(1)])
@pytest.mark.parametrize("half", [False, True])
def test_from_now_on_means_new_lines_only(path: Path, written: str, half: bool) -> None:
    whole = line(2)
    path.write_text(written + (whole[:9] if half and written else ""))
    stream = follow(path, from_start=False)
    assert len(stream.poll(0)) == 0
    append(path, (whole[9:] if half and written else whole) if written else HEADER + whole)
    assert minutes(stream.poll(0)) == [2]
    assert stream.counters()["bad_lines"] == 0
    stream.close()


def test_times_may_be_closes(path: Path) -> None:
    path.write_text(HEADER + line(5))
    stream = follow(path, stamp="close")
    assert minutes(stream.poll(0)) == [4]
    stream.close()


def test_a_missing_file_is_waited_for(path: Path) -> None:
    stream = follow(path, from_start=False)
    assert len(stream.poll(0)) == 0
    assert "No such file" in stream.lost
    path.write_text(HEADER + line(0))
    assert minutes(stream.poll(0)) == [0]  # all of it is new
    assert stream.lost == ""
    stream.close()


def test_a_file_that_is_cut_is_lost_for_a_moment(path: Path) -> None:
    path.write_text(HEADER + line(0) + line(1))
    stream = follow(path)
    assert minutes(stream.poll(0)) == [0, 1]
    path.write_text(HEADER + line(1))
    assert len(stream.poll(0)) == 0
    assert "cut" in stream.lost
    append(path, line(2))
    assert minutes(stream.poll(0)) == [2]
    assert stream.lost == ""
    assert stream.counters()["old_lines"] == 1
    assert stream.counters()["reopened"] == 1
    stream.close()


def test_a_rotated_file_is_read_to_its_end_first(path: Path) -> None:
    path.write_text(HEADER + line(0))
    stream = follow(path)
    assert minutes(stream.poll(0)) == [0]
    append(path, line(1))
    path.rename(path.with_suffix(".old"))
    path.write_text(HEADER + line(2))
    assert minutes(stream.poll(0)) == [1]
    assert "replaced" in stream.lost
    assert minutes(stream.poll(0)) == [2]
    assert stream.lost == ""
    stream.close()


def test_a_removed_file_is_lost_until_there_is_one(path: Path) -> None:
    path.write_text(HEADER + line(0))
    stream = follow(path)
    stream.poll(0)
    path.unlink()
    for _ in range(3):
        assert len(stream.poll(0)) == 0
        assert stream.lost
    path.write_text(HEADER + line(1))
    assert minutes(stream.poll(0)) == [1]
    assert stream.lost == ""
    stream.close()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("1704067260,1,1,1,1\n", "too few"),
        ("yesterday,1,1,1,1,1\n", "'yesterday'"),
        ("2024-01-01 00:01:00,1,1,1,1,1\n", "zone"),
        ("2024-02-31T00:01:00Z,1,1,1,1,1\n", "no time"),
        ("99999999999999999999,1,1,1,1,1\n", "no epoch"),
        ("9999999999,1,1,1,1,1\n", "out of range"),
        ("1704067260,1.001,1.001,1.001,1.001,1\n", "tick size"),
        ("1704067260,1,nan,1,1,1\n", "'nan'"),
        ("1704067260,1,inf,1,1,1\n", "'inf'"),
        ("1704067260,1,1e400,1,1,1\n", "no number"),
        ("1704067260,1,1e99,1,1,1\n", "out of range"),
        ("1704067260,1,999999999999999999,1,1,1\n", "out of range"),
        ("1704067260,-1,1,1,1,1\n", "'-1'"),
        ("1704067260,0,0,0,0,1\n", "above zero"),
        ("1704067260,2,1,1,1,1\n", "low to high"),
        ("1704067260,1,1,1,1,-1\n", "'-1'"),
        ('1704067260,"1,1,1,1,1\n', "CSV"),
        ("\N{SNOWMAN}\n", "too few"),
    ],
)
def test_a_bad_line_is_counted_and_told(path: Path, bad: str, why: str) -> None:
    path.write_text(HEADER + line(0) + bad + line(2))
    stream = follow(path)
    assert minutes(stream.poll(0)) == [0, 2]
    assert stream.counters()["bad_lines"] == 1
    assert why in stream.problem
    stream.close()
    with pytest.raises(DataError, match=r"bars\.csv"):
        list(TailFeed(options(path)).events(BTC, None, None))


def test_a_file_without_a_header_has_no_bars(path: Path) -> None:
    path.write_text(line(0) + line(1))
    stream = follow(path)
    assert len(stream.poll(0)) == 0
    assert stream.counters()["bad_lines"] == 2
    assert "no header" in stream.problem
    stream.close()


def test_columns_may_be_in_any_order_and_quoted(path: Path) -> None:
    path.write_text('Close,"Volume",low,x,HIGH,Open,Time\r\n1.5,"2",1,?,3,1,1704067200\r\n')
    stream = follow(path)
    (bar,) = stream.poll(0)
    assert [int(bar[f"{n}_ticks"]) for n in ("open", "high", "low", "close")] == [
        100,
        300,
        100,
        150,
    ]
    assert bar["volume_lots"] == 200_000
    stream.close()


def test_json_lines(path: Path) -> None:
    rows = [
        {"time": START_S, "open": 1.1, "high": 1.2, "low": 1.05, "close": "1.2", "volume": 0.1},
        {"time": "2024-01-01T00:01:00Z", "open": 2, "high": 2, "low": 2, "close": 2, "volume": 0,
         "more": []},
        {"time": (START_S + 120) * 1000, "open": 1e400, "high": 2, "low": 2, "close": 2},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"time": 1\n[]\nnull\n')
    stream = follow(path)
    events = stream.poll(0)
    assert minutes(events) == [0, 1]
    assert events["open_ticks"].tolist() == [110, 200]
    assert events["close_ticks"].tolist() == [120, 200]
    assert stream.counters()["bad_lines"] == 4
    stream.close()


def test_an_endless_line_needs_no_memory(path: Path) -> None:
    path.write_text(HEADER)
    stream = follow(path)
    for _ in range(40):
        append(path, "9" * 100_000)
        stream.poll(0)
        assert len(stream._rest) <= LINE_BYTES_MAX + READ_BYTES
    append(path, "\n" + line(1))
    assert minutes(stream.poll(0)) == [1]
    assert stream.counters()["bad_lines"] == 1
    stream.close()


def test_a_long_file_comes_in_parts(path: Path) -> None:
    count = 30_000
    path.write_text(HEADER + "".join(line(minute) for minute in range(count)))
    parts = list(TailFeed(options(path)).events(BTC, None, None))
    assert len(parts) > 1
    assert minutes(np.concatenate(parts)) == list(range(count))


def test_a_range_of_a_file(path: Path) -> None:
    path.write_text(HEADER + "".join(line(minute) for minute in range(10)))
    span = ((START_S + 120) * 10**9, (START_S + 300) * 10**9)
    (events,) = TailFeed(options(path)).events(BTC, *span)
    assert minutes(events) == [2, 3, 4]  # start < close <= end
    assert (events["ts_recv_ns"] == events["ts_event_ns"]).all()


def test_bars_that_go_back_are_left_out_or_refused(path: Path) -> None:
    path.write_text(HEADER + line(1) + line(1) + line(0) + line(2))
    stream = follow(path)
    assert minutes(stream.poll(0)) == [1, 2]
    assert stream.counters()["old_lines"] == 2
    stream.close()
    with pytest.raises(DataError, match="not later"):
        list(TailFeed(options(path)).events(BTC, None, None))


def test_other_kinds_are_refused(path: Path) -> None:
    with pytest.raises(DataError, match="bars"):
        TailFeed(options(path, kind="quote"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    stream = follow(tmp_path)
    assert len(stream.poll(0)) == 0
    assert stream.lost
    stream.close()


def test_mutated_lines_raise_data_errors_only() -> None:
    draw = random.Random(5)
    csv_lines, json_lines = BarLines(BTC, MINUTE_NS), BarLines(BTC, MINUTE_NS)
    csv_lines.read_header(HEADER.strip())
    json_lines.read_header("{}")
    text = line(0).strip()
    row = json.dumps(dict(zip(HEADER.strip().split(","), [START_S, 1, 1, 1, 1, "2"], strict=True)))
    taken = 0
    for _ in range(10_000):
        for lines, seed in ((csv_lines, text), (json_lines, row)):
            mutated = list(seed)
            for _ in range(draw.randint(1, 3)):
                at = draw.randrange(len(mutated))
                mutated[at] = draw.choice('0123456789.,eE+-"{}[]: \0\r\u2603NaInf')
            try:
                found = lines.read("".join(mutated))
            except DataError:
                continue
            assert all(-(2**63) <= value < 2**63 for value in found)
            taken += 1
    assert taken > 100
