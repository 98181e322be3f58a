"""A tradable thing at one venue, with its increments and minimums."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

MONEY_SCALE = 10**8
"""Money is held in 1e-8 units of its currency."""


class Settlement(StrEnum):
    """How a fill is paid for."""

    SPOT = "spot"
    MARGIN = "margin"


class PriceBasis(StrEnum):
    """Which price the bars of an instrument show."""

    TRADE = "trade"
    BID = "bid"
    MID = "mid"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument at one venue.

    Decimals are exact; they were parsed from decimal strings and never from floats.
    `leverage` 0 means spot (no borrowing); 30 means initial margin of 1/30 of the notional.
    `stale_after_ns` is the age at which a mark stops valuing anything new.
    """

    symbol: str
    venue: str
    market: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    notional_min: Decimal
    settlement: Settlement = Settlement.SPOT
    price_basis: PriceBasis = PriceBasis.TRADE
    leverage: int = 0
    multiplier: Decimal = Decimal(1)
    source: str = ""
    stale_after_ns: int = 72 * 3600 * 10**9

    @property
    def id(self) -> str:
        """`BTCUSDT.BINANCE`: unique in the whole system."""
        return f"{self.symbol}.{self.venue}"

    @property
    def money_per_ticklot(self) -> tuple[int, int]:
        """One tick times one lot in 1e-8 units of quote currency, as (numerator, denominator)."""
        return (self.tick_size * self.lot_size * self.multiplier * MONEY_SCALE).as_integer_ratio()

    @property
    def lot_units(self) -> int:
        """One lot in 1e-8 units of the base asset."""
        units = self.lot_size * MONEY_SCALE
        if units != int(units):
            raise ValueError(f"{self.id}: lot_size {self.lot_size} is finer than 1e-8")
        return int(units)
