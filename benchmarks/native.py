"""The C reference programs, compiled on first use and called through ctypes."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bars import BAR_PRICES_DTYPE
from benchmarks.reference import Outcome

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "benchmarks"
# The flags of the core: the reference may use no instruction that the core may not.
FLAGS = ("-O3", "-ffp-contract=off", "-fPIC", "-shared")


class _Result(ctypes.Structure):
    _fields_ = (
        ("orders", ctypes.c_int64),
        ("denied", ctypes.c_int64),
        ("pnl", ctypes.c_double),
        ("check", ctypes.c_uint64),
    )


@cache
def library(name: str) -> ctypes.CDLL:
    """Compile `benchmarks/c/NAME` (.c or .cpp) if it changed, and load it."""
    source = HERE / "c" / name
    is_cpp = source.suffix == ".cpp"
    compiler = os.environ.get("CXX" if is_cpp else "CC") or shutil.which("g++" if is_cpp else "gcc")
    command = [compiler or ("c++" if is_cpp else "cc"), *FLAGS]
    digest = hashlib.sha256(" ".join(command).encode() + source.read_bytes()).hexdigest()[:16]
    target = BUILD / f"{source.stem}-{digest}.so"
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, str(source), "-o", str(part), "-lm"], check=True)
        part.replace(target)
    return ctypes.CDLL(str(target))


def event_loop(bars: npt.NDArray[Any]) -> Outcome:
    """The whole C event loop over bars of BAR_PRICES_DTYPE."""
    if bars.dtype != BAR_PRICES_DTYPE:
        raise TypeError(f"bars of {BAR_PRICES_DTYPE} are needed, not {bars.dtype}")
    return _call("run_event_loop", bars)


def closes_loop(closes: npt.NDArray[np.float64]) -> Outcome:
    """The bare strategy over a contiguous array of closing prices."""
    return _call("run_closes", np.ascontiguousarray(closes, np.float64))


def _call(function: str, array: npt.NDArray[Any]) -> Outcome:
    if len(array) == 0:
        raise ValueError("no bars")
    result = _Result()
    pointer = ctypes.c_void_p(array.ctypes.data)
    library("event_loop.c")[function](pointer, ctypes.c_int64(len(array)), ctypes.byref(result))
    return Outcome(result.orders, result.pnl)
