"""A tradable thing at one venue, with its increments and minimums."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
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


STEPS_MAX = 2**48
"""Ticks or lots of an order in text: more than the execution port would take."""


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

    def lots_exact(self, quantity: str) -> int:
        """Return a quantity in decimal text as lots; ValueError where it is not a multiple."""
        return self._steps(quantity, self.lot_size, "quantity")

    def ticks_exact(self, price: str) -> int:
        """Return a price in decimal text as ticks; ValueError where it is not a multiple."""
        return self._steps(price, self.tick_size, "price")

    def _steps(self, text: str, step: Decimal, what: str) -> int:
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{what} {text!r} is no number") from None
        if not value.is_finite() or value <= 0 or value >= 10**12:
            raise ValueError(f"{what} {text} must be above zero, and not absurd")
        count = value / step
        if count != int(count):
            raise ValueError(f"{what} {text} of {self.id} is not a multiple of {step}")
        if count > STEPS_MAX:
            raise ValueError(f"{what} {text} of {self.id} is absurd")
        return int(count)
