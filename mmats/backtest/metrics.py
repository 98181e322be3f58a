"""Performance statistics of an equity curve and of its closed trades.

Returns are those of calendar days in UTC, the risk-free rate is 0 and a year has 365 days; a day
without data (a weekend of forex) is a day with return 0, which leaves the annual figures of a
market that sleeps equal to those from its trading days alone. What is undefined is None, never
infinite. `docs/metrics.md` has each definition with its source.
"""

import math

import numpy as np

from mmats.backtest.result import FloatArray, Int64Array, money

Metrics = dict[str, float | int | None]

DAY_NS = 86_400 * 10**9
DAYS_PER_YEAR = 365
SAMPLE_MIN = 30
"""Fewer closed trades, or fewer days, than this and annualised figures need a warning."""

RETURN_NOISE = 1e-13
"""A daily deviation below this is rounding: money has a resolution of 1e-8."""

# Normal quantiles of 95 % confidence (one-sided) and 80 % power: (1.6449 + 0.8416) squared.
EDGE_FACTOR = 6.1826


def daily_returns(ts_ns: Int64Array, equity: Int64Array, initial: int) -> FloatArray:
    """Return the change of equity over each calendar day in UTC that the curve touches.

    A sample at midnight is the close of the day before, as a bar's time is its end. A day without
    samples has return 0; days after equity fell to zero or below have none.
    """
    if not len(ts_ns):
        return np.empty(0)
    first_day = int(ts_ns[0]) // DAY_NS
    last_day = max(first_day, (int(ts_ns[-1]) - 1) // DAY_NS)
    closes_ns = (np.arange(first_day, last_day + 1, dtype=np.int64) + 1) * DAY_NS
    return _period_returns(ts_ns, equity, initial, closes_ns)


def monthly_returns(
    ts_ns: Int64Array, equity: Int64Array, initial: int
) -> list[tuple[int, int, float]]:
    """Return (year, month, return) of each calendar month in UTC that the curve touches."""
    if not len(ts_ns):
        return []
    first = np.datetime64(int(ts_ns[0]), "ns").astype("datetime64[M]")
    last = np.datetime64(max(int(ts_ns[0]), int(ts_ns[-1]) - 1), "ns").astype("datetime64[M]")
    months = np.arange(first, last + 1)
    closes_ns = (months + 1).astype("datetime64[ns]").astype(np.int64)
    returns = _period_returns(ts_ns, equity, initial, closes_ns)
    number = months.astype(np.int64)
    return [
        (1970 + int(k) // 12, int(k) % 12 + 1, float(value))
        for k, value in zip(number, returns, strict=False)
    ]


def _period_returns(
    ts_ns: Int64Array, equity: Int64Array, initial: int, closes_ns: Int64Array
) -> FloatArray:
    at = np.searchsorted(ts_ns, closes_ns, side="right") - 1
    values = np.where(at >= 0, equity[np.maximum(at, 0)], initial).astype(np.float64)
    values = np.concatenate(([float(initial)], values))
    ruined = np.flatnonzero(values <= 0)
    if len(ruined):
        values = values[: ruined[0] + 1]
    return np.asarray(values[1:] / values[:-1] - 1.0)


def drawdowns(equity: Int64Array, initial: int) -> FloatArray:
    """Return the fall from the highest equity so far at each sample: a fraction >= 0 of that peak.

    The initial capital counts as the first peak.
    """
    peak = np.maximum(np.maximum.accumulate(equity), initial) if len(equity) else equity
    return np.asarray((peak - equity) / peak) if len(equity) else np.empty(0)


def underwater_longest_ns(ts_ns: Int64Array, equity: Int64Array, initial: int) -> int:
    """Return the longest time from a peak until it was reached again, or until the end, in ns."""
    if not len(ts_ns):
        return 0
    times = np.concatenate((ts_ns[:1], ts_ns))
    values = np.concatenate(([initial], equity))
    at_peak = np.flatnonzero(values >= np.maximum.accumulate(values))
    dips = np.diff(at_peak) > 1
    spans = (times[at_peak[1:]] - times[at_peak[:-1]])[dips]
    tail = int(times[-1] - times[at_peak[-1]])
    return max(tail, int(spans.max()) if len(spans) else 0)


def curve_metrics(ts_ns: Int64Array, equity: Int64Array, initial: int) -> Metrics:
    """Return the statistics of an equity curve in 1e-8 units that starts with `initial`.

    Sharpe: Sharpe 1994, annualised as if days were independent (Lo 2002 on why that flatters).
    Sortino: Sortino and Price 1994, target 0. Calmar: Young 1991, over the whole run.
    """
    final = int(equity[-1]) if len(equity) else initial
    span_ns = int(ts_ns[-1] - ts_ns[0]) if len(ts_ns) else 0
    fall = drawdowns(equity, initial)
    drawdown = float(fall.max()) if len(fall) else 0.0
    drawdown_money = _drawdown_money(equity, initial)
    returns = daily_returns(ts_ns, equity, initial)
    growth = annual_growth(initial, final, span_ns)
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) > 1 else None
    mean = float(np.mean(returns)) if len(returns) else 0.0
    year = math.sqrt(DAYS_PER_YEAR)
    return {
        "net_profit": money(final - initial),
        "total_return": (final - initial) / initial,
        "cagr": growth,
        "volatility": None if deviation is None else deviation * year,
        "sharpe": _ratio(mean * year, deviation),
        "sortino": _ratio(mean * year, downside),
        "calmar": None if growth is None else _ratio(growth, drawdown),
        "max_drawdown": drawdown,
        "max_drawdown_money": money(drawdown_money),
        "max_drawdown_duration_s": underwater_longest_ns(ts_ns, equity, initial) / 1e9,
        "recovery_factor": (final - initial) / drawdown_money if drawdown_money else None,
        "best_day": float(returns.max()) if len(returns) else None,
        "worst_day": float(returns.min()) if len(returns) else None,
        "days": span_ns / DAY_NS,
    }


def annual_growth(initial: int, final: int, span_ns: int) -> float | None:
    """Return the compound growth per year of 365 days; None where it has no finite value."""
    if span_ns <= 0 or final < 0:
        return None
    if final == 0:
        return -1.0
    exponent = DAYS_PER_YEAR * DAY_NS / span_ns * math.log(final / initial)
    return math.expm1(exponent) if exponent < 700.0 else None


def _drawdown_money(equity: Int64Array, initial: int) -> int:
    if not len(equity):
        return 0
    peak = np.maximum(np.maximum.accumulate(equity), initial)
    return int((peak - equity).max())


def _ratio(numerator: float, denominator: float | None) -> float | None:
    if denominator is None or denominator < RETURN_NOISE:
        return None
    return numerator / denominator


def trade_metrics(pnl: Int64Array) -> Metrics:
    """Return the statistics of closed trades from their net results, in order of closing."""
    wins, losses = pnl[pnl > 0], pnl[pnl < 0]
    count = len(pnl)
    won, lost = int(wins.sum()), -int(losses.sum())
    mean = int(pnl.sum()) / count if count else None
    deviation = float(np.std(pnl, ddof=1)) if count > 1 else 0.0
    quality = mean / deviation if mean is not None and deviation >= 0.5 else None
    average_loss = lost / len(losses) if len(losses) else None
    return {
        "trades": count,
        "win_rate": len(wins) / count if count else None,
        "profit_factor": won / lost if lost else None,
        "expectancy": mean / average_loss if mean is not None and average_loss else None,
        "avg_trade": _average_money(int(pnl.sum()), count),
        "avg_win": _average_money(won, len(wins)),
        "avg_loss": _average_money(-lost, len(losses)),
        "best_trade": money(int(pnl.max())) if count else None,
        "worst_trade": money(int(pnl.min())) if count else None,
        "win_streak": _longest_run(pnl > 0),
        "loss_streak": _longest_run(pnl < 0),
        "sqn": None if quality is None else quality * math.sqrt(count),
        "trades_needed": math.ceil(EDGE_FACTOR / quality**2) if quality and quality > 0 else None,
    }


def _average_money(total: int, count: int) -> float | None:
    return round(total / count / 1e8, 8) if count else None


def _longest_run(hits: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], hits.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def exposure_fraction(
    opened_ns: Int64Array, closed_ns: Int64Array, start_ns: int, end_ns: int
) -> float | None:
    """Return the share of the time from start to end in which any interval was open."""
    if end_ns <= start_ns:
        return None
    order = np.argsort(opened_ns, kind="stable")
    begin = np.clip(opened_ns[order], start_ns, end_ns)
    until = np.maximum.accumulate(np.clip(closed_ns[order], start_ns, end_ns))
    covered = np.concatenate(([start_ns], until[:-1])) if len(until) else until
    held = np.maximum(0, until - np.maximum(begin, covered))
    return int(held.sum()) / (end_ns - start_ns)


def is_small_sample(found: Metrics) -> bool:
    """Whether annualised figures of these metrics may not be shown without a warning."""
    return (found["trades"] or 0) < SAMPLE_MIN or (found["days"] or 0) < SAMPLE_MIN
