"""The report: stable keys, exact money, honest warnings, and a page that fetches nothing."""

import dataclasses
import json
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from rich.console import Console

from mmats._core.journal import RecordKind
from mmats._core.types import OrderRole, OrderState, OrderType, VenueReason
from mmats.backtest.charts import figures, thin
from mmats.backtest.html import build_html
from mmats.backtest.labels import UNALLOCATED, duration, plus_amount, plus_percent, signed_amount
from mmats.backtest.report import Report
from mmats.backtest.result import RunResult
from mmats.backtest.terminal import sparkline
from tests.fakes.run_results import (
    BTC,
    EUR,
    HOUR_NS,
    START_NS,
    Fill,
    empty_result,
    record,
    run_result,
)

HOSTILE = '<script>alert("x")</script>'

TOP_KEYS = [
    "schema", "run", "state_hash", "account", "metrics", "costs", "cost_stress", "benchmarks",
    "orders", "denials", "by_strategy", "by_market", "by_symbol", "warnings", "notes",
    "strategy_errors",
]  # fmt: skip
METRIC_KEYS = [
    "net_profit", "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar",
    "max_drawdown", "max_drawdown_duration_s", "win_rate", "profit_factor", "expectancy",
    "trades", "avg_trade", "exposure_time",
]  # fmt: skip


def at(hour: int) -> int:
    return START_NS + hour * HOUR_NS


def traded(**changes: object) -> RunResult:
    """A gain and a loss of the first strategy, a gain of the second, over two days."""
    fills = [
        Fill(1, 100, 3_500_000, at(1), fee=10**6, spread_cost=2 * 10**6, slippage_cost=10**6),
        Fill(-1, 100, 3_600_000, at(7), fee=10**6, role=int(OrderRole.ROLE_TARGET)),
        Fill(1, 200, 3_600_000, at(9)),
        Fill(-1, 200, 3_580_000, at(15), role=int(OrderRole.ROLE_STOP)),
        Fill(-1, 50, 106_000, at(20), strategy=1, instrument=1),
        Fill(1, 50, 105_000, at(30), strategy=1, instrument=1),
    ]
    hours = np.array([at(0), at(48)])
    defaults = {
        "marks": {
            BTC.id: (hours, np.array([35_000.0, 42_000.0])),
            EUR.id: (hours, np.array([1.05, 1.06])),
        },
        "rates": {c: (hours, np.array([0.95, 0.90])) for c in ("USDT", "USD")},
    }
    return run_result(fills, **(defaults | changes))


def printed(report: Report, width: int = 100) -> str:
    console = Console(width=width, file=StringIO(), color_system=None)
    console.print(report)
    return console.file.getvalue()


def test_json_has_the_stable_keys_in_order() -> None:
    document = json.loads(Report(traded()).to_json())
    assert list(document) == TOP_KEYS
    assert document["schema"] == "mmats.report/1"
    assert list(document["run"]) == [
        "config_hash", "data_hash", "version", "seed", "synthetic", "start", "end",
        "events", "wall_s", "events_per_s",
    ]  # fmt: skip
    for group in ("by_strategy", "by_market", "by_symbol"):
        for found in document[group].values():
            assert list(found)[: len(METRIC_KEYS)] == METRIC_KEYS
    assert list(document["metrics"])[: len(METRIC_KEYS)] == METRIC_KEYS
    assert {"commission", "spread", "slippage", "dust"} <= set(document["costs"])


