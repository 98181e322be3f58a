"""The main job on recorded data: crypto and forex of two months on one small euro account."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from adapters.feeds.catalog import Catalog
from mmats.backtest import Report, run
from mmats.cli.main import main
from mmats.config import load_config
from mmats.plugins import forget_plugins
from mmats.ports.data_format import DataKind
from tests.fakes.installed import install_entry_points
from tests.shared_data import ROOT, shared_data

EXAMPLE = ROOT / "examples/real-2023.toml"
MINUTE_NS = 60 * 10**9
FOREX_MINUTES = 52_636


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        install_entry_points(tmp_path_factory.mktemp("site"), patch)
        yield
    forget_plugins()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example configuration next to a catalog with the imported data, as its comment says."""
    folder = tmp_path_factory.mktemp("real")
    shutil.copy(EXAMPLE, folder)
    for source, *options in (
        (shared_data("binance-vision-spot-m1", "BTCUSDT"), "--format", "binance-klines",
         "--symbol", "BTCUSDT.BINANCE"),
        (shared_data("eurusd-mt5-2023-2024", "EURUSD_M1_2023.csv.gz"), "--format", "mt5",
         "--zone", "NY+7", "--stamp", "open", "--symbol", "EURUSD.OANDA"),
    ):  # fmt: skip
        arguments = ["data", "import", str(source), *options, "--catalog", str(folder / "catalog")]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return run(folder / EXAMPLE.name)


def times(folder: Path, symbol: str) -> Any:
    tables = Catalog(folder / "catalog").tables(symbol, DataKind.BAR, MINUTE_NS)
    return np.concatenate([table.columns["ts_event_ns"] for table in tables])


def test_both_markets_share_every_forex_minute(folder: Path) -> None:
    crypto, forex = times(folder, "BTCUSDT.BINANCE"), times(folder, "EURUSD.OANDA")
    assert len(crypto) == 61 * 1440
    assert len(forex) == FOREX_MINUTES
    assert len(np.intersect1d(crypto, forex)) == FOREX_MINUTES


def test_every_bar_of_both_markets_is_replayed(report: Report) -> None:
    assert report.result.run["events"] == 53 * 1440 + FOREX_MINUTES
    assert report.result.strategy_errors == []
    assert report.result.run["start"] == "2023-11-07T00:01:00Z"
    assert report.result.run["end"] == "2023-12-30T00:00:00Z"


def test_all_strategies_trade_both_markets(report: Report) -> None:
    pairs = {(row.strategy, row.symbol) for row in report.trades.itertuples()}
    assert pairs == {
        ("trend", "BTCUSDT"), ("reversion", "EURUSD"), ("rotation", "BTCUSDT"),
        ("rotation", "EURUSD"),
    }  # fmt: skip
    assert len(report.trades) > 100


def test_sums_of_the_report_agree(report: Report) -> None:
    result = report.result
    facts = report.to_dict()
    counts = facts["orders"]
    ended = ("filled", "partially_filled", "canceled", "rejected", "expired", "open")
    assert counts["submitted"] == sum(counts[name] for name in ended)
    # Every signal leaves as an order or is denied; protective orders come on top.
    entries = int((report.orders["role"] == "ENTRY").sum())
    assert counts["signals"] == entries + counts["denied"]
    assert sum(facts["denials"].values()) == counts["denied"]
    assert facts["account"]["initial"] == 150.0
    for group in ("by_strategy", "by_market", "by_symbol"):
        parts = sum(part["net_profit"] for part in facts[group].values())
        total = parts + facts["account"]["unallocated"]
        assert total == pytest.approx(facts["metrics"]["net_profit"], abs=1e-7)
    assert int(result.fills["fee"].sum()) == round(facts["costs"]["commission"] * 1e8)
    assert facts["costs"]["commission"] > 0
    assert facts["costs"]["spread"] > 0
    assert facts["costs"]["slippage"] > 0
    assert result.carry_units < 0  # both directions pay in the built-in table
    closed = report.trades[~report.trades["open"]]
    realized = int((result.fills["realized"] - result.fills["fee"]).sum())
    if len(closed) == len(report.trades):
        assert closed["pnl"].sum() == pytest.approx(realized / 1e8, abs=1e-6)


