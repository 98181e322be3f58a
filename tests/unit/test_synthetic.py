"""Made-up bars: repeatable, well formed, in session, and marked as made up."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from adapters.feeds.calendars import in_forex_week
from adapters.feeds.catalog import Catalog
from adapters.feeds.feed import SyntheticFeed
from adapters.feeds.synthetic import SPECS, SyntheticSpec, synthetic_bars, synthetic_tables
from mmats._core import EventFlag
from mmats.config import builtin_instruments
from mmats.model.errors import DataError
from mmats.ports.feed import FeedOptions

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000  # 2024-01-01
MARCH_NS = 1_709_251_200_000_000_000  # 2024-03-01: New York changes its clocks on the 10th
BTC, EUR = SPECS
MONTH = 30 * 1440


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.symbol)
def test_seed_decides_everything(spec: SyntheticSpec) -> None:
    one, again, other = (synthetic_bars(spec, START_NS, 3000, seed) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.symbol)
@pytest.mark.parametrize("seed", range(5))
def test_bars_are_well_formed(spec: SyntheticSpec, seed: int) -> None:
    bars = synthetic_bars(spec, START_NS, MONTH, seed)
    opened, high, low, close = (bars[f"{n}_ticks"] for n in ("open", "high", "low", "close"))
    assert (low >= 1).all()
    assert (low <= np.minimum(opened, close)).all()
    assert (high >= np.maximum(opened, close)).all()
    assert (bars["volume_lots"] >= 1).all()
    assert (bars["ts_event_ns"] % MINUTE_NS == 0).all()
    assert (np.diff(bars["ts_event_ns"]) > 0).all()
    assert (bars["ts_recv_ns"] == bars["ts_event_ns"]).all()


def test_crypto_trades_around_the_clock_but_for_outages() -> None:
    bars = synthetic_bars(BTC, START_NS, 90 * 1440, 3)
    missing = 90 * 1440 - len(bars)
    assert 0 < missing < 90 * 1440 // 50
    assert (bars["flags"] == 0).all()


def test_forex_keeps_its_week_over_the_clock_change() -> None:
    bars = synthetic_bars(EUR, MARCH_NS, MONTH, 3)
    opens = bars["ts_event_ns"] - MINUTE_NS
    assert in_forex_week(opens).all()
    jumps = np.flatnonzero(np.diff(opens) > MINUTE_NS)
    edges = [
        (datetime.fromtimestamp(int(opens[k]) // 10**9, UTC).strftime("%a %H:%M"),
         datetime.fromtimestamp(int(opens[k + 1]) // 10**9, UTC).strftime("%a %H:%M"))
        for k in jumps
    ]  # fmt: skip
    # 17:00 in New York is 22:00 UTC in winter and 21:00 in summer.
    assert edges == [
        ("Fri 21:59", "Sun 22:00"), ("Fri 21:59", "Sun 21:00"),
        ("Fri 20:59", "Sun 21:00"), ("Fri 20:59", "Sun 21:00"),
    ]  # fmt: skip


def test_forex_spread_is_measured_and_widens_at_the_roll() -> None:
    bars = synthetic_bars(EUR, START_NS, MONTH, 3)
    assert (bars["flags"] == EventFlag.BAR_BID | EventFlag.BAR_SPREAD).all()
    assert 10 <= np.median(bars["spread_ticks"]) <= 14
    hour = (bars["ts_event_ns"] - MINUTE_NS) // (60 * MINUTE_NS) % 24
    assert np.median(bars["spread_ticks"][hour == 22]) > 1.5 * np.median(bars["spread_ticks"])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.symbol)
def test_volatility_clusters(spec: SyntheticSpec) -> None:
    moves = np.abs(np.diff(np.log(synthetic_bars(spec, START_NS, 3 * MONTH, 5)["close_ticks"])))
    assert np.corrcoef(moves[:-1], moves[1:])[0, 1] > 0.1
    assert 0.5 < moves.std() / spec.volatility_minute < 2


def test_tables_are_marked_and_round_trip(tmp_path: Path) -> None:
    tables = synthetic_tables(7, 3, START_NS)
    catalog = Catalog(tmp_path)
    for table, spec in zip(tables, SPECS, strict=True):
        catalog.write(table)
        bars = catalog.load(builtin_instruments()[spec.symbol], table.kind, MINUTE_NS)
        assert bars.tobytes() == synthetic_bars(spec, START_NS, 3 * 1440, 7).tobytes()
    for found in catalog.ranges():
        assert (found.metadata["source"], found.metadata["seed"]) == ("synthetic", 7)


def test_feed_gives_the_same_bars_in_batches() -> None:
    instrument = builtin_instruments()[BTC.symbol]
    feed = SyntheticFeed(FeedOptions(seed=4, days=60, start_ns=START_NS))
    whole = synthetic_bars(BTC, START_NS, 60 * 1440, 4)
    batches = list(feed.events(instrument, None, None))
    assert len(batches) > 1
    assert np.concatenate(batches).tobytes() == whole.tobytes()
    cut = START_NS + 100 * MINUTE_NS
    (early,) = feed.events(instrument, None, cut)
    assert early["ts_event_ns"].max() == cut
    described = feed.describe(instrument, None, None)
    assert (described["seed"], described["synthetic"]) == (4, True)


@pytest.mark.parametrize(
    ("start_ns", "minutes"), [(START_NS + 1, 10), (START_NS, 0), (START_NS, 10**8)]
)
def test_nonsense_is_refused(start_ns: int, minutes: int) -> None:
    with pytest.raises(DataError):
        synthetic_bars(BTC, start_ns, minutes, 1)


def test_unknown_symbol_and_closed_market() -> None:
    with pytest.raises(DataError, match=r"known: BTCUSDT\.BINANCE, EURUSD\.OANDA"):
        synthetic_tables(1, 1, START_NS, ["GBPUSD.OANDA"])
    saturday_ns = 1_704_499_200_000_000_000
    with pytest.raises(DataError, match="does not trade"):
        synthetic_bars(EUR, saturday_ns, 60, 1)
    with pytest.raises(DataError, match="one-minute bars"):
        SyntheticFeed(FeedOptions(kind="trade"))
