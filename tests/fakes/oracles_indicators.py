"""Indicators the obvious way: each value from its whole window."""

from typing import Any

import numpy as np
import pandas as pd

Floats = Any  # float64 arrays; numpy's own annotations are too loose to carry through
DAY_NS = 86_400 * 10**9


def rolling(values: Floats, period: int, function: Any) -> Floats:
    """Apply `function` to each full window; NaN before the first."""
    out = np.full(len(values), np.nan)
    if len(values) >= period:
        windows = np.lib.stride_tricks.sliding_window_view(values, period)
        out[period - 1 :] = function(windows, axis=-1)
    return out


def typical(bars: Floats) -> Floats:
    """Return (high + low + close) / 3."""
    return (bars[:, 1] + bars[:, 2] + bars[:, 3]) / 3


def sma(bars: Floats, period: int) -> Floats:
    return rolling(bars[:, 3], period, np.mean)


def wma(bars: Floats, period: int) -> Floats:
    weights = np.arange(1, period + 1) / (period * (period + 1) / 2)
    return rolling(bars[:, 3], period, lambda windows, axis: (windows * weights).sum(axis=axis))


def stddev(bars: Floats, period: int) -> Floats:
    # Deviations from the window's first close are exact or nearly so, unlike those from its mean.
    def deviation(windows: Floats, axis: int) -> Floats:
        return np.std(windows - windows[:, :1], axis=axis)

    return rolling(bars[:, 3], period, deviation)


def zscore(bars: Floats, period: int) -> Floats:
    def score(windows: Floats, axis: int) -> Floats:
        shifted = windows - windows[:, :1]
        width = np.std(shifted, axis=axis)
        distance = shifted[:, -1] - shifted.mean(axis=axis)
        return np.divide(distance, width, out=np.zeros_like(width), where=width > 0)

    return rolling(bars[:, 3], period, score)


def bbands(bars: Floats, period: int, factor: float) -> Floats:
    middle, width = sma(bars, period), factor * stddev(bars, period)
    return np.stack([middle + width, middle, middle - width], axis=1)


def ewma(bars: Floats, period: int) -> Floats:
    return pd.Series(bars[:, 3]).ewm(span=period, adjust=False).mean().to_numpy()


def vwap(bars: Floats, period: int) -> Floats:
    value = rolling(typical(bars) * bars[:, 4], period, np.sum)
    volume = rolling(bars[:, 4], period, np.sum)
    return np.divide(value, volume, out=typical(bars), where=volume != 0)


def vwap_of_day(bars: Floats, ts: Floats) -> Floats:
    out = np.empty(len(bars))
    value = volume = 0.0
    day = None
    for k, (price, lots, ts_ns) in enumerate(zip(typical(bars), bars[:, 4], ts, strict=True)):
        if (int(ts_ns) - 1) // DAY_NS != day:
            day, value, volume = (int(ts_ns) - 1) // DAY_NS, 0.0, 0.0
        value += price * lots
        volume += lots
        out[k] = value / volume if volume else price
    return out


def true_range(bars: Floats) -> Floats:
    high, low, before = bars[1:, 1], bars[1:, 2], bars[:-1, 3]
    widest = np.maximum(high - low, np.maximum(abs(high - before), abs(low - before)))
    return np.concatenate([[np.nan], widest])


def seeded_average(values: Floats, period: int, alpha: float) -> Floats:
    """Exponential average whose first value is the mean of the first `period` inputs."""
    out = np.full(len(values), np.nan)
    out[period - 1] = values[:period].mean()
    for k in range(period, len(values)):
        out[k] = out[k - 1] + alpha * (values[k] - out[k - 1])
    return out


def keltner(bars: Floats, period: int, factor: float) -> Floats:
    middle = seeded_average(bars[:, 3], period, 2 / (period + 1))
    width = np.full(len(bars), np.nan)
    width[1:] = factor * seeded_average(true_range(bars)[1:], period, 1 / period)
    middle = np.where(np.isnan(width), np.nan, middle)
    return np.stack([middle + width, middle, middle - width], axis=1)
