"""`mmats fit`: figures by hand, and what the command prints."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

import mmats.backtest
from adapters.feeds.catalog import Catalog
from adapters.feeds.synthetic import synthetic_tables
from mmats.cli.fit import unusable
from mmats.cli.main import main
from mmats.config import builtin_instruments, load_config
from mmats.config.marks import Mark, Marks, Price, reference_marks
from mmats.config.schema import CostsRootTable
from mmats.config.table import merge_costs
from mmats.config.units import Instant, Money, Percent
from mmats.engine.stored_marks import stored_marks
from mmats.risk.fit import Fit, Plan, fit, money_text, share_text

START_NS = 1_704_067_200 * 10**9
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = str(ROOT / "config.example.toml")


def price(value: str) -> Price:
    return Price(Fraction(value), ())


def judged(key: str, at: str, rate: str, capital: str = "150 EUR", **plan: Percent | None) -> Fit:
    """A built-in instrument at a price in quote currency and a rate to the account currency."""
    instrument = builtin_instruments()[key]
    costs = merge_costs(CostsRootTable(), [instrument.venue])[instrument.venue]
    return fit(instrument, costs, price(at), price(rate), Plan(Money.parse(capital), **plan))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["fit", *arguments])


# -- by hand ---------------------------------------------------------------------------------------


def test_btcusdt_by_hand() -> None:
    row = judged("BTCUSDT.BINANCE", "40000", "0.9")
    # A lot is 0.00001 BTC = 0.4 USDT = 0.36 EUR; the venue's minimum 5 USDT = 4.5 EUR.
    assert (row.lot_value, row.notional_min) == (Decimal("0.36"), Decimal("4.5"))
    # Stop at 39200.00. Spread 0.01% = 3.92, half of it below: bid 39198.04. Slippage 0.01% of it,
    # 3.919804, rounded up to a tick: 39194.12 a coin, 0.3919412 a lot. 5 / 0.3919412 = 12.76, so
    # 13 lots must be left. Of a purchase of 14 lots the fee, 0.014 lots, breaks one: 13 are left.
    assert row.smallest is not None
    assert (row.smallest.lots, row.smallest.quantity) == (14, Decimal("0.00014"))
    assert row.smallest.value == Decimal("5.04")  # 0.00014 * 40000 * 0.9
    assert row.smallest_ppm == 33_600  # of 150 EUR
    assert row.smallest.dust == Decimal("0.00000986")  # 0.00001 - 0.1% of 0.00014
    assert row.smallest.dust_value == Decimal("0.35496")
    # 1% of 150 EUR over 2% of 40000 USDT: 1.5 / (800 * 0.9) = 0.0020833 BTC, whole lots below.
    assert row.trade is not None
    assert row.trade.lots == 208
    assert row.trade.value == Decimal("74.88")
    # Ask 40002.00 + slippage 4.01 (4.0002, up): 40006.01. Bid 39998.00 - 4.00 (3.9998): 39994.00.
    # 208 lots over 12.01: 0.0249808 USDT. Fee in coin 0.00000208 at 40006.01: 0.0832125008, up to
    # 1e-8: 0.08321251. Fee on 207 lots sold for 82.78758: 0.08278758. Together 0.19098089 USDT.
    assert row.trade.cost == Decimal("0.17188281")  # 0.9 of it is 0.171882801, rounded up
    assert row.trade.cost_ppm == 2296  # 0.19098089 / 83.2 = 0.00229544...
    # (2% + 0.2296%) / (2% + 3%)
    assert row.win_rate_ppm == 445_920
    assert row.trades_per_month == 87  # 15 EUR / 0.17188281 = 87.27
    # At the worst price, 40200.00, 83.616 USDT = 75.2544 EUR; fee 0.0752544; and 0.1% of both for
    # buying the USDT, 0.0753296544.
    assert row.trade.needed == Decimal("75.40498406")
    assert row.trade.margin is None
    assert (row.verdict, row.problem) == ("usable", "")


def test_eurusd_by_hand() -> None:
    row = judged("EURUSD.OANDA", "1.10000", "10/11")
    # No minimum: one unit can always be sold. It is worth 1.1 USD = 1 EUR.
    assert row.smallest is not None
    assert row.smallest.lots == 1
    assert row.lot_value == row.smallest.value == 1
    assert row.notional_min == 0
    # Stop at 1.07800: 1.5 EUR over 0.022 USD = 0.02 EUR a unit.
    assert row.trade is not None
    assert (row.trade.lots, row.trade.value) == (75, 75)
    # The price is the bid. Spread 0.01% = 11 ticks, slippage a tick on both sides: 13 ticks.
    # 75 * 0.00013 = 0.00975 USD = 0.008863636... EUR; no fee, no dust.
    assert row.trade.cost == Decimal("0.00886364")
    assert row.trade.cost_ppm == 119  # 13 / 110000 = 118.18
    assert (row.trade.dust, row.trade.dust_value) == (0, 0)
    # Margin 1/30 is 33334 ppm: of 82.5 USD 2.750055 USD.
    assert row.trade.margin == Decimal("2.50005")
    assert row.win_rate_ppm == 402_380  # (20000 + 119) / 50000
    assert row.trades_per_month == 1692  # 15 / 0.00886364 = 1692.3
    assert row.verdict == "usable"


def test_a_high_minimum_by_hand() -> None:
    # 200 USDT instead of 5: at 0.3919412 a lot 510.3 lots, so 511 must be left; of 512 bought the
    # fee of 0.512 lots breaks one. 512 lots are 204.8 USDT = 184.32 EUR.
    instrument, costs = configured(notional_min="200")
    row = fit(instrument, costs, price("40000"), price("0.9"), Plan(Money.parse("150 EUR")))
    assert row.smallest is not None
    assert (row.smallest.lots, row.smallest.value) == (512, Decimal("184.32"))
    assert row.smallest_ppm == 1_228_800
    assert row.verdict == "unusable"
    assert row.problem == "smallest sensible entry is 184.32 EUR, more than the capital"


def configured(**changes: str):
    """BTCUSDT.BINANCE with other rules."""
    config = load_config(
        {
            "account": {"currency": "USDT", "balances": ["1000 USDT"], "pegs": {}},
            "instruments": [{"symbol": "BTCUSDT", "venue": "BINANCE", **changes}],
            "feeds": [{"symbol": "BTCUSDT.BINANCE", "source": "memory"}],
            "strategies": [{"name": "a", "source": "x:Y", "symbols": ["BTCUSDT"]}],
        }
    )
    return config.instrument("BTCUSDT"), config.costs_of("BINANCE")


def test_a_trade_is_never_larger_than_the_capital_can_pay() -> None:
    # 1% risk over a stop of 0.5% asks for 300 EUR.
    row = judged("BTCUSDT.BINANCE", "40000", "0.9", stop=Percent(5_000))
    assert row.trade is not None
    assert row.trade.needed <= 150 < row.trade.needed / row.trade.lots * (row.trade.lots + 1)


def test_a_price_of_one_tick_has_no_room_for_a_stop() -> None:
    row = judged("BTCUSDT.BINANCE", "0.01", "0.9")
    assert "allows less than one lot" in row.problem


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "at", "capital", "plan", "problem"),
    [
        ("BTCUSDT.BINANCE", "40000", "5 EUR", {}, "more than the capital"),
        # 5.04 EUR, and 0.5% reserve, 0.1% fee and 0.1% for the conversion on top.
        ("BTCUSDT.BINANCE", "40000", "5.07 EUR", {"risk": None}, "needs 5.08 EUR with fee and"),
        ("BTCUSDT.BINANCE", "40000", "5.08 EUR", {"risk": None}, ""),
        (
            "BTCUSDT.BINANCE",
            "40000",
            "150 EUR",
            {"stop": Percent(250_000)},
            "smallest sensible entry is 6.48 EUR, but 1% risk with a stop of 25% allows an entry "
            "of 5.76 EUR",
        ),
        ("EURUSD.FXCM", "1.1", "150 EUR", {}, "1% risk with a stop of 2% allows less than one lot"),
        ("EURUSD.FXCM", "1.1", "20 EUR", {}, "with margin and fee, more than the capital"),
        (
            "BTCEUR.COINBASE",
            "40000",
            "150 EUR",
            {"target": Percent(20_000)},
            "a round trip costs 2.45%, which a target of 2% does not cover",
        ),
    ],
)
def test_reasons_in_plain_words(key, at, capital, plan, problem) -> None:
    row = judged(key, at, "0.9" if key != "BTCEUR.COINBASE" else "1", capital, **plan)
    assert row.verdict == ("unusable" if problem else "usable")
    assert problem in row.problem


def test_nothing_is_judged_without_a_price() -> None:
    instrument, costs = configured()
    plan = Plan(Money.parse("150 EUR"))
    unknown = fit(instrument, costs, None, price("1"), plan)
    assert (unknown.verdict, unknown.problem, unknown.smallest) == ("unknown", "no price", None)
    unknown = fit(instrument, costs, price("1"), None, plan)
    assert (unknown.verdict, unknown.problem) == ("unknown", "no rate from USDT")


def test_an_instrument_whose_largest_order_is_too_small() -> None:
    instrument, costs = configured(quantity_max="0.0001")
    row = fit(instrument, costs, price("40000"), price("0.9"), Plan(Money.parse("150 EUR")))
    assert row.problem == "no order that the venue takes can be exited again after the stop"


def test_texts_round_up() -> None:
    assert money_text(Decimal("5.3501"), "EUR") == "5.36 EUR"
    assert money_text(Decimal("0.00874546"), "EUR") == "0.0088 EUR"
    assert money_text(Decimal("0.00000001"), "EUR") == "0.00000001 EUR"
    assert money_text(Decimal(0), "EUR") == "0 EUR"
    assert [share_text(ppm) for ppm in (0, 127, 2296, 402_380)] == [
        "0%",
        "0.0127%",
        "0.23%",
        "40.24%",
    ]


# -- prices ----------------------------------------------------------------------------------------


def mark(name: str, at: str, source: str, as_of: str = "2024-01-01") -> Mark:
    return Mark(name, name[:3], name[3:], Decimal(at), as_of, source)


def test_a_given_price_beats_stored_data_and_that_the_reference() -> None:
    given, stored = [mark("EURUSD", "1.08", "given", "")], [mark("EURUSD", "1.2", "stored")]
    for tiers, expected in (
        ([given, stored, reference_marks()], ("1.08", "")),
        ([[], stored, reference_marks()], ("1.2", "2024-01-01")),
        ([[], [], reference_marks()], ("1.105", "2023-12-29")),
    ):
        found = Marks(tiers, {}).find("EUR", "USD")
        assert found is not None
        assert (found.value, found.as_of) == (Fraction(expected[0]), expected[1])


def test_prices_are_made_of_others_exactly() -> None:
    marks = Marks([[mark("EURUSD", "1.10", "a"), mark("EURJPY", "154", "b", "2023-01-01")]], {})
    found = marks.of("USDJPY.OANDA", "USDJPY", "USD", "JPY")
    assert found is not None
    assert found.value == 140
    assert (found.as_of, found.source) == ("2023-01-01", "EURUSD: a; EURJPY: b")
    assert marks.find("SOL", "EUR") is None
    pegged = Marks([[mark("EURUSD", "1.25", "a")]], {"USDT": "USD"}).find("USDT", "EUR")
    assert pegged is not None
    assert pegged.value == Fraction(4, 5)


def test_references_are_dated_and_have_a_source() -> None:
    for reference in reference_marks():
        assert reference.as_of >= "2023"
        assert reference.source
        assert reference.price > 0


def test_the_last_stored_price_is_used_and_dated(tmp_path) -> None:
    table = next(iter(synthetic_tables(1, 2, START_NS, ["BTCUSDT.BINANCE"])))
    Catalog(tmp_path / "catalog").write(table)
    config = load_config(
        {
            "feeds": [
                {"symbol": "BTCUSDT", "path": "catalog"},
                {"symbol": "EURUSD.OANDA", "path": "catalog"},
            ],
            "strategies": [{"name": "a", "source": "x:Y", "symbols": ["BTCUSDT"]}],
        },
        base_dir=tmp_path,
    )
    (found,) = stored_marks(config)  # nothing is stored of EURUSD
    assert found.id == "BTCUSDT.BINANCE"
    assert found.price == Decimal(int(table.columns["close"][-1])).scaleb(-table.price_scale)
    assert found.as_of == str(Instant(int(table.columns["ts_event_ns"][-1])))
    assert found.source == "stored data, synthetic"


# -- the command -----------------------------------------------------------------------------------


def test_the_command_judges_the_built_in_table() -> None:
    result = run("--capital", "150 EUR", "--rate", "EURUSD=1.25", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    rows = {row["instrument"]: row for row in facts["symbols"]}
    assert rows.keys() == builtin_instruments().keys()
    assert (facts["capital"], facts["currency"], facts["stop_ppm"]) == ("150", "EUR", 20_000)
    btc = rows["BTCUSDT.BINANCE"]
    assert btc["price"] == {
        "value": "42283.58",
        "as_of": "2023-12-31",
        "source": "BTCUSDT: Binance spot, close of the day",
    }
    assert btc["rate"] == {"value": "0.8", "as_of": "", "source": "EURUSD: given"}
    assert btc["notional_min"] == "4"
    assert rows["SOLUSDT.BINANCE"]["verdict"] == "unknown"
    assert rows["SOLUSDT.BINANCE"]["smallest"] is None
    assert rows["EURUSD.FXCM"]["verdict"] == "unusable"


def test_the_table_shows_prices_with_their_date() -> None:
    result = run("--capital", "150", "--symbol", "BTCUSDT", "--symbol", "SOLEUR")
    assert result.exit_code == 0, result.stderr
    assert "BTCUSDT 42283.58: Binance spot, close of the day, 2023-12-31" in result.stdout
    assert "not judged, no price (give --rate): SOLEUR.BINANCE" in result.stdout
    given = run("--capital", "150", "--symbol", "SOLEUR", "--rate", "SOLEUR=100")
    assert "price SOLEUR 100: given" in given.stdout
    assert "not judged" not in given.stdout


def test_a_configuration_gives_symbols_and_capital() -> None:
    facts = json.loads(run("--config", EXAMPLE, "--json").stdout)
    assert facts["capital"] == "150"
    assert [row["instrument"] for row in facts["symbols"]] == ["BTCUSDT.BINANCE", "EURUSD.OANDA"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--capital: is missing"),
        (["--capital", "much"], "--capital: expected an amount"),
        (["--capital", "0 EUR"], "--capital: is nothing"),
        (["--capital", "1 EUR", "--stop", "100%"], "--stop: is 100%"),
        (["--capital", "1 EUR", "--stop", "2"], "--stop: expected a percentage"),
        (["--capital", "1 EUR", "--target", "0%"], "--target: is 0%"),
        (["--capital", "1 EUR", "--symbol", "BTCUSD1"], "did you mean BTCUSD"),
        (["--capital", "1 EUR", "--rate", "EURUSD"], "--rate: expected PAIR=PRICE"),
        (["--capital", "1 EUR", "--rate", "EURUSD=0"], "--rate: expected PAIR=PRICE"),
        (["--capital", "1 EUR", "--rate", "x=1"], "--rate: 'x' is no pair"),
    ],
)
def test_bad_input_is_told(arguments, message) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in " ".join(result.stderr.split())


# -- warnings of the checks ------------------------------------------------------------------------


def test_config_check_warns_of_symbols_that_are_too_large(tmp_path) -> None:
    text = Path(EXAMPLE).read_text()
    assert unusable(load_config(EXAMPLE)) == []
    file = tmp_path / "small.toml"
    file.write_text(text.replace('["150 EUR"]', '["4 EUR"]'))
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert lines[0] == (
        "warning: trend can't trade BTCUSDT.BINANCE with 4 EUR: smallest sensible entry is "
        "5.36 EUR, more than the capital (stop 2%, target 3%, price 42283.58 of 2023-12-31; "
        "see mmats fit)"
    )
    assert len(lines) == 3


def test_strategy_check_warns_too(tmp_path, monkeypatch) -> None:
    facts = {"run": {"events": 1}, "orders": {"signals": 1, "denied": 0}, "denials": {}}
    report = SimpleNamespace(to_dict=lambda: facts)
    monkeypatch.setattr(mmats.backtest, "run", lambda *args, **more: report)
    runner = CliRunner()
    assert runner.invoke(main, ["strategy", "new", "idea", "--dir", str(tmp_path)]).exit_code == 0
    arguments = ["strategy", "check", str(tmp_path / "idea.py"), "--symbol"]
    result = runner.invoke(main, [*arguments, "EURUSD.FXCM"])
    assert result.exit_code == 0, result.stderr
    assert "check can't trade EURUSD.FXCM with 150 EUR: smallest sensible" in result.stderr
    assert "warning" not in runner.invoke(main, [*arguments, "BTCUSDT"]).stderr


def test_a_narrow_terminal_cuts_no_figure(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    result = run("--capital", "150 EUR", "--symbol", "BTCUSDT")
    assert "42283.58" in result.stdout
    assert "…" not in result.stdout
