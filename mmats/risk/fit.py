"""What a small account can trade: smallest sensible entry, costs and the verdict for a symbol.

All arithmetic is exact; every rounding goes against the account. Money is in the account
currency and rounded up to 1e-8 of it, shares are millionths (ppm) and rounded up, counts are
rounded down.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

from mmats.config.marks import Price
from mmats.config.schema import Costs
from mmats.config.units import PPM, Money, Percent, plain, ppm_text
from mmats.model.instrument import MONEY_SCALE, Instrument, Settlement
from mmats.risk.limits import MARKET_BUFFER_PPM
from mmats.risk.round_trip import RoundTrip

CENT = Decimal("0.01")
STOP = Percent(20_000)
TARGET = Percent(30_000)
RISK = Percent(10_000)
COST_SHARE = Percent(100_000)
CONVERSION_COST = Percent(1_000)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be traded with."""

    capital: Money
    stop: Percent = STOP  # distance of the stop from the price; above 0, below 100%
    target: Percent = TARGET  # distance of the target
    risk: Percent | None = RISK  # of the capital, lost at the stop; None: smallest entry
    cost_share: Percent = COST_SHARE  # of the capital that a month's costs may take
    conversion_cost: Percent = CONVERSION_COST  # of buying a missing quote currency


@dataclass(frozen=True, slots=True)
class Trade:
    """One entry and its exit; money in account currency."""

    lots: int
    quantity: Decimal  # base asset
    value: Decimal  # at the price
    needed: Decimal  # free money the gate asks for: worst case, fee and conversion, or margin
    margin: Decimal | None  # None: paid in full
    dust: Decimal  # base asset, left below a lot
    dust_value: Decimal
    cost: Decimal  # fees of both sides, spread and slippage
    cost_ppm: int  # of the value


@dataclass(frozen=True, slots=True)
class Fit:
    """Figures of one symbol; None where they can't be known."""

    instrument: Instrument
    price: Price | None  # quote currency for one base
    rate: Price | None  # account currency for one of the quote currency
    price_used: Decimal | None = None  # `price` to a whole tick
    lot_value: Decimal | None = None
    notional_min: Decimal | None = None  # the venue's
    smallest: Trade | None = None  # that can still be exited after the stop
    smallest_ppm: int | None = None  # its value as a share of the capital
    trade: Trade | None = None  # of the risk that was asked for; the smallest where that is more
    win_rate_ppm: int | None = None  # break-even
    trades_per_month: int | None = None  # until costs exceed their share; None: they never do
    problem: str = ""  # why it is not usable, in plain words

    @property
    def verdict(self) -> str:
        """usable, unusable or unknown (no price)."""
        if self.price is None or self.rate is None:
            return "unknown"
        return "unusable" if self.problem else "usable"


def fit(
    instrument: Instrument, costs: Costs, price: Price | None, rate: Price | None, plan: Plan
) -> Fit:
    """Judge one symbol.

    Parameters
    ----------
    price, rate
        Of the base asset in quote currency, and of the quote currency in account currency; None
        where they are unknown: then nothing is judged.
    plan
        `capital` is in account currency.
    """
    if price is None or rate is None:
        missing = "price" if price is None else f"rate from {instrument.quote}"
        return Fit(instrument, price, rate, problem=f"no {missing}")
    return _Account(RoundTrip(instrument, costs), price, rate, plan).judge()


