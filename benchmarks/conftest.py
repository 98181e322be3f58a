"""Prints the table of budgets when all benchmarks are done."""

from typing import Any

from benchmarks import budget


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One table at the end."""
    if budget.ROWS:
        terminalreporter.section("budgets")
        terminalreporter.write_line(budget.report())
