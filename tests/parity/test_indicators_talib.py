"""Every indicator that TA-Lib has equals TA-Lib, its lookback included."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from mmats._core.indicators import IndicatorSet

COUNT = 5000
TOLERANCE = 1e-9
SCALES = {"btc": 60_000.0, "eurusd": 1.05, "shib": 1e-5}
IN_PRICE_UNITS = {
    "sma",
    "ema",
    "wma",
    "atr",
    "macd",
    "donchian",
    "highest",
    "lowest",
    "mom",
    "true_range",
}
Floats = np.ndarray


def make_bars(scale: float, seed: int) -> tuple[Floats, Floats]:
    """Return (bars (n, 5), close times): a random walk with gaps, flat and silent stretches."""
    rng = np.random.default_rng(seed)
    step = np.where(rng.random(COUNT) < 0.01, 0.02, 0.001)
    close = scale * np.exp(np.cumsum(rng.normal(0.0, step)))
    open_ = np.concatenate([[close[0]], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.random(COUNT) * 1e-3)
    low = np.minimum(open_, close) * (1 - rng.random(COUNT) * 1e-3)
    volume = np.round(rng.lognormal(3.0, 2.0, COUNT) / scale, 3)
    for start, length in ((300, 40), (1000, 400), (2500, 25), (4000, 60)):
        for column in (open_, high, low, close):
            column[start : start + length] = close[start]
        volume[start + 5 : start + length] = 0.0
    ts = 1_700_000_000_000_000_000 + 60_000_000_000 * np.arange(1, COUNT + 1)
    return np.stack([open_, high, low, close, volume], axis=1), ts


CASES: dict[str, Callable[[Floats, Floats, Floats, Floats], object]] = {
    "sma:20": lambda h, lo, c, v: talib.SMA(c, 20),
    "sma:200": lambda h, lo, c, v: talib.SMA(c, 200),
    "ema:10": lambda h, lo, c, v: talib.EMA(c, 10),
    "ema:200": lambda h, lo, c, v: talib.EMA(c, 200),
    "wma:10": lambda h, lo, c, v: talib.WMA(c, 10),
    "rsi:14": lambda h, lo, c, v: talib.RSI(c, 14),
    "rsi:2": lambda h, lo, c, v: talib.RSI(c, 2),
    "atr:14": lambda h, lo, c, v: talib.ATR(h, lo, c, 14),
    "atr:1": lambda h, lo, c, v: talib.ATR(h, lo, c, 1),
    "macd:12:26:9": lambda h, lo, c, v: talib.MACD(c, 12, 26, 9),
    "macd:3:10:16": lambda h, lo, c, v: talib.MACD(c, 3, 10, 16),
    "donchian:20": lambda h, lo, c, v: (
        talib.MAX(h, 20),
        (talib.MAX(h, 20) + talib.MIN(lo, 20)) / 2,
        talib.MIN(lo, 20),
    ),
    "highest:20": lambda h, lo, c, v: talib.MAX(h, 20),
    "lowest:7": lambda h, lo, c, v: talib.MIN(lo, 7),
    "roc:10": lambda h, lo, c, v: talib.ROC(c, 10),
    "mom:10": lambda h, lo, c, v: talib.MOM(c, 10),
    "adx:14": lambda h, lo, c, v: talib.ADX(h, lo, c, 14),
    "adx:2": lambda h, lo, c, v: talib.ADX(h, lo, c, 2),
    "dmi:14": lambda h, lo, c, v: (talib.PLUS_DI(h, lo, c, 14), talib.MINUS_DI(h, lo, c, 14)),
    "stoch:14:3:3": lambda h, lo, c, v: talib.STOCH(
        h, lo, c, fastk_period=14, slowk_period=3, slowd_period=3
    ),
    "stoch:5:1:4": lambda h, lo, c, v: talib.STOCH(
        h, lo, c, fastk_period=5, slowk_period=1, slowd_period=4
    ),
    "willr:14": lambda h, lo, c, v: talib.WILLR(h, lo, c, 14),
    "cci:20": lambda h, lo, c, v: talib.CCI(h, lo, c, 20),
    "mfi:14": lambda h, lo, c, v: talib.MFI(h, lo, c, v, 14),
    "true_range": lambda h, lo, c, v: talib.TRANGE(h, lo, c),
}


def columns_of(spec: str, bars: Floats, ts: Floats) -> list[Floats]:
    out = IndicatorSet([spec]).compute(bars, ts)
    return [out[:, k] for k in range(out.shape[1])]


def expected_of(spec: str, bars: Floats) -> list[Floats]:
    wanted = CASES[spec](*(np.ascontiguousarray(bars[:, k]) for k in (1, 2, 3, 4)))
    return list(wanted) if isinstance(wanted, tuple) else [np.asarray(wanted)]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("spec", CASES)
def test_equals_talib(spec: str, scale: str) -> None:
    bars, ts = make_bars(SCALES[scale], seed=7)
    unit = min(1.0, SCALES[scale]) if spec.split(":")[0] in IN_PRICE_UNITS else 1.0
    wanted = expected_of(spec, bars)
    got = columns_of(spec, bars, ts)
    assert len(got) == len(wanted)
    for mine, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=TOLERANCE, atol=TOLERANCE * unit)


@pytest.mark.parametrize("scale", SCALES)
def test_warm_up_is_one_more_than_the_nans_of_talib(scale: str) -> None:
    bars, _ = make_bars(SCALES[scale], seed=8)
    for spec in CASES:
        last_nan = max(int(np.isnan(column).sum()) for column in expected_of(spec, bars))
        assert IndicatorSet([spec]).warm_up == last_nan + 1, spec


def test_obv_is_exact_for_whole_lots() -> None:
    bars, ts = make_bars(SCALES["btc"], seed=9)
    bars[:, 4] = np.round(bars[:, 4] * 1e6)
    wanted = talib.OBV(np.ascontiguousarray(bars[:, 3]), np.ascontiguousarray(bars[:, 4]))
    np.testing.assert_array_equal(columns_of("obv", bars, ts)[0], wanted)


@pytest.mark.parametrize("scale", SCALES)
def test_bands_and_deviation_equal_talib_where_its_squares_do_not_cancel(scale: str) -> None:
    """TA-Lib sums squared prices, so in nearly flat windows its deviation is rounding noise."""
    bars, ts = make_bars(SCALES[scale], seed=10)
    close = np.ascontiguousarray(bars[:, 3])
    mine = columns_of("stddev:20", bars, ts)[0]
    theirs = talib.STDDEV(close, 20)
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    moving = mine > 1e-4 * close
    assert moving.sum() > 4000
    np.testing.assert_allclose(mine[moving], theirs[moving], rtol=0, atol=TOLERANCE * SCALES[scale])
    bands = columns_of("bbands:20:2.5", bars, ts)
    for got, wanted in zip(bands, talib.BBANDS(close, 20, 2.5, 2.5), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_allclose(got[moving], wanted[moving], rtol=TOLERANCE)
