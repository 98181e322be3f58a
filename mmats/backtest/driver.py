"""A backtest: the pipeline with a simulated venue, a journal in memory and data in time order."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats import __version__
from mmats._core import (
    Ledger,
    OutOfOrder,
    PipelineFault,
    Reason,
    Replay,
    SimulatedVenue,
    StrategyStopped,
)
from mmats.backtest.report import Report
from mmats.backtest.result import RunResult
from mmats.backtest.sources import describe_feeds, open_feed
from mmats.config import Config, load_config
from mmats.engine.assembly import Assembly, Catalogue, assemble, feeds_by_instrument
from mmats.engine.loader import create_strategy
from mmats.engine.simulation import simulated_venue
from mmats.model.errors import ConfigError, DataError, MmatsError, StrategyError
from mmats.model.instrument import PriceBasis
from mmats.ports.strategy import IStrategy

CHART_POINTS_MAX = 5000
Progress = Callable[[int, int], None]


def run(
    config: Config | Mapping[str, Any] | str | Path,
    data: Mapping[str, Any] | None = None,
    *,
    strategies: Mapping[str, IStrategy] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run the strategies of a configuration on its data and return the report.

    Parameters
    ----------
    config
        A checked configuration, a mapping like the TOML file, or the file's path.
    data
        Bars by symbol (DataFrame or structured array); they take the place of the feed's source.
    strategies
        Strategy objects by name, in place of what the configuration would load.
    progress
        Called now and then with the number of events done and the simulated time in ns.

    Raises
    ------
    ConfigError, DataError, StrategyError
        Something in the configuration, the data or a strategy is wrong; nothing is half-done.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    given = dict(strategies or {})
    chosen = [
        (table, given.get(table.name) or create_strategy(table, config.base_dir))
        for table in config.strategies
        if table.enabled
    ]
    if not chosen:
        raise ConfigError("no strategy is enabled", "strategies", "set enabled = true for one")

    described = describe_feeds(config, data or {})

    def make_venue(catalogue: Catalogue, ledger: Ledger, strategy_count: int) -> SimulatedVenue:
        return simulated_venue(config, catalogue, ledger, strategy_count)

    try:
        assembly = assemble(config, chosen, make_venue)
    except MmatsError:
        raise
    except (OverflowError, ValueError) as error:
        raise ConfigError(
            f"a value is out of range: {error}",
            config.name,
            "look for an amount, share, rate or duration that can't be meant",
        ) from error
    synthetic = [facts["instrument"] for facts in described if facts["synthetic"]]
    return _replay(
        config, assembly, data or {}, [table.name for table, _ in chosen], synthetic, progress
    )


def _replay(
    config: Config,
    assembly: Assembly,
    data: Mapping[str, Any],
    names: list[str],
    synthetic: list[str],
    progress: Progress | None,
) -> Report:
    catalogue = assembly.catalogue
    fill = config.fill
    replay = Replay(
        assembly.pipeline,
        assembly.venue,
        fill.feed_latency.ns,
        fill.feed_jitter.ns,
        config.backtest.seed,
    )
    for index, feed in feeds_by_instrument(config, catalogue):
        replay.add_source(index, open_feed(config, feed, index, data))
    started = time.perf_counter()
    try:
        replay.run(progress)
    except StrategyStopped as error:
        raise StrategyError(str(error)) from error
    except OutOfOrder as error:
        raise DataError(str(error)) from error
    except PipelineFault as error:
        raise MmatsError(
            f"the run was stopped, its books can't be trusted any more: {error}",
            hint="look for absurd prices or sizes in the data: mmats data show",
        ) from error
    wall_s = time.perf_counter() - started
    if assembly.venue.cut_count:
        raise MmatsError(
            f"the simulated venue could not finish {assembly.venue.cut_count} events: too many "
            "reports were waiting",
            hint="fewer working orders, or fewer signals at one moment",
        )
    return Report(_result(config, assembly, replay, names, synthetic, wall_s))


def _result(
    config: Config,
    assembly: Assembly,
    replay: Replay,
    names: list[str],
    synthetic: list[str],
    wall_s: float,
) -> RunResult:
    catalogue, pipeline, gate = assembly.catalogue, assembly.pipeline, assembly.gate
    if gate.initial_equity <= 0:
        raise ConfigError(
            "the account has no money that can be valued",
            "account.balances",
            "deposit an amount, and give feeds that value its currency",
        )
    equity = pipeline.equity_curve()
    start = np.array([[replay.first_ns, gate.initial_equity]], dtype=np.int64)
    equity = np.concatenate([start, equity[equity[:, 0] > replay.first_ns]])
    cells = pipeline.cell_curve()
    marks = [_marks(replay, catalogue, index) for index in range(len(catalogue.instruments))]
    shape = (len(cells), len(names), len(catalogue.instruments))
    journal_hash = assembly.journal.state_hash
    return RunResult(
        records=assembly.journal.to_array(),
        equity_ts_ns=equity[:, 0].copy(),
        equity_units=equity[:, 1].copy(),
        cells_ts_ns=cells[:, 0].copy(),
        cells_pnl=cells[:, 1:].reshape(shape),
        instruments=catalogue.instruments,
        strategies=names,
        account_currency=config.account.currency,
        initial_units=gate.initial_equity,
        final_units=gate.equity,
        reasons={int(reason): reason.name.removeprefix("REASON_") for reason in Reason},
        state_hash=_state_hash(journal_hash, assembly.ledger, replay.event_count),
        run={
            "config_hash": config.config_hash,
            "data_hash": f"{replay.data_hash:016x}",
            "version": __version__,
            "seed": config.backtest.seed,
            "synthetic": synthetic,
            "start": _iso(replay.first_ns),
            "end": _iso(replay.last_ns),
            "events": replay.event_count,
            "wall_s": round(wall_s, 6),
            "events_per_s": round(replay.event_count / wall_s) if wall_s > 0 else 0,
        },
        conversion_units=assembly.ledger.conversion_paid,
        dust_units=_dust(assembly),
        balances_units=_balances(assembly),
        carry_units=_carry(assembly),
        strategy_errors=[
            {
                "strategy": name,
                "ts_ns": ts_ns,
                "where": where,
                "traceback": text.encode("utf-8", "replace").decode("utf-8"),
            }
            for name, ts_ns, where, text in pipeline.errors
        ],
        marks={
            catalogue.instruments[index].id: (
                times[:: -(-len(times) // CHART_POINTS_MAX) or 1],
                prices[:: -(-len(times) // CHART_POINTS_MAX) or 1],
            )
            for index, (times, prices) in enumerate(marks)
        },
        rates=_rates(config, catalogue, marks),
        notes=_notes(config, synthetic),
    )


def _state_hash(journal_hash: int, ledger: Ledger, event_count: int) -> str:
    """Hash of every decision and of the ledger: equal runs have equal hashes."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(journal_hash.to_bytes(8, "little"))
    digest.update(event_count.to_bytes(8, "little"))
    digest.update(ledger.state_bytes())
    return digest.hexdigest()