def test_money_in_json_is_exact() -> None:
    held = {"EUR": 151_08000000, "BTC": 193, "USDT": 0}
    run = traded(dust_units=7, conversion_units=3, carry_units=-2, balances_units=held)
    document = Report(run).to_dict()
    assert document["account"] == {
        "currency": "EUR", "initial": 150.0, "final_equity": 151.08, "unallocated": 0.0,
        "balances": {"EUR": 151.08, "BTC": 0.00000193},
    }  # fmt: skip
    assert document["metrics"]["net_profit"] == 1.08
    assert document["costs"] == {
        "commission": 0.02, "spread": 0.02, "slippage": 0.01, "conversion": 3e-8, "carry": 2e-8,
        "total": 0.05000005, "dust": 7e-8,
    }  # fmt: skip
    assert document["cost_stress"] == {
        "x0": 1.13000005, "x1": 1.08, "x2": 1.02999995, "x3": 0.9799999,
    }  # fmt: skip


def test_parts_add_up_to_the_account() -> None:
    document = Report(traded()).to_dict()
    for group in ("by_strategy", "by_market", "by_symbol"):
        parts = [found["net_profit"] for found in document[group].values()]
        assert sum(parts) == pytest.approx(document["metrics"]["net_profit"])
    assert document["by_strategy"]["reversion"]["trades"] == 1
    assert document["by_symbol"]["BTCUSDT"]["trades"] == 2
    assert document["by_market"]["forex"]["net_profit"] == 0.5


def test_what_no_strategy_earned_is_shown_apart() -> None:
    result = traded()
    equity = result.equity_units.copy()
    equity[-1] -= 5_000_000
    less = dataclasses.replace(result, equity_units=equity, final_units=int(equity[-1]))
    assert Report(less).unallocated == -0.05


def test_json_is_the_same_twice() -> None:
    assert Report(traded()).to_json() == Report(traded()).to_json()


def test_buy_and_hold_is_in_account_currency_where_rates_are_known() -> None:
    held = Report(traded()).to_dict()["benchmarks"]["buy_and_hold"]
    gain = 42_000 / 35_000 * 0.90 / 0.95 - 1
    assert held["BTCUSDT"]["total_return"] == pytest.approx(gain)
    assert held["BTCUSDT"]["currency"] == "EUR"
    assert "EURUSD" not in held  # holding EUR on a EUR account is doing nothing
    unknown = Report(traded(rates={})).to_dict()["benchmarks"]["buy_and_hold"]
    assert unknown["BTCUSDT"]["currency"] == "USDT"
    assert unknown["BTCUSDT"]["total_return"] == pytest.approx(0.2)


def test_turnover_needs_rates() -> None:
    assert Report(traded(rates={})).metrics["turnover"] is None
    hours = np.array([at(0)])
    even = {c: (hours, np.array([1.0])) for c in ("USDT", "USD")}
    value = 35 + 36 + 72 + 71.6 + 53 + 52.5
    assert Report(traded(rates=even)).metrics["turnover"] == pytest.approx(value / 150)


def test_every_order_ends_in_exactly_one_way() -> None:
    common = {"instrument": 0, "strategy": 0, "lots": 10, "side": 1, "ts_ns": at(2)}
    records = []
    ends = (
        (RecordKind.RECORD_CANCELED, OrderState.STATE_CANCELED, VenueReason.VENUE_OK),
        (RecordKind.RECORD_EXPIRED, OrderState.STATE_EXPIRED, VenueReason.VENUE_OK),
        (RecordKind.RECORD_REJECTED, OrderState.STATE_REJECTED, VenueReason.VENUE_NOTIONAL_MIN),
        (RecordKind.RECORD_ACCEPTED, OrderState.STATE_ACCEPTED, VenueReason.VENUE_OK),
        (RecordKind.RECORD_FILLED, OrderState.STATE_PARTIALLY_FILLED, VenueReason.VENUE_OK),
    )
    for order_id, (kind, state, reason) in enumerate(ends, start=1):
        common["order_id"] = order_id
        records += [
            record(
                RecordKind.RECORD_SUBMITTED, **common, state=OrderState.STATE_SUBMITTED,
                order_type=OrderType.ORDER_LIMIT, price_ticks=3_500_000,
            ),
            record(kind, **common | {"lots": 4, "ts_ns": at(3)}, state=state, reason=reason,
                   price_ticks=3_499_900, observed=4),
        ]  # fmt: skip
    # The partly executed one is canceled afterwards, and stays partly executed.
    records.append(record(RecordKind.RECORD_CANCELED, **common, state=OrderState.STATE_CANCELED))
    # An execution of an order that this run did not send is nobody's outcome.
    records.append(record(RecordKind.RECORD_LATE_FILL, lots=1, side=1, order_id=3_000, observed=1))
    report = Report(run_result(extra_records=records, counts={"holds": 12, "filled": 99}))
    assert report.order_counts == {
        "signals": 0, "denied": 0, "submitted": 5, "filled": 0, "partially_filled": 1,
        "canceled": 1, "rejected": 1, "expired": 1, "open": 1, "holds": 12,
    }  # fmt: skip
    orders = report.orders.set_index("order_id")
    assert orders.loc[3, "state"] == "REJECTED"
    assert orders.loc[3, "reason"] == "NOTIONAL_MIN"
    assert orders.loc[5, "filled_quantity"] == pytest.approx(0.00004)
    assert orders.loc[5, "avg_fill_price"] == pytest.approx(34_999.0)
    assert orders.loc[1, "limit_price"] == pytest.approx(35_000.0)
    assert orders.loc[1, "type"] == "LIMIT"


