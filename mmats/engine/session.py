"""The deterministic part of a running engine: inputs in, decisions in the journal's ring.

A session reads no clock and no socket. The same inputs in the same order give the same records and
the same state, which is what `mmats replay --diff` proves.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmats._core import (
    Controls,
    ExecutionPort,
    ImageError,
    Intake,
    JournalFull,
    LedgerFault,
    PipelineFault,
    ReloadError,
    ReportsFull,
    RingJournal,
    StateImage,
    StrategyStopped,
    resubmit_open,
)
from mmats.config import Config
from mmats.config.schema import StrategyTable
from mmats.engine.assembly import Catalogue, assemble, feeds_by_instrument, initialize
from mmats.engine.loader import create_strategy, explain, source_hash
from mmats.engine.migrate import Names, remap
from mmats.engine.modes import Mode, is_advisory
from mmats.engine.simulation import simulated_venue
from mmats.model import MarketData, Strategy
from mmats.model.errors import ConfigError, MmatsError, StrategyError
from mmats.ports.strategy import IStrategy

RING_RECORDS = 65_536
PORT_REQUESTS = 16_384
MANUAL = "manual"
ModeWord = Annotated[str, msgspec.Meta(pattern="^(advisory|paper|operator)$")]
_TRAILER = struct.Struct("<QQ")  # bytes of the core's image, bytes of the JSON after it

FAULTS = (
    PipelineFault,
    JournalFull,
    LedgerFault,
    ReportsFull,
    StrategyStopped,
    OverflowError,
    MemoryError,
)
"""What ends trading for good: the books can't be trusted, or a strategy is set to stop it all."""


class Input(IntEnum):
    """What can reach a session, as the recorder writes it."""

    EVENTS = 1  # EVENT_DTYPE rows
    REPORTS = 2  # REPORT_DTYPE rows
    TIMER = 3  # no payload
    COMMAND = 4  # JSON: command, body, may_raise
    START = 5  # JSON: run, configuration and the folder that it starts from
    IMAGE = 6  # the state that the run went on from
    RESYNC = 7  # every open order is unknown, and asked about; no payload
    RECONCILE = 8  # every open order is asked about; no payload
    BREAK = 9  # market data are missing; no payload


class EngineFault(MmatsError):
    """Trading has ended: the state can no longer be trusted, and nothing may change it."""


class IdleTrader(Strategy):
    """Owns manual orders, or keeps the place of a strategy that is not loaded."""

    def __init__(self, name: str) -> None:
        """Say under which name its orders run."""
        self.name = name

    def on_market_data(self, data: MarketData) -> None:
        """Decide nothing."""


