"""The report of a backtest: statistics, data frames, JSON, terminal and web page."""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from mmats.backtest import blotter
from mmats.backtest.labels import plural
from mmats.backtest.metrics import (
    SAMPLE_MIN,
    Metrics,
    curve_metrics,
    drawdowns,
    exposure_fraction,
    is_small_sample,
    trade_metrics,
)
from mmats.backtest.result import FloatArray, Int64Array, RecordArray, RunResult, money
from mmats.backtest.trades import notional, round_trips, trades_frame

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "mmats.report/1"

RUN_KEYS = (
    "config_hash", "data_hash", "version", "seed", "synthetic", "start", "end", "events",
    "wall_s", "events_per_s",
)  # fmt: skip

HEADLINE = (
    "net_profit", "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar",
    "max_drawdown", "max_drawdown_duration_s", "win_rate", "profit_factor", "expectancy",
    "trades", "avg_trade", "exposure_time",
)  # fmt: skip
"""The metrics every report has first, in this order; more follow."""

DENIED_SHARE_MAX = 0.2
"""A larger share of denied signals is worth a warning."""

STRESS_FACTORS = (0, 1, 2, 3)


class Report:
    """What a run came to. Everything is computed on first use from the `RunResult` given.

    Money is in account currency, fractions are fractions (0.05 is 5 %), durations end in `_s`,
    times are UTC. A figure that is undefined is None.
    """

    def __init__(self, result: RunResult) -> None:
        self.result = result

    @cached_property
    def trips(self) -> RecordArray:
        """The round trips in exact integers (`mmats.backtest.trades.ROUND_TRIP_DTYPE`)."""
        return round_trips(self.result.fills)

    @cached_property
    def metrics(self) -> Metrics:
        """The statistics of the whole account; definitions in `docs/metrics.md`."""
        result = self.result
        every = np.ones(len(self.trips), dtype=np.bool_)
        return self._measure(result.equity_ts_ns, result.equity_units, every)

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Equity in account currency and drawdown as a fraction of the peak, by UTC time."""
        result = self.result
        return pd.DataFrame(
            {
                "equity": result.equity_units / 1e8,
                "drawdown": drawdowns(result.equity_units, result.initial_units),
            },
            index=blotter.utc(result.equity_ts_ns).rename("time"),
        )

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Every order that left, and how it ended."""
        return blotter.orders_frame(self.result, self._outcomes)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Every execution."""
        return blotter.fills_frame(self.result)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Every round trip, by opening."""
        return trades_frame(self.result, self.trips)

    @cached_property
    def denials(self) -> pd.DataFrame:
        """Every signal or order that the risk gate refused."""
        return blotter.denials_frame(self.result)

    @cached_property
    def order_counts(self) -> dict[str, int]:
        """Signals, denials, and orders by how they ended."""
        return blotter.order_counts(self.result, self._outcomes)

    @cached_property
    def denial_counts(self) -> dict[str, int]:
        """Denials by reason, most frequent first."""
        return blotter.denial_counts(self.result)

    @cached_property
    def by_strategy(self) -> dict[str, Metrics]:
        """The metrics of each strategy, relative to the account's initial capital."""
        return {
            name: self._measure_cells([k], range(len(self.result.instruments)))
            for k, name in enumerate(self.result.strategies)
        }

    @cached_property
    def by_market(self) -> dict[str, Metrics]:
        """The metrics of each market, relative to the account's initial capital."""
        members: dict[str, list[int]] = {}
        for k, instrument in enumerate(self.result.instruments):
            members.setdefault(instrument.market, []).append(k)
        every = range(len(self.result.strategies))
        return {market: self._measure_cells(every, chosen) for market, chosen in members.items()}

    @cached_property
    def by_symbol(self) -> dict[str, Metrics]:
        """The metrics of each symbol, relative to the account's initial capital."""
        every = range(len(self.result.strategies))
        return {
            symbol: self._measure_cells(every, [k]) for k, symbol in enumerate(self.result.symbols)
        }

    @cached_property
    def costs(self) -> dict[str, float]:
        """What trading cost, positive = paid. `total` is commission to carry; dust is not lost."""
        fills, result = self.result.fills, self.result
        parts = {
            "commission": int(fills["fee"].sum()),
            "spread": int(fills["spread_cost"].sum()),
            "slippage": int(fills["slippage_cost"].sum()),
            "conversion": result.conversion_units,
            "carry": -result.carry_units,
        }
        total = sum(parts.values())
        return {name: money(units) for name, units in (parts | {"total": total}).items()} | {
            "dust": money(result.dust_units)
        }

    @cached_property
    def cost_stress(self) -> dict[str, float]:
        """Net result if costs were a multiple of what they were: arithmetic, not a new run."""
        net = self.result.final_units - self.result.initial_units
        total = round(self.costs["total"] * 1e8)
        return {f"x{k}": money(net - (k - 1) * total) for k in STRESS_FACTORS}

    @cached_property
    def benchmarks(self) -> dict[str, Any]:
        """Doing nothing, and holding each symbol with the whole initial capital, without costs.

        Holding the account's own currency is doing nothing and is left out.
        `currency` tells whose return it is: the account's, or the quote currency's where the run
        has no rate for it.
        """
        hold = {}
        for symbol, instrument in zip(self.result.symbols, self.result.instruments, strict=True):
            times, prices = self.result.marks.get(instrument.id, (np.empty(0), np.empty(0)))
            if len(prices) < 2 or instrument.base == self.result.account_currency:
                continue
            ends = np.array([times[0], times[-1]], dtype=np.int64)
            rate = self.result.rate(instrument.quote, ends)
            known = bool(np.isfinite(rate).all())
            gain = float(prices[-1] / prices[0] * (rate[1] / rate[0] if known else 1.0) - 1.0)
            hold[symbol] = {
                "total_return": gain,
                "net_profit": round(gain * money(self.result.initial_units), 8),
                "currency": self.result.account_currency if known else instrument.quote,
            }
        return {"do_nothing": {"total_return": 0.0, "net_profit": 0.0}, "buy_and_hold": hold}

    @cached_property
    def balances(self) -> dict[str, float]:
        """What is held at the end, by currency and coin, each in its own units."""
        held = self.result.balances_units
        return {currency: money(units) for currency, units in held.items() if units}

    @cached_property
    def unallocated(self) -> float:
        """Part of the net result that belongs to no strategy, such as conversions and rounding."""
        cells = self.result.cells_pnl
        allocated = int(cells[-1].sum()) if len(cells) else 0
        return money(self.result.final_units - self.result.initial_units - allocated)

    @cached_property
    def warnings(self) -> list[str]:
        """What keeps the figures from meaning what they seem to mean, in plain words."""
        return _warnings(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data with the stable keys of schema `mmats.report/1`."""
        result = self.result
        document = {
            "schema": SCHEMA,
            "run": {key: result.run.get(key) for key in RUN_KEYS}
            | {key: value for key, value in result.run.items() if key not in RUN_KEYS},
            "state_hash": result.state_hash,
            "account": {
                "currency": result.account_currency,
                "initial": money(result.initial_units),
                "final_equity": money(result.final_units),
                "unallocated": self.unallocated,
                "balances": self.balances,
            },
            "metrics": self.metrics,
            "costs": self.costs,
            "cost_stress": self.cost_stress,
            "benchmarks": self.benchmarks,
            "orders": self.order_counts,
            "denials": self.denial_counts,
            "by_strategy": self.by_strategy,
            "by_market": self.by_market,
            "by_symbol": self.by_symbol,
            "warnings": self.warnings,
            "notes": list(result.notes),
            "strategy_errors": [dict(error) for error in result.strategy_errors],
        }
        plain: dict[str, Any] = _plain(document)
        return plain

    def to_json(self) -> bytes:
        """Return `to_dict()` as indented JSON in UTF-8 with a newline at the end."""
        return orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def render(self) -> "RenderableType":
        """Return the terminal report, made for 100 columns, for `rich.console.Console.print`."""
        from mmats.backtest.terminal import render

        return render(self)

    def __rich__(self) -> "RenderableType":
        return self.render()

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained page and return its path.

        The page is written beside `path` and renamed, so a reader never sees half of it. Raises
        `OSError` where the folder can't be written.
        """
        from mmats.backtest.html import write_html

        return write_html(self, Path(path))

    def _measure_cells(self, strategies: Sequence[int], instruments: Sequence[int]) -> Metrics:
        result, trips = self.result, self.trips
        cells = result.cells_pnl[:, list(strategies)][:, :, list(instruments)]
        curve = cells.sum(axis=(1, 2), dtype=np.int64) + result.initial_units
        chosen = np.isin(trips["strategy"], strategies) & np.isin(trips["instrument"], instruments)
        return self._measure(result.cells_ts_ns, curve, chosen)

    def _measure(self, ts_ns: Int64Array, equity: Int64Array, chosen: NDArray[np.bool_]) -> Metrics:
        result, trips = self.result, self.trips
        is_open, closed_ns = trips["is_open"][chosen], trips["closed_ns"][chosen]
        pnl = trips["realized"][chosen] - trips["fee"][chosen]
        by_closing = np.argsort(closed_ns[~is_open], kind="stable")
        turned_over = float(self._trip_values[chosen].sum()) / money(result.initial_units)
        found: Metrics = curve_metrics(ts_ns, equity, result.initial_units)
        found |= trade_metrics(pnl[~is_open][by_closing])
        found["exposure_time"] = exposure_fraction(
            trips["opened_ns"][chosen],
            np.where(is_open, result.end_ns, closed_ns),
            result.start_ns,
            result.end_ns,
        )
        found["open_trades"] = int(is_open.sum())
        found["turnover"] = turned_over if math.isfinite(turned_over) else None
        found["small_sample"] = is_small_sample(found)
        return {name: found[name] for name in HEADLINE} | found

    @cached_property
    def _outcomes(self) -> blotter.Outcomes:
        return blotter.order_outcomes(self.result)

    @cached_property
    def _trip_values(self) -> FloatArray:
        """Value bought and sold by each round trip in account currency; NaN without a rate."""
        trips = self.trips
        values = np.zeros(len(trips))
        for side, time in (("entry", "opened_ns"), ("exit", "closed_ns")):
            values += notional(
                self.result, trips["instrument"], trips[f"{side}_ticklots"], trips[time]
            )
        return values


def _warnings(report: Report) -> list[str]:
    found, result, counts = report.metrics, report.result, report.order_counts
    trades, days, needed = int(found["trades"] or 0), found["days"] or 0.0, found["trades_needed"]
    said = []
    if found["small_sample"]:
        said.append(
            f"Small sample: {_sample_size(trades, days)}. Annualised figures (CAGR, volatility, "
            "Sharpe, Sortino, Calmar) are not evidence."
        )
    if needed and needed > trades:
        said.append(
            f"Not told apart from luck: at this quality about {needed:,} trades would be needed "
            f"to show an edge, there are {trades:,}."
        )
    if result.final_units <= 0:
        said.append("The account was lost: equity ended at zero or below.")
    stress = report.cost_stress
    if stress["x1"] > 0 >= stress["x2"]:
        said.append("The profit is gone at twice the costs.")
    if counts["signals"] and counts["denied"] / counts["signals"] > DENIED_SHARE_MAX:
        reason = next(iter(report.denial_counts))
        said.append(
            f"{counts['denied']:,} of {counts['signals']:,} signals were denied, mostly {reason}."
        )
    if found["open_trades"]:
        said.append(
            f"{plural(int(found['open_trades']), 'trade')} still open at the end: counted in the "
            "net profit, not in the trade statistics."
        )
    for error in result.strategy_errors:
        cause = str(error.get("traceback", "")).strip().rpartition("\n")[2]
        said.append(f"Strategy {error.get('strategy')} raised an error: {cause}")
    return said


def _sample_size(trades: int, days: float) -> str:
    """Trades and days of a sample, each with what is needed where it falls short."""
    # Rounded down: 29.999 days are fewer than 30, and must not read as 30.0.
    days_text = f"{math.floor(days * 10) / 10:.1f} days"
    parts = ((plural(trades, "closed trade"), trades), (days_text, days))
    needed = f" ({SAMPLE_MIN} needed)"
    return " over ".join(text + (needed if found < SAMPLE_MIN else "") for text, found in parts)


def _plain(value: Any) -> Any:
    """Copy of plain data with floats rounded to 10 decimals and none that JSON can't say."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | np.floating):
        return round(float(value), 10) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)
