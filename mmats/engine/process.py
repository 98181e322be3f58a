"""The engine process: opens the ports, recovers, trades until it is asked to stop."""

import gc
import hashlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

import mmats
from mmats.config import Config
from mmats.engine import feeds
from mmats.engine.budget import CallWatch, Overrun
from mmats.engine.clock import FeedClock, WallClock
from mmats.engine.exposition import MetricsEndpoint
from mmats.engine.feeds_seen import FeedsSeen
from mmats.engine.kill import KillSwitch
from mmats.engine.locks import FileLock
from mmats.engine.logs import LogOptions, Logs, get_logger
from mmats.engine.loop import TradingLoop
from mmats.engine.metrics import EngineMetrics
from mmats.engine.modes import Mode, check_modes
from mmats.engine.publisher import Publisher
from mmats.engine.rollback import rollback
from mmats.engine.session import EngineFault, Input, Session
from mmats.engine.users import ensure_users
from mmats.model.errors import ConfigError, JournalError
from mmats.model.profile import Profile
from mmats.plugins import plugin
from mmats.ports.bus import IControlServer, IEngineBus
from mmats.ports.journal import Genesis, IJournalWriter, Recovered

JOURNAL_SCHEMA = 1
SWITCH_INTERVAL_S = 0.0001
"""A thread that computes lets another one run after this; Python's own 5 ms would be felt."""


