"""Bad input through the `mmats` command: a clear error, exit code 2, nothing half-written."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmats.cli.main import main
from mmats.plugins import forget_plugins
from tests.fakes.installed import install_entry_points

MINUTE_MS = 60_000
START_MS = 1_704_067_200_000  # 2024-01-01 UTC

CONFIG = """
[account]
currency = "USDT"
balances = ["1000 USDT"]

[[feeds]]
symbol = "BTCUSDT.BINANCE"
{feed}

[[strategies]]
name = "mine"
source = "mine.py"
symbols = ["BTCUSDT"]
{strategy}

{rest}
"""

STRATEGY = '''
"""Buys once."""
from mmats.model import Strategy, TradeSignal
{top}

class Mine(Strategy):
    name = "mine"

    def initialize(self, config):
        self.count = 0
        {initialize}

    def on_market_data(self, data):
        self.count += 1
        if self.count == 3:
            {body}

    def on_signal_result(self, signal, result):
        {result}
'''
BUY = 'return TradeSignal("BUY", data.symbol, 0.1)'


@pytest.fixture(autouse=True)
def _plugins(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    install_entry_points(tmp_path_factory.mktemp("site"), monkeypatch)
    yield
    forget_plugins()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working run: a strategy, a configuration and ten imported bars."""
    monkeypatch.chdir(tmp_path)
    write_strategy(tmp_path)
    write_config(tmp_path)
    assert import_lines(tmp_path, *klines(10)).exit_code == 0
    return tmp_path


def mmats(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write_strategy(
    folder: Path, body: str = BUY, top: str = "", initialize: str = "pass", result: str = "pass"
) -> None:
    text = STRATEGY.format(body=body, top=top, initialize=initialize, result=result)
    (folder / "mine.py").write_text(text)


def write_config(folder: Path, feed: str = "", strategy: str = "", rest: str = "") -> None:
    text = CONFIG.format(feed=feed, strategy=strategy, rest=rest)
    (folder / "run.toml").write_text(text)


def kline(number: int, **changes: str) -> str:
    """One row of a Binance kline file, price 100 + number."""
    at = START_MS + number * MINUTE_MS
    price = 100 + number
    row = {
        "open_ms": str(at),
        "open": f"{price}.00",
        "high": f"{price + 1}.00",
        "low": f"{price - 1}.00",
        "close": f"{price}.50",
        "volume": "12.5",
        "close_ms": str(at + MINUTE_MS - 1),
        "rest": "1250,10,6,600,0",
        **changes,
    }
    return ",".join(row.values())


def klines(count: int) -> list[str]:
    return [kline(number) for number in range(count)]


def import_lines(folder: Path, *lines: str) -> Result:
    path = folder / "in.csv"
    path.write_text("\n".join(lines) + "\n")
    return import_file(path)


def import_file(path: Path) -> Result:
    return mmats("data", "import", path, "--format", "binance-klines",
                 "--symbol", "BTCUSDT.BINANCE")  # fmt: skip


def said(result: Result) -> str:
    """What the user reads, without the line breaks of the terminal."""
    return " ".join(result.stderr.split())


def backtest(folder: Path, *options: str) -> Result:
    return mmats("backtest", "run.toml", "--html", "page.html", *options)


def refused(folder: Path, *parts: str, options: tuple[str, ...] = ()) -> str:
    """The run fails with every part in its message, and leaves neither page nor report."""
    before = sorted(path.name for path in folder.iterdir())
    result = backtest(folder, *options)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    text = said(result)
    for part in parts:
        assert part in text
    after = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert after - set(before) == set()
    return text


def done(folder: Path) -> Any:
    result = backtest(folder, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_run_works_as_it_stands(folder: Path) -> None:
    facts = done(folder)
    assert facts["orders"]["filled"] == 1
    assert facts["run"]["events"] == 10
    assert facts["strategy_errors"] == []
    assert "<html" in (folder / "page.html").read_text()


# -- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"rest": "[risk]\ndaily_loss_mx = '5%'"},
         ("run.toml", "risk", "daily_loss_mx", "did you mean daily_loss_max")),
        ({"rest": "[backtests]\nseed = 1"}, ("backtests", "did you mean backtest")),
        ({"rest": "[backtest]\nseed = 'one'"}, ("backtest.seed", "one")),
        ({"rest": "[risk]\ndaily_loss_max = 5"}, ("risk.daily_loss_max", "5")),
        ({"strategy": "sizing = 'kely'"}, ("sizing", "kely", "kelly")),
        ({"strategy": "indicators = ['emma:10']"}, ("emma", "ema")),
        ({"strategy": "timeframe = '90s'"}, ("timeframe", "90s")),
        ({"feed": "kind = 'bars'"}, ("kind", "bars")),
        ({"rest": "[[feeds]]\nsymbol = 'BTCUSD.BINANCE'"}, ("BTCUSD.BINANCE", "BTCUSDT")),
        ({"rest": "[account"}, ("run.toml", "not valid TOML")),
    ],
)  # fmt: skip
def test_configuration(folder: Path, parts: dict[str, str], words: tuple[str, ...]) -> None:
    write_config(folder, **parts)
    refused(folder, *words)