def test_denials_are_named_and_counted_most_frequent_first() -> None:
    reasons = (7, 3, 3, 99)
    records = [
        record(RecordKind.RECORD_DENIED, reason=reason, lots=5, side=1, observed=4, limit=5)
        for reason in reasons
    ] + [record(RecordKind.RECORD_SIGNAL, lots=5, side=1) for _ in range(5)]
    report = Report(run_result(extra_records=records))
    assert list(report.denial_counts.items()) == [
        ("NOTIONAL_MIN", 2), ("PRICE_COLLAR", 1), ("REASON_99", 1),
    ]  # fmt: skip
    assert list(report.denials["reason"]) == ["PRICE_COLLAR", *["NOTIONAL_MIN"] * 2, "REASON_99"]
    assert any("4 of 5 signals were denied, mostly NOTIONAL_MIN" in w for w in report.warnings)


def test_small_samples_are_marked_wherever_a_figure_is_annualised() -> None:
    report = Report(traded())
    assert report.metrics["small_sample"]
    assert any(
        "Small sample: 3 closed trades (30 needed) over 2.0 days (30 needed)." in w
        for w in report.warnings
    )
    text = printed(report)
    for label in ("CAGR", "Volatility", "Sharpe", "Sortino", "Calmar"):
        assert f"{label} *" in text
    assert "! * Small sample" in text


def test_a_sample_that_is_short_by_minutes_is_not_rounded_to_enough() -> None:
    report = Report(run_result([Fill(1, 100, 3_500_000, at(1))], days=30))
    report.metrics |= {"trades": 30, "days": 29.9993, "small_sample": True}
    assert any("30 closed trades over 29.9 days (30 needed)" in w for w in report.warnings)


def test_one_open_trade_is_told_in_the_singular() -> None:
    report = Report(run_result([Fill(1, 100, 3_500_000, at(1))]))
    assert any(w.startswith("1 trade still open at the end") for w in report.warnings)


@pytest.mark.parametrize("width", [80, 100])
def test_no_figure_of_the_terminal_report_is_cut(width: int) -> None:
    long_name = "a_strategy_with_a_long_name"
    result = traded(strategies=[long_name, "mean_reversion"])
    equity = result.equity_units.copy()
    equity[-1] -= 5_000_000
    result = dataclasses.replace(result, equity_units=equity, final_units=int(equity[-1]))
    report = Report(result)
    text = printed(report, width)
    assert max(map(len, text.splitlines())) <= width
    table = text[text.index("Per strategy") :]
    shown = next(line for line in table.splitlines() if line.startswith(" a_strategy"))
    found = report.by_strategy[long_name]
    for figure in (plus_percent(found["total_return"]), plus_amount(found["avg_trade"])):
        assert figure in shown
    assert f"{UNALLOCATED}: {signed_amount(-0.05)}" in text


