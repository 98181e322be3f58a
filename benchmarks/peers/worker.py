"""One engine in a process of its own: a line in, one timed run, a line of JSON out.

Each engine's module offers `NAME`, `LACKS` (what it does not do, next to a full pipeline) and
`prepare(bars)`, which returns the run as a function without arguments. Preparing is not timed, so
data conversion and engine construction are left out; nor is reading the outcome, where a run
returns a function for that.
"""

import gc
import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np


def main(module: str, file: Path) -> None:
    """Run `benchmarks.peers.MODULE` on the bars in `file`, once for each line of standard input."""
    engine = importlib.import_module(f"benchmarks.peers.{module}")
    bars = np.load(file)
    for _ in sys.stdin:
        run = engine.prepare(bars)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        outcome = outcome() if callable(outcome) else outcome
        answer = {
            "name": engine.NAME,
            "bars": len(bars),
            "orders": outcome.orders,
            "pnl": outcome.pnl,
            "seconds": wall,
            "cpu_seconds": cpu,
            "lacks": engine.LACKS,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
