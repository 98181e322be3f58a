"""Loading strategies: by module, by file, and what is said when that fails."""

import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mmats.config.schema import StrategyTable
from mmats.engine.loader import (
    construct_strategy,
    contract_breaches,
    create_strategy,
    load_strategy_class,
)
from mmats.model.errors import StrategyError
from mmats.ports.strategy import IStrategy

GOOD = """
class Good:
    name = "good"
    supported_symbols = ["BTCUSDT", "EURUSD.OANDA"]
    def initialize(self, config): pass
    def on_market_data(self, data): return None
    def on_signal_result(self, signal, result): pass
"""


def write(folder: Path, text: str, name: str = "idea.py") -> str:
    (folder / name).write_text(text)
    return name


def table(source: str, *symbols: str) -> StrategyTable:
    return StrategyTable(name="one", source=source, symbols=symbols or ("BTCUSDT",))


def refusal(source: str, folder: Path) -> str:
    with pytest.raises(StrategyError) as caught:
        create_strategy(table(source), folder)
    return str(caught.value)


def test_a_file_is_found_from_the_folder_of_the_configuration(tmp_path):
    source = write(tmp_path, GOOD)
    strategy = create_strategy(table(source), tmp_path)
    assert strategy.name == "good"
    assert isinstance(strategy, IStrategy)
    assert type(create_strategy(table(f"{source}:Good"), tmp_path)).__name__ == "Good"
    assert create_strategy(table(str(tmp_path / source)), Path("/")).name == "good"


def test_a_module_path_is_imported(tmp_path, monkeypatch):
    write(tmp_path, GOOD, "good_module_of_the_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    source = "good_module_of_the_test:Good"
    assert create_strategy(table(source), Path("/")).name == "good"


def test_files_of_one_name_do_not_replace_each_other(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, GOOD.replace('"good"', f'"{folder}"'))
    first = load_strategy_class("a/idea.py", tmp_path)
    second = load_strategy_class("b/idea.py", tmp_path)
    assert (construct_strategy(first, "a").name, construct_strategy(second, "b").name) == ("a", "b")


def test_a_failed_import_leaves_no_module_behind(tmp_path):
    before = set(sys.modules)
    refusal(write(tmp_path, "1/0"), tmp_path)
    assert not {name for name in set(sys.modules) - before if name.startswith("mmats_strategy")}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("absent.py", "there is no file"),
        ("no_such_module_here:Trend", "there is no module no_such_module_here"),
        ("os.no_such:Trend", "there is no module os.no_such"),
        ("strategies", "is neither module:Class nor a .py file"),
        (":Trend", "is neither module:Class nor a .py file"),
        ("json:JSONDecodr", "did you mean JSONDecode"),
        ("json:loads", "there is no class loads"),
    ],
)
def test_a_strategy_that_is_not_there(source, said, tmp_path):
    assert said in refusal(source, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", "can't be imported: SyntaxError"),
        ("import no_such_package_x", "can't be imported: ModuleNotFoundError"),
        ("x = 1\ny = 1/0", "ZeroDivisionError: division by zero"),
        ("x = 1\ny = 1/0", "idea.py, line 2)"),
        ("x = 1", "has no strategy in it"),
        (GOOD + GOOD.replace("Good", "Best"), "has several strategies: Good, Best"),
        (GOOD + "\n    def __init__(self): raise OSError('disk')", "OSError: disk"),
        (GOOD + "\n    def __init__(self, size): pass", "raised an error in __init__: TypeError"),
        (GOOD.replace('name = "good"', "pass"), "name must be a text that is not empty"),
        (GOOD.replace('["BTCUSDT", "EURUSD.OANDA"]', '"BTC"'), "must be a list of texts"),
        (GOOD.replace('["BTCUSDT", "EURUSD.OANDA"]', "[1]"), "must be a list of texts"),
        (GOOD.replace("initialize", "init"), "lacks the method initialize(self, config)"),
        (GOOD.replace("(self, data)", "(self)"), "on_market_data must take 1 arguments"),
        (GOOD.replace("result)", "result, x)"), "on_signal_result must take 2 arguments"),
        (GOOD.replace("def on_market", "async def on_market"), "a plain function, not async"),
    ],
)
def test_a_file_that_holds_no_working_strategy(text, said, tmp_path):
    assert said in refusal(write(tmp_path, text), tmp_path)


def test_a_file_that_is_not_there_tells_where_paths_start(tmp_path):
    assert f"paths start at the folder {tmp_path}" in refusal("nope.py", tmp_path)


def test_all_breaches_of_the_contract_are_told():
    breaches = contract_breaches(object())
    assert len(breaches) == 5
    assert {text.split()[-1] for text in breaches if text.startswith("lacks")} == {
        "config)",
        "data)",
        "result)",
    }


def test_what_a_module_imports_is_not_mistaken_for_the_module(tmp_path, monkeypatch):
    write(tmp_path, "import no_such_package_x", "broken_module_of_the_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    text = refusal("broken_module_of_the_test:X", tmp_path)
    assert re.search("can't be imported: .*no_such_package_x", text)


def test_a_symbol_that_the_strategy_does_not_support_is_refused(tmp_path):
    source = write(tmp_path, GOOD)
    for symbol in ("BTCUSDT", "BTCUSDT.BINANCE", "EURUSD.OANDA"):
        create_strategy(table(source, symbol), tmp_path)
    with pytest.raises(StrategyError, match=r"does not support BTCUSD; .*did you mean BTCUSDT"):
        create_strategy(table(source, "BTCUSD"), tmp_path)


def test_a_strategy_without_symbols_supports_any(tmp_path):
    text = GOOD.replace('["BTCUSDT", "EURUSD.OANDA"]', "()")
    strategy: Any = create_strategy(table(write(tmp_path, text), "ANY"), tmp_path)
    assert strategy.supported_symbols == ()


@pytest.mark.parametrize("source", ["a\0b.py", "x" * 400 + ".py", "x" * 400 + ".py:Trend"])
def test_what_can_be_no_path_is_refused(tmp_path, source):
    with pytest.raises(StrategyError, match="is no path"):
        load_strategy_class(source, tmp_path)


def test_what_the_engine_is_made_of_is_never_loaded_anew(tmp_path):
    before = StrategyError
    found = load_strategy_class("mmats.model.errors:StrategyError", tmp_path, fresh=True)
    assert found is before
    assert load_strategy_class("decimal:Decimal", tmp_path, fresh=True) is Decimal
