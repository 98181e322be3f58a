"""Measures stored data: what is missing, what repeats, what does not look like a market."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from adapters.feeds.calendars import expected_closes, is_forex
from adapters.feeds.interval import DAY_NS, MINUTE_NS
from mmats.model.errors import DataError
from mmats.ports.data_format import Column, DataKind, ImportedTable
from mmats.ports.quality import Gap, Outlier, QualityReport, StuckRun

OUTLIER_DEVIATIONS = 30.0
"""One-minute returns have fat tails: at 10 robust deviations a quiet year has hundreds."""
STUCK_ROWS = 30
EVENT_PAUSE_NS = 5 * MINUTE_NS

_PRICE = {DataKind.BAR: "close", DataKind.QUOTE: "bid", DataKind.TRADE: "price"}
_SIZE = {DataKind.BAR: "volume", DataKind.QUOTE: "bid_size", DataKind.TRADE: "size"}


def default_calendar(table: ImportedTable) -> str:
    """Forex pairs keep the forex week, UTC data is taken for crypto, other zones are unknown."""
    if is_forex(table.symbol):
        return "forex"
    return "24/7" if table.zone == "UTC" else "none"


def quality_report(tables: Iterable[ImportedTable], calendar: str | None = None) -> QualityReport:
    """Measure consecutive tables of one symbol, kind and interval; DataError where none is given.

    Duplicates, outliers and stuck prices are also found across the borders of tables.
    """
    parts = list(tables)
    if not parts:
        raise DataError("nothing stored to report on", hint="mmats data list shows what there is")
    first = parts[0]
    chosen = calendar or default_calendar(first)
    columns = _joined(parts)
    ts = columns["ts_event_ns"]
    is_bar = first.kind is DataKind.BAR
    expected = None
    if is_bar and chosen != "none":
        # Bars of a day and longer follow the venue's day, which no calendar here describes.
        if first.interval_ns < DAY_NS:
            expected = expected_closes(int(ts[0]), int(ts[-1]), first.interval_ns, chosen)
    missing = None if expected is None else np.setdiff1d(expected, ts, assume_unique=False)
    gaps = _pauses(ts) if not is_bar else ()
    if missing is not None:
        gaps = _gaps(missing, expected, first.interval_ns)
    return QualityReport(
        first.symbol,
        first.kind,
        first.interval_ns,
        chosen,
        "import" if first.seed is None else f"synthetic (seed {first.seed})",
        int(ts[0]),
        int(ts[-1]),
        len(ts),
        None if expected is None else len(expected),
        None if missing is None else len(missing),
        None if expected is None else len(np.setdiff1d(ts, expected)),
        _duplicates(columns, first.kind),
        _zero_sizes(columns, first.kind),
        _bad_prices(columns, first.kind),
        gaps,
        _outliers(columns, first.kind, first.interval_ns),
        _stuck(columns) if is_bar else (),
    )


def _joined(parts: list[ImportedTable]) -> dict[str, Column]:
    """Columns of all tables, prices at the finest scale among them."""
    names = parts[0].columns.keys()
    plain = {n: np.concatenate([part.columns[n] for part in parts]) for n in names}
    if len({part.price_scale for part in parts}) > 1:
        scale = max(part.price_scale for part in parts)
        for name in ("open", "high", "low", "close", "bid", "ask", "price"):
            if name in plain:
                plain[name] = np.concatenate(
                    [part.columns[name] * 10 ** (scale - part.price_scale) for part in parts]
                )
    return plain


def _gaps(missing: Column, expected: Column | None, interval_ns: int) -> tuple[Gap, ...]:
    """Runs of missing bars; a run goes on over closed hours, during which nothing is expected."""
    if len(missing) == 0 or expected is None:
        return ()
    at = np.searchsorted(expected, missing)
    breaks = np.flatnonzero(np.diff(at) > 1) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [len(missing)]]) - 1
    return tuple(
        Gap(int(missing[a]) - interval_ns, int(missing[b]), int(b - a + 1))
        for a, b in zip(starts, ends, strict=True)
    )


def _pauses(ts: Column) -> tuple[Gap, ...]:
    long = np.flatnonzero(np.diff(ts) >= EVENT_PAUSE_NS)
    return tuple(Gap(int(ts[k]), int(ts[k + 1]), 0) for k in long)


def _duplicates(columns: dict[str, Column], kind: DataKind) -> int:
    same = np.diff(columns["ts_event_ns"]) == 0
    if kind is not DataKind.BAR:
        for values in columns.values():
            same &= np.diff(values) == 0
    return int(same.sum())


def _zero_sizes(columns: dict[str, Column], kind: DataKind) -> int:
    # A delta of size 0 removes a level: that is no fault.
    return 0 if kind is DataKind.DELTA else int((columns[_SIZE[kind]] == 0).sum())


def _bad_prices(columns: dict[str, Column], kind: DataKind) -> int:
    if kind is DataKind.QUOTE:
        return int(((columns["bid"] <= 0) | (columns["ask"] < columns["bid"])).sum())
    if kind is not DataKind.BAR:
        return int((columns["price"] <= 0).sum())
    opened, high, low, close = (columns[n] for n in ("open", "high", "low", "close"))
    inside = (low > 0) & (low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close))
    return int((~inside).sum())


def _outliers(columns: dict[str, Column], kind: DataKind, interval_ns: int) -> tuple[Outlier, ...]:
    """Returns between neighboring rows; those over a gap are not comparable and left out."""
    if kind is DataKind.DELTA or len(columns["ts_event_ns"]) < 3:
        return ()
    ts, price = columns["ts_event_ns"], columns[_PRICE[kind]].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(price))
    usable = np.isfinite(returns)
    if kind is DataKind.BAR:
        usable &= np.diff(ts) == interval_ns
    moving = returns[usable & (returns != 0)]
    if len(moving) < 3:
        return ()
    middle = float(np.median(moving))
    # Where most moves are one tick in one direction, their spread alone would be nothing.
    typical = float(np.median(np.abs(moving)))
    deviation = max(1.4826 * float(np.median(np.abs(moving - middle))), typical)
    distance: NDArray[np.float64] = np.abs(returns - middle) / deviation
    found = np.flatnonzero(usable & (distance > OUTLIER_DEVIATIONS))
    return tuple(Outlier(int(ts[k + 1]), float(returns[k]), float(distance[k])) for k in found)


def _stuck(columns: dict[str, Column]) -> tuple[StuckRun, ...]:
    close = columns["close"]
    flat = (columns["high"] == columns["low"]) & (columns["open"] == close)
    same = flat[1:] & (np.diff(close) == 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    ts = columns["ts_event_ns"]
    # `same[k]` says that row k + 1 repeats row k, so a run of n repetitions has n + 1 rows.
    return tuple(
        StuckRun(int(ts[a]), int(ts[b]), int(b - a + 1))
        for a, b in edges.reshape(-1, 2)
        if b - a + 1 >= STUCK_ROWS
    )
