"""Names, warm-up, snapshots, accuracy and repeatability of the indicator set."""

from collections.abc import Callable

import numpy as np
import pytest

from mmats._core.frames import BAR_DTYPE
from mmats._core.indicators import IndicatorError, IndicatorSet
from tests.fakes import oracles_indicators as oracle

MINUTE_NS = 60 * 10**9
Floats = np.ndarray

EVERY = [
    "sma:20", "ema:10", "ewma:10", "wma:10", "rsi:14", "atr:14", "bbands:20:2", "macd:12:26:9",
    "vwap", "vwap:20", "donchian:20", "stddev:20", "zscore:20", "roc:10", "mom:10", "adx:14",
    "dmi:14", "stoch:14:3:3", "willr:14", "cci:20", "obv", "mfi:14", "highest:20", "lowest:20",
    "true_range", "keltner:20:2",
]  # fmt: skip


def make_bars(count: int, scale: float = 100.0, seed: int = 1) -> tuple[Floats, Floats]:
    """Return (bars (n, 5), close times) with bursts of price and volume and a flat stretch."""
    rng = np.random.default_rng(seed)
    close = scale * np.exp(
        np.cumsum(rng.normal(0, 1e-3, count) * (1 + 50 * (rng.random(count) < 0.01)))
    )
    open_ = np.concatenate([[close[0]], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.random(count) * 1e-3)
    low = np.minimum(open_, close) * (1 - rng.random(count) * 1e-3)
    volume = np.floor(rng.lognormal(3, 2, count)) * (rng.random(count) < 0.9)
    bars = np.stack([open_, high, low, close, volume], axis=1)
    bars[count // 2 : count // 2 + 60, :4] = close[count // 2]
    bars[count // 2 : count // 2 + 60, 4] = 0
    ts = 1_700_000_000 * 10**9 + MINUTE_NS * np.arange(1, count + 1)
    return bars, ts


ORACLES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "sma:20": lambda bars, ts: oracle.sma(bars, 20),
    "wma:1": lambda bars, ts: oracle.wma(bars, 1),
    "wma:30": lambda bars, ts: oracle.wma(bars, 30),
    "ewma:10": lambda bars, ts: oracle.ewma(bars, 10),
    "stddev:20": lambda bars, ts: oracle.stddev(bars, 20),
    "zscore:20": lambda bars, ts: oracle.zscore(bars, 20),
    "bbands:20:2.5": lambda bars, ts: oracle.bbands(bars, 20, 2.5),
    "vwap": oracle.vwap_of_day,
    "vwap:20": lambda bars, ts: oracle.vwap(bars, 20),
    "keltner:20:1.5": lambda bars, ts: oracle.keltner(bars, 20, 1.5),
}


@pytest.mark.parametrize("scale", [60_000.0, 1.05, 1e-5])
@pytest.mark.parametrize("spec", ORACLES)
def test_equals_the_oracle(spec: str, scale: float) -> None:
    bars, ts = make_bars(4000, scale)
    got = IndicatorSet([spec]).compute(bars, ts)
    wanted = ORACLES[spec](bars, ts).reshape(got.shape)
    unit = 1.0 if spec.startswith("zscore") else scale
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-13 * unit)


def test_a_window_after_a_burst_is_as_exact_as_any_other() -> None:
    """Sums of squared prices would leave an error of about 1e-6 of the deviation here."""
    bars, ts = make_bars(400)
    bars[:, 3] = 60_000 + 1e-3 * np.sin(np.arange(400))
    bars[150, 3] = 6e9
    got = IndicatorSet(["stddev:20", "sma:20", "wma:20"]).compute(bars, ts)
    np.testing.assert_allclose(got[:, 0], oracle.stddev(bars, 20), rtol=1e-9)
    # A plain running sum would keep an error of about 1e-6 for good.
    settled = slice(200, None)
    np.testing.assert_allclose(got[settled, 1], oracle.sma(bars, 20)[settled], rtol=1e-14)
    np.testing.assert_allclose(got[settled, 2], oracle.wma(bars, 20)[settled], rtol=1e-14)


def test_a_bar_that_closes_at_midnight_belongs_to_the_day_that_ends() -> None:
    midnight_ns = 20_000 * oracle.DAY_NS
    indicators = IndicatorSet(["vwap"])
    seen = []
    for price, ts_ns in ((10.0, midnight_ns - 1), (20.0, midnight_ns), (40.0, midnight_ns + 1)):
        indicators.update_bar(price, price, price, price, 1.0, ts_ns)
        seen.append(indicators.value("vwap"))
    assert seen == [10.0, 15.0, 40.0]


def test_a_window_of_one_bar_is_that_bar() -> None:
    bars, ts = make_bars(300)
    _, high, low, close, _ = bars.T
    wanted = {
        "sma:1": close, "ema:1": close, "ewma:1": close, "wma:1": close, "highest:1": high,
        "lowest:1": low, "stddev:1": 0 * close, "vwap:1": oracle.vwap(bars, 1),
    }  # fmt: skip
    out = IndicatorSet(list(wanted)).compute(bars, ts)
    for k, (spec, column) in enumerate(wanted.items()):
        np.testing.assert_allclose(out[:, k], column, rtol=1e-15, err_msg=spec)


def test_a_flat_window_has_no_deviation_at_all() -> None:
    bars, ts = make_bars(400)
    bars[200:, 3] = 0.1 + 0.2
    out = IndicatorSet(["stddev:20", "zscore:20", "bbands:20:2"]).compute(bars, ts)[230:]
    assert (out[:, :2] == 0).all()
    assert (out[:, 2] == out[:, 4]).all()


def test_a_million_bars_do_not_drift() -> None:
    count, tail = 1_000_000, 400
    bars, ts = make_bars(count, 60_000.0)
    specs = ["sma:20", "wma:30", "stddev:20", "zscore:20", "vwap:20"]
    got = IndicatorSet(specs).compute(bars, ts)[-tail:]
    end = bars[-tail - 50 :]
    for k, spec in enumerate(specs):
        wanted = ORACLES[spec](end, ts)[-tail:]
        np.testing.assert_allclose(got[:, k], wanted, rtol=1e-9, atol=1e-11, err_msg=spec)


def test_warm_up_is_the_first_bar_with_every_number() -> None:
    bars, ts = make_bars(200)
    for spec in EVERY:
        indicators = IndicatorSet([spec])
        complete = np.asarray(~np.isnan(indicators.compute(bars, ts)).any(axis=1))
        assert complete[indicators.warm_up - 1 :].all(), spec
        assert not complete[: indicators.warm_up - 1].any(), spec
    assert IndicatorSet(EVERY).warm_up == 34


def test_together_each_gives_the_same_bits_as_alone() -> None:
    bars, ts = make_bars(1500)
    together = IndicatorSet(EVERY)
    out = together.compute(bars, ts)
    for spec in EVERY:
        alone = IndicatorSet([spec])
        wanted = alone.compute(bars, ts)
        columns = [together.slots[name] for name in alone.names]
        np.testing.assert_array_equal(out[:, columns], wanted)


def test_bar_by_bar_gives_the_same_bits_as_a_batch() -> None:
    bars, ts = make_bars(300)
    batch = IndicatorSet(EVERY).compute(bars, ts)
    single = IndicatorSet(EVERY)
    for k in range(len(bars)):
        open_, high, low, close, volume = bars[k].tolist()
        single.update_bar(open_, high, low, close, volume, int(ts[k]))
        np.testing.assert_array_equal([single.value(name) for name in single.names], batch[k])
    assert single.bar_count == 300


def test_records_are_scaled_to_prices() -> None:
    bars, ts = make_bars(100)
    records = np.zeros(100, dtype=BAR_DTYPE)
    records["ts_event_ns"] = ts
    ticks = np.round(bars * 100)
    for column, field in enumerate(("open", "high", "low", "close")):
        records[f"{field}_ticks"] = ticks[:, column]
    records["volume_lots"] = bars[:, 4]
    scaled = np.column_stack([ticks[:, :4] * 0.01, bars[:, 4] * 0.5])
    np.testing.assert_array_equal(
        IndicatorSet(EVERY).compute(records, tick_size=0.01, lot_size=0.5),
        IndicatorSet(EVERY).compute(scaled, ts),
    )


@pytest.mark.parametrize("cut", [0, 1, 25, 777])
def test_a_restored_set_continues_with_the_same_bits(cut: int) -> None:
    bars, ts = make_bars(1000)
    first = IndicatorSet(EVERY)
    first.compute(bars[:cut], ts[:cut])
    snapshot = first.state_bytes()
    assert snapshot == first.state_bytes()
    second = IndicatorSet(EVERY)
    second.compute(bars[500:], ts[500:])
    second.restore(snapshot)
    assert second.bar_count == cut
    np.testing.assert_array_equal(
        second.compute(bars[cut:], ts[cut:]), first.compute(bars[cut:], ts[cut:])
    )
    assert second.state_bytes() == first.state_bytes()


def test_a_bad_snapshot_is_refused_and_changes_nothing() -> None:
    bars, ts = make_bars(100)
    indicators = IndicatorSet(["ema:10", "sma:20"])
    indicators.compute(bars, ts)
    snapshot = indicators.state_bytes()
    damaged = bytearray(snapshot)
    damaged[-5] ^= 1
    other = IndicatorSet(["sma:20", "ema:10"]).state_bytes()
    for bad in (b"", snapshot[:-1], bytes(damaged), other, b"XXXX" + snapshot[4:]):
        with pytest.raises(ValueError, match="indicator snapshot"):
            indicators.restore(bad)
    assert indicators.state_bytes() == snapshot


def test_reset_returns_to_the_first_bar() -> None:
    bars, ts = make_bars(300)
    indicators = IndicatorSet(EVERY)
    fresh = indicators.state_bytes()
    first = indicators.compute(bars, ts)
    indicators.reset()
    assert indicators.state_bytes() == fresh
    assert np.isnan(indicators.value("ewma:10"))
    np.testing.assert_array_equal(indicators.compute(bars, ts), first)


def test_names_and_slots() -> None:
    indicators = IndicatorSet(["ema:10", "macd:12:26:9", "ema:10", "bbands:20:2"])
    assert indicators.specs == ("ema:10", "macd:12:26:9", "bbands:20:2")
    assert indicators.names == (
        "ema:10", "macd:12:26:9", "macd:12:26:9.signal", "macd:12:26:9.hist",
        "bbands:20:2.upper", "bbands:20:2.middle", "bbands:20:2.lower",
    )  # fmt: skip
    assert list(indicators.slots.values()) == list(range(7))
    assert indicators.output_count == 7


def test_an_empty_set_is_allowed() -> None:
    indicators = IndicatorSet([])
    bars, ts = make_bars(5)
    assert indicators.compute(bars, ts).shape == (5, 0)
    assert (indicators.warm_up, indicators.names) == (0, ())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("smaa:20", "Did you mean 'sma:PERIOD'"),
        ("SMA:20", "Did you mean 'sma:PERIOD'"),
        ("qqq", "Existing: vwap, sma:PERIOD, ema:PERIOD"),
        ("", "unknown indicator"),
        ("sma", "write it as 'sma:PERIOD'"),
        ("sma:20:3", "write it as 'sma:PERIOD'"),
        ("bbands:20", "write it as 'bbands:PERIOD:MULTIPLIER'"),
        ("obv:3", "write it as 'obv'"),
        ("sma:x", "not a whole number"),
        ("sma:1.5", "not a whole number"),
        ("sma:0", "from 1 to"),
        ("sma:-3", "from 1 to"),
        ("rsi:1", "from 2 to"),
        ("sma:100001", "to 100000"),
        ("sma:020", "write period as 20"),
        ("bbands:20:2.0", "write multiplier as 2, not 2.0"),
        ("bbands:20:nan", "multiplier nan must be"),
        ("bbands:20:0", "above 0"),
        ("macd:26:12:9", "fast must be shorter"),
    ],
)
def test_a_bad_spec_is_refused_with_what_to_write(spec: str, message: str) -> None:
    with pytest.raises(IndicatorError, match=message):
        IndicatorSet([spec])


