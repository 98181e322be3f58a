"""How figures are named and written for people, in the terminal and on the web page alike."""

from collections.abc import Callable
from datetime import UTC, datetime

Number = float | int | None

UNDEFINED = "n/a"


def number(value: Number, digits: int = 2) -> str:
    """`1,234.50`; `n/a` where undefined."""
    return UNDEFINED if value is None else f"{value:,.{digits}f}"


def amount(value: Number) -> str:
    """Money with the decimals that a small account needs: 4 below one unit, else 2."""
    if value is None:
        return UNDEFINED
    return f"{value:,.4f}" if 0 < abs(value) < 1 else f"{value:,.2f}"


def signed_amount(value: Number) -> str:
    """Money with an arrow and a sign, so that colour is never the only sign of direction."""
    return UNDEFINED if value is None else _arrow(value) + _plus(value) + amount(value)


def percent(value: Number) -> str:
    """A fraction in per cent: 0.0512 is `5.12 %`."""
    return UNDEFINED if value is None else f"{100 * value:,.2f} %"


def signed_percent(value: Number) -> str:
    """A fraction in per cent with arrow and sign."""
    return UNDEFINED if value is None else _arrow(value) + _plus(value) + percent(value)


def plus_amount(value: Number) -> str:
    """Money with its sign alone, where columns are narrow."""
    return UNDEFINED if value is None else _plus(value) + amount(value)


def plus_percent(value: Number) -> str:
    """A fraction in per cent with its sign alone."""
    return UNDEFINED if value is None else _plus(value) + percent(value)


def stress_label(factor: str) -> str:
    """`x2` in words."""
    return {"x0": "nothing", "x1": "as they were"}.get(factor, f"{factor[1:]} times as high")


def count(value: Number) -> str:
    """A whole number with thousands separated."""
    return UNDEFINED if value is None else f"{round(value):,}"


def duration(seconds: Number) -> str:
    """`3 d 4 h`, `4 h 5 min`, `5 min 6 s`: the two largest units."""
    if seconds is None:
        return UNDEFINED
    rest = round(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size} {unit}")
            rest %= size
        elif parts:
            break
    return " ".join(parts[:2])


def moment(ts_ns: int) -> str:
    """`2023-11-01 00:00`, UTC."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M")


def plural(times: int, noun: str) -> str:
    """`1 trade`, `2 trades`."""
    return f"{times:,} {noun}{'' if times == 1 else 's'}"


def printable(text: object) -> str:
    """Text from elsewhere without control characters, which could rewrite a terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )


def _arrow(value: float) -> str:
    return "▲ " if value > 0 else "▼ " if value < 0 else "  "


def _plus(value: float) -> str:
    return "+" if value > 0 else ""


Format = Callable[[Number], str]

GROUPS: dict[str, tuple[tuple[str, str, Format, str], ...]] = {
    "Result": (
        ("net_profit", "Net profit", signed_amount, "Final equity minus initial capital"),
        ("total_return", "Total return", signed_percent, "Net profit over initial capital"),
        ("cagr", "CAGR", signed_percent, "Compound growth per year of 365 days"),
        ("best_day", "Best day", signed_percent, "Largest daily return, UTC days"),
        ("worst_day", "Worst day", signed_percent, "Smallest daily return, UTC days"),
        ("turnover", "Turnover", number, "Value bought and sold over initial capital"),
        ("exposure_time", "Time in market", percent, "Share of time with an open position"),
    ),
    "Risk": (
        ("max_drawdown", "Max drawdown", percent, "Largest fall from a peak, of that peak"),
        ("max_drawdown_money", "Max drawdown, money", amount, "Largest fall from a peak"),
        ("max_drawdown_duration_s", "Longest drawdown", duration, "Longest time below a peak"),
        ("recovery_factor", "Recovery factor", number, "Net profit over max drawdown in money"),
        ("volatility", "Volatility", percent, "Deviation of daily returns, per year"),
        ("sharpe", "Sharpe", number, "Mean over deviation of daily returns, per year"),
        ("sortino", "Sortino", number, "Mean over downside deviation, per year"),
        ("calmar", "Calmar", number, "CAGR over max drawdown"),
    ),
    "Trades": (
        ("trades", "Closed trades", count, "Round trips, from flat to flat"),
        ("open_trades", "Open at the end", count, "Not part of the figures below"),
        ("win_rate", "Win rate", percent, "Share of closed trades with a net gain"),
        ("profit_factor", "Profit factor", number, "Sum of gains over sum of losses"),
        ("expectancy", "Expectancy, in avg losses", number, "Average result over average loss"),
        ("avg_trade", "Average trade", signed_amount, "Mean net result of a closed trade"),
        ("avg_win", "Average win", signed_amount, "Mean of the gains"),
        ("avg_loss", "Average loss", signed_amount, "Mean of the losses"),
        ("best_trade", "Best trade", signed_amount, "Largest net result"),
        ("worst_trade", "Worst trade", signed_amount, "Smallest net result"),
        ("win_streak", "Longest winning streak", count, "In order of closing"),
        ("loss_streak", "Longest losing streak", count, "In order of closing"),
        ("sqn", "System quality", number, "Mean over deviation of trades, times root of count"),
        ("trades_needed", "Trades to show an edge", count, "95 % confidence, 80 % power"),
    ),
}
"""Title -> (key, label, format, meaning) of each metric, in the order people read them."""

UNALLOCATED = "Currency gains and conversions, no strategy"
"""Name of the part of the net result that no strategy earned."""

ANNUALISED = frozenset(("cagr", "volatility", "sharpe", "sortino", "calmar"))
"""Metrics that a small sample makes worthless."""

TONED = (signed_amount, signed_percent, plus_amount, plus_percent)
"""Formats whose sign means good or bad, which colour may repeat."""

COSTS = (
    ("commission", "Commission"),
    ("spread", "Spread"),
    ("slippage", "Slippage"),
    ("conversion", "Currency conversion"),
    ("carry", "Swap and rollover"),
    ("total", "Total costs"),
    ("dust", "Stranded dust"),
)

BREAKDOWN = (
    ("net_profit", "Net profit", signed_amount),
    ("total_return", "Return", plus_percent),
    ("max_drawdown", "Max DD", percent),
    ("trades", "Trades", count),
    ("win_rate", "Won", percent),
    ("profit_factor", "Factor", number),
    ("avg_trade", "Average", plus_amount),
)
"""Columns of the tables per strategy, market and symbol: nothing annualised."""
