"""Taking and restoring the state image of a busy account, against a plain copy of its bytes."""

from typing import Any

from benchmarks.bars import bar_events, ema_bars
from benchmarks.bench_pipeline import BUSY, EveryBar
from benchmarks.budget import note
from benchmarks.ratio import Contender, interleave, ratio
from benchmarks.wiring import ring_replay
from mmats._core import StateImage

BARS = 2_000
COUNT = 2_000


def _repeat(act: Any) -> Any:
    def run(_: object) -> None:
        for _ in range(COUNT):
            act()

    return run


def test_state_image() -> None:
    strategy = EveryBar(is_trading=True)
    run, assembly = ring_replay(BUSY, strategy, bar_events(ema_bars(BARS)))
    strategy.journal = assembly.journal
    run()
    assembly.journal.take()
    image = StateImage(assembly.pipeline)
    data = image.to_bytes()
    buffer = bytearray(data)
    copy = Contender("a plain copy", _repeat(lambda: bytes(buffer)), COUNT)
    taking = Contender("taking an image", _repeat(image.to_bytes), COUNT)
    restoring = Contender("restoring it", _repeat(lambda: image.restore(data)), COUNT)
    interleave([copy, taking, restoring])
    note(
        f"a state image of {len(data) / 1024:.0f} KiB, with its checksum",
        "at most 20 µs",
        f"{taking.cpu_ns_per_item / 1e3:.1f} µs",
        taking.cpu_ns_per_item <= 20e3,
    )
    assert image.to_bytes() == data
    assert ratio(taking, copy) < 100
    assert ratio(restoring, taking) < 50
