"""The rows of the table that `make bench` ends with: what, budget, measured, met."""

from typing import NamedTuple

from benchmarks.ratio import machine_facts


class Row(NamedTuple):
    """One budget and what this run measured."""

    what: str
    budget: str
    measured: str
    is_met: bool


ROWS: list[Row] = []


def note(what: str, budget: str, measured: str, is_met: bool) -> None:
    """Add a row; a budget that is not met is said so, and fails nothing."""
    ROWS.append(Row(what, budget, measured, is_met))


def report() -> str:
    """The table in Markdown, with the machine and the date above it."""
    lines = [
        ", ".join(f"{key} {value}" for key, value in machine_facts().items()),
        "",
        "| what | budget | measured | met |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {row.budget} | {row.measured} | {'yes' if row.is_met else 'no'} |"
        for row in ROWS
    ]
    return "\n".join(lines)
