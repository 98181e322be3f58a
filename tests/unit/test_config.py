"""Configurations: strictness, units, cross checks, hash, effective values."""

import copy
from pathlib import Path
from typing import Any

import pytest

from mmats.config import load_config
from mmats.config.load import read_toml
from mmats.config.show import effective_values
from mmats.config.units import Limit
from mmats.model.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DAY_NS = 86_400 * 10**9


def minimal(**tables: Any) -> dict[str, Any]:
    config = {
        "feeds": [
            {"symbol": "BTCUSDT", "source": "memory"},
            {"symbol": "EURUSD.OANDA", "source": "memory"},
        ],
        "strategies": [{"name": "one", "source": "strategies.trend:Trend", "symbols": ["BTCUSDT"]}],
    }
    return copy.deepcopy(config) | tables


def strategy(**keys: Any) -> dict[str, Any]:
    return {"name": "one", "source": "a.py", "symbols": ["BTCUSDT"]} | keys


def deep(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    return str(caught.value)


def test_a_minimal_configuration_gets_safe_defaults():
    config = load_config(minimal())
    assert config.profile == "dev"
    assert str(config.risk.daily_loss_max) == "5%"
    assert str(config.risk.drawdown_max) == "20%"
    assert str(config.risk.gross_exposure_max) == "200%"
    assert [i.id for i in config.resolve_instruments()] == ["BTCUSDT.BINANCE", "EURUSD.OANDA"]


@pytest.mark.parametrize("name", ["config.example.toml", "mmats/config/demo.toml"])
def test_the_shipped_configurations_are_good(name):
    config = load_config(ROOT / name)
    assert all(feed.source == "synthetic" for feed in config.feeds)


@pytest.mark.parametrize(
    ("tables", "path", "hint"),
    [
        ({"rsk": {}}, "rsk", "did you mean risk?"),
        ({"account": {"currancy": "EUR"}}, "account.currancy", "did you mean currency?"),
        ({"risk": {"daily_los_max": "3%"}}, "risk.daily_los_max", "did you mean daily_loss_max?"),
        (
            {"risk": {"markets": {"crypto": {"exposure": "3%"}}}},
            "risk.markets.crypto.exposure",
            "did you mean exposure_max?",
        ),
        (
            {"risk": {"strategies": {"one": {"drawdown": "3%"}}}},
            "risk.strategies.one.drawdown",
            "did you mean drawdown_max?",
        ),
        (
            {"costs": {"venues": {"BINANCE": {"takr": "0.1%"}}}},
            "costs.venues.BINANCE.takr",
            "did you mean taker?",
        ),
        ({"fill": {"pth": "worst"}}, "fill.pth", "did you mean path?"),
        ({"backtest": {"sed": 1}}, "backtest.sed", "did you mean seed?"),
        ({"feeds": [{"symbol": "BTCUSDT", "knd": "bar"}]}, "feeds[BTCUSDT].knd", "kind?"),
        ({"strategies": [strategy(parms={})]}, "strategies[one].parms", "did you mean params?"),
        (
            {"instruments": [{"symbol": "BTCUSDT", "venue": "BINANCE", "ticksize": "1"}]},
            "instruments[BTCUSDT].ticksize",
            "did you mean tick_size?",
        ),
        ({"account": {"zzz": 1}}, "account.zzz", "known keys: currency"),
    ],
)
def test_an_unknown_key_is_refused_with_its_path_and_a_suggestion(tables, path, hint):
    text = refusal(minimal(**tables))
    assert f"{path}: unknown key" in text
    assert hint in text


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"risk": []}, "risk: expected a table"),
        ({"feeds": {}}, "feeds: expected a list"),
        ({"feeds": [1]}, "feeds[0]: expected a table"),
        ({"name": 1}, "name: expected text in quotes, found 1"),
        ({"fill": {"queue": 1}}, "fill.queue: expected true or false, found 1"),
        ({"backtest": {"seed": "1"}}, "backtest.seed: expected a whole number, found '1'"),
        ({"backtest": {"seed": True}}, "backtest.seed: expected a whole number, found True"),
        ({"backtest": {"seed": 1.5}}, "backtest.seed: expected a whole number, found 1.5"),
        ({"backtest": {"seed": -1}}, "backtest.seed: expected a whole number >= 0, found -1"),
        ({"profile": "liv"}, "profile: expected one of dev, paper, live, found 'liv' (did you"),
        ({"risk": {"daily_loss_max": 0.05}}, "risk.daily_loss_max: expected a share of equity"),
        ({"risk": {"daily_loss_max": "5"}}, 'such as "5%" or an amount such as "10 EUR"'),
        ({"risk": {"daily_loss_max": "-5%"}}, "risk.daily_loss_max: must not be negative"),
        ({"risk": {"daily_loss_max": "0.00001%"}}, "finer than 0.0001%"),
        ({"risk": {"order_notional_max": "5%"}}, 'an amount with its currency such as "50 EUR"'),
        ({"risk": {"order_notional_max": "5 USD"}}, "5 USD is not in the account currency"),
        ({"risk": {"markets": {"crypto": {"exposure_max": "5 USD"}}}}, "write the limit in EUR"),
        ({"risk": {"message_rate_max": "10"}}, 'expected a rate such as "10/s"'),
        ({"risk": {"open_orders_max": 0}}, "expected a whole number >= 1, found 0"),
        ({"risk": {"markets": {"crpto": {}}}}, "did you mean crypto?"),
        ({"risk": {"strategies": {"on": {}}}}, "did you mean one?"),
        ({"risk": {"symbols": {"BTCUSD": {}}}}, "did you mean BTCUSDT?"),
        ({"costs": {"venues": {"BINANC": {}}}}, "did you mean BINANCE?"),
        ({"costs": {"taker": 0.1}}, 'a percentage such as "0.1%"'),
        ({"costs": {"fixed": "1 EUR"}}, 'such as "0.35 quote"'),
        ({"costs": {"spread": "0.05 pips"}}, "is not a whole number of ticks"),
        ({"costs": {"slippage": "lots"}}, 'slippage such as "none"'),
        ({"costs": {"swap_long": "1%"}}, 'a yearly rate such as "-1.5%/year"'),
        ({"costs": {"fee_asset": "bnb"}}, "unknown fee asset 'bnb'"),
        ({"costs": {"fee_asset": "BNB"}}, "BNB can't be valued in EUR"),
        ({"fill": {"order_latency": 250}}, 'a duration such as "250ms"'),
        ({"fill": {"order_latency": "2 weeks"}}, 'a duration such as "250ms"'),
        ({"backtest": {"start": "2023-13-01"}}, "expected a UTC date"),
        ({"backtest": {"start": "2023-01-01T00:00:00"}}, "has no time zone"),
        ({"backtest": {"start": "2023-01-02", "end": "2023-01-02"}}, "is not after"),
        ({"account": {"balances": []}}, "account.balances: holds no money"),
        ({"account": {"balances": ["1 EUR", "2 EUR"]}}, "names a currency twice"),
        ({"account": {"currency": "eur"}}, "'eur' is no currency"),
        ({"account": {"balances": ["5 GBP"]}}, "GBP can't be valued in EUR"),
        ({"account": {"pegs": {}}}, "USDT can't be valued in EUR"),
        ({"feeds": [{"symbol": "BTCUSDT"}]}, "links them, such as EURUSD or EURUSDT"),
        ({"account": {"pegs": 1}}, "account.pegs: expected a table, found 1"),
        ({"strategies": [strategy(symbols="BTCUSDT")]}, "symbols: expected a list in [ ]"),
        ({"instruments": [{"symbol": "A", "venue": "B", "tick_size": "x"}]}, "found 'x'"),
        ({"feeds": [{"symbol": "BTCUSDT", "interval": "0s"}]}, "interval: must be longer"),
        ({"backtest": {"equity_interval": "0s"}}, "equity_interval: must be longer than zero"),
        ({"feeds": []}, "feeds: is empty"),
        (
            {"feeds": [{"symbol": "BTCUSDT", "source": "synthetic", "kind": "trade"}]},
            "synthetic feeds are bars of 1m",
        ),
        ({"strategies": []}, "strategies: is empty"),
        ({"strategies": [{"name": "one"}]}, "strategies[one].source: missing"),
        ({"strategies": [strategy(), strategy()]}, "is used twice"),
        ({"strategies": [strategy(name="a b")]}, "is no valid name"),
        ({"strategies": [strategy(symbols=[])]}, "symbols: is empty"),
        ({"strategies": [strategy(symbols=["ETHUSDT"])]}, "unknown symbol ETHUSDT"),
        ({"strategies": [strategy(timeframe="90s")]}, "90s is not a multiple of the 1m bars"),
        ({"strategies": [strategy(timeframe="0s")]}, "must be longer than zero"),
        ({"strategies": [strategy(indicators=["ema 10"])]}, "unknown indicator 'ema 10'"),
        ({"strategies": [strategy(indicators=["emma:5"])]}, "Did you mean 'ema:PERIOD'?"),
        ({"strategies": [strategy(risk_per_trade="101%")]}, "101% is more than 100%"),
        ({"strategies": [strategy(params={"a": object()})]}, "a value can't be stored"),
        ({"strategies": [strategy(params={"a": [float("nan")]})]}, "params.a[0]: nan is no number"),
        ({"strategies": [strategy(params={"a": 2**63})]}, "params.a: 9223372036854775808 is no"),
        ({"strategies": [strategy(params=deep(30))]}, "is nested deeper than 20"),
        ({"strategies": [strategy(source=deep(5000))]}, "source: expected text in quotes"),
        ({"strategies": [strategy(indicators=["ema:" + "9" * 400])]}, "must be from"),
        ({"strategies": [strategy(name="manual")]}, "manual is taken"),
        ({"strategies": [strategy(name="x" * 65)]}, "is no valid name"),
        ({"engine": {"venue": "../x"}}, "engine.venue: '../x' is no valid name"),
        ({"instruments": [{"symbol": "A", "venue": "B", "tick_size": "1e999999999"}]}, "digits"),
        ({"instruments": [{"symbol": "A", "venue": "B", "tick_size": "1e-13"}]}, "digits"),
        ({"\x1b[31m": 1}, "\\x1b[31m: unknown key"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(tables, said):
    assert said in refusal(minimal(**tables))


def test_all_problems_are_told_at_once():
    text = refusal(minimal(name=1, risk={"daily_loss_max": 5, "x": 1}))
    assert "3 problems" in text
    assert "name:" in text
    assert "risk.daily_loss_max:" in text
    assert "risk.x:" in text


def test_a_message_is_never_endless():
    text = refusal(minimal(**{f"key{number}": "x" * 10_000 for number in range(1000)}))
    assert "1000 problems" in text
    assert "and 950 more" in text
    assert len(text) < 50 * 600
    assert len(refusal(minimal(name=["x" * 10**6] * 100))) < 1000


def test_a_symbol_at_two_venues_must_name_its_venue():
    text = refusal(minimal(feeds=[{"symbol": "EURUSD"}]))
    assert "EURUSD is at several venues (write EURUSD.OANDA or EURUSD.FXCM)" in text


def test_a_short_symbol_is_enough_where_one_feed_has_it():
    config = load_config(minimal(strategies=[strategy(symbols=["EURUSD"])]))
    assert config.instrument("EURUSD").id == "EURUSD.OANDA"
    assert config.instrument("EURUSD.OANDA").venue == "OANDA"
    with pytest.raises(KeyError):
        config.instrument("ETHUSDT")


def test_two_feeds_of_one_kind_for_an_instrument_are_refused():
    feeds = [{"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT.BINANCE"}, {"symbol": "EURUSD.OANDA"}]
    assert "a second feed of kind bar for BTCUSDT.BINANCE" in refusal(minimal(feeds=feeds))


def test_a_way_to_the_account_currency_is_the_shortest_one():
    config = load_config(minimal())
    way = [(step.instrument, step.divide) for step in config.conversions["USDT"]]
    assert way == [("", False), ("EURUSD.OANDA", True)]
    feeds = [{"symbol": "BTCUSDT"}, {"symbol": "EURUSD.OANDA"}, {"symbol": "EURUSDT"}]
    config = load_config(minimal(feeds=feeds))
    assert [step.instrument for step in config.conversions["USDT"]] == ["EURUSDT.BINANCE"]


def test_none_lifts_a_limit():
    config = load_config(minimal(risk={"daily_loss_max": "none", "open_orders_max": "none"}))
    assert config.risk.daily_loss_max is None
    assert config.risk.open_orders_max is None


def test_limits_are_exact_integers():
    config = load_config(minimal(risk={"daily_loss_max": "0.3%", "drawdown_max": "10.01 EUR"}))
    assert config.risk.daily_loss_max == Limit(3_000, None)
    assert config.risk.drawdown_max is not None
    assert config.risk.drawdown_max.money is not None
    assert config.risk.drawdown_max.money.units == 1_001_000_000


def test_costs_in_the_file_beat_the_built_in_ones():
    assert str(load_config(minimal()).costs_of("BINANCE").taker) == "0.1%"
    config = load_config(minimal(costs={"taker": "0.2%", "venues": {"OANDA": {"taker": "0.3%"}}}))
    assert str(config.costs_of("BINANCE").taker) == "0.2%"
    assert str(config.costs_of("BINANCE").maker) == "0.1%"
    assert str(config.costs_of("OANDA").taker) == "0.3%"
    assert config.costs_of("OANDA").source.endswith("changed by the configuration")


def test_the_base_folder_may_be_given_as_text(tmp_path):
    config = load_config(minimal(), str(tmp_path))
    assert config.base_dir == tmp_path
    assert config.feed_path(config.feeds[0]) == tmp_path / "catalog"


def test_overrides_beat_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text((ROOT / "config.example.toml").read_text())
    config = load_config(path, overrides={"backtest": {"seed": 7, "start": "2024-01-02"}})
    assert config.backtest.seed == 7
    assert config.backtest.start is not None
    assert config.backtest.start.ns % DAY_NS == 0
    assert str(config.backtest.equity_interval) == "1h"
    assert config.feed_path(config.feeds[0]) == tmp_path / "catalog"


def test_the_hash_ignores_order_and_notation_and_sees_every_value():
    base = load_config(minimal()).config_hash
    reordered = dict(reversed(minimal().items()))
    assert load_config(reordered).config_hash == base
    same = minimal(account={"balances": ["150.00 EUR"], "currency": "EUR"})
    assert load_config(same).config_hash == base
    explicit = minimal(costs={"venues": {"BINANCE": {"taker": "0.10%"}}})
    assert load_config(explicit).config_hash == base
    explicit = minimal(instruments=[{"symbol": "BTCUSDT", "venue": "BINANCE", "lot_size": "1e-5"}])
    assert load_config(explicit).config_hash == base
    for change in (
        {"backtest": {"seed": 2}},
        {"costs": {"taker": "0.2%"}},
        {"risk": {"daily_loss_max": "none"}},
        {"account": {"balances": ["151 EUR"]}},
        {"instruments": [{"symbol": "BTCUSDT", "venue": "BINANCE", "lot_size": "0.0001"}]},
        {"strategies": [strategy(params={"fast": 5})]},
    ):
        assert load_config(minimal(**change)).config_hash != base


def test_an_unreadable_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[risk\n")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(broken)
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path)


def test_effective_values_tell_their_origin():
    path = ROOT / "config.example.toml"
    entries = {e.path: e for e in effective_values(load_config(path), read_toml(path))}
    assert entries["risk.daily_loss_max"][1:] == ("5%", "file")
    assert entries["risk.open_orders_max"][1:] == (50, "default")
    assert entries["risk.position_notional_max"][1:] == ("none", "default")
    assert entries["strategies[trend].params.fast"][1:] == (20, "file")
    assert entries["costs.venues.BINANCE.slippage"][1:] == ("0.01%", "built-in")
    assert entries["costs.venues.OANDA.spread"][1:] == ("11 ticks", "file")
    assert entries["costs.venues.OANDA.fixed"][1:] == ("0 quote", "default")
    assert entries["instruments[BTCUSDT.BINANCE].tick_size"][1:] == ("0.01", "built-in")
    assert entries["instruments[BTCUSDT.BINANCE].stale_after"][1:] == ("3d", "default")


def test_an_instrument_of_the_file_is_told_as_such():
    data = minimal(instruments=[{"symbol": "BTCUSDT", "venue": "BINANCE", "stale_after": "1h"}])
    entries = {e.path: e for e in effective_values(load_config(data), data)}
    assert entries["instruments[BTCUSDT.BINANCE].stale_after"][1:] == ("1h", "file")
    assert entries["instruments[BTCUSDT.BINANCE].lot_size"][1:] == ("0.00001", "built-in")
