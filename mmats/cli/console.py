"""Where text goes: results to stdout; messages, progress and errors to stderr."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mmats.model.errors import MmatsError

Advance = Callable[[int, int], None]
"""Called with events done and events in all."""


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
def progress(title: str, quiet: bool) -> Iterator[Advance | None]:
    """Show progress on stderr while the block runs; None to call where it would not be seen."""
    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