def test_too_many_or_not_a_list_is_refused() -> None:
    with pytest.raises(IndicatorError, match="at most 64"):
        IndicatorSet([f"sma:{n}" for n in range(1, 66)])
    with pytest.raises(IndicatorError, match="list of texts"):
        IndicatorSet("sma:20")
    with pytest.raises(IndicatorError, match="must be text"):
        IndicatorSet([20])  # type: ignore[list-item]


def test_an_absent_output_is_refused() -> None:
    with pytest.raises(IndicatorError, match=r"Did you mean 'bbands:20:2\.upper'"):
        IndicatorSet(["bbands:20:2"]).value("bbands:20:2.uper")


def test_bars_that_are_not_numbers_are_refused() -> None:
    indicators = IndicatorSet(["sma:2"])
    bars, ts = make_bars(3)
    with pytest.raises(ValueError, match="not finite"):
        indicators.update_bar(1.0, 1.0, float("nan"), 1.0, 1.0, 0)
    bad = bars.copy()
    bad[1, 2] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        indicators.compute(bad, ts)
    with pytest.raises(ValueError, match="close times"):
        indicators.compute(bars)
    with pytest.raises(ValueError, match=r"must be \(n, 5\)"):
        indicators.compute(bars[:, :4], ts)
    with pytest.raises(ValueError, match=r"must be \(n, 5\)"):
        indicators.compute(bars, ts[:2])
    assert indicators.bar_count == 0
