"""One backtest in a process of its own; prints its peak resident set in bytes."""

import resource
import sys
from pathlib import Path

import numpy as np

import mmats.backtest
from benchmarks.ours import CONFIG, SYMBOL


def main(file: str) -> None:
    """Run the EMA cross on the bars in `file`."""
    report = mmats.backtest.run(CONFIG, {SYMBOL: np.load(file)})
    if report.to_dict()["orders"]["filled"] == 0:
        raise SystemExit("no orders: nothing was measured")
    print(peak_bytes())


def peak_bytes() -> int:
    """Peak resident set of this program alone."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the process that started this one, too.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1])
