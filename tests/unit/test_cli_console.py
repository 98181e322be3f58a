"""Progress: seen on a terminal only, never on stdout."""

import io

import pytest
from rich.console import Console

from mmats.cli import console

SECOND_NS = 10**9


@pytest.fixture
def terminal(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(console, "err", lambda: screen)
    return screen


def written(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("span", [None, (0, 4 * 86_400 * SECOND_NS)])
def test_progress_shows_date_and_events_on_a_terminal(terminal, span):
    with console.progress("backtest", span, quiet=False) as advance:
        assert advance is not None
        advance(12_345, 2 * 86_400 * SECOND_NS)
    assert "1970-01-03, 12,345 events" in written(terminal)


def test_progress_is_not_even_called_where_nobody_sees_it(terminal, capsys):
    with console.progress("backtest", None, quiet=True) as advance:
        assert advance is None
    assert written(terminal) == ""


def test_progress_is_off_without_a_terminal(capsys):
    with console.progress("backtest", None, quiet=False) as advance:
        assert advance is None
    assert capsys.readouterr() == ("", "")