@dataclass
class Engine:
    """Everything that one engine process holds open, closed in reverse order."""

    config: Config
    profile: Profile
    tables: Mapping[str, Any]  # content of the configuration file, for the recording
    tell: Callable[[str], object]  # shows a line to the user
    run: str = field(default_factory=lambda: time.strftime("%Y%m%dT%H%M%S-") + secrets.token_hex(4))
    _closing: list[Callable[[], None]] = field(default_factory=list)
    _stop_reason: str = ""

    def trade(self) -> str:
        """Recover, trade, and stop cleanly; returns why it stopped.

        Raises
        ------
        MmatsError
            It can't start: configuration, another engine, a journal that is not ours or damaged.
        """
        try:
            return self._trade()
        finally:
            while self._closing:
                self._closing.pop()()

    def _trade(self) -> str:
        config, profile = self.config, self.profile
        self._check()
        try:
            profile.create()
        except OSError as error:
            hint = "it must be a folder of this user, and nothing else"
            raise ConfigError(f"can't be used: {error}", str(profile.root), hint) from error
        kill = KillSwitch(profile.kill_file)
        kill.install()  # before the lock shows the process id that the signal goes to
        self._opened(FileLock(profile.lock_file, "an engine"))
        self._opened(self._logs().start())
        log = get_logger("engine")
        executed = plugin("mmats.journal", "executed_commands")(profile.journal_dir, time.time_ns())
        writer, recovered = self._open_journal()
        set_back = rollback(profile.anchors_file, recovered.head)
        if set_back:
            self._refuse_to_trade(kill, set_back)
        watch = self._watch(log)
        session = Session(config, guard=watch.attach)
        notes = [*recovered.notes]
        if recovered.image:
            notes += session.restore(recovered.image, time.time_ns())
        for text in notes:
            log.warning("recovered", text=text)
        recorder = self._recorder(recovered.image)
        control = self._opened(self._control(session, executed))
        bus = self._opened(plugin("mmats.bus", "zeromq-engine")(profile, venue=self._venue_name()))
        seen = FeedsSeen(config.engine.feed_timeout.ns)
        metrics = self._metrics(session, bus, control)
        facts = self._facts(session, recovered, notes)
        publisher = Publisher(session, control, writer, bus, seen, metrics, facts)
        kill.wakes(bus.wake)
        loop = TradingLoop(
            session,
            bus,
            control,
            writer,
            WallClock() if is_live(config) else FeedClock(),
            recorder=recorder,
            stop_asked=self._stop_asked(bus.wake),
            kill=kill,
            publisher=publisher,
            feeds=seen,
        )
        loop.begin(**facts, **self._names(session))
        control.start()
        _settle_memory()
        watch.start()
        self._announce(log)
        reason = loop.run()
        log.info("stopped", reason=reason, fault=loop.fault)
        publisher.ended(loop.fault)
        if loop.fault:
            raise EngineFault(loop.fault, "engine")
        return reason

    def _refuse_to_trade(self, kill: KillSwitch, text: str) -> None:
        """An older journal knows less than the venue: orders of it must not leave again."""
        get_logger("engine").error("set back", text=text)
        if Mode.of(self.config.engine.mode) is Mode.OPERATOR:
            hint = (
                "put the newest journal back; docs/operations.md says what to do where it is lost"
            )
            raise JournalError(text, str(self.profile.journal_dir), hint)
        kill.trip(text)

    def _check(self) -> None:
        """Refuse a configuration that is not for this profile, or riskier than it looks."""
        config, profile = self.config, self.profile
        check_modes(config)
        if config.profile != profile.name:
            raise ConfigError(
                f"this configuration is for profile {config.profile}, not {profile.name}",
                config.name,
                "profiles share nothing: use the one it was written for",
            )
        if Mode.of(config.engine.mode) is Mode.OPERATOR and not is_live(config):
            raise ConfigError(
                "orders for a venue need feeds that are live: its time is the time of day",
                "feeds",
                'choose source = "tail", or live = true for synthetic data',
            )

    # -- parts -----------------------------------------------------------------------------------

    def _logs(self) -> Logs:
        table = self.config.logs
        options = LogOptions(table.level, table.size_max, table.files, echo="warning")
        return Logs(self.profile.logs_dir, "engine", run=self.run, options=options)

    def _opened(self, part: Any) -> Any:
        self._closing.append(part.close)
        return part

    def _open_journal(self) -> tuple[IJournalWriter, Recovered]:
        config, profile = self.config, self.profile
        mode = Mode.of(config.engine.mode)
        account = "paper" if mode is not Mode.OPERATOR else config.engine.venue
        writer, recovered = plugin("mmats.journal", "lmdb")(
            profile.journal_dir,
            Genesis(profile.name, f"{config.account.currency} {account}", JOURNAL_SCHEMA),
            run=self.run,
            seal_every=config.journal.seal_every,
            seal_interval_s=config.journal.seal_interval.ns / 1e9,
            size_max=config.journal.size_max,
            verification_key_file=profile.keys_dir / "journal.verify",
        )
        self._closing.append(writer.close)
        return writer, recovered

    def _watch(self, log: Any) -> CallWatch:
        budgets_ns = [table.budget.ns for table in self.config.strategies]
        names = [table.name for table in self.config.strategies]

        def report(overrun: Overrun) -> None:
            log.error(
                "strategy over its time budget",
                strategy=names[overrun.strategy],
                elapsed_ms=overrun.elapsed_ns // 1_000_000,
                interrupted=overrun.interrupted,
            )

        watch = CallWatch(budgets_ns, report)
        self._closing.append(watch.close)
        return watch

    def _recorder(self, image: bytes) -> Any:
        if not self.config.engine.record:
            return None
        recorder = plugin("mmats.journal", "recorder")(
            self.profile.recordings_dir / self.run / "inputs"
        )
        self._closing.append(recorder.close)
        start = {
            "run": self.run,
            "config": self.tables,
            "base_dir": str(self.config.base_dir),
        }
        recorder.append(Input.START, time.time_ns(), orjson.dumps(start, default=str))
        recorder.append(Input.IMAGE, time.time_ns(), image)
        return recorder

    def _control(self, session: Session, executed: list[tuple[str, str, str]]) -> Any:
        ensure_users(self.profile, self.tell)
        users = plugin("mmats.bus", "users")(self.profile)
        tcp = self.config.control
        return plugin("mmats.bus", "zeromq-control")(
            self.profile,
            run=self.run,
            mode=session.mode.word,
            version=mmats.__version__,
            users=users,
            tcp=(tcp.tcp_host, tcp.tcp_port) if tcp.tcp_host else None,
            log=get_logger("control"),
            executed_ids=executed,
        )

    def _venue_name(self) -> str:
        is_operator = Mode.of(self.config.engine.mode) is Mode.OPERATOR
        return self.config.engine.venue if is_operator else ""

    def _metrics(self, session: Session, bus: IEngineBus, control: IControlServer) -> EngineMetrics:
        metrics = EngineMetrics()
        metrics.watch_queue("journal_records", lambda: session.journal.waiting_count)
        for part, counters in (("bus", bus.counters), ("control", control.counters)):
            for name in counters():
                metrics.gauge(part, f"Counters of the {part}", reader(counters, name), name)
        port = self.config.control.prometheus_port
        if port is not None:
            self._opened(MetricsEndpoint(metrics, port=port)).start()
        return metrics

    def _stop_asked(self, wake: Callable[[], None]) -> Callable[[], str]:
        def stop(number: int, frame: object) -> None:
            self._stop_reason = f"signal {signal.Signals(number).name}"
            wake()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        return lambda: self._stop_reason

    def _facts(self, session: Session, recovered: Recovered, notes: list[str]) -> dict[str, Any]:
        return {
            "run": self.run,
            "profile": self.profile.name,
            "mode": session.mode.word,
            "version": mmats.__version__,
            "code": code_hash(),
            "config": self.config.config_hash,
            "started_ns": time.time_ns(),
            "recovered": {
                "is_new": recovered.is_new,
                "clean": recovered.clean,
                "last_run": recovered.last_run,
                "cut_entries": recovered.cut_entries,
                "head": [recovered.head.size, recovered.head.hash],
                "image": hashlib.blake2b(recovered.image, digest_size=16).hexdigest(),
                "notes": notes,
            },
        }

    def _names(self, session: Session) -> dict[str, Any]:
        return {
            "strategies": session.names,
            "instruments": [instrument.id for instrument in session.catalogue.instruments],
            "pid": os.getpid(),
        }

    def _announce(self, log: Any) -> None:
        """Tell scripts that the engine takes commands: its process id, written when it does."""
        path = self.profile.run_dir / "engine.ready"
        path.write_text(f"{os.getpid()} {self.run}\n")
        self._closing.append(lambda: path.unlink(missing_ok=True))
        log.info("trading", run=self.run, mode=self.config.engine.mode, pid=os.getpid())


def reader(counters: Callable[[], dict[str, int]], name: str) -> Callable[[], int]:
    """Return what reads one of several counters."""
    return lambda: counters()[name]


def is_live(config: Config) -> bool:
    """Whether the feeds run in real time; ConfigError where some do and others do not."""
    live = {feeds.is_live(feed) for feed in config.feeds}
    if len(live) > 1:
        raise ConfigError(
            "some feeds are live and others replay stored data: they have no common time",
            "feeds",
            "make all of them live, or none",
        )
    return live == {True}


def code_hash() -> str:
    """Fingerprint of this build: the compiled core and the engine's own modules."""
    digest = hashlib.sha256(mmats.__version__.encode())
    package = Path(mmats.__file__).parent
    for path in sorted([*package.glob("_core/*.so"), *package.glob("*/*.py")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _settle_memory() -> None:
    """Nothing made so far is garbage, and a decision must not wait for a collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
