"""Backtests: `run(config, data)` and what its report is made of."""

from mmats.backtest.report import Report
from mmats.backtest.result import RunResult
from mmats.backtest.driver import run

__all__ = ["Report", "RunResult", "run"]
