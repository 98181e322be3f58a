"""Where text goes: results to stdout; messages, progress and errors to stderr."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mmats.model.errors import MmatsError

Span = tuple[int, int]
"""First and last moment of a run, ns UTC."""

Advance = Callable[[int, int], None]
"""Called with the events done and the simulated time in ns."""


PIPE_WIDTH = 120  # columns where there is no terminal to ask and COLUMNS does not say


def out() -> Console:
    """Console of results."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def err() -> Console:
    """Console of messages; soft wrapping keeps paths in one piece."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: MmatsError) -> None:
    """Say what is wrong, where, and what to do."""
    console = err()
    where = f"{escape(error.where)}: " if error.where else ""
    console.print(f"[bold red]error:[/] {where}{escape(error.message)}")
    if error.hint:
        console.print(f"[bold]hint:[/]  {escape(error.hint)}")


@contextmanager
def progress(title: str, span: Span | None, quiet: bool) -> Iterator[Advance | None]:
    """Show on stderr how far the simulated time is in its span, while the block runs.

    Yields None, so that nothing is called, where nobody would see it.
    """
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        start, end = span or (0, None)
        task = bar.add_task(title, total=None if end is None else end - start, at="")

        def advance(events: int, now_ns: int) -> None:
            at = f"{datetime.fromtimestamp(now_ns // 10**9, UTC):%Y-%m-%d}, {events:,} events"
            bar.update(task, completed=now_ns - start, at=at)

        yield advance