def test_fills_lie_inside_their_bar_or_cost_what_spread_and_slippage_say(
    report: Report, folder: Path
) -> None:
    """No fill is better than the best price of the minute in which it happened."""
    config = load_config(folder / EXAMPLE.name)
    catalog = Catalog(folder / "catalog")
    for index, instrument in enumerate(report.result.instruments):
        bars = catalog.load(config.instrument(instrument.id), DataKind.BAR, MINUTE_NS)
        fills = report.result.fills[report.result.fills["instrument"] == index]
        at = np.searchsorted(bars["ts_event_ns"], fills["ts_event_ns"], side="left")
        bought = fills["side"] > 0
        price = fills["price_ticks"]
        # A bid bar shows no ask: buyers pay at least the bid.
        assert (price[bought] >= bars["low_ticks"][at][bought]).all()
        spread = np.ceil(0.0003 * bars["high_ticks"][at]).astype(np.int64)
        assert (price[~bought] <= (bars["high_ticks"][at] + spread)[~bought]).all()


def test_the_same_run_twice_is_the_same_to_the_bit(report: Report, folder: Path) -> None:
    again = run(folder / EXAMPLE.name)
    assert again.result.state_hash == report.result.state_hash
    assert (again.result.records == report.result.records).all()
    first, second = report.to_dict(), again.to_dict()
    for facts in (first, second):
        del facts["run"]["wall_s"], facts["run"]["events_per_s"]
    assert first == second


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_hash_seeds_of_python_change_nothing(report: Report, folder: Path, seed: str) -> None:
    done = subprocess.run(
        [
            sys.executable, "-c", "from mmats.cli.main import main; main()",
            "backtest", EXAMPLE.name, "--json", "--quiet",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["state_hash"] == report.result.state_hash
    assert facts["run"]["config_hash"] == report.result.run["config_hash"]
    assert facts["run"]["data_hash"] == report.result.run["data_hash"]
    assert facts["metrics"]["net_profit"] == report.to_dict()["metrics"]["net_profit"]


def test_crypto_alone_against_exact_arithmetic(folder: Path) -> None:
    """Spot, fees in what is received, account in the quote currency: money in, money out."""
    facts = raw(folder)
    facts["account"] = {"currency": "USDT", "balances": ["1000 USDT"], "pegs": {}}
    facts["feeds"] = facts["feeds"][:1]
    facts["strategies"] = [facts["strategies"][0]]
    facts["risk"] = {}
    alone = run(load_config(facts, folder))
    assert len(alone.trades) >= 5
    result = alone.result
    tick, lot = (Fraction(value) for value in (
        result.instruments[0].tick_size, result.instruments[0].lot_size))  # fmt: skip
    bars = Catalog(folder / "catalog").load(result.instruments[0], DataKind.BAR, MINUTE_NS)
    close_ns = bars["ts_event_ns"]
    money, coins = Fraction(1000), Fraction(0)
    for fill in result.fills:
        price, quantity = int(fill["price_ticks"]) * tick, int(fill["lots"]) * lot
        if fill["side"] > 0:
            money -= price * quantity
            coins += quantity - ceil_units(quantity / 1000)
        else:
            money += price * quantity - ceil_units(price * quantity / 1000)
            coins -= quantity
    last = int(bars["close_ticks"][np.searchsorted(close_ns, result.end_ns, "right") - 1]) * tick
    final = Fraction(result.final_units, 10**8)
    assert 0 <= money + coins * last - final < Fraction(3, 10**8)  # valued and rounded down


def ceil_units(amount: Fraction) -> Fraction:
    """Round a fee up to 1e-8, as venues do."""
    return Fraction(-(-amount * 10**8 // 1), 10**8)


def test_forex_alone_against_exact_arithmetic(folder: Path) -> None:
    """Margin in the quote currency: the account changes by realised results and carry only."""
    facts = raw(folder)
    facts["account"] = {"currency": "USD", "balances": ["1000 USD"], "pegs": {}}
    facts["feeds"] = facts["feeds"][1:]
    facts["strategies"] = [facts["strategies"][1]]
    facts["risk"] = {"gross_exposure_max": "none"}
    alone = run(load_config(facts, folder))
    assert len(alone.trades) >= 50
    result = alone.result
    tick = Fraction(result.instruments[0].tick_size)
    flow, position = Fraction(0), 0
    for fill in result.fills:
        signed = int(fill["lots"]) * int(fill["side"])
        flow -= signed * int(fill["price_ticks"]) * tick
        position += signed
    assert Fraction(result.instruments[0].lot_size) == 1
    assert position == 0
    gained = Fraction(result.final_units - result.initial_units - result.carry_units, 10**8)
    assert flow == gained
    assert int(result.fills["fee"].sum()) == 0


def raw(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / EXAMPLE.name).read_text())
