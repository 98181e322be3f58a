"""Seeded bars and quotes for the benchmarks: the same bytes from the same seed."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Records: TypeAlias = npt.NDArray[Any]
"""A structured array of one of the layouts below."""

TICK_SIZE = 0.01
LOT_SIZE = 0.001
MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_000_000_000_000 // MINUTE_NS * MINUTE_NS

BAR_TICKS_DTYPE = np.dtype(
    [
        ("ts_event_ns", "<i8"),
        ("open_ticks", "<i8"),
        ("high_ticks", "<i8"),
        ("low_ticks", "<i8"),
        ("close_ticks", "<i8"),
        ("volume_lots", "<i8"),
    ]
)
"""One bar, 48 bytes; `ts_event_ns` is its close."""

BAR_PRICES_DTYPE = np.dtype(
    [
        ("ts_event_ns", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
    ]
)
"""The same bar with prices and volume as floats, for engines that work so; 48 bytes."""

QUOTE_TICKS_DTYPE = np.dtype(
    [
        ("ts_event_ns", "<i8"),
        ("bid_ticks", "<i8"),
        ("ask_ticks", "<i8"),
        ("bid_lots", "<i8"),
        ("ask_lots", "<i8"),
    ]
)


def ema_bars(n: int, seed: int = 1) -> Records:
    """Return `n` one-minute bars of a driftless walk around 1000.00, as BAR_TICKS_DTYPE.

    The walk is in logarithms (0.05 % a minute), so a price is never zero; an open differs from
    the close before it by up to two ticks.
    """
    rng = np.random.default_rng(seed)
    close = np.rint(100_000 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, n)))).astype(np.int64)
    bars = np.empty(n, BAR_TICKS_DTYPE)
    bars["ts_event_ns"] = START_NS + MINUTE_NS * np.arange(1, n + 1)
    bars["close_ticks"] = close
    bars["open_ticks"] = np.concatenate(([100_000], close[:-1])) + rng.integers(-2, 3, n)
    top = np.maximum(bars["open_ticks"], close)
    bottom = np.minimum(bars["open_ticks"], close)
    bars["high_ticks"] = top + rng.integers(0, 40, n)
    bars["low_ticks"] = np.maximum(bottom - rng.integers(0, 40, n), 1)
    bars["volume_lots"] = rng.integers(1_000, 1_000_000, n)
    return bars


def bar_prices(bars: Records) -> Records:
    """The bars with float prices (ticks / 100, correctly rounded) as BAR_PRICES_DTYPE."""
    out = np.empty(len(bars), BAR_PRICES_DTYPE)
    out["ts_event_ns"] = bars["ts_event_ns"]
    for name in ("open", "high", "low", "close"):
        out[name] = bars[f"{name}_ticks"] / 100
    out["volume"] = bars["volume_lots"] / 1000
    return out


def bar_ticks(prices: Records) -> Records:
    """The inverse of `bar_prices`."""
    out = np.empty(len(prices), BAR_TICKS_DTYPE)
    out["ts_event_ns"] = prices["ts_event_ns"]
    for name in ("open", "high", "low", "close"):
        out[f"{name}_ticks"] = np.rint(prices[name] * 100)
    out["volume_lots"] = np.rint(prices["volume"] * 1000)
    return out


def bar_events(bars: Records, instrument: int = 0) -> Records:
    """The bars as market data events of the core (BAR_DTYPE, 64 bytes each)."""
    from mmats._core.frames import BAR_DTYPE
    from mmats._core.types import EventKind

    out = np.zeros(len(bars), BAR_DTYPE)
    for name in BAR_TICKS_DTYPE.names or ():
        out[name] = bars[name]
    out["ts_recv_ns"] = bars["ts_event_ns"]
    out["kind"] = EventKind.EVENT_BAR
    out["instrument"] = instrument
    return out


def quotes(n: int, seed: int = 2) -> Records:
    """Return `n` best bid and ask quotes, some 200 ms apart, as QUOTE_TICKS_DTYPE."""
    rng = np.random.default_rng(seed)
    mid_x2 = 200_000 + np.cumsum(rng.integers(-1, 2, n))
    spread = rng.integers(1, 5, n)
    out = np.empty(n, QUOTE_TICKS_DTYPE)
    out["ts_event_ns"] = START_NS + np.cumsum(rng.integers(1, 400_000_000, n))
    out["bid_ticks"] = np.maximum((mid_x2 - spread) // 2, 1)
    out["ask_ticks"] = out["bid_ticks"] + spread
    out["bid_lots"] = rng.integers(1, 10_000, n)
    out["ask_lots"] = rng.integers(1, 10_000, n)
    return out
