"""`mmats data`: from a vendor's file to a catalog; facts on stdout, errors in exit codes."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from mmats.backtest import run as backtest
from mmats.cli.main import main
from mmats.config import load_config
from mmats.plugins import forget_plugins
from tests.fakes.backtests import Script
from tests.fakes.installed import install_entry_points
from tests.fakes.market_files import KLINES, write_lines


@pytest.fixture(autouse=True)
def _plugins(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    install_entry_points(tmp_path_factory.mktemp("site"), monkeypatch)
    yield
    forget_plugins()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


def facts(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def import_klines(folder: Path, *lines: str, more: tuple[str, ...] = ()) -> Result:
    path = write_lines(folder / "BTCUSDT-1m.csv", *lines)
    return run(
        "import", path, "--format", "binance-klines", "--symbol", "BTCUSDT.BINANCE",
        "--catalog", folder / "catalog", *more,
    )  # fmt: skip


def test_import_list_show(tmp_path: Path) -> None:
    result = import_klines(tmp_path, *KLINES, more=("--json",))
    assert result.exit_code == 0, result.output
    (stored,) = json.loads(result.stdout)["stored"]
    assert (stored["rows_new"], stored["rows_identical"]) == (3, 0)
    again = import_klines(tmp_path, *KLINES)
    assert "0 new rows, 3 already there" in again.stdout
    (listed,) = facts("list", "--catalog", tmp_path / "catalog")
    assert (listed["symbol"], listed["rows"]) == ("BTCUSDT.BINANCE", 3)
    assert listed["metadata"]["format"] == "binance-klines"
    assert "BTCUSDT.BINANCE" in run("list", "--catalog", tmp_path / "catalog").stdout
    report = facts("show", "BTCUSDT.BINANCE", "--catalog", tmp_path / "catalog")
    assert (report["rows"], report["missing_rows"], report["gaps"]) == (3, 0, [])
    shown = run("show", "BTCUSDT.BINANCE", "--catalog", tmp_path / "catalog")
    assert shown.exit_code == 0
    assert "expected rows" in shown.stdout


def test_bad_file_changes_nothing_and_exits_with_2(tmp_path: Path) -> None:
    result = import_klines(tmp_path, KLINES[0], KLINES[1].replace("101.20", "NaN"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "row 2, column high" in result.stderr
    assert "hint:" in result.stderr
    assert not (tmp_path / "catalog").exists()


def test_conflict_and_replace(tmp_path: Path) -> None:
    assert import_klines(tmp_path, *KLINES).exit_code == 0
    other = KLINES[2].replace("100.25", "100.30")
    conflict = import_klines(tmp_path, *KLINES[:2], other)
    assert conflict.exit_code == 2
    assert "--replace" in conflict.stderr
    replaced = import_klines(tmp_path, *KLINES[:2], other, more=("--replace",))
    assert "2 already there, 1 replaced" in replaced.stdout


def test_trades_to_bars(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "trades.csv", "time,price,size", "1698796800000,1.5,2", "1698796930000,1.6,1"
    )
    stored = facts(
        "import", path, "--format", "columns", "--symbol", "XRPETH.BINANCE", "--bars", "1m",
        "--catalog", tmp_path / "catalog",
    )["stored"]  # fmt: skip
    assert [(s["kind"], s["rows_new"]) for s in stored] == [("trade", 2), ("bar", 2)]
    bars_of_bars = import_klines(tmp_path, *KLINES, more=("--bars", "5m"))
    assert bars_of_bars.exit_code == 0


def test_warning_goes_to_stderr_and_into_the_facts(tmp_path: Path) -> None:
    days = ("20180706 165900", "20180708 170000", "20180713 165900", "20180715 170000")
    path = write_lines(tmp_path / "M1.csv", *(f"{day};1.1;1.2;1.0;1.1;0" for day in days))
    arguments = (
        "import", path, "--format", "histdata", "--symbol", "EURUSD.OANDA",
        "--catalog", tmp_path / "catalog",
    )  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0
    assert "--zone America/New_York would fit" in " ".join(result.stderr.split())
    assert any("would fit" in warning for warning in facts(*arguments)["warnings"])


def test_synth_is_marked(tmp_path: Path) -> None:
    made = facts("synth", "--seed", 5, "--days", 2, "--out", tmp_path)
    assert (made["seed"], len(made["stored"])) == (5, 2)
    sources = {entry["metadata"]["source"] for entry in facts("list", "--catalog", tmp_path)}
    assert sources == {"synthetic"}
    assert "SYNTHETIC, seed 5" in run("list", "--catalog", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("import", "x", "--format", "nonsense", "--symbol", "A.B"), "known: "),
        (("import", "x", "--format", "mt5", "--symbol", "A.B", "--interval", "soon"), "duration"),
        (
            ("import", "x", "--format", "columns", "--symbol", "A.B", "--columns", "a"),
            "name=column",
        ),
        (("import", "x", "--format", "bitfinex", "--symbol", "A.B"), "no such file"),
        (("synth", "--out", "x", "--start", "yesterday"), "UTC date"),
        (("show", "ABC.X", "--catalog", "none"), "nothing stored"),
    ],
)
def test_bad_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_formats_are_listed() -> None:
    assert set(facts("formats")) >= {
        "binance-klines", "binance-stream", "bitfinex", "columns", "histdata", "lean", "mt5",
    }  # fmt: skip


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_figure_of_a_list_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    run("synth", "--days", 2, "--out", tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run("list", "--catalog", tmp_path).stdout
    assert "…" not in shown
    for text in ("BTCUSDT.BINANCE", "2024-01-01T00:01:00Z", "2024-01-03T00:00:00Z", "2,880"):
        assert text in shown


def test_a_run_on_stored_synthetic_data_says_so(tmp_path: Path) -> None:
    run("synth", "--days", 2, "--out", tmp_path / "catalog")
    feeds = [{"symbol": s, "path": "catalog"} for s in ("BTCUSDT.BINANCE", "EURUSD.OANDA")]
    strategy = {"name": "none", "source": "x.py", "symbols": ["BTCUSDT"]}
    config = load_config({"feeds": feeds, "strategies": [strategy]}, tmp_path)
    report = backtest(config, strategies={"none": Script()})
    assert report.to_dict()["run"]["synthetic"] == ["BTCUSDT.BINANCE", "EURUSD.OANDA"]
    page = report.to_html(tmp_path / "page.html").read_text()
    shown = StringIO()
    Console(file=shown, width=100).print(report.render())
    for text in (page, " ".join(shown.getvalue().split())):
        assert "SYNTHETIC DATA" in text
        assert "SYNTHETIC market data of BTCUSDT.BINANCE" in text