def test_enough_trades_over_enough_days_need_no_mark() -> None:
    fills = []
    for k in range(40):
        fills += [
            Fill(1, 100, 3_500_000, at(20 * k)),
            Fill(-1, 100, 3_500_000 + (90_000 if k % 3 else -40_000), at(20 * k + 6)),
        ]
    report = Report(run_result(fills, days=40))
    assert not report.metrics["small_sample"]
    assert report.warnings == []
    assert "Sharpe *" not in printed(report)


def test_frames_have_utc_times_and_decimals() -> None:
    report = Report(traded())
    assert list(report.equity.columns) == ["equity", "drawdown"]
    assert str(report.equity.index.tz) == "UTC"
    assert report.equity["equity"].iloc[-1] == pytest.approx(151.08)
    first = report.fills.iloc[0]
    assert (first["symbol"], first["side"], first["liquidity"]) == ("BTCUSDT", "BUY", "TAKER")
    assert (first["quantity"], first["price"]) == pytest.approx((0.001, 35_000.0))
    assert report.trades["exit_reason"].tolist() == ["target", "stop", "signal"]
    assert report.orders["state"].unique().tolist() == ["FILLED"]


def test_streaks_follow_the_order_of_closing() -> None:
    fills = [
        Fill(1, 10, 3_500_000, at(1)),
        Fill(1, 10, 3_500_000, at(2), strategy=1),
        Fill(-1, 10, 3_400_000, at(3), strategy=1),
        Fill(1, 10, 3_500_000, at(4), strategy=1),
        Fill(-1, 10, 3_400_000, at(5), strategy=1),
        Fill(-1, 10, 3_600_000, at(6)),
        Fill(1, 10, 3_500_000, at(7), strategy=1),
        Fill(-1, 10, 3_400_000, at(8), strategy=1),
    ]
    # By closing: loss, loss, gain, loss. By opening the gain would come first.
    assert Report(run_result(fills)).metrics["loss_streak"] == 2


def test_symbols_carry_their_venue_only_where_ambiguous() -> None:
    twin = dataclasses.replace(BTC, venue="COINBASE")
    result = run_result([Fill(1, 1, 100, at(1), instrument=1)], instruments=(BTC, twin))
    assert list(Report(result).by_symbol) == ["BTCUSDT.BINANCE", "BTCUSDT.COINBASE"]


@pytest.mark.parametrize("result", [empty_result(), run_result()], ids=["no events", "no trades"])
def test_a_run_without_trades_works_everywhere(result: RunResult, tmp_path: Path) -> None:
    report = Report(result)
    document = json.loads(report.to_json())
    assert document["metrics"]["trades"] == 0
    assert document["metrics"]["sharpe"] is None
    assert document["orders"]["submitted"] == 0
    for frame in (report.equity, report.orders, report.fills, report.trades, report.denials):
        assert len(frame) == (len(result.equity_units) if frame is report.equity else 0)
    assert "Closed trades" in printed(report)
    assert "No trade was made." in report.to_html(tmp_path / "report.html").read_text()


def test_terminal_report_fits_and_says_what_went_wrong() -> None:
    error = {
        "strategy": "trend", "ts_ns": at(3), "where": "on_market_data",
        "traceback": "Traceback:\n  line\x1b[2J 7\nZeroDivisionError: division by zero\n",
    }  # fmt: skip
    errors = [error] * 5
    text = printed(Report(traded(strategy_errors=errors, notes=["synthetic data"])))
    assert "and 3 more errors" in text
    lines = text.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    for expected in (
        "▲ +1.08 EUR", "synthetic data", "ZeroDivisionError: division by zero", "Per strategy",
        " trend ",
        " crypto ", " EURUSD ", "Commission", "3 times as high",
    ):  # fmt: skip
        assert expected in text


