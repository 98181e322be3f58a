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
from benchmarks.book_events import book_rows
from benchmarks.ratio import REPETITIONS_MIN, machine_facts
from benchmarks.reference import ema_cross

ROOT = Path(__file__).resolve().parents[2]
OURS = ("mmats_python", "mmats_compiled", "c_event_loop", "python_loop")
BOOK_OURS = ("mmats_book",)
BOOK_PEERS = ("hftbacktest_book",)
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


def report(workers: list[Worker], unit: str) -> str:
    """The ratio table in Markdown, fastest first; ratios are of medians of this one run."""
    base = workers[0]
    name = base.answers[0]["name"]
    rows = [
        f"| engine | {unit}/s | time over {name} | orders | P&L | what it does not do |",
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


def take_turns(chosen: list[str], array: Any, python: str, repetitions: int) -> list[Worker]:
    """Run every engine on the array, `repetitions` times in turn after a round that warms up."""
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npy"
        np.save(file, array)
        try:
            for name in chosen:
                runs_in = sys.executable if name in OURS + BOOK_OURS else python
                # One by one: those that started must be stopped when a later one cannot.
                workers.append(Worker.start(name, runs_in, file))
            for turn in range(repetitions + 1):
                click.echo(f"round {turn} of {repetitions}", err=True)
                for worker in workers:
                    worker.turn()
        finally:
            for worker in workers:
                worker.stop()
    return workers


@click.command()
@click.option("--python", required=True, help="Python of the environment with the peers.")
@click.option("--bars", default=100_000, show_default=True)
@click.option("--updates", default=500_000, show_default=True, help="Of the order book.")
@click.option("--repetitions", default=REPETITIONS_MIN, show_default=True)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(OURS + PEERS + BOOK_OURS + BOOK_PEERS),
    help="Run these alone.",
)
def main(python: str, bars: int, updates: int, repetitions: int, only: tuple[str, ...]) -> None:
    """Run every engine REPETITIONS times on the same seeded data and print the tables."""
    click.echo(", ".join(f"{key} {value}" for key, value in machine_facts().items()))
    chosen = [name for name in OURS + PEERS if not only or name in only]
    if chosen:
        prices = bar_prices(ema_bars(bars))
        workers = take_turns(chosen, prices, python, repetitions)
        reference = ema_cross(prices["close"].tolist())
        click.echo(
            f"{bars:,} bars; reference: {reference.orders} orders, P&L {reference.pnl:.2f}\n"
        )
        click.echo(report(workers, "bars"))
        wrong = disagreements(workers, reference.orders)
        if wrong:
            raise click.ClickException("not the same trades:\n" + "\n".join(wrong))
    chosen = [name for name in BOOK_OURS + BOOK_PEERS if not only or name in only]
    if chosen:
        workers = take_turns(chosen, book_rows(updates), python, repetitions)
        click.echo(f"\n{updates:,} order book updates, a decision at each\n")
        click.echo(report(workers, "updates"))
        wrong = disagreements(workers, workers[0].answers[-1]["orders"])
        if wrong:
            raise click.ClickException("not the same trades:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