def _iso(ts_ns: int) -> str:
    if ts_ns % 10**9:
        return f"{np.datetime64(ts_ns, 'ns')}Z"
    return f"{np.datetime64(ts_ns // 10**9, 's')}Z"


def _dust(assembly: Assembly) -> int:
    """Value of holdings below one lot, account currency."""
    ledger = assembly.ledger
    return sum(
        ledger.to_account(ledger.dust(currency), currency)
        for currency in range(len(assembly.catalogue.currencies))
        if ledger.dust(currency)
    )


def _balances(assembly: Assembly) -> dict[str, int]:
    ledger = assembly.ledger
    return {
        name: ledger.cash(index) + ledger.dust(index)
        for index, name in enumerate(assembly.catalogue.currencies)
    }


def _carry(assembly: Assembly) -> int:
    ledger = assembly.ledger
    return sum(
        ledger.cell(strategy, index).carry
        for strategy in range(ledger.strategy_count)
        for index in range(ledger.instrument_count)
    )


Prices = tuple[NDArray[np.int64], NDArray[np.float64]]


def _marks(replay: Replay, catalogue: Catalogue, index: int) -> Prices:
    """Hourly times and prices of one instrument."""
    marks = replay.marks(index)
    num, den = catalogue.instruments[index].tick_size.as_integer_ratio()
    return marks[:, 0].copy(), marks[:, 1] * num / den


def _rates(config: Config, catalogue: Catalogue, marks: Sequence[Prices]) -> dict[str, Prices]:
    """Price of one unit of each quote currency in the account currency, by hour."""
    ids = [instrument.id for instrument in catalogue.instruments]
    rates = {}
    for currency in {instrument.quote: None for instrument in catalogue.instruments}:
        steps = [step for step in config.conversions.get(currency, ()) if step.instrument]
        if currency == config.account.currency:
            continue
        series = [marks[ids.index(step.instrument)] for step in steps]
        if not all(len(times) for times, _ in series):
            continue
        times = (
            np.unique(np.concatenate([times for times, _ in series]))
            if series
            else np.zeros(1, dtype=np.int64)
        )
        values = np.ones(len(times))
        for step, (step_times, prices) in zip(steps, series, strict=True):
            at = np.maximum(np.searchsorted(step_times, times, side="right") - 1, 0)
            values = values / prices[at] if step.divide else values * prices[at]
        rates[currency] = (times, values)
    return rates


def _notes(config: Config, synthetic: list[str]) -> list[str]:
    notes = []
    if synthetic:
        notes.append(
            f"SYNTHETIC market data of {', '.join(synthetic)}: generated from a seed, not "
            "recorded; the result says nothing about any real market"
        )
    used = {instrument.quote for instrument in config.resolved_instruments}
    notes += [
        f"{pegged} is counted as {anchor} one to one"
        for pegged, anchor in config.account.pegs.items()
        if pegged in used
    ]
    if any(instrument.price_basis is PriceBasis.BID for instrument in config.resolved_instruments):
        notes.append("bars of bid prices: the ask is the bid plus the spread of the data or model")
    return notes
