"""The command line: what goes to stdout and stderr, exit codes, and nothing half-written.

The backtest itself is replaced by a recorder here: these tests are about the command around it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import mmats
import mmats.backtest
from mmats.cli.backtest import expected_span
from mmats.cli.main import main
from mmats.config import Config, load_config
from mmats.model.errors import DataError, StrategyError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = str(ROOT / "config.example.toml")
DEMO_S_MAX = 180


class RecordedReport:
    """Stands in for a report; `html_error` breaks off in the middle of the page."""

    html_error: OSError | None = None
    result = SimpleNamespace(notes=["SYNTHETIC data"], strategy_errors=[])
    facts: dict[str, Any] = {  # noqa: RUF012 - never changed in place
        "schema": "mmats.report/1",
        "run": {"events": 7},
        "orders": {"signals": 3, "denied": 1},
        "denials": {"NOTIONAL_MIN": 1},
        "strategy_errors": [],
    }

    def to_dict(self) -> dict[str, Any]:
        return self.facts

    def to_json(self) -> bytes:
        return json.dumps(self.facts).encode()

    def render(self) -> str:
        return "the report"

    def to_html(self, path: Path) -> None:
        Path(path).write_text("<html>")
        if self.html_error is not None:
            raise self.html_error


class Backtest:
    """Records the configurations that it is asked to run."""

    def __init__(self) -> None:
        self.configs: list[Config] = []
        self.error: Exception | None = None
        self.report = RecordedReport()

    def __call__(self, config: Config, data: Any = None, progress: Any = None) -> RecordedReport:
        self.configs.append(config)
        if self.error is not None:
            raise self.error
        return self.report


@pytest.fixture
def backtest(monkeypatch):
    recorder = Backtest()
    monkeypatch.setattr(mmats.backtest, "run", recorder, raising=False)
    return recorder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_version_and_help():
    assert run("--version").stdout == f"mmats, version {mmats.__version__}\n"
    assert "2 bad input" in run("--help").stdout.replace("\n", " ").replace("  ", " ")
    assert run("nonsense").exit_code == 2


def test_backtest_prints_the_report_and_nothing_else(backtest):
    result = run("backtest", EXAMPLE)
    assert result.exit_code == 0
    assert result.stdout == "the report\n"
    assert result.stderr == ""


def test_backtest_json_is_json_and_nothing_else(backtest):
    result = run("backtest", EXAMPLE, "--json")
    assert json.loads(result.stdout) == RecordedReport.facts
    assert result.stderr == "note: SYNTHETIC data\n"
    assert run("backtest", EXAMPLE, "--json", "--quiet").stderr == ""


def test_backtest_options_beat_the_file(backtest):
    result = run("backtest", EXAMPLE, "--seed", "9", "--start", "2024-01-02", "--end", "2024-01-03")
    assert result.exit_code == 0
    replay = backtest.configs[0].backtest
    assert (replay.seed, str(replay.start), str(replay.end)) == (9, "2024-01-02", "2024-01-03")


def test_backtest_writes_the_page(backtest, folder):
    assert run("backtest", EXAMPLE, "--html", "page.html").exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["page.html"]
    assert (folder / "page.html").read_text() == "<html>"


def test_a_page_that_breaks_off_leaves_the_old_one_alone(backtest, folder):
    (folder / "page.html").write_text("old")
    backtest.report.html_error = OSError("disk full")
    assert run("backtest", EXAMPLE, "--html", "page.html").exit_code == 1
    assert [path.name for path in folder.iterdir()] == ["page.html"]
    assert (folder / "page.html").read_text() == "old"


@pytest.mark.parametrize("html", ["absent/page.html", "."])
def test_a_page_that_can_not_be_written_is_refused_before_the_run(html, backtest, folder):
    result = run("backtest", EXAMPLE, "--html", html)
    assert result.exit_code == 2
    assert "error: --html:" in result.stderr
    assert backtest.configs == []


def test_bad_input_ends_in_code_2_with_a_message_and_a_hint(backtest, folder):
    (folder / "c.toml").write_text("[risk]\ndaily_los_max = '5%'\nfeeds = 1\n")
    for arguments in (
        ("backtest", "absent.toml"),
        ("backtest", "c.toml", "--json"),
        ("backtest", EXAMPLE, "--start", "yesterday"),
        ("config", "check", "c.toml"),
        ("config", "show", "c.toml"),
        ("strategy", "check", "absent.py"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr
    assert "hint:  see config.example.toml" in run("backtest", "absent.toml").stderr
    assert "did you mean daily_loss_max?" in run("backtest", "c.toml").stderr


@pytest.mark.parametrize(
    "error", [DataError("NaN", file="a.csv", row=3), StrategyError("raised", "one")]
)
def test_an_error_of_the_run_ends_in_code_2_and_writes_nothing(error, backtest, folder):
    backtest.error = error
    result = run("backtest", EXAMPLE, "--html", "page.html")
    assert result.exit_code == 2
    assert f"error: {error.where}: {error.message}" in result.stderr
    assert list(folder.iterdir()) == []


def test_the_expected_span_is_that_of_the_file_or_of_the_synthetic_feeds():
    start, end = 1_704_067_200 * 10**9, 1_704_067_200 * 10**9 + 45 * 86_400 * 10**9
    assert expected_span(load_config(EXAMPLE)) == (start, end)
    later = {"start": "2024-01-02", "end": "2024-01-03"}
    day = 86_400 * 10**9
    config = load_config(EXAMPLE, overrides={"backtest": later})
    assert expected_span(config) == (start + day, start + 2 * day)


def test_markup_in_a_message_is_printed_as_it_is(backtest):
    backtest.error = StrategyError("[red]x[/] list[int]", "strategies[one]")
    assert "strategies[one]: [red]x[/] list[int]" in run("backtest", EXAMPLE).stderr


def test_demo_runs_on_synthetic_data_and_writes_its_page(backtest, folder):
    result = run("demo", "--backtest")
    assert result.exit_code == 0
    assert (folder / "mmats-demo.html").exists()
    config = backtest.configs[0]
    assert {i.market for i in config.resolved_instruments} == {"crypto", "forex"}
    assert [str(balance) for balance in config.account.balances] == ["150 EUR"]
    assert len(config.strategies) == 2
    run("demo", "--backtest", "--seed", "5", "--json")
    assert backtest.configs[1].backtest.seed == 5


def test_demo_trades_on_paper_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tempfile.TemporaryDirectory(prefix="mmats-", dir="/tmp") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "mmats", "demo", "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEMO_S_MAX,
            check=False,
        )
        assert list(Path(folder).iterdir()) == []
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["schema"] == "mmats.demo/1"
    assert summary["signals"] > 50
    assert 0 < summary["fills"] <= summary["orders"] < summary["signals"] + summary["fills"]
    assert summary["journal_findings"] == 0
    assert list(tmp_path.iterdir()) == []


def test_config_show_prints_values_with_unit_and_origin():
    result = run("config", "show", EXAMPLE, "--json")
    values = json.loads(result.stdout)
    assert values["risk.daily_loss_max"] == {"value": "5%", "origin": "file"}
    assert values["risk.stop_loss_required"] == {"value": False, "origin": "file"}
    assert values["backtest.start"] == {"value": "none", "origin": "default"}
    text = run("config", "show", EXAMPLE).stdout
    line = next(line for line in text.splitlines() if line.startswith("fill.order_latency"))
    assert line.split() == ["fill.order_latency", "250ms", "file"]


def test_config_show_names_the_feed_and_the_strategy_of_each_value():
    lines = run("config", "show", EXAMPLE).stdout.splitlines()
    for path in ("feeds[BTCUSDT].symbol", "strategies[trend].params.fast"):
        assert any(line.startswith(f"{path} ") for line in lines)


def test_config_instruments_lists_rules_with_their_source():
    rows = json.loads(run("config", "instruments", "--json").stdout)
    assert rows["BTCUSDT.BINANCE"]["notional_min"] == "5"
    assert "BTCUSDT.BINANCE" in run("config", "instruments").stdout


def test_config_check_refuses_a_feed_that_can_not_serve_its_symbol(folder):
    text = Path(EXAMPLE).read_text().replace("BTCUSDT", "ETHUSDT")
    (folder / "eth.toml").write_text(text)
    for verb in (("config", "check"), ("backtest",)):
        result = run(*verb, "eth.toml")
        assert result.exit_code == 2
        assert "no synthetic ETHUSDT.BINANCE" in result.stderr
        assert "BTCUSDT.BINANCE" in result.stderr.partition("hint:")[2]


def test_config_check_notes_data_that_are_not_stored_yet(folder):
    text = Path(EXAMPLE).read_text().replace('source = "synthetic"', 'source = "catalog"')
    (folder / "stored.toml").write_text(text)
    result = run("config", "check", "stored.toml")
    assert result.exit_code == 0
    assert "nothing is stored for BTCUSDT.BINANCE" in result.stderr


def test_config_check_loads_the_strategies_too(folder):
    result = run("config", "check", EXAMPLE)
    assert result.exit_code == 0, result.stderr
    assert "BTCUSDT.BINANCE, EURUSD.OANDA" in result.stdout
    assert json.loads(run("config", "check", EXAMPLE, "--json").stdout)["profile"] == "dev"
    text = Path(EXAMPLE).read_text().replace("trend:Trend", "trend:Trnd")
    (folder / "c.toml").write_text(text)
    result = run("config", "check", "c.toml")
    assert result.exit_code == 2
    assert "did you mean Trend?" in result.stderr


def test_strategy_new_writes_a_strategy_and_its_test_once(folder):
    result = run("strategy", "new", "my_idea", "--dir", "mine")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (folder / "mine").iterdir()) == [
        "my_idea.py",
        "test_my_idea.py",
    ]
    text = (folder / "mine/my_idea.py").read_text()
    assert "class MyIdea(Strategy)" in text
    assert "@" not in text
    compile((folder / "mine/test_my_idea.py").read_text(), "test", "exec")
    (folder / "mine/my_idea.py").write_text("mine")
    again = run("strategy", "new", "my_idea", "--dir", "mine")
    assert again.exit_code == 2
    assert "is not overwritten" in again.stderr
    assert (folder / "mine/my_idea.py").read_text() == "mine"


def test_strategy_new_writes_nothing_where_one_of_both_files_exists(folder):
    (folder / "test_my_idea.py").write_text("mine")
    assert run("strategy", "new", "my_idea").exit_code == 2
    assert [path.name for path in folder.iterdir()] == ["test_my_idea.py"]


@pytest.mark.parametrize("name", ["My", "1a", "a-b", "class", "../a", ""])
def test_strategy_new_refuses_what_is_no_name_for_a_file(name, folder):
    assert run("strategy", "new", name).exit_code == 2
    assert list(folder.iterdir()) == []


def test_strategy_check_runs_the_strategy_on_synthetic_data(backtest, folder):
    run("strategy", "new", "my_idea")
    result = run("strategy", "check", "my_idea.py", "--param", "length=5", "--param", "kind=x")
    assert result.exit_code == 0, result.stderr
    assert "keeps the contract" in result.stdout
    assert "signals 3, denied 1" in result.stdout
    config = backtest.configs[0]
    assert config.strategies[0].params == {"length": 5, "kind": "x"}
    assert config.strategies[0].on_error == "stop"
    assert {feed.source for feed in config.feeds} == {"synthetic"}
    run("strategy", "check", "my_idea.py", "--symbol", "BTCEUR.BINANCE", "--json")
    assert [feed.symbol for feed in backtest.configs[1].feeds] == ["BTCEUR.BINANCE", "EURUSD.OANDA"]


def test_strategy_check_tells_what_the_strategy_raised_and_where(backtest, folder):
    run("strategy", "new", "my_idea")
    try:
        exec(compile("\n\n1/0", "my_idea.py", "exec"))  # noqa: S102 - an error with a place
    except ZeroDivisionError as error:
        backtest.error = StrategyError("failed in on_market_data: division by zero")
        backtest.error.__cause__ = error
    result = run("strategy", "check", "my_idea.py")
    assert result.exit_code == 2
    assert "error: my_idea.py: failed in on_market_data: division by zero" in result.stderr
    assert "hint:  raised at my_idea.py, line 3" in result.stderr


def test_strategy_check_looks_for_the_file_in_the_working_directory(folder):
    result = run("strategy", "check", "nope.py")
    assert result.exit_code == 2
    assert "paths start at the working directory" in result.stderr


def test_strategy_check_refuses_a_parameter_without_a_value(folder):
    run("strategy", "new", "my_idea")
    result = run("strategy", "check", "my_idea.py", "--param", "x")
    assert result.exit_code == 2
    assert "expected NAME=VALUE, found 'x'" in result.stderr


@pytest.mark.parametrize(
    ("orders", "note"),
    [
        ({"signals": 0, "denied": 0}, "it gave no signal"),
        ({"signals": 2, "denied": 2}, "every signal was denied"),
    ],
)
def test_strategy_check_notes_a_strategy_that_never_trades(orders, note, backtest, folder):
    run("strategy", "new", "my_idea")
    backtest.report.facts = RecordedReport.facts | {"orders": orders}
    result = run("strategy", "check", "my_idea.py")
    assert result.exit_code == 0
    assert note in result.stderr


def test_strategy_check_tells_a_breach_of_the_contract(folder):
    (folder / "bad.py").write_text("class A:\n    def on_market_data(self): pass\n")
    result = run("strategy", "check", "bad.py")
    assert result.exit_code == 2
    assert "on_market_data must take 1 arguments" in result.stderr
    assert "name must be a text" in result.stderr
