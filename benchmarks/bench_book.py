"""The order book against a C++ bitmap ladder on the same rows, in turn within one run.

``pytest benchmarks/bench_book.py`` needs g++. Each round times the reference first and the book
right after it, in CPU time; the figure that counts is the ratio of the medians (``ratio_median``
in the extra info). Absolute times drift by a quarter within minutes on a shared machine.
"""

import ctypes
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.budget import note
from benchmarks.generate import DEPTH_TICKS, MID_TICKS, l2_deltas
from mmats._core.book import OrderBook, apply_and_read

ROWS = 1_000_000
SEED = 7
ROUNDS = 7
SNAPSHOT_ROWS = 2 * DEPTH_TICKS
LADDER_BASE_TICKS = MID_TICKS - 8192
RATIO_MAX = 1.8
SOURCE = Path(__file__).parent / "c" / "ladder.cpp"


@pytest.fixture(scope="module")
def deltas() -> NDArray[np.void]:
    return l2_deltas(ROWS, SEED)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ for the reference")
    library = tmp_path_factory.mktemp("ladder") / "ladder.so"
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(str(library))
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    loaded.ladder_apply_and_read.argtypes = [pointer, integer, integer, pointer]
    loaded.ladder_apply_and_read.restype = None
    loaded.ladder_apply.argtypes = [pointer, integer, integer]
    loaded.ladder_apply.restype = integer
    return loaded


def compare(benchmark: Any, reference: Callable[[], Any], ours: Callable[[], Any]) -> float:
    """Time both in turn; return and note the ratio of the medians, ours over the reference."""
    reference_s: list[float] = []

    def run_reference() -> None:
        start = time.process_time()
        reference()
        reference_s.append(time.process_time() - start)

    benchmark.pedantic(ours, setup=run_reference, rounds=ROUNDS, warmup_rounds=1)
    median_s = statistics.median(reference_s[1:])
    ratio = float(benchmark.stats.stats.median) / median_s
    benchmark.extra_info |= {
        "ratio_median": round(ratio, 3),
        "ratio_min": round(float(benchmark.stats.stats.min) / min(reference_s), 3),
        "reference_ns_per_row": round(median_s / ROWS * 1e9, 2),
        "ns_per_row": round(float(benchmark.stats.stats.median) / ROWS * 1e9, 2),
    }
    return ratio


@pytest.mark.benchmark(group="book", timer=time.process_time)
def test_apply_and_read(benchmark: Any, deltas: NDArray[np.void], ladder: ctypes.CDLL) -> None:
    book = OrderBook()
    top = np.empty((ROWS, 4), dtype=np.int64)
    expected = np.empty((ROWS, 4), dtype=np.int64)
    ratio = compare(
        benchmark,
        lambda: ladder.ladder_apply_and_read(
            deltas.ctypes.data, ROWS, LADDER_BASE_TICKS, expected.ctypes.data
        ),
        lambda: apply_and_read(book, deltas, top),
    )
    # Inside the snapshot only the reference shows a top.
    np.testing.assert_array_equal(top[SNAPSHOT_ROWS:], expected[SNAPSHOT_ROWS:])
    info = benchmark.extra_info
    note(
        "order book update and read of the best prices, batch, over a C++ ladder",
        "at most 1.4 times",
        f"{ratio:.2f} times ({info['ns_per_row']} and {info['reference_ns_per_row']} ns)",
        ratio <= 1.4,
    )
    assert ratio <= RATIO_MAX


@pytest.mark.benchmark(group="book", timer=time.process_time)
def test_apply_batch(benchmark: Any, deltas: NDArray[np.void], ladder: ctypes.CDLL) -> None:
    book = OrderBook()
    ratio = compare(
        benchmark,
        lambda: ladder.ladder_apply(deltas.ctypes.data, ROWS, LADDER_BASE_TICKS),
        lambda: book.apply_batch(deltas),
    )
    assert book.apply_batch(deltas) == ROWS
    assert ratio <= RATIO_MAX


@pytest.mark.benchmark(group="book one call", timer=time.process_time)
def test_one_row_a_call(benchmark: Any, deltas: NDArray[np.void]) -> None:
    """What a caller pays who has each row apart; nothing is read in between."""
    book = OrderBook()
    fields = ["flags", "price_ticks", "size_lots", "first_sequence", "last_sequence"]
    rows = list(zip(*(deltas[name][:100_000].tolist() for name in fields), strict=True))

    def run() -> None:
        apply = book.apply_delta
        for flags, price_ticks, size_lots, first_sequence, last_sequence in rows:
            apply(flags, price_ticks, size_lots, first_sequence, last_sequence)

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["ns_per_row"] = round(benchmark.stats.stats.median / len(rows) * 1e9, 1)
    assert book.is_live
