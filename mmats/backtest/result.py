"""The raw outcome of one backtest: what the driver hands to the report, in exact integers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats._core import RECORD_DTYPE, RecordKind
from mmats.model.instrument import MONEY_SCALE, Instrument

Int64Array = NDArray[np.int64]
FloatArray = NDArray[np.float64]
RecordArray = NDArray[np.void]
Series = tuple[Int64Array, FloatArray]
"""Times in ns UTC, ascending, and the value at each."""


def money(units: int) -> float:
    """Return 1e-8 units as a number of whole currency, rounded to 8 decimals."""
    return round(int(units) / MONEY_SCALE, 8)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """Everything a report is made of. Money is int64 in 1e-8 units of the account currency.

    Contract of the records (`RECORD_DTYPE`, in the order the pipeline wrote them):

    - one execution is one record, either FILLED or LATE_FILL, never both; `lots`, `price_ticks`
      and `side` are the execution's, `realized`, `fee`, `spread_cost` and `slippage_cost` its
      money, `observed` the signed position of the strategy in the instrument after it, `role` the
      role of its order, `state` the order's state after it;
    - SUBMITTED carries the order as it left: quantity, prices, type, time in force, flags, role;
    - `reason` is a key of `reasons` in DENIED and a `VenueReason` in records of the venue.

    Raises `ValueError` where lengths, types or the order of times contradict each other.
    """

    records: RecordArray
    equity_ts_ns: Int64Array
    """int64[n], ascending; the first is the start of the run, the last its end."""
    equity_units: Int64Array
    """int64[n]"""
    cells_ts_ns: Int64Array
    """int64[m], ascending"""
    cells_pnl: Int64Array
    """int64[m, strategies, instruments], cumulative: realised - fees + unrealised + carry."""
    instruments: Sequence[Instrument]
    """In the order of the dense index of the records."""
    strategies: Sequence[str]
    """In the order of the dense index of the records."""
    account_currency: str
    initial_units: int
    final_units: int
    reasons: Mapping[int, str]
    """Denial code -> name, such as NOTIONAL_MIN."""
    state_hash: str
    run: Mapping[str, Any]
    """config_hash, data_hash, version, seed, synthetic (ids of the instruments whose data are made
    up), start, end (ISO), events, wall_s, events_per_s."""
    conversion_units: int = 0
    """Cost of currency conversions, positive = paid."""
    dust_units: int = 0
    """Value of holdings below one lot at the end; part of the final equity, but not sellable."""
    balances_units: Mapping[str, int] = field(default_factory=dict)
    """Currency or coin -> what of it is held at the end, dust included, in its own 1e-8 units."""
    carry_units: int = 0
    """Swap and rollover, positive = received."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further counts for the report's `orders`; those that records tell are counted there."""
    strategy_errors: Sequence[Mapping[str, Any]] = ()
    """{strategy, ts_ns, where, traceback} of each strategy that raised."""
    marks: Mapping[str, Series] = field(default_factory=dict)
    """Instrument id -> sampled price (a few thousand points at most), for charts and holding."""
    rates: Mapping[str, Series] = field(default_factory=dict)
    """Currency -> sampled price of one unit of it in the account currency. Where a quote currency
    is absent, figures that need it (return of a trade, turnover) are undefined."""
    notes: Sequence[str] = ()
    """Facts a reader must know, such as "synthetic data"."""

    def __post_init__(self) -> None:
        if self.records.dtype != RECORD_DTYPE:
            raise ValueError("records: dtype is not RECORD_DTYPE")
        if self.equity_ts_ns.shape != self.equity_units.shape:
            raise ValueError("equity_ts_ns and equity_units differ in length")
        shape = (len(self.cells_ts_ns), len(self.strategies), len(self.instruments))
        if self.cells_pnl.shape != shape:
            raise ValueError(f"cells_pnl has shape {self.cells_pnl.shape}, expected {shape}")
        if len(self.equity_units) and self.equity_units[-1] != self.final_units:
            raise ValueError("final_units differs from the last of equity_units")
        for name in ("equity_ts_ns", "cells_ts_ns"):
            if np.any(np.diff(getattr(self, name)) < 0):
                raise ValueError(f"{name} is not ascending")
        if self.initial_units <= 0:
            raise ValueError("initial_units must be positive: returns are relative to it")

    @property
    def is_synthetic(self) -> bool:
        """Whether any of the market data is made up."""
        return bool(self.run.get("synthetic"))

    @property
    def start_ns(self) -> int:
        """Start of the run in ns UTC; 0 for a run without a sample."""
        return int(self.equity_ts_ns[0]) if len(self.equity_ts_ns) else 0

    @property
    def end_ns(self) -> int:
        """End of the run in ns UTC; 0 for a run without a sample."""
        return int(self.equity_ts_ns[-1]) if len(self.equity_ts_ns) else 0

    @property
    def symbols(self) -> list[str]:
        """Name of each instrument: the symbol where it is unique, `SYMBOL.VENUE` elsewhere."""
        plain = [instrument.symbol for instrument in self.instruments]
        return [
            instrument.symbol if plain.count(instrument.symbol) == 1 else instrument.id
            for instrument in self.instruments
        ]

    def prices(self, which: Int64Array, ticks: Int64Array | FloatArray) -> FloatArray:
        """Prices in decimals of `ticks` of the instruments `which`, correctly rounded."""
        return _decimals([instrument.tick_size for instrument in self.instruments], which, ticks)

    def quantities(self, which: Int64Array, lots: Int64Array) -> FloatArray:
        """Quantities in decimals of `lots` of the instruments `which`, correctly rounded."""
        return _decimals([instrument.lot_size for instrument in self.instruments], which, lots)

    @cached_property
    def fills(self) -> RecordArray:
        """The executions, in record order."""
        kinds = self.records["kind"]
        executed: RecordArray = self.records[
            (kinds == RecordKind.RECORD_FILLED) | (kinds == RecordKind.RECORD_LATE_FILL)
        ]
        return executed

    def rate(self, currency: str, ts_ns: Int64Array) -> FloatArray:
        """Price of one unit of `currency` in the account currency at each time; NaN if unknown.

        A time before the first sample takes the first one: the run starts with known marks.
        """
        if currency == self.account_currency:
            return np.ones(len(ts_ns))
        times, values = self.rates.get(currency, (None, None))
        if times is None or values is None or not len(times):
            return np.full(len(ts_ns), np.nan)
        at = np.searchsorted(times, ts_ns, side="right") - 1
        return np.asarray(values[np.maximum(at, 0)], dtype=np.float64)


def _decimals(
    steps: Sequence[Decimal], which: Int64Array, counts: Int64Array | FloatArray
) -> FloatArray:
    """`counts` times the step of each; a division by a whole number, so that 1 tick is 0.01."""
    ratios = np.array([step.as_integer_ratio() for step in steps], dtype=np.float64)
    out: FloatArray = counts * ratios[which, 0] / ratios[which, 1]
    return out