def test_a_configuration_that_is_not_there(folder: Path) -> None:
    (folder / "run.toml").unlink()
    refused(folder, "run.toml", "no such file", "config.example.toml")


def test_an_unknown_symbol_of_a_strategy(folder: Path) -> None:
    text = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(text.replace('["BTCUSDT"]', '["BTCUSTD"]'))
    refused(folder, "strategies", "BTCUSTD", "BTCUSDT")


# -- data of a run ---------------------------------------------------------------------------------


def test_missing_data(folder: Path) -> None:
    write_config(folder, feed='path = "elsewhere"')
    refused(folder, "BTCUSDT.BINANCE", "elsewhere", "mmats data import")


def test_missing_data_of_another_kind_says_what_is_stored(folder: Path) -> None:
    write_config(folder, feed='interval = "5m"', strategy='timeframe = "5m"')
    refused(folder, "BTCUSDT.BINANCE", "5m", "stored: 1m 2024-01-01")


def test_an_empty_range(folder: Path) -> None:
    refused(folder, "BTCUSDT.BINANCE", "2024-03-01", "stored: 1m 2024-01-01",
            options=("--start", "2024-03-01"))  # fmt: skip


def test_a_range_that_ends_before_it_starts(folder: Path) -> None:
    refused(folder, "backtest", "start", "end",
            options=("--start", "2024-02-01", "--end", "2024-01-01"))  # fmt: skip


def test_a_damaged_catalog_file(folder: Path) -> None:
    (stored,) = folder.glob("catalog/bar/*/*/*.parquet")
    stored.write_bytes(stored.read_bytes()[:-40])
    refused(folder, stored.name, "damaged", "import it again")


# -- data at import --------------------------------------------------------------------------------


def bad_import(folder: Path, *lines: str) -> str:
    (folder / "catalog").rename(folder / "kept")
    result = import_lines(folder, *lines)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not (folder / "catalog").exists()
    return said(result)


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", ["NaN", "inf", "-inf", "0", "-1.00", "abc", ""])
def test_a_price_that_is_none(folder: Path, column: str, value: str) -> None:
    text = bad_import(folder, kline(0), kline(1, **{column: value}), kline(2))
    assert "in.csv" in text
    assert "row 2" in text
    assert column in text


def test_high_below_low(folder: Path) -> None:
    text = bad_import(folder, kline(0), kline(1, high="98.00", open="98.50", close="98.50"))
    assert "row 2" in text


def test_a_row_that_goes_back_in_time(folder: Path) -> None:
    text = bad_import(folder, kline(0), kline(2), kline(1))
    assert "row 3" in text


def test_a_duplicate_row(folder: Path) -> None:
    text = bad_import(folder, kline(0), kline(1), kline(1))
    assert "row 3" in text
    assert "--drop-duplicates" in text


def test_a_wrong_column_count(folder: Path) -> None:
    text = bad_import(folder, kline(0), kline(1, rest="1250"))
    assert "in.csv" in text
    assert "column" in text


def test_a_truncated_zip(folder: Path) -> None:
    whole = folder / "BTCUSDT-1m-2024-01-01.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-1m-2024-01-01.csv", "\n".join(klines(1000)))
    whole.write_bytes(whole.read_bytes()[:2000])
    (folder / "catalog").rename(folder / "kept")
    result = import_file(whole)
    assert result.exit_code == 2, result.output
    assert whole.name in said(result)
    assert not (folder / "catalog").exists()


def test_mixed_time_zones(folder: Path) -> None:
    path = folder / "zones.csv"
    path.write_text(
        "time,open,high,low,close\n"
        "2024-01-01T00:00:00+00:00,1.1,1.1,1.1,1.1\n"
        "2024-01-01T00:01:00+02:00,1.1,1.1,1.1,1.1\n"
    )
    result = mmats("data", "import", path, "--format", "columns", "--symbol", "EURUSD.OANDA",
                   "--interval", "1m", "--stamp", "open", "--catalog", "new")  # fmt: skip
    assert result.exit_code == 2, result.output
    assert "zones.csv" in said(result)
    assert not (folder / "new").exists()


def test_one_bad_file_of_several_stores_none(folder: Path) -> None:
    (folder / "catalog").rename(folder / "kept")
    several = folder / "several"
    several.mkdir()
    (several / "a.csv").write_text("\n".join(klines(3)) + "\n")
    (several / "b.csv").write_text(kline(3, close="NaN") + "\n")
    result = import_file(several)
    assert result.exit_code == 2
    assert "b.csv" in said(result)
    assert not (folder / "catalog").exists()


