"""`make bench-peers`: the same EMA cross on the same bars in every engine, taking turns."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.bars import bar_prices, ema_bars
from benchmarks.ratio import REPETITIONS_MIN, machine_facts
from benchmarks.reference import ema_cross

ROOT = Path(__file__).resolve().parents[2]
OURS = ("mmats_python", "c_event_loop", "python_loop")
PEERS = ("vectorbt_ema", "hftbacktest_ema", "backtesting_ema", "nautilus_ema", "backtrader_ema")


@dataclass
class Worker:
    """One engine in its process; see benchmarks/peers/worker.py."""

    process: subprocess.Popen[str]
    module: str
    answers: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def start(cls, module: str, python: str, file: Path) -> "Worker":
        """Start the process; it waits for its first line."""
        command = [python, "-W", "ignore", "-m", "benchmarks.peers.worker", module, str(file)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(process, module)

    def turn(self) -> None:
        """One run."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError(f"{self.module}: no pipes")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.module} ended without an answer; its error is above")
        self.answers.append(json.loads(line))

    def stop(self) -> None:
        """End of its input ends the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=60)

    @property
    def seconds(self) -> float:
        """Median processor time; the first run warms up and is dropped."""
        return statistics.median(answer["cpu_seconds"] for answer in self.answers[1:])


def report(workers: list[Worker]) -> str:
    """The ratio table in Markdown, fastest first; ratios are of medians of this one run."""
    base = next((w for w in workers if w.module == "mmats_python"), workers[0])
    name = base.answers[0]["name"]
    rows = [
        f"| engine | bars/s | time over {name} | orders | P&L | what it does not do |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for worker in sorted(workers, key=lambda w: w.seconds):
        last = worker.answers[-1]
        rows.append(
            f"| {last['name']} | {last['bars'] / worker.seconds:,.0f} "
            f"| {worker.seconds / base.seconds:,.3g} | {last['orders']:,} | {last['pnl']:,.2f} "
            f"| {last['lacks']} |"
        )
    return "\n".join(rows)


def disagreements(workers: list[Worker], orders: int) -> list[str]:
    """Engines whose number of orders differs from the reference: not comparable."""
    return [
        f"{worker.answers[-1]['name']}: {worker.answers[-1]['orders']} orders, reference {orders}"
        for worker in workers
        if worker.answers[-1]["orders"] != orders
    ]


@click.command()
@click.option("--python", required=True, help="Python of the environment with the peers.")
@click.option("--bars", default=100_000, show_default=True)
@click.option("--repetitions", default=REPETITIONS_MIN, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(OURS + PEERS), help="Run these alone.")
def main(python: str, bars: int, repetitions: int, only: tuple[str, ...]) -> None:
    """Run every engine REPETITIONS times on the same seeded bars and print the table."""
    prices = bar_prices(ema_bars(bars))
    chosen = [name for name in OURS + PEERS if not only or name in only]
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bars.npy"
        np.save(file, prices)
        try:
            for name in chosen:
                runs_in = sys.executable if name in OURS else python
                # One by one: those that started must be stopped when a later one cannot.
                workers.append(Worker.start(name, runs_in, file))
            for turn in range(repetitions + 1):
                click.echo(f"round {turn} of {repetitions}", err=True)
                for worker in workers:
                    worker.turn()
        finally:
            for worker in workers:
                worker.stop()
    reference = ema_cross(prices["close"].tolist())
    click.echo(", ".join(f"{key} {value}" for key, value in machine_facts().items()))
    click.echo(f"{bars:,} bars; reference: {reference.orders} orders, P&L {reference.pnl:.2f}\n")
    click.echo(report(workers))
    wrong = disagreements(workers, reference.orders)
    if wrong:
        raise click.ClickException("not the same trades:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
