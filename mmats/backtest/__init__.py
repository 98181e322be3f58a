"""Backtests: `run(config, data)` and what its report is made of."""

from mmats.backtest.driver import run
from mmats.backtest.report import Report
from mmats.backtest.result import RunResult

__all__ = ["Report", "RunResult", "run"]
