"""Memory of a backtest beside its input: peak resident set of fresh processes at two sizes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.bars import bar_events, ema_bars
from benchmarks.budget import note
from benchmarks.native import HERE

BARS_FEW, BARS_MANY = 500_000, 2_000_000
BYTES_MAX = 64


def peak_bytes(bars: int, folder: Path) -> int:
    """Peak of a process that loads `bars` bars and runs the EMA cross on them."""
    file = folder / f"{bars}.npy"
    np.save(file, bar_events(ema_bars(bars)))
    command = [sys.executable, "-m", "benchmarks.memory_child", str(file)]
    answer = subprocess.run(
        command,
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    file.unlink()
    return int(answer.stdout)


def test_memory_per_bar(tmp_path: Path) -> None:
    few, many = peak_bytes(BARS_FEW, tmp_path), peak_bytes(BARS_MANY, tmp_path)
    beside = (many - few) / (BARS_MANY - BARS_FEW) - 64
    note(
        "memory per bar beside the input array",
        f"at most {BYTES_MAX} bytes",
        f"{beside:.0f} bytes (journal of 4.5 orders per 100 bars included)",
        beside <= BYTES_MAX,
    )
    assert beside < 10 * BYTES_MAX
