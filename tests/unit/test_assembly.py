"""From a configuration to a wired pipeline: indices, terms and limits in the core's units."""

from typing import Any

import pytest

from mmats._core import MemoryJournal, RingJournal
from mmats.backtest import run
from mmats.config import Config, load_config
from mmats.engine.assembly import Assembly, Catalogue, assemble, feeds_by_instrument
from mmats.engine.simulation import cost_model, simulated_venue
from mmats.model.errors import ConfigError, StrategyError
from tests.fakes.backtests import OTHER, SYMBOL, Script, bars, config, instrument
from tests.shared_data import ROOT


def wired(setup: dict[str, Any], *scripts: Script, journal: Any = None) -> Assembly:
    loaded = load_config(setup)
    chosen = list(zip(loaded.strategies, scripts or (Script(),), strict=False))
    return assemble(
        loaded,
        chosen,
        lambda catalogue, ledger, count: simulated_venue(loaded, catalogue, ledger, count),
        journal,
    )


def real() -> Config:
    return load_config(ROOT / "examples/real-2023.toml")


def test_the_account_currency_comes_first_and_names_are_dense():
    catalogue = Catalogue.of(real())
    assert catalogue.currencies[0] == "EUR"
    assert set(catalogue.currencies) == {"EUR", "USDT", "BTC", "USD"}
    assert [i.id for i in catalogue.instruments] == ["BTCUSDT.BINANCE", "EURUSD.OANDA"]
    assert catalogue.markets == ("crypto", "forex")
    assert catalogue.intervals_ns == (60 * 10**9, 60 * 10**9)
    assert [catalogue.index(i) for i in catalogue.instruments] == [0, 1]


def test_a_short_name_is_given_where_it_is_unique():
    catalogue = Catalogue.of(real())
    assert catalogue.names(catalogue.instruments[0]) == ("BTCUSDT", "BTCUSDT.BINANCE")
    setup = config()
    setup["instruments"] += [instrument(venue="SIN")]
    setup["feeds"] += [{"symbol": f"{SYMBOL}.SIN", "source": "memory"}]
    setup["strategies"][0]["symbols"] = [f"{SYMBOL}.SIM"]
    both = Catalogue.of(load_config(setup))
    assert [both.names(i) for i in both.instruments] == [(f"{SYMBOL}.SIM",), (f"{SYMBOL}.SIN",)]


def test_terms_of_a_spot_and_a_margin_market():
    """One tick of 0.01 times one lot of 0.00001 is 1e-7 USDT, ten of the core's money units."""
    catalogue = Catalogue.of(real())
    spot, margin = catalogue.terms(0), catalogue.terms(1)
    assert (spot["money_num"], spot["money_den"]) == (10, 1)
    assert spot["lot_units"] == 1000
    assert spot["notional_min"] == 5 * 10**8
    assert spot["margin_ppm"] == 0
    assert (margin["money_num"], margin["money_den"], margin["lot_units"]) == (1000, 1, 10**8)
    assert margin["margin_ppm"] == 33_334  # 1/30, rounded up
    assert (spot["bar_flags"], margin["bar_flags"]) == (0, 1)
    assert spot["settlement"] != margin["settlement"]


def test_feeds_keep_their_order():
    loaded = real()
    pairs = feeds_by_instrument(loaded, Catalogue.of(loaded))
    assert [(index, feed.symbol) for index, feed in pairs] == [
        (0, "BTCUSDT.BINANCE"), (1, "EURUSD.OANDA"),
    ]  # fmt: skip


def test_costs_in_core_units():
    setup = config()
    setup["costs"] |= {
        "maker": "-0.01%", "taker": "0.1%", "fixed": "0.35 quote", "per_unit": "0.005 quote",
        "minimum": "1 quote", "fee_asset": "BNB", "spread": "3 ticks", "slippage": "0.02%",
        "volume_share": "10%", "swap_long": "-2%/year", "swap_short": "1%/year",
    }  # fmt: skip
    setup["account"] |= {"balances": ["10000 BBB", "1 BNB"], "pegs": {"BNB": "BBB"}}
    loaded = load_config(setup)
    catalogue = Catalogue.of(loaded)
    model = cost_model(loaded.costs_of("SIM"), catalogue, catalogue.instruments[0])
    assert (model["maker_ppm"], model["taker_ppm"]) == (-100, 1000)
    assert (model["fee_fixed"], model["fee_per_lot"], model["fee_min"]) == (35 * 10**6, 500, 10**8)
    assert catalogue.currencies[model["fee_currency"]] == "BNB"
    assert (model["spread_ticks"], model["spread_ppm"]) == (3, 0)
    assert model["slippage_value"] == 200
    assert model["volume_share_ppm"] == 100_000
    assert (model["swap_long_ppm_year"], model["swap_short_ppm_year"]) == (-20_000, 10_000)


def test_deposits_reach_the_ledger():
    setup = config()
    setup["account"]["balances"] = ["10000 BBB", "0.5 AAA"]
    made = wired(setup)
    assert made.ledger.cash(made.catalogue.currency("BBB")) == 10_000 * 10**8
    assert made.ledger.cash(made.catalogue.currency("AAA")) == 5 * 10**7


def test_every_strategy_has_its_account_before_it_initializes():
    class Early(Script):
        def initialize(self, config):
            super().initialize(config)
            self.at_start = self.account.position(SYMBOL)

    early = Early()
    wired(config(), early)
    assert early.at_start == 0.0


def test_the_journal_is_the_callers_choice():
    mine = RingJournal(1024)
    assert wired(config(), journal=mine).journal is mine
    assert isinstance(wired(config()).journal, MemoryJournal)


def test_a_limit_in_another_currency_is_refused():
    setup = config()
    setup["risk"] = {"order_notional_max": "100 XYZ"}
    with pytest.raises(ConfigError, match="XYZ"):
        wired(setup)


def test_a_strategy_that_raises_in_initialize_is_named():
    class Broken(Script):
        def initialize(self, config):
            raise ValueError("no fast period")

    with pytest.raises(StrategyError) as caught:
        wired(config("first", "second"), Script(), Broken())
    assert caught.value.where == "strategies[second]"
    assert "ValueError: no fast period" in caught.value.message


def test_strategies_are_numbered_in_order_and_know_their_names():
    made = wired(config("a", "b", symbols=(SYMBOL, OTHER)), Script(), Script())
    assert [(slot.index, slot.name, slot.enabled) for slot in made.pipeline.strategies] == [
        (0, "a", True), (1, "b", True),
    ]  # fmt: skip
    assert made.pipeline.signal_counts == {"a": 0, "b": 0}


def test_indicators_of_a_strategy_object_are_added_to_those_declared():
    script = Script(None, lambda self, data: self.answers.update({99: tuple(data.indicators)}))
    script.indicators = ("sma:3",)
    run(config(table={"indicators": ["ema:2"]}), {SYMBOL: bars([1.0])},
        strategies={"script": script})  # fmt: skip
    assert script.answers[99] == ("ema:2", "sma:3")
