"""What a small trade costs: in and out once, in integers, rounded as the simulated venue does.

A trade is a purchase by a market order and the sale of what is left of it. Short sales of margin
instruments cost the same and their exit, at a higher price, is worth more: the long side decides.
Prices are ticks, quantities lots, money 1e-8 units of the quote currency.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from mmats.config.schema import Costs
from mmats.config.units import PPM
from mmats.model.instrument import MONEY_SCALE, Instrument, PriceBasis, Settlement


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Rules and costs of one instrument."""

    instrument: Instrument
    costs: Costs

    def ticks(self, price: Fraction) -> int:
        """A price as ticks, the nearest one; halves to the even one, at least one."""
        return max(1, round(price / Fraction(self.instrument.tick_size)))

    def spread(self, price: int) -> int:
        """Full spread at a price, rounded up."""
        return max(ceil(Fraction(price * self.costs.spread.ppm, PPM)), self.costs.spread.ticks)

    def slippage(self, price: int) -> int:
        """How much worse than the touch a taker trades, rounded up; volume counts in full."""
        slippage = self.costs.slippage
        match slippage.model:
            case "none":
                return 0
            case "ticks":
                return slippage.value
            case "ppm" | "volume":
                return ceil(Fraction(price * slippage.value, PPM))

    def buy_price(self, price: int) -> int:
        """What a market order pays where the instrument's own price is `price`."""
        ask = self._bid(price) + self.spread(price)
        return ask + self.slippage(ask)

    def sell_price(self, price: int) -> int:
        """What a market order gets, one tick at least."""
        bid = max(1, self._bid(price))
        return max(1, bid - self.slippage(bid))

    def stop_price(self, price: int, stop_ppm: int) -> int:
        """Where the stop of a purchase is, rounded down, one tick at least."""
        return max(1, price * (PPM - stop_ppm) // PPM)

    def notional(self, lots: int, price: int) -> int:
        """Value of an order, rounded up."""
        num, den = self.instrument.money_per_ticklot
        return ceil(Fraction(lots * price * num, den))

    def fee(self, lots: int, price: int) -> int:
        """Fee of a taker's fill in quote currency, rounded up; negative is a rebate."""
        costs = self.costs
        per_lot = ceil(
            Fraction(costs.per_unit.amount) * Fraction(self.instrument.lot_size) * MONEY_SCALE
        )
        fee = ceil(Fraction(self.notional(lots, price) * costs.taker.ppm, PPM))
        fee += lots * per_lot + costs.fixed.units
        return max(fee, costs.minimum.units) if costs.minimum.units else fee

    def fee_in_base(self, lots: int, price: int) -> int:
        """Fee of a purchase in 1e-8 units of the bought asset, rounded up; 0 = not taken there."""
        if not self._takes_base:
            return 0
        costs, units = self.costs, self.instrument.lot_units
        if not (costs.fixed.units or costs.per_unit.amount or costs.minimum.units):
            return max(0, ceil(Fraction(lots * units * costs.taker.ppm, PPM)))
        num, den = self.instrument.money_per_ticklot
        return max(0, ceil(Fraction(self.fee(lots, price) * units * den, price * num)))

    def sellable(self, lots: int, price: int) -> int:
        """Whole lots that can be sold again after a purchase of `lots` at `price`; may be < 0."""
        held = lots - self._broken(self.fee_in_base(lots, price))
        if self.costs.fee_asset == "base" and held > 0:
            # The sale's fee is taken from the same asset.
            held -= self._broken(self.fee_in_base(held, price))
        return held

    def dust(self, lots: int, price: int) -> Decimal:
        """What a purchase leaves below a lot, in the bought asset."""
        fee = self.fee_in_base(lots, price)
        units = self._broken(fee) * self.instrument.lot_units - fee
        return Decimal(units) / MONEY_SCALE

    def cost(self, lots: int, price: int) -> int:
        """Fees of both sides, spread and slippage at an unchanged price, rounded up."""
        bought_at, sold_at = self.buy_price(price), self.sell_price(price)
        num, den = self.instrument.money_per_ticklot
        in_base = self.fee_in_base(lots, bought_at)
        if in_base:
            value = Fraction(in_base * bought_at * num, self.instrument.lot_units * den)
            fee_in = ceil(value)
        else:
            fee_in = self.fee(lots, bought_at)
        sold = max(0, self.sellable(lots, bought_at))
        fee_out = self.fee(sold, sold_at) if sold else 0
        return self.notional(lots, bought_at - sold_at) + fee_in + fee_out

    @property
    def _takes_base(self) -> bool:
        is_spot = self.instrument.settlement is Settlement.SPOT
        return is_spot and self.costs.fee_asset in ("received", "base")

    def _bid(self, price: int) -> int:
        is_bid = self.instrument.price_basis is PriceBasis.BID
        return price if is_bid else price - self.spread(price) // 2

    def _broken(self, fee: int) -> int:
        """Lots that a fee in the bought asset breaks."""
        return ceil(Fraction(fee, self.instrument.lot_units))
