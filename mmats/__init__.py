"""MMATS: trade crypto and forex by algorithm, the same code from backtest to live orders."""

__version__ = "0.1.0"
