"""The kill campaign: SIGKILL an engine at random moments, and judge what is left each time.

The venue process and the feed process live through it; the engine is killed under load, anywhere
from its first instruction on, and started again. `run` takes the engine's command line, so that
the campaign can be tried on engines that are known to be wrong.
"""

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from mmats.model.profile import Profile
from tests.campaigns.children import Child, cli, module, wait_until
from tests.campaigns.listening import JournalTail, LinesTail, Listener
from tests.campaigns.nursery import Forked, Nursery
from tests.fakes.venue_oracle import Findings, Oracle

CONFIG = """
profile = "dev"
name = "kill campaign"

[account]
currency = "USDT"
balances = ["1000000 USDT"]

[[feeds]]
symbol = "BTCUSDT"
source = "synthetic"
live = true

[[strategies]]
name = "busy"
source = "busy.py:Busy"
symbols = ["BTCUSDT"]
timeframe = "1m"
sizing = "signal"
budget = "60s"

[engine]
mode = "operator"
venue = "rehearsal"
reply_timeout = "100ms"
query_wait = "30ms"
query_wait_max = "100ms"
not_found_after = "150ms"

[risk]
message_rate_max = "none"
"""
READY_S = 30.0
SETTLE_S = 30.0


class Tail(Protocol):
    """Where the rows of a journal come from."""

    def read(self) -> list[dict[str, Any]]:
        """Return the rows that are new."""


@dataclass
class Outcome:
    """What a campaign found, and how long its parts took."""

    findings: Findings
    kills: int
    runs: int = 0
    venue: dict[str, int] = field(default_factory=dict)  # counters of the venue process
    acked: int = 0
    orders: int = 0
    ready_s: list[float] = field(default_factory=list)  # from start to ready, of each start
    wall_s: float = 0.0

    def __str__(self) -> str:
        ready = sorted(self.ready_s) or [0.0]
        return (
            f"{self.kills} kills, {self.runs} runs, {self.orders} orders, {self.venue['fills']} "
            f"fills, {self.acked} acknowledged, {self.wall_s:.1f} s; ready p50 "
            f"{ready[len(ready) // 2]:.2f} s, max {ready[-1]:.2f} s; {self.findings}"
        )