class _Account:
    """One symbol before one plan."""

    def __init__(self, market: RoundTrip, price: Price, rate: Price, plan: Plan) -> None:
        self.market, self.price, self.rate, self.plan = market, price, rate, plan
        self.ticks = market.ticks(price.value)
        self.bought_at = market.buy_price(self.ticks)
        self.stop = market.stop_price(self.ticks, plan.stop.ppm)
        instrument = market.instrument
        self.lots_min = max(
            1, ceil(Fraction(instrument.quantity_min) / Fraction(instrument.lot_size))
        )
        self.lots_max = int(instrument.quantity_max // instrument.lot_size)

    def judge(self) -> Fit:
        """Compute all figures."""
        instrument, plan = self.market.instrument, self.plan
        figures = Fit(
            instrument,
            self.price,
            self.rate,
            price_used=self.ticks * instrument.tick_size,
            lot_value=self._money(self.market.notional(1, self.ticks)),
            notional_min=self._money(int(instrument.notional_min * MONEY_SCALE)),
        )
        lots = self.smallest_lots()
        if lots is None:
            problem = "no order that the venue takes can be exited again after the stop"
            return replace(figures, problem=problem)
        allowed = self.largest_lots()
        smallest, trade = self.trade(lots), self.trade(max(lots, allowed))
        return replace(
            figures,
            smallest=smallest,
            smallest_ppm=ceil(Fraction(smallest.value) * PPM / Fraction(plan.capital.amount)),
            trade=trade,
            win_rate_ppm=self._win_rate(trade),
            trades_per_month=self._trades(trade),
            problem=self._problem(smallest, trade, allowed),
        )

    def smallest_lots(self) -> int | None:
        """Smallest purchase whose rest the venue takes as an order at the stop's worst price."""
        num, den = self.market.instrument.money_per_ticklot
        sold_at = self.market.sell_price(self.stop)
        notional_min = Fraction(self.market.instrument.notional_min) * MONEY_SCALE
        least = max(self.lots_min, ceil(notional_min / Fraction(sold_at * num, den)))
        lots = bisect_left(
            range(self.lots_max + 1), least, key=lambda n: self.market.sellable(n, self.bought_at)
        )
        return lots if lots <= self.lots_max else None

    def largest_lots(self) -> int:
        """Largest purchase that loses the risk at the stop at most, and that can be paid."""
        if self.plan.risk is None:
            return 0
        capital = int(self.plan.capital.amount * MONEY_SCALE)
        lots = bisect_right(range(1, self.lots_max + 1), capital, key=self._needed)
        num, den = self.market.instrument.money_per_ticklot
        loss = Fraction((self.ticks - self.stop) * num, den) * self.rate.value
        if loss == 0:
            return 0  # a price of one tick has no room for a stop
        return min(lots, int(Fraction(capital * self.plan.risk.ppm, PPM) / loss))

    def trade(self, lots: int) -> Trade:
        """Figures of a purchase of `lots` and its exit."""
        market = self.market
        instrument = market.instrument
        notional = market.notional(lots, self.ticks)
        cost = market.cost(lots, self.ticks)
        dust = market.dust(lots, self.bought_at)
        per_unit = Fraction(self.ticks) * Fraction(instrument.tick_size * instrument.multiplier)
        needed = self._needed(lots)
        is_spot = instrument.settlement is Settlement.SPOT
        return Trade(
            lots=lots,
            quantity=lots * instrument.lot_size,
            value=self._money(notional),
            needed=Decimal(needed) / MONEY_SCALE,
            margin=None if is_spot else self._money(-(-notional * self._margin_ppm // PPM)),
            dust=dust,
            dust_value=self._money(ceil(Fraction(dust) * per_unit * MONEY_SCALE)),
            cost=self._money(cost),
            cost_ppm=ceil(Fraction(cost * PPM, notional)),
        )

    @property
    def _margin_ppm(self) -> int:
        return -(-PPM // self.market.instrument.leverage)

    def _units(self, quote: int) -> int:
        """Quote currency in account currency, rounded up."""
        return ceil(quote * self.rate.value)

    def _money(self, quote: int) -> Decimal:
        return Decimal(self._units(quote)) / MONEY_SCALE

    def _needed(self, lots: int) -> int:
        """Free money that the gate asks for before it lets a market order pass."""
        instrument = self.market.instrument
        worst = -(-self.ticks * (PPM + MARKET_BUFFER_PPM) // PPM)
        notional = self._units(self.market.notional(lots, worst))
        fee_ppm = max(0, self.market.costs.maker.ppm, self.market.costs.taker.ppm)
        fee = -(-notional * fee_ppm // PPM)
        if instrument.settlement is Settlement.MARGIN:
            return -(-notional * self._margin_ppm // PPM) + fee
        needed = notional + fee
        if instrument.quote != self.plan.capital.currency:
            needed -= -needed * self.plan.conversion_cost.ppm // PPM
        return needed

    def _win_rate(self, trade: Trade) -> int:
        """Share of trades that must win: (stop + cost) / (stop + target)."""
        stop, target = self.plan.stop.ppm, self.plan.target.ppm
        return ceil(Fraction((stop + trade.cost_ppm) * PPM, stop + target))

    def _trades(self, trade: Trade) -> int | None:
        if trade.cost <= 0:
            return None
        budget = Fraction(self.plan.capital.amount) * self.plan.cost_share.ppm / PPM
        return int(budget / Fraction(trade.cost))

    def _problem(self, smallest: Trade, trade: Trade, allowed: int) -> str:
        plan = self.plan
        entry = f"smallest sensible entry is {self._text(smallest.value)}"
        if smallest.needed > plan.capital.amount:
            if smallest.margin is None and smallest.value > plan.capital.amount:
                return f"{entry}, more than the capital"
            needed = self._text(smallest.needed)
            what = "fee and reserve" if smallest.margin is None else "margin and fee"
            return f"{entry} and needs {needed} with {what}, more than the capital"
        if plan.risk is not None and allowed < smallest.lots:
            value = self._text(self._money(self.market.notional(allowed, self.ticks)))
            most = f"an entry of {value}" if allowed else "less than one lot"
            return f"{entry}, but {plan.risk} risk with a stop of {plan.stop} allows {most}"
        if trade.cost_ppm >= plan.target.ppm:
            cost = share_text(trade.cost_ppm)
            return f"a round trip costs {cost}, which a target of {plan.target} does not cover"
        return ""

    def _text(self, amount: Decimal) -> str:
        return money_text(amount, self.plan.capital.currency)


def share_text(ppm: int) -> str:
    """A share in percent, rounded up: with two decimals, or four below 0.1%."""
    return ppm_text(ppm if ppm < PPM // 1000 else -(-ppm // 100) * 100)


def money_text(amount: Decimal, currency: str) -> str:
    """An amount rounded up to a cent; below a cent with two digits that count."""
    step = CENT
    while 0 < amount < step and step > Decimal("1e-8"):
        step /= 10
    if step < CENT:
        step = max(step / 10, Decimal("1e-8"))
    rounded = -(-Fraction(amount) // Fraction(step)) * step
    return f"{plain(rounded.quantize(step))} {currency}"
