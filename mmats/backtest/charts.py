"""Charts of the web page as plain plotly figures, without importing plotly.

Colours are names of the page's CSS variables ("--up"), which its script resolves, so that one
figure serves the light and the dark theme. Long series are thinned without losing their extremes.
"""

import base64
import html
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmats.backtest.labels import plus_amount, printable
from mmats.backtest.metrics import drawdowns
from mmats.backtest.result import FloatArray, Int64Array, RunResult
from mmats.model.instrument import MONEY_SCALE

if TYPE_CHECKING:
    from mmats.backtest.report import Report

Figure = dict[str, Any]

POINTS_MAX = 4_000
MARKERS_MAX = 500
SYMBOLS_MAX = 8
BARS = 40
PALETTE = tuple(f"--series-{k}" for k in range(1, 9))


def thin(values: FloatArray, limit: int = POINTS_MAX) -> Int64Array:
    """Return ascending indices of at most `limit` points that keep the shape of a line.

    The line is cut into equal pieces; of each, the first, last, lowest and highest point stay.
    """
    total = len(values)
    if total <= limit:
        return np.arange(total)
    edges = np.linspace(0, total, max(1, limit // 4) + 1).astype(np.int64)
    kept = [edges[:-1], edges[1:] - 1]
    for pick in (np.argmin, np.argmax):
        found = [pick(values[a:b]) + a for a, b in pairwise(edges)]
        kept.append(np.array(found, dtype=np.int64))
    return np.unique(np.concatenate(kept))


def figures(report: "Report") -> dict[str, Figure]:
    """Return all charts of a report by the id of their place in the page."""
    drawn = {"chart-equity": _equity(report), "chart-costs": _costs(report)}
    if len(report.result.cells_ts_ns):
        drawn["chart-strategies"] = _strategies(report.result)
    if (~report.trips["is_open"]).any():
        drawn["chart-distribution"] = _distribution(report)
    for k, symbol in enumerate(charted_symbols(report.result)):
        drawn[f"chart-price-{k}"] = _price(report, symbol)
    return drawn


def charted_symbols(result: RunResult) -> list[str]:
    """Symbols whose price is drawn: those with marks, the first few."""
    return [
        symbol
        for symbol, instrument in zip(result.symbols, result.instruments, strict=True)
        if instrument.id in result.marks
    ][:SYMBOLS_MAX]


def _equity(report: "Report") -> Figure:
    result = report.result
    equity = result.equity_units / MONEY_SCALE
    fall = -100 * drawdowns(result.equity_units, result.initial_units)
    kept = np.union1d(thin(equity), thin(fall))
    times = result.equity_ts_ns[kept]
    line = _line("Equity", times, equity[kept], "--series-1", "%{y:,.2f}")
    under = _line("Drawdown", times, fall[kept], "--down", "%{y:.2f} %")
    under |= {"yaxis": "y2", "fill": "tozeroy", "fillcolor": "--down-soft", "showlegend": False}
    traces = [line, under, *_held(report)]
    layout = _layout(f"Equity, {result.account_currency}", height=460)
    layout["yaxis"]["domain"] = [0.34, 1.0]
    layout["yaxis2"] = _axis("Drawdown, %") | {"domain": [0.0, 0.26]}
    layout["xaxis"]["anchor"] = "y2"
    layout["shapes"] = [{
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "layer": "below",
        "y0": result.initial_units / MONEY_SCALE, "y1": result.initial_units / MONEY_SCALE,
        "line": {"color": "--muted", "width": 1, "dash": "dot"},
    }]  # fmt: skip
    return {"data": traces, "layout": layout}


def _held(report: "Report") -> list[Figure]:
    """Worth of the initial capital held in each symbol instead; shown on a click in the legend."""
    result, traces = report.result, []
    names = dict(zip(result.symbols, result.instruments, strict=True))
    for k, (symbol, held) in enumerate(report.benchmarks["buy_and_hold"].items()):
        if held["currency"] != result.account_currency:
            continue
        times, prices = result.marks[names[symbol].id]
        worth = prices * result.rate(names[symbol].quote, times)
        worth = worth / worth[0] * (result.initial_units / MONEY_SCALE)
        kept = thin(worth)
        color = PALETTE[(k + 1) % len(PALETTE)]
        trace = _line(f"Holding {symbol}", times[kept], worth[kept], color, "%{y:,.2f}")
        traces.append(trace | {"visible": "legendonly"})
    return traces


def _strategies(result: RunResult) -> Figure:
    curves = result.cells_pnl.sum(axis=2, dtype=np.int64) / MONEY_SCALE
    traces = []
    for k, name in enumerate(result.strategies):
        kept = thin(curves[:, k])
        color = PALETTE[k % len(PALETTE)]
        times = result.cells_ts_ns[kept]
        traces.append(_line(name, times, curves[kept, k], color, "%{y:+,.2f}"))
    layout = _layout(f"Net result, {result.account_currency}", height=300)
    layout["yaxis"]["zeroline"] = True
    return {"data": traces, "layout": layout}


def _costs(report: "Report") -> Figure:
    """Waterfall from the result before costs to the net result."""
    steps = [("Before costs", report.cost_stress["x0"], "absolute")]
    for key, label in (
        ("commission", "Commission"), ("spread", "Spread"), ("slippage", "Slippage"),
        ("conversion", "Conversion"), ("carry", "Swap"),
    ):  # fmt: skip
        if report.costs[key]:
            steps.append((label, -report.costs[key], "relative"))
    steps.append(("Net result", report.cost_stress["x1"], "total"))
    bars = {
        "type": "waterfall",
        "x": [label for label, _, _ in steps],
        "y": [value for _, value, _ in steps],
        "measure": [kind for _, _, kind in steps],
        "connector": {"line": {"color": "--grid", "width": 1}},
        "increasing": {"marker": {"color": "--up"}},
        "decreasing": {"marker": {"color": "--down"}},
        "totals": {"marker": {"color": "--series-1"}},
        "hoverinfo": "skip",
    }
    layout = _layout(report.result.account_currency, height=420)
    layout["xaxis"] = _axis("") | {"type": "category", "showgrid": False}
    layout["yaxis"]["zeroline"] = True
    return {
        "data": [bars, _tops(steps)],
        "layout": layout | {"hovermode": False, "showlegend": False},
    }


def _tops(steps: list[tuple[str, float, str]]) -> Figure:
    """The figures of a waterfall, each above its bar."""
    level, tops = 0.0, []
    for _, value, kind in steps:
        start, level = (level, level + value) if kind == "relative" else (0.0, value)
        tops.append(max(start, level))
    return {
        "type": "scatter",
        "mode": "text",
        "x": [label for label, _, _ in steps],
        "y": tops,
        "text": [plus_amount(value) for _, value, _ in steps],
        "textposition": "top center",
        "cliponaxis": False,
    }


def _distribution(report: "Report") -> Figure:
    closed = report.trips[~report.trips["is_open"]]
    pnl = (closed["realized"] - closed["fee"]) / MONEY_SCALE
    # An edge at zero keeps gains and losses in bars of their own.
    reach = float(np.abs(pnl).max()) or 1.0
    width = 2 * reach / BARS
    number, edges = np.histogram(pnl, bins=np.arange(-BARS // 2, BARS // 2 + 1) * width)
    middle = (edges[:-1] + edges[1:]) / 2
    trace = {
        "type": "bar",
        "x": _numbers(middle),
        "y": _numbers(number.astype(np.float64)),
        "width": width * 0.92,
        "marker": {"color": ["--up" if m > 0 else "--down" for m in middle]},
        "hovertemplate": "around %{x:+,.4f}: %{y} trades<extra></extra>",
    }
    layout = _layout("Trades", height=300)
    layout["xaxis"] = _axis(f"Net result of a trade, {report.result.account_currency}")
    layout["xaxis"]["zeroline"] = True
    return {"data": [trace], "layout": layout | {"hovermode": "closest"}}


def _price(report: "Report", symbol: str) -> Figure:
    result = report.result
    instrument = result.instruments[result.symbols.index(symbol)]
    times, prices = result.marks[instrument.id]
    kept = thin(prices)
    line = _line("Price", times[kept], prices[kept], "--muted", "%{y:,.6~g}")
    line["line"]["width"] = 1
    trades = report.trades[report.trades["symbol"] == symbol]
    shown = trades.loc[trades["pnl"].abs().nlargest(MARKERS_MAX).index.sort_values()]
    traces = [line, _links(shown)]
    traces += [
        _markers("Buy to open", shown[shown["side"] == "LONG"], "opened", "triangle-up"),
        _markers("Sell to open", shown[shown["side"] == "SHORT"], "opened", "triangle-down"),
        _markers("Exit with gain", shown[~shown["open"] & (shown["pnl"] > 0)], "closed", "circle"),
        _markers("Exit with loss", shown[~shown["open"] & (shown["pnl"] <= 0)], "closed", "x"),
    ]
    layout = _layout(f"Price, {instrument.quote}", height=360) | {"hovermode": "closest"}
    margin = (result.end_ns - result.start_ns) / 100
    reach = (result.start_ns - margin, result.end_ns + margin)
    layout["xaxis"]["range"] = [end / 1e6 for end in reach]
    return {"data": traces, "layout": layout}


def _links(trades: pd.DataFrame) -> Figure:
    """Thin lines from entry to exit, all in one trace with gaps between."""
    closed = trades[~trades["open"]]
    times, prices = np.full((len(closed), 3), np.nan), np.full((len(closed), 3), np.nan)
    for column, (time, price) in enumerate((("opened", "entry_price"), ("closed", "exit_price"))):
        times[:, column], prices[:, column] = _milliseconds(closed[time]), closed[price]
    return {
        "type": "scatter", "mode": "lines", "x": _numbers(times.ravel()),
        "y": _numbers(prices.ravel()), "line": {"color": "--series-1", "width": 1, "dash": "dot"},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


MARKER_COLORS = {
    "triangle-up": "--series-1", "triangle-down": "--series-2", "circle": "--up", "x": "--down",
}  # fmt: skip


def _markers(name: str, trades: pd.DataFrame, time: str, symbol: str) -> Figure:
    price = {"opened": "entry_price", "closed": "exit_price"}[time]
    texts = [
        f"{_text(row.strategy)}: {row.side} {row.quantity:.8g}, net {row.pnl:+,.4f}"
        for row in trades.itertuples()
    ]
    return {
        "type": "scatter", "mode": "markers", "name": name,
        "x": _numbers(_milliseconds(trades[time])), "y": _numbers(trades[price].to_numpy(float)),
        "text": texts, "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M}, %{y:,.8~g}<extra></extra>",
        "marker": {"symbol": symbol, "size": 8, "color": MARKER_COLORS[symbol]},
    }  # fmt: skip


def _milliseconds(times: "pd.Series[Any]") -> FloatArray:
    return np.asarray(times.to_numpy("datetime64[ns]").astype(np.int64) / 1e6)


def _line(name: str, ts_ns: Int64Array, values: FloatArray, color: str, shown: str) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "name": _text(name),
        "x": _numbers(ts_ns / 1e6), "y": _numbers(values),
        "line": {"color": color, "width": 1.6}, "hovertemplate": shown,
    }  # fmt: skip


def _numbers(values: FloatArray) -> dict[str, str]:
    """Numbers as the typed array that plotly.js reads: a third of the size of text, exact."""
    packed = np.ascontiguousarray(values, dtype="<f8").tobytes()
    return {"dtype": "f8", "bdata": base64.b64encode(packed).decode("ascii")}


def _text(text: object) -> str:
    """A name from elsewhere; plotly reads tags in labels, so they are escaped."""
    return html.escape(printable(text))


def _axis(title: str) -> Figure:
    axis: Figure = {
        "gridcolor": "--grid",
        "linecolor": "--grid",
        "zerolinecolor": "--muted",
        "zeroline": False,
        "automargin": True,
    }
    return axis | ({"title": {"text": _text(title), "standoff": 8}} if title else {})


def _layout(y_title: str, height: int) -> Figure:
    return {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 28, "b": 36},
        "hovermode": "x unified",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "--card", "bordercolor": "--grid"},
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": "--muted",
            "activecolor": "--series-1",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "xaxis": _axis("") | {"type": "date", "showgrid": False, "hoverformat": "%Y-%m-%d %H:%M"},
        "yaxis": _axis(y_title),
    }