# -- strategies ------------------------------------------------------------------------------------


def test_a_strategy_that_raises_in_import(folder: Path) -> None:
    write_strategy(folder, top="raise RuntimeError('no licence')")
    refused(folder, "mine.py", "can't be imported", "RuntimeError: no licence", "line 4")


def test_a_strategy_that_does_not_parse(folder: Path) -> None:
    write_strategy(folder, body="return (")
    refused(folder, "mine.py", "SyntaxError", "line")


def test_a_strategy_that_is_not_there(folder: Path) -> None:
    (folder / "mine.py").unlink()
    refused(folder, "mine.py", "there is no file")


def test_a_strategy_that_raises_in_initialize(folder: Path) -> None:
    write_strategy(folder, initialize="raise KeyError('fast')")
    refused(folder, "strategies[mine]", "initialize raised KeyError: 'fast'")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('lost')", "RuntimeError: lost"),
        ('return TradeSignal("BUY", "BTCUSD", 0.01)', "symbols of this run are BTCUSDT"),
        ('return TradeSignal("BUY", data.symbol, float("nan"))', "size is not a finite number"),
        ('return "BUY"', "returned str"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_a_strategy_that_fails_is_disabled_or_stops_the_run(
    folder: Path, body: str, words: str
) -> None:
    write_strategy(folder, body)
    facts = done(folder)
    (error,) = facts["strategy_errors"]
    assert (error["strategy"], error["where"]) == ("mine", "on_market_data")
    assert words in error["traceback"]
    assert facts["run"]["events"] == 10
    (folder / "page.html").unlink()
    write_config(folder, strategy='on_error = "stop"')
    refused(folder, "mine", "on_market_data", words.partition(": ")[2] or words)


def test_what_a_strategy_prints_is_not_in_the_report(folder: Path) -> None:
    write_strategy(folder, "print('hello'); raise RuntimeError('lost')")
    assert done(folder)["schema"] == "mmats.report/1"
    assert "hello" in backtest(folder, "--json").stderr


def test_a_strategy_that_exits_in_import_or_initialize(folder: Path) -> None:
    write_strategy(folder, initialize="raise SystemExit(0)")
    refused(folder, "strategies[mine]", "SystemExit")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('volume_share = "0%"', "volume_share: is 0%"),
        ('taker = "-100%"', "taker: -100% is more than 10%"),
        ('slippage = "1000%"', "slippage: 1000% is more than 10%"),
    ],
)
def test_costs_that_nobody_means(folder: Path, line: str, words: str) -> None:
    path = folder / "run.toml"
    path.write_text(f"{path.read_text()}\n[costs.venues.BINANCE]\n{line}\n")
    refused(folder, words)


def test_a_page_that_is_no_ordinary_file(folder: Path) -> None:
    (folder / "page.html").symlink_to(folder / "elsewhere.html")
    refused(folder, "is no ordinary file")


def test_the_page_and_the_text_show_the_traceback(folder: Path) -> None:
    write_strategy(folder, "raise RuntimeError('lost')")
    result = backtest(folder)
    assert result.exit_code == 0
    assert "RuntimeError: lost" in result.stdout
    assert "strategy mine failed in on_market_data and was disabled" in said(result)
    assert "RuntimeError: lost" in (folder / "page.html").read_text()


def test_an_error_in_a_result_is_shown_too(folder: Path) -> None:
    write_strategy(folder, result="raise RuntimeError('deaf')")
    (error,) = done(folder)["strategy_errors"]
    assert error["where"] == "on_signal_result"


def test_a_stop_on_the_wrong_side_is_a_denial_of_its_own_name(folder: Path) -> None:
    write_strategy(folder, 'return TradeSignal("BUY", data.symbol, 0.1, stop_loss=data.close + 5)')
    facts = done(folder)
    assert facts["denials"] == {"STOP_LOSS_SIDE": 1}
    assert facts["orders"]["submitted"] == 0


# -- output ----------------------------------------------------------------------------------------


def test_a_page_in_a_folder_that_is_not_there(folder: Path) -> None:
    result = mmats("backtest", "run.toml", "--html", "none/page.html")
    assert result.exit_code == 2
    assert "none" in said(result)
    assert "create it first" in said(result)


def test_an_interrupt_leaves_nothing(folder: Path) -> None:
    write_strategy(folder, "raise KeyboardInterrupt")
    (folder / "page.html").write_text("an older page")
    before = sorted(path.name for path in folder.iterdir())
    result = backtest(folder)
    assert result.exit_code not in (0, 2)
    assert result.stdout == ""
    assert (folder / "page.html").read_text() == "an older page"
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == set(before)


def test_unknown_options_and_verbs_are_bad_input(folder: Path) -> None:
    assert mmats("backtest", "run.toml", "--jsn").exit_code == 2
    assert mmats("backtst", "run.toml").exit_code == 2
    assert mmats("backtest").exit_code == 2