def test_sparkline_shows_lowest_and_highest() -> None:
    assert sparkline(np.array([1.0, 2.0, 3.0]), 10) == "▁▅█"
    assert sparkline(np.array([5.0, 5.0]), 10) == "▁▁"
    assert sparkline(np.empty(0), 10) == ""
    assert len(sparkline(np.arange(1_000.0), 60)) == 60


def test_duration_in_two_units() -> None:
    assert duration(93_784) == "1 d 2 h"
    assert duration(3_600) == "1 h"
    assert duration(0) == "0 s"
    assert duration(None) == "n/a"


class Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)


def test_page_fetches_nothing_and_forbids_it() -> None:
    text = build_html(Report(traded()))
    page = Page(text)
    assert page.addresses == []
    assert not {"link", "iframe", "img", "base", "form"} & set(page.tags)
    assert "default-src 'none'" in text
    assert "url(" not in text[: text.index('id="figures"')]
    assert len(text.encode()) < 6_000_000


def test_page_escapes_names_and_tracebacks() -> None:
    error = {"strategy": HOSTILE, "ts_ns": at(1), "where": HOSTILE, "traceback": HOSTILE}
    result = traded(strategies=(HOSTILE, "b"), strategy_errors=[error], notes=[HOSTILE])
    text = build_html(Report(result))
    assert 'alert("x")' not in text.replace("\\", "")
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in text
    page = Page(text)
    assert page.tags.count("script") == 3
    assert "<" not in page.scripts[0]


def test_page_is_the_same_twice_and_has_every_chart() -> None:
    text = build_html(Report(traded()))
    assert text == build_html(Report(traded()))
    drawn = figures(Report(traded()))
    assert set(drawn) == {
        "chart-equity", "chart-costs", "chart-strategies", "chart-distribution", "chart-price-0",
        "chart-price-1",
    }  # fmt: skip
    for place in drawn:
        assert text.count(f'id="{place}"') == 1


def test_charts_are_valid_figures() -> None:
    def without_named_colors(node: object) -> object:
        """The page resolves its colour names; plotly knows only colours."""
        if isinstance(node, dict):
            return {key: without_named_colors(value) for key, value in node.items()}
        if isinstance(node, list):
            return [without_named_colors(item) for item in node]
        return "#000000" if isinstance(node, str) and node.startswith("--") else node

    for figure in figures(Report(traded())).values():
        go.Figure(without_named_colors(figure))


def test_page_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def fail(source: str, destination: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("mmats.backtest.html.os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            Report(traded()).to_html(target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text() == "old"
    Report(traded()).to_html(str(target))
    assert target.read_text().startswith("<!DOCTYPE html>")


def test_thinning_keeps_ends_and_extremes() -> None:
    values = np.random.default_rng(5).normal(size=100_000).cumsum()
    values[41_234], values[77_777] = 1e6, -1e6
    kept = thin(values, 1_000)
    assert len(kept) <= 1_000
    assert {0, 41_234, 77_777, 99_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    assert thin(values[:10], 1_000).tolist() == list(range(10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"records": np.zeros(1)}, "RECORD_DTYPE"),
        ({"equity_units": np.zeros(3, np.int64)}, "differ in length"),
        ({"cells_pnl": np.zeros((1, 2, 2), np.int64)}, "expected"),
        ({"final_units": 1}, "final_units differs"),
        ({"initial_units": 0}, "must be positive"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_result(**changes)


def test_times_must_ascend() -> None:
    times = run_result().equity_ts_ns[::-1].copy()
    with pytest.raises(ValueError, match="equity_ts_ns is not ascending"):
        run_result(equity_ts_ns=times)


def test_every_figure_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    document = Report(traded()).to_dict()
    for group in ("metrics", "costs", "orders"):
        for key in document[group]:
            assert f"`{key}`" in text, key
