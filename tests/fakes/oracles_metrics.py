"""Slow and obvious statistics, in plain loops, to judge `mmats.backtest.metrics` by."""

import statistics
from collections.abc import Sequence
from fractions import Fraction

DAY_NS = 86_400 * 10**9


def max_drawdown(equity: Sequence[int], initial: int) -> Fraction:
    """Largest fall between any two points in order, as a fraction of the earlier; O(n^2)."""
    values = [initial, *equity]
    return max(
        Fraction(values[i] - values[j], values[i])
        for i in range(len(values))
        for j in range(i, len(values))
        if values[i] == max(values[: i + 1])
    )


def underwater_longest_ns(times: Sequence[int], equity: Sequence[int], initial: int) -> int:
    """Longest time between two points with everything between them lower than the first."""
    if not times:
        return 0
    times, values = [times[0], *times], [initial, *equity]
    longest = 0
    for i in range(len(values)):
        if values[i] < max(values[: i + 1]):
            continue
        j = i + 1
        while j < len(values) and values[j] < values[i]:
            j += 1
        if j > i + 1:
            longest = max(longest, times[min(j, len(values) - 1)] - times[i])
    return longest


def daily_returns(times: Sequence[int], equity: Sequence[int], initial: int) -> list[float]:
    """Walk day by day with the last known equity; midnight belongs to the day before."""
    if not times:
        return []
    day, returns, previous = times[0] // DAY_NS, [], initial
    while True:
        close = (day + 1) * DAY_NS
        known = [value for time, value in zip(times, equity, strict=True) if time <= close]
        value = known[-1] if known else initial
        returns.append(value / previous - 1)
        previous, day = value, day + 1
        if day * DAY_NS >= times[-1]:
            return returns


def sharpe(returns: Sequence[float]) -> float:
    """Mean over sample deviation, per year of 365 days."""
    return statistics.fmean(returns) / statistics.stdev(returns) * 365**0.5


def sortino(returns: Sequence[float]) -> float:
    """Mean over root mean square of the losses, per year of 365 days."""
    downside = statistics.fmean([min(r, 0.0) ** 2 for r in returns]) ** 0.5
    return statistics.fmean(returns) / downside * 365**0.5


def exposure(intervals: Sequence[tuple[int, int]], start: int, end: int) -> Fraction:
    """Count the unit steps of time that any interval covers."""
    held = sum(1 for t in range(start, end) if any(a <= t < b for a, b in intervals))
    return Fraction(held, end - start)


def longest_run(hits: Sequence[bool]) -> int:
    """Longest run of True."""
    best = now = 0
    for hit in hits:
        now = now + 1 if hit else 0
        best = max(best, now)
    return best