class Campaign:
    """One campaign in a folder of its own.

    Parameters
    ----------
    home
        Short path; profile dev, logs and the venue's book go there.
    engine
        Command line of an engine that writes `<pid> ...` to run/engine.ready when it trades; None
        is the real one.
    tail
        Its journal.
    forked
        Fork the real engine from a process that has imported it.
    """

    def __init__(
        self,
        home: Path,
        engine: Sequence[str] | None = None,
        tail: Tail | None = None,
        *,
        forked: bool = True,
        lose: str = "20%",
        each_report: bool = False,
        seed: int = 1,
        load: bool = True,
    ) -> None:
        self.profile = Profile.of("dev", home)
        self.profile.create()
        self.config = home / "kill.toml"
        self.config.write_text(CONFIG)
        trader = Path(__file__).with_name("busy.py")
        (home / "busy.py").write_text(trader.read_text())
        self._home = home
        real = ["engine", "--config", str(self.config), "--profile", "dev", "--home", str(home)]
        self._command = list(engine or cli(*real))
        self._forked = real if forked and engine is None else []
        self._nursery: Nursery | None = None
        self._tail = tail or JournalTail(self.profile.journal_dir)
        self._book = LinesTail(home / "book.jsonl")
        self._lose, self._seed, self._load = lose, seed, load
        self._each_report = each_report
        self._random = random.Random(seed)
        self._listener = Listener(self.profile)
        self._oracle = Oracle()
        self._orders: set[int] = set()
        self._ready_s: list[float] = []

    def run(self, kills: int, *, stop_at_first: bool = True) -> Outcome:
        """Kill so many times, let the last engine come to rest, and judge."""
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(self._listener.close)
            if self._forked:
                self._nursery = Nursery(self._forked, self._home / "engine.log")
                stack.enter_context(self._nursery)
            venue = stack.enter_context(self._start_venue())
            feed = stack.enter_context(self._start_feed()) if self._load else None
            done = 0
            findings = Findings()
            while done < kills and (findings.is_clean or not stop_at_first):
                self._one_life()
                done += 1
                findings = self._judge()
            if feed is not None:
                feed.kill()
            if findings.is_clean:
                engine = stack.enter_context(self._start_engine())
                self._wait_ready(engine)
                findings = self._settle(engine)
                engine.stop(10)
            venue.stop(10)
            counters = orjson.loads(venue.log.read_bytes().splitlines()[-1])
        return Outcome(
            findings,
            done,
            self._oracle.runs,
            counters,
            self._listener.heard,
            len(self._orders),
            self._ready_s,
            time.monotonic() - started,
        )

    # -- processes -------------------------------------------------------------------------------

    def _start_venue(self) -> Child:
        command = cli("venue", "--config", self.config, "--home", self._home)
        command += ["--lose", self._lose, "--seed", str(self._seed)]
        command += ["--book", str(self._home / "book.jsonl")]
        command += ["--each-report"] if self._each_report else []
        venue = Child(command, self._home / "venue.log")
        path = self.profile.socket("venue-rehearsal")
        wait_until(path.exists, venue, READY_S, lambda: self._listener.hear(5))
        return venue

    def _start_feed(self) -> Child:
        command = module("tests.campaigns.feed", self.config, self._home)
        return Child(command, self._home / "feed.log")

    def _start_engine(self) -> Child | Forked:
        if self._nursery is not None:
            return self._nursery.start()
        return Child(self._command, self._home / "engine.log")

    def _is_ready(self, engine: Child | Forked) -> bool:
        with contextlib.suppress(FileNotFoundError):
            text = (self.profile.run_dir / "engine.ready").read_text()
            return text.split(maxsplit=1)[:1] == [str(engine.pid)]
        return False

    def _wait_ready(self, engine: Child | Forked) -> None:
        wait_until(lambda: self._is_ready(engine), engine, READY_S, lambda: self._hear(5))
        self._ready_s.append((time.monotonic_ns() - engine.started_ns) / 1e9)

    def _one_life(self) -> None:
        """Start an engine, and kill it: mostly at work, sometimes while it starts."""
        with self._start_engine() as engine:
            if self._ready_s and self._random.random() < 0.2:
                self._listen_for(self._random.uniform(0, 1.2 * self._ready_s[-1]))
            else:
                self._wait_ready(engine)
                self._listen_for(self._random.uniform(0, 0.3))
            engine.kill()
            while self._hear(5):
                pass

    def _listen_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            self._hear(min(5, int(left_s * 1000) + 1))

    # -- judgement -------------------------------------------------------------------------------

    def _hear(self, timeout_ms: int) -> bool:
        acked = self._listener.hear(timeout_ms)
        self._oracle.hear(acked)
        return bool(acked)

    def _judge(self, *, settled: bool = False) -> Findings:
        """Read what is new. The book first: what stands in it has been in the journal before."""
        book = self._book.read()
        journal = self._tail.read()
        self._orders |= {row["order_id"] for row in book if row.get("kind") == "submit"}
        self._oracle.read_book(book)
        self._oracle.read_journal(journal)
        return self._oracle.findings(settled=settled)

    def _settle(self, engine: Child | Forked) -> Findings:
        """Let the engine ask for what it has missed; return what is wrong when it has rested."""
        (self.profile.run_dir / "rest").touch()  # engines without a feed begin nothing any more
        deadline = time.monotonic() + SETTLE_S
        while True:
            self._hear(50)
            # A fill may stand in the journal before its row of the book has been read.
            self._judge()
            findings = self._judge(settled=True)
            is_over = findings.is_clean or engine.has_ended or time.monotonic() > deadline
            only_late = not any(
                (findings.lost, findings.duplicated, findings.unknown, findings.diverged)
            )
            if is_over or not only_late:
                return findings