class Session:
    """One assembled pipeline with its intake, controls and state image.

    Raises
    ------
    ConfigError, StrategyError
        The configuration asks for what can't be built.
    """

    def __init__(
        self,
        config: Config,
        guard: Callable[[int, IStrategy], object] = lambda index, strategy: None,
        ring_records: int = RING_RECORDS,
    ) -> None:
        """Build it; `guard` sees every strategy before the pipeline takes it."""
        self.config = config
        self._guard = guard
        self.built_mode = Mode.of(config.engine.mode)
        self.mode = self.built_mode
        self.tables = {table.name: table for table in config.strategies}
        self.load_errors: dict[str, str] = {}
        self.strategy_modes = {table.name: Mode.of(table.mode) for table in config.strategies}
        self.sources = {table.name: table.source for table in config.strategies}
        self.port: ExecutionPort | None = None
        chosen: list[tuple[StrategyTable, IStrategy]] = [
            (table, self._strategy(table)) for table in config.strategies
        ]
        for index, (_, strategy) in enumerate(chosen):
            guard(index, strategy)
        chosen.append((StrategyTable(name=MANUAL, source=MANUAL, symbols=()), IdleTrader(MANUAL)))
        self.foreign_reports = 0  # malformed, or about orders that are not ours
        self.journal = RingJournal(ring_records)
        try:
            self.assembly = assemble(config, chosen, self._venue, self.journal)
        except (OverflowError, ValueError) as error:
            if isinstance(error, MmatsError):
                raise
            raise ConfigError(f"a value is out of range: {error}", config.name) from error
        self.catalogue: Catalogue = self.assembly.catalogue
        self.pipeline = self.assembly.pipeline
        self.gate = self.assembly.gate
        self.ledger = self.assembly.ledger
        self.names = [table.name for table, _ in chosen]
        engine = config.engine
        self.intake = Intake(
            self.pipeline,
            self.assembly.venue if self.mode is Mode.PAPER else None,
            price_jump_ppm=engine.price_jump_max.ppm,
            future_ns_max=engine.feed_ahead_max.ns,
        )
        self.pipeline.orders.set_inquiry(
            reply_timeout_ns=engine.reply_timeout.ns,
            query_wait_ns=engine.query_wait.ns,
            query_wait_max_ns=max(engine.query_wait.ns, engine.query_wait_max.ns),
            not_found_min=engine.not_found_min,
            not_found_after_ns=engine.not_found_after.ns,
        )
        self.controls = Controls(self.pipeline)
        self.books = {
            index: self.pipeline.add_book(index)
            for index, feed in feeds_by_instrument(config, self.catalogue)
            if feed.kind == "delta"
        }
        self._image = StateImage(self.pipeline, self.port)
        self._trailer_of: tuple[object, ...] = ()
        self._trailer = b""
        for table in config.strategies:
            if not table.enabled:
                self.controls.set_enabled(self.index(table.name), False, 0)
        self.journal.take()
        self._apply_modes()

    # -- building --------------------------------------------------------------------------------

    def _strategy(self, table: StrategyTable) -> IStrategy:
        """Load a strategy; one that is switched off and can't be loaded keeps its place."""
        try:
            return create_strategy(table, self.config.base_dir)
        except StrategyError as error:
            if table.enabled:
                raise
            self.load_errors[table.name] = str(error)
            return IdleTrader(table.name)

    def _venue(self, catalogue: Catalogue, ledger: Any, strategy_count: int) -> Any:
        if self.mode is Mode.PAPER:
            return simulated_venue(self.config, catalogue, ledger, strategy_count)
        if self.mode is Mode.OPERATOR:
            self.port = ExecutionPort(len(catalogue.currencies), PORT_REQUESTS)
        return self.port

    def replace_strategy(self, name: str, source: str) -> str:
        """Take a fresh object for a strategy, loaded whole before the old one goes.

        Returns
        -------
        sha256 of the file that its class is defined in.

        Raises
        ------
        StrategyError
            It can't be loaded, or asks for more than was declared; the old one stays.
        """
        table = msgspec.structs.replace(self.tables[name], source=source)
        strategy = create_strategy(table, self.config.base_dir, fresh=True)
        index = self.index(name)
        self._guard(index, strategy)
        self.controls.lend_account(index, strategy)
        initialize(table, strategy)
        try:
            self.controls.replace_strategy(index, strategy)
        except ReloadError as error:
            raise StrategyError(str(error), f"strategies[{name}]") from error
        self.sources[name] = source
        self.load_errors.pop(name, None)
        return source_hash(strategy)

    def _apply_modes(self) -> None:
        orders = self.pipeline.orders
        for name, own in self.strategy_modes.items():
            orders.set_advisory(self.index(name), is_advisory(own, self.mode))
        orders.set_advisory(self.index(MANUAL), self.mode is Mode.ADVISORY)

    def set_mode(self, mode: Mode) -> None:
        """Change what happens to signals from now on."""
        self.mode = mode
        self._apply_modes()

    def set_strategy_mode(self, name: str, mode: Mode) -> None:
        """The same for one strategy."""
        self.strategy_modes[name] = mode
        self._apply_modes()

    def index(self, strategy: str) -> int:
        """Dense index of a strategy."""
        return self.names.index(strategy)

    # -- inputs ----------------------------------------------------------------------------------

    def events(self, rows: NDArray[np.void]) -> int:
        """Play market data; returns how many events were good."""
        with trading():
            return self.intake.on_events(rows)

    def feed_broken(self) -> None:
        """Market data are missing: no order book can be trusted before its next snapshot."""
        for index, book in self.books.items():
            book.mark_reconnect()
            if self.built_mode is Mode.PAPER:
                self.assembly.venue.declare_feed_broken(index)

    def reports(self, rows: NDArray[np.void], now_ns: int) -> None:
        """Take what the venue process says."""
        if self.port is None:
            raise EngineFault("reports arrive where no order can have left")
        with trading():
            self.foreign_reports += len(rows) - self.port.give_reports(rows)
            self.intake.on_reports(now_ns)
            self.controls.step(now_ns)

    def timer(self, now_ns: int) -> None:
        """Let time pass: bars close, orders expire, unknown orders are asked about."""
        with trading():
            if now_ns > self.pipeline.now_ns:
                self.intake.on_timer(now_ns)
            if self.port is not None:
                self.pipeline.resolve(now_ns)
            self.controls.step(now_ns)

    def resync(self, now_ns: int) -> int:
        """After a loss: every open order is unknown until the venue has answered."""
        return self.pipeline.orders.mark_open_unknown(now_ns)

    def reconcile(self, now_ns: int) -> int:
        """Compare every open order with what the venue says; returns how many are asked about."""
        return self.pipeline.orders.query_open(now_ns)

    # -- durable state ---------------------------------------------------------------------------

    def naming(self) -> Names:
        """What the indices of the state image stand for."""
        return Names.of(self.catalogue, self.names)

    def image(self) -> bytes:
        """Everything that decides what comes next, market data aside; see StateImage."""
        core: bytes = self._image.to_bytes()
        facts = (self.mode, *self.strategy_modes.values(), *self.sources.values())
        if facts != self._trailer_of:  # it is in every commit, and changes by command only
            self._trailer_of = facts
            self._trailer = msgspec.json.encode(
                _Facts(
                    config=self.config.config_hash,
                    mode=self.mode.word,
                    modes={name: mode.word for name, mode in self.strategy_modes.items()},
                    sources=self.sources,
                    names=self.naming(),
                )
            )
        trailer = self._trailer
        return core + trailer + _TRAILER.pack(len(core), len(trailer))

    def restore(self, image: bytes, now_ns: int) -> list[str]:
        """Go on from a state; returns what a person should know about it.

        Raises
        ------
        MmatsError
            The image does not fit this configuration; nothing has changed.
        """
        core, facts = _split(image)
        notes = []
        is_same = facts.config == self.config.config_hash
        if is_same and facts.modes.keys() != self.strategy_modes.keys():
            raise EngineFault("the stored state has modes of other strategies")
        try:
            if not is_same:
                notes.append("the configuration has changed: its limits apply, halts stay")
                core = remap(core, facts.names, self.naming(), self._image.to_bytes())
            self._image.restore(core)
        except ImageError as error:
            raise EngineFault(f"the stored state is damaged: {error}") from error
        if is_same:
            self.mode = min(self.mode, Mode.of(facts.mode))
            self.strategy_modes = {name: Mode.of(word) for name, word in facts.modes.items()}
        self._apply_modes()
        self.intake.resume()
        if self.built_mode is Mode.PAPER:
            self.assembly.venue.take_positions()  # else it cancels what may only reduce
            count = resubmit_open(self.pipeline, self.pipeline.now_ns)
            if count:
                notes.append(f"{count} open orders were given to the simulated venue again")
        if self.port is not None:
            count = self.pipeline.orders.mark_open_unknown(now_ns)
            if count:
                notes.append(f"{count} open orders are unknown until the venue has told")
        return notes


class _Facts(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the state image of the core does not say about itself."""

    config: str  # hash
    mode: ModeWord
    modes: dict[str, ModeWord]  # by strategy
    sources: dict[str, str]
    names: Names


@contextmanager
def trading() -> Iterator[None]:
    """Name what ends trading for good."""
    try:
        yield
    except FAULTS as error:
        raise EngineFault(
            f"trading has ended: {explain(error)}",
            hint="look at the journal (mmats audit show), mend the cause, start again",
        ) from error


def _split(image: bytes) -> tuple[bytes, _Facts]:
    if len(image) < _TRAILER.size:
        raise EngineFault("the stored state is too short to be one")
    core_bytes, trailer_bytes = _TRAILER.unpack(image[-_TRAILER.size :])
    if core_bytes + trailer_bytes + _TRAILER.size != len(image):
        raise EngineFault("the stored state contradicts its own length")
    try:
        facts = msgspec.json.decode(image[core_bytes : core_bytes + trailer_bytes], type=_Facts)
    except (ValueError, RecursionError) as error:
        raise EngineFault(f"the stored state does not say what it is of: {error}") from error
    return image[:core_bytes], facts
