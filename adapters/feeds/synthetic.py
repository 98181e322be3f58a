"""Made-up 1-minute bars that behave like a market: for demos, tests and benchmarks only.

Returns follow a GARCH(1,1) with intraday seasonality, rare jumps and regimes of momentum, drift
and reversal; forex keeps its week, crypto has outages. Everything follows from the seed (numpy's
PCG64), so the same numpy gives the same bars. Nothing here says how a strategy would do on a
real market: what is stored is marked `source="synthetic"` with its seed.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from adapters.feeds.calendars import in_forex_week
from adapters.feeds.interval import DAY_NS, HOUR_NS, MINUTE_NS
from adapters.feeds.zones import NEW_YORK, from_utc, parse_zone
from mmats._core import BAR_DTYPE, EventFlag, EventKind
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable, VolumeUnit

Floats = NDArray[np.float64]

_DAYS_MAX = 3660
# GARCH(1,1) of the unit-variance shock: persistence 0.99, i.e. a half-life of about 70 minutes.
_ALPHA, _BETA = 0.06, 0.93
_OMEGA = 1.0 - _ALPHA - _BETA
_REGIME_MINUTES = 360.0
# (chance, autocorrelation of returns, drift in standard deviations a minute)
_REGIMES = ((0.35, 0.0, 0.0), (0.25, 0.06, 0.02), (0.25, 0.06, -0.02), (0.15, -0.12, 0.0))
_JUMP_CHANCE, _JUMP_SIGMAS = 1.0 / (2 * 1440), 6.0
_OUTAGE_CHANCE, _OUTAGE_MINUTES = 1.0 / (20 * 1440), (15, 90)


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """One made-up instrument; a tick is 10**-price_scale, a lot 10**-size_scale."""

    symbol: str
    calendar: str  # "24/7" or "forex"
    price_start: float
    price_scale: int
    size_scale: int
    volatility_minute: float  # standard deviation of a one-minute return
    volume_mean: float  # a minute, in base units, or in price changes for forex
    volume_unit: VolumeUnit
    spread_ticks: int  # 0: the bars show trade prices; else bid prices and their spread


SPECS: tuple[SyntheticSpec, ...] = (
    SyntheticSpec("BTCUSDT.BINANCE", "24/7", 42_000.0, 2, 5, 7e-4, 18.0, VolumeUnit.BASE, 0),
    SyntheticSpec("EURUSD.OANDA", "forex", 1.09, 5, 0, 1.4e-4, 60.0, VolumeUnit.COUNT, 11),
)


def synthetic_tables(
    seed: int, days: int, start_ns: int, symbols: Sequence[str] = ()
) -> tuple[ImportedTable, ...]:
    """Bars of `days` days from `start_ns` for the known symbols, ready for a catalog."""
    return tuple(_table(spec, start_ns, days, seed) for spec in known_specs(symbols))


def endless_tables(seed: int, days: int, start_ns: int, symbol: str) -> Iterator[ImportedTable]:
    """Yield bars of `days` days at a time, for ever: each part goes on from the last price.

    The first part is the one of `synthetic_tables`; the others have the seeds that follow.
    """
    (spec,) = known_specs([symbol])
    for part in itertools.count():
        first_ns = start_ns + part * days * DAY_NS
        if spec.calendar == "forex" and not _is_open(first_ns, days):
            continue
        table = _table(spec, first_ns, days, seed + part)
        price = float(table.columns["close"][-1]) / 10.0**spec.price_scale
        spec = replace(spec, price_start=price)
        yield table


def _is_open(start_ns: int, days: int) -> bool:
    """Tell whether the forex week has a minute within the days."""
    minutes = start_ns + MINUTE_NS * np.arange(min(days, 7) * 1440, dtype=np.int64)
    return bool(in_forex_week(minutes).any())


def known_specs(symbols: Sequence[str]) -> list[SyntheticSpec]:
    """The specifications of some symbols, all if none is given; DataError for an unknown one."""
    unknown = set(symbols) - {spec.symbol for spec in SPECS}
    if unknown:
        known = ", ".join(spec.symbol for spec in SPECS)
        raise DataError(
            f"there is no synthetic {', '.join(sorted(unknown))}",
            hint=f"known: {known}",
        )
    return [spec for spec in SPECS if not symbols or spec.symbol in symbols]


def synthetic_bars(spec: SyntheticSpec, start_ns: int, minutes: int, seed: int) -> NDArray[np.void]:
    """Return BAR_DTYPE bars of the `minutes` minutes of wall clock from `start_ns`.

    Minutes in which the market is closed, or out of order, have no bar.
    """
    if not 0 < minutes <= _DAYS_MAX * 1440:
        raise DataError(f"{minutes} minutes are not within 1 day to {_DAYS_MAX} days")
    if start_ns % MINUTE_NS:
        raise DataError("synthetic bars start on a whole minute")
    generator = Generator(PCG64(SeedSequence([seed, crc32(spec.symbol.encode())])))
    open_ns = start_ns + MINUTE_NS * np.arange(minutes, dtype=np.int64)
    open_ns = open_ns[_is_trading(spec, open_ns, generator)]
    if len(open_ns) == 0:
        raise DataError(f"{spec.symbol} does not trade in that time", hint="make it longer")
    return _bars(spec, open_ns, generator)


def _table(spec: SyntheticSpec, start_ns: int, days: int, seed: int) -> ImportedTable:
    bars = synthetic_bars(spec, start_ns, days * 1440, seed)
    columns: dict[str, Column] = {
        "ts_event_ns": bars["ts_event_ns"],
        "flags": bars["flags"].astype(np.int64),
        **{name: bars[f"{name}_ticks"] for name in ("open", "high", "low", "close")},
        "spread_x4": bars["spread_ticks"].astype(np.int64) * 4,
        "volume": bars["volume_lots"],
    }
    return ImportedTable(
        DataKind.BAR,
        spec.symbol,
        MINUTE_NS,
        {name: np.ascontiguousarray(values) for name, values in columns.items()},
        spec.price_scale,
        spec.size_scale,
        spec.volume_unit,
        "synthetic",
        "UTC",
        "open",
        seed=seed,
    )


def _is_trading(spec: SyntheticSpec, open_ns: Column, generator: Generator) -> NDArray[np.bool_]:
    if spec.calendar == "forex":
        return in_forex_week(open_ns)
    trading = np.ones(len(open_ns), dtype=np.bool_)
    for start in np.flatnonzero(generator.random(len(open_ns)) < _OUTAGE_CHANCE):
        trading[start : start + generator.integers(*_OUTAGE_MINUTES)] = False
    return trading


def _bars(spec: SyntheticSpec, open_ns: Column, generator: Generator) -> NDArray[np.void]:
    count = len(open_ns)
    season = _season(spec, open_ns)
    returns, sigma = _returns(count, season * spec.volatility_minute, generator)
    pause_minutes = np.diff(open_ns, prepend=open_ns[0] - MINUTE_NS) / MINUTE_NS - 1
    # A closed market moves on, about a tenth as much as an open one.
    gaps = spec.volatility_minute * np.sqrt(0.1 * pause_minutes) * generator.standard_normal(count)
    scale = 10.0**spec.price_scale
    log_close = np.cumsum(returns + gaps)
    close = _ticks(spec.price_start * scale * np.exp(log_close))
    start = np.concatenate([[0.0], log_close[:-1]])
    opened = _ticks(spec.price_start * scale * np.exp(start + gaps))
    # The range of a random walk reaches beyond its ends by an exponential share of sigma.
    reach = close * sigma * 0.25
    high = np.maximum(opened, close) + _floor(reach * generator.exponential(1.0, count))
    low = np.minimum(opened, close) - _floor(reach * generator.exponential(1.0, count))
    activity = np.exp(generator.normal(-0.18, 0.6, count)) * sigma / spec.volatility_minute
    volume = np.maximum(1, _floor(spec.volume_mean * 10.0**spec.size_scale * activity))
    bars = np.zeros(count, dtype=BAR_DTYPE)
    bars["kind"] = EventKind.EVENT_BAR
    bars["ts_event_ns"] = bars["ts_recv_ns"] = open_ns + MINUTE_NS
    bars["open_ticks"], bars["close_ticks"] = opened, close
    bars["high_ticks"], bars["low_ticks"] = high, np.maximum(low, 1)
    bars["volume_lots"] = volume
    if spec.spread_ticks:
        bars["flags"] = EventFlag.BAR_BID | EventFlag.BAR_SPREAD
        bars["spread_ticks"] = _spread(spec, open_ns, sigma, generator)
    return bars


def _returns(count: int, scale: Floats, generator: Generator) -> tuple[Floats, Floats]:
    """Log returns, and the standard deviation each was drawn with."""
    # Student's t with 5 degrees of freedom, scaled to unit variance: the fat tails of minutes.
    shocks = generator.standard_t(5, count) * np.sqrt(3.0 / 5.0)
    jumps = generator.random(count) < _JUMP_CHANCE
    shocks[jumps] *= _JUMP_SIGMAS
    persistence, drift = _regimes(count, generator)
    returns, sigmas = np.empty(count), np.empty(count)
    variance, last = 1.0, 0.0
    rows = zip(shocks.tolist(), persistence.tolist(), drift.tolist(), strict=True)
    for k, (shock, phi, push) in enumerate(rows):
        sigma = variance**0.5
        # Jumps are news, not the start of an avalanche: they feed the variance only partly.
        heat = min(shock * shock, 16.0) * variance
        last = phi * last + sigma * (shock + push)
        returns[k], sigmas[k] = last, sigma
        variance = min(_OMEGA + _ALPHA * heat + _BETA * variance, 25.0)
    return returns * scale, sigmas * scale


def _regimes(count: int, generator: Generator) -> tuple[Floats, Floats]:
    """Autocorrelation and drift of each minute; regimes last hours."""
    parts = max(1, int(4 * count / _REGIME_MINUTES) + 16)
    lengths = 30 + generator.exponential(_REGIME_MINUTES, parts).astype(np.int64)
    chances, phis, drifts = (np.array(column) for column in zip(*_REGIMES, strict=True))
    kinds = np.repeat(generator.choice(len(_REGIMES), parts, p=chances), lengths)
    kinds = np.resize(kinds, count)
    return phis[kinds], drifts[kinds]


def _season(spec: SyntheticSpec, open_ns: Column) -> Floats:
    """How lively each minute of the day is, around 1."""
    if spec.calendar == "forex":
        hour = (from_utc(open_ns, parse_zone(NEW_YORK)) % DAY_NS) / HOUR_NS
        london, new_york = (np.exp(-(((hour - peak) / 2.5) ** 2)) for peak in (4.5, 9.5))
        return np.asarray(0.5 + 0.8 * london + 1.0 * new_york, dtype=np.float64)
    hour = (open_ns % DAY_NS) / HOUR_NS
    return np.asarray(1.0 + 0.35 * np.cos((hour - 15.0) * np.pi / 12.0), dtype=np.float64)


def _spread(
    spec: SyntheticSpec, open_ns: Column, sigma: Floats, generator: Generator
) -> NDArray[np.uint16]:
    """Spread in ticks: wider when prices move, several times wider in the hour of the roll."""
    base = spec.spread_ticks - 1 + generator.integers(0, 4, len(open_ns))
    hot = np.maximum(0.0, sigma / spec.volatility_minute - 2.0) * 2.0
    minute = (from_utc(open_ns, parse_zone(NEW_YORK)) % DAY_NS) // MINUTE_NS - 17 * 60
    roll = np.where((minute >= 0) & (minute < 60), 1.0 + 5.0 * np.exp(-minute / 20.0), 1.0)
    return np.minimum(_floor((base + hot) * roll), 2**16 - 1).astype(np.uint16)


def _ticks(prices: Floats) -> Column:
    return np.maximum(1, np.rint(prices).astype(np.int64))


def _floor(values: Floats) -> Column:
    return np.floor(values).astype(np.int64)
