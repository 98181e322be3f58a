"""The running engine in the terminal: state, positions, strategies, feeds, last signals and fills.

Figures are shown as the engine's only while the link lives and nothing is missing; otherwise each
has a `~` before it and a line says why.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mmats.cli.console import out
from mmats.cli.text import printable
from mmats.client import Client, Link, Role
from mmats.client.errors import ways_to_stop

REFRESH_S = 0.25
LINE_S = 5.0  # between lines where there is no terminal
EVENTS_SHOWN = 5
ROWS_MAX = 20

_MODES = {"advisory": "black on magenta", "paper": "black on yellow", "operator": "white on red"}
_LINKS = {Link.LIVE: "green", Link.STALE: "black on yellow", Link.LOST: "white on red"}
_ACTIVE = "active"
_POSITION = ("quantity", "average", "unrealized", "realized")
_STRATEGY = ("enabled", "mode", "signals", "error")
_FEED = ("state", "lag_ms", "events", "gaps", "refused")
_MARKET = ("last", "bid", "ask", "stale")
_TOLD = ("realized", "stop_loss", "take_profit")  # of an event, after what was traded


class View:
    """What one look at a client shows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._state = client.state.copy()
        self._link = client.link
        self._current = client.is_current

    def render(self) -> RenderableType:
        """Return everything, top to bottom."""
        parts: list[RenderableType] = [self._head(), *self._alarms()]
        if self._client.role >= Role.TRADER:
            parts += [self._account(), self._table("position", _POSITION)]
        parts += [self._table("strategy", _STRATEGY), self._table("market", _MARKET)]
        parts.append(self._table("feed", _FEED))
        for kind in ("signal", "fill"):
            parts += self._events(kind)
        return Group(*parts)

    def line(self) -> str:
        """Return the most important figures as one line of plain text."""
        engine, account = self._value("engine"), self._value("account")
        figures = [
            f"link {self._link}" if not self._client.state.needs_snapshot else "resync",
            f"mode {self._figure(engine.get('mode'))}",
        ]
        if blocked := self._blocked():
            figures.append(f"NOT TRADING {blocked}")
        if account:
            currency = printable(account.get("currency", ""))
            figures += [
                f"equity {self._figure(account.get('equity'))} {currency}",
                f"day P&L {self._figure(account.get('day_pnl'))}",
                f"positions {self._figure(len(self._below('position')))}",
            ]
        return f"{_clock(time.time_ns())}  {'  '.join(figures)}"

    def _head(self) -> Text:
        engine = self._value("engine")
        mode = str(engine.get("mode", "?"))
        head = Text()
        head.append(f" {printable(mode).upper()} ", _MODES.get(mode, "reverse"))
        head.append(f" {printable(engine.get('profile', self._client.profile.name))}")
        if "state" in engine:
            head.append(f"  {self._figure(engine['state'])}")
        head.append(f"  up {self._uptime(engine.get('started_ns'))}")
        head.append("  link ")
        head.append(f" {self._link.upper()} ", _LINKS[self._link])
        arm = engine.get("arm", "armed")
        if arm != "armed":
            head.append(f"  NOT ARMED: {printable(arm)}", "bold red")
        head.append(f"  {_clock(time.time_ns())} UTC", "dim")
        head.append(f"\n run {printable(engine.get('run', self._client.run))}", "dim")
        return head

    def _alarms(self) -> list[Text]:
        """What is wrong, in the order of its weight."""
        alarms = []
        age_s = self._client.link_age_s
        age = f"no heartbeat for {age_s:.1f} s" if age_s < 1e6 else "no heartbeat yet"
        if self._link is Link.LOST:
            text = f"LINK LOST: {age}. What the engine does is not known; figures are old."
            alarms.append(Text(text, "white on red"))
            alarms.append(Text(printable(ways_to_stop(self._client.profile)), "bold"))
        elif self._link is Link.STALE:
            alarms.append(Text(f"LINK STALE: {age}. Figures may be old.", "black on yellow"))
        elif not self._current:
            alarms.append(
                Text("RESYNC: messages were lost; figures may be old.", "black on yellow")
            )
        alarms += [Text(printable(warning), "bold red") for warning in self._client.warnings]
        if blocked := self._blocked():
            alarms.append(Text(f"NOT TRADING: {blocked}", "bold yellow"))
        return alarms

    def _blocked(self) -> str:
        """What may not trade freely, with the word for it."""
        trading = self._value("trading")
        states = {"all": trading.get("global", _ACTIVE)}
        for level, key in (("market", "markets"), ("strategy", "strategies")):
            below = trading.get(key)
            if isinstance(below, dict):
                states |= {f"{level}:{name}": word for name, word in below.items()}
        found = [
            f"{scope} {word}" for scope, word in states.items() if str(word).lower() != _ACTIVE
        ]
        return printable(", ".join(found))

    def _account(self) -> Text:
        account = self._value("account")
        currency = printable(account.get("currency", ""))
        figures = {
            "equity": f"{self._figure(account.get('equity'))} {currency}",
            "day P&L": f"{self._figure(account.get('day_pnl'))} {currency}",
            "drawdown": self._figure(_percent(account.get("drawdown"))),
        }
        line = Text()
        for name, figure in figures.items():
            line.append(f"{name} ", "dim")
            line.append(f"{figure}  ", self._style("bold"))
        return line

    def _table(self, prefix: str, columns: tuple[str, ...]) -> RenderableType:
        rows = self._below(prefix)
        if not rows:
            return Text(f"no {prefix}", "dim")
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column(prefix)
        told = {key for value in rows.values() if isinstance(value, dict) for key in value}
        columns = tuple(column for column in columns if column in told)
        for column in columns:
            table.add_column(column, justify="right" if column not in ("error", "mode") else "left")
        for name, value in list(rows.items())[:ROWS_MAX]:
            facts = value if isinstance(value, dict) else {}
            shown_name = facts.get("name", name) if prefix == "feed" else name
            cells = [Text(self._figure(facts.get(c)), self._style("")) for c in columns]
            table.add_row(Text(printable(shown_name)), *cells)
        if len(rows) > ROWS_MAX:
            table.add_row(Text(f"and {len(rows) - ROWS_MAX} more", "dim"))
        return table

    def _events(self, kind: str) -> Iterator[Text]:
        last = self._client.state.recent(kind)[-EVENTS_SHOWN:]
        if last:
            yield Text(f"last {kind}s", "dim")
        for value in reversed(last):
            yield Text(f"  {event_text(value)}", no_wrap=True, overflow="ellipsis")

    def _value(self, key: str) -> dict[str, Any]:
        value = self._state.get(key)
        return value if isinstance(value, dict) else {}

    def _below(self, prefix: str) -> dict[str, Any]:
        start = f"{prefix}:"
        found = {k: v for k, v in self._state.items() if k.startswith(start)}
        return {key.removeprefix(start): found[key] for key in sorted(found)}

    def _figure(self, value: Any) -> str:
        if value is None:
            return "?"
        text = printable(("no", "yes")[value] if isinstance(value, bool) else value)
        return text if self._current or not text else f"~{text}"

    def _style(self, style: str) -> str:
        return style if self._current else "dim"

    def _uptime(self, started_ns: Any) -> str:
        if not isinstance(started_ns, int) or self._link is Link.LOST:
            return "?"
        seconds = max(0, (time.time_ns() - started_ns) // 10**9)
        hours, rest = divmod(seconds, 3_600)
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def event_text(value: Any) -> str:
    """Return a signal or a fill as a sentence, what matters first; anything else as a line."""
    if not isinstance(value, dict) or not {"ts_ns", "side", "quantity", "symbol"} <= value.keys():
        return event_line(value)
    price = f" at {value['price']}" if value.get("price") else ""
    told = f"{value['side']} {value['quantity']} {value['symbol']}{price}, {value.get('strategy')}"
    extra = "".join(
        f", {name.replace('_', ' ')} {value[name]}" for name in _TOLD if value.get(name)
    )
    return f"{_clock(value['ts_ns'])}  {printable(told)}{printable(extra)}"


def event_line(value: Any) -> str:
    """Return an event as one line of plain text: the time first, then what it says."""
    if not isinstance(value, dict):
        return printable(value)
    facts = dict(value)
    time_ns = facts.pop("ts_ns", None)
    start = f"{_clock(time_ns)}  " if isinstance(time_ns, int) else ""
    return start + "  ".join(
        f"{printable(key)} {printable(item)}"
        for key, item in facts.items()
        if item not in ("", None)
    )


def watch(
    client: Client,
    *,
    until: Callable[[], bool] = lambda: False,
    console: Console | None = None,
) -> None:
    """Show the engine until `until()` or Ctrl+C: a view on a terminal, plain lines elsewhere."""
    screen = console or out()
    try:
        if screen.is_terminal:
            _watch_terminal(client, until, screen)
        else:
            _watch_lines(client, until)
    except KeyboardInterrupt:
        return


def _watch_terminal(client: Client, until: Callable[[], bool], screen: Console) -> None:
    pause = threading.Event()
    with Live(View(client).render(), console=screen, auto_refresh=False, transient=False) as live:
        while not until():
            pause.wait(REFRESH_S)
            live.update(View(client).render(), refresh=True)


def _watch_lines(client: Client, until: Callable[[], bool]) -> None:
    """One line for each signal, fill and denial, for each change of the link, and now and then."""
    events = client.events({"signal", "fill", "denial"})
    link, line_at_s = None, 0.0
    while not until() and not events.ended:
        if client.link is not link or time.monotonic() >= line_at_s:
            link, line_at_s = client.link, time.monotonic() + LINE_S
            click.echo(View(client).line())
        event = events.get(REFRESH_S)
        if event is not None:
            click.echo(f"{event.kind}  {event_line(event.value)}")
    events.close()


def _percent(share: Any) -> str | None:
    """A share as the engine publishes it, in percent."""
    try:
        return f"{float(share):.2%}"
    except (TypeError, ValueError):
        return None


def _clock(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%H:%M:%S}"
