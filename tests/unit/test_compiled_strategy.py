"""The compiled contract: a strategy in Cython, built here against the published declarations."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmats.backtest import run
from mmats.model.errors import MmatsError, StrategyError
from strategies.trend import Trend
from strategies.trend_compiled import TrendCompiled
from tests.fakes.backtests import SYMBOL, Script, bars, config
from tests.tidy.tree import ROOT

SOURCE = """
# cython: language_level=3
from libc.string cimport memset
from mmats._core.contract cimport CompiledStrategy, signal_t
from mmats._core.types cimport ORDER_MARKET, SIDE_BUY, TIF_GTC, event_t

cdef class Failing(CompiledStrategy):
    cdef int count
    cdef str how

    def initialize(self, config):
        self.how = config["how"]

    cdef int on_bar(self, const event_t* bar, const double* indicators, signal_t* out) except -1:
        self.count += 1
        if self.count == 2 and self.how == "buy":
            memset(out, 0, sizeof(signal_t))
            out.instrument = bar.instrument
            out.side = SIDE_BUY
            out.order_type = ORDER_MARKET
            out.tif = TIF_GTC
            out.size_lots = 1500
            return 1
        if self.count == 3 and self.how == "raise":
            raise RuntimeError("compiled trouble")
        if self.count == 3 and self.how == "many":
            return 17
        return 0
"""

SETUP = """
from setuptools import Extension, setup
from Cython.Build import cythonize
setup(ext_modules=cythonize([Extension("failing", ["failing.pyx"], include_dirs=[{core!r}],
      extra_compile_args=["-O0"])], include_path=[{root!r}]))
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "failing.pyx").write_text(SOURCE)
    core = str(ROOT / "mmats/_core")
    (folder / "setup.py").write_text(SETUP.format(core=core, root=str(ROOT)))
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"], cwd=folder, text=True,
        capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = Path(folder).glob("failing.*.so")
    spec = importlib.util.spec_from_file_location("failing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Failing


def play_compiled(strategy: Any, how: str, other: Script, on_error: str = "disable") -> Any:
    setup = config("compiled", "other")
    setup["strategies"][0] |= {"params": {"how": how}, "on_error": on_error}
    frames = {SYMBOL: bars([100.0, 101.0, 102.0, 103.0])}
    return run(setup, frames, strategies={"compiled": strategy, "other": other})


@pytest.mark.packaging
def test_a_compiled_strategy_trades(failing):
    report = play_compiled(failing(), "buy", Script())
    assert report.fills["quantity"].tolist() == [1.5]
    assert report.fills["strategy"].tolist() == ["compiled"]


@pytest.mark.packaging
def test_a_compiled_strategy_that_raises_is_disabled_and_others_go_on(failing):
    other = Script()
    report = play_compiled(failing(), "raise", other)
    (error,) = report.result.strategy_errors
    assert (error["strategy"], error["where"]) == ("compiled", "on_bar")
    assert "RuntimeError: compiled trouble" in error["traceback"]
    assert len(other.seen) == 4


@pytest.mark.packaging
def test_a_compiled_strategy_that_raises_can_stop_the_run(failing):
    with pytest.raises(StrategyError, match="failed in on_bar: RuntimeError: compiled trouble"):
        play_compiled(failing(), "raise", Script(), on_error="stop")


@pytest.mark.packaging
def test_more_signals_than_there_is_room_for_stop_everything(failing):
    with pytest.raises(MmatsError, match="compiled says it wrote 17 signals"):
        play_compiled(failing(), "many", Script())


def test_the_compiled_example_does_what_the_python_example_does():
    rng = np.random.default_rng(8)
    frame = bars(np.round(100 * np.exp(np.cumsum(rng.normal(0, 3e-4, 20_000))), 2))
    fills = []
    for strategy in (Trend(), TrendCompiled("trend")):
        setup = config("trend", table={
            "timeframe": "5m", "sizing": "fixed_fractional", "risk_per_trade": "0.1%",
            "params": {"allow_short": True},
        })  # fmt: skip
        report = run(setup, {SYMBOL: frame}, strategies={"trend": strategy})
        assert report.result.strategy_errors == []
        names = ["ts_ns", "side", "lots", "price_ticks", "role"]
        fills.append(report.result.fills[names].tolist())
    assert len(fills[0]) > 50
    assert fills[0] == fills[1]
