"""The ledger's rules again in exact fractions, written to be obvious and slow."""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

CAPITAL, CASH, DUST, TRADING, PNL, FEES, CONVERSION, CARRY = range(8)


@dataclass(frozen=True)
class Terms:
    """One instrument; ``ticklot`` is the money of one tick times one lot, quote currency."""

    base: int
    quote: int
    spot: bool
    ticklot: Fraction
    lot_units: int
    margin_ppm: int = 0

    def price(self, ticks: int) -> Fraction:
        """Units of quote currency for one unit of base."""
        return ticks * self.ticklot / self.lot_units


@dataclass
class Position:
    """One strategy in one instrument."""

    lots: int = 0
    cost: int = 0
    realized_ticklots: int = 0
    realized: int = 0
    fees: int = 0
    carry: int = 0
    cash_flow: Fraction = Fraction(0)
    """Exact spot cash flow, quote currency."""

    def trade(self, lots: int, price: int) -> int:
        """Move the position by signed lots; return how many lots were closed."""
        closed = 0
        if self.lots * lots < 0:
            sign = 1 if self.lots > 0 else -1
            closed = min(abs(lots), abs(self.lots))
            released = round(Fraction(self.cost * closed, abs(self.lots)))
            self.realized_ticklots += sign * closed * price - released
            self.cost -= released
            self.lots -= sign * closed
            lots += sign * closed
        self.lots += lots
        self.cost += lots * price
        return closed


@dataclass
class OracleLedger:
    """Exact books; ``rates`` lists per currency the (instrument, inverted) steps to account."""

    terms: list[Terms]
    rates: dict[int, list[tuple[int, bool]]]
    account: int = 0
    auto_convert: bool = False
    conversion_ppm: int = 0
    conversion_paid: int = 0
    marks: dict[int, int] = field(default_factory=dict)
    balances: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    positions: defaultdict[tuple[int, int], Position] = field(
        default_factory=lambda: defaultdict(Position)
    )
    dust_costs: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def move(self, currency: int, giver: int, taker: int, amount: int) -> None:
        self.balances[currency, giver] -= amount
        self.balances[currency, taker] += amount

    def convert(self, amount: int, currency: int, up: bool = False) -> int:
        for instrument, inverted in self.rates.get(currency, []):
            price = self.terms[instrument].price(self.marks[instrument])
            exact = amount / price if inverted else amount * price
            amount = ceil(exact) if up else floor(exact)
        return amount

    def fill(
        self,
        strategy: int,
        instrument: int,
        side: int,
        lots: int,
        price: int,
        fee: int,
        fee_currency: int,
    ) -> tuple[int, int, int, int]:
        """Post one fill; return (realized, fee, position, closed) as the ledger does."""
        terms = self.terms[instrument]
        position = self.positions[strategy, instrument]
        base_fee = terms.spot and fee != 0 and fee_currency == terms.base
        lost = ceil(Fraction(fee, terms.lot_units)) if base_fee else 0
        realized_before = floor(position.realized_ticklots * terms.ticklot)
        cash_before = floor(position.cash_flow)

        if base_fee:
            dust = lost * terms.lot_units - fee
            paid = self.convert(ceil(fee * terms.price(price)), terms.quote, up=True)
            dust_worth = self.convert(floor(dust * terms.price(price)), terms.quote)
            self.dust_costs[terms.base] += dust_worth
            self.move(terms.base, CASH, DUST, dust)
        else:
            paid = self.convert(fee, fee_currency, up=True)
        if fee:
            self.move(fee_currency, CASH, FEES, fee)
        position.fees += paid

        closed = position.trade(side * lots - lost, price)
        if base_fee:
            self.return_dust(terms, position, price)
        gain = floor(position.realized_ticklots * terms.ticklot) - realized_before
        realized = self.convert(gain, terms.quote)
        position.realized += realized
        if terms.spot:
            position.cash_flow -= side * lots * price * terms.ticklot
            self.move(terms.quote, TRADING, CASH, floor(position.cash_flow) - cash_before)
            self.move(terms.base, TRADING, CASH, side * lots * terms.lot_units)
            self.buy_missing(terms.quote)
        else:
            self.move(self.account, PNL, CASH, realized)
        return realized, paid, position.lots, closed

    def return_dust(self, terms: Terms, position: Position, price: int) -> None:
        pool = self.balances[terms.base, DUST]
        lots = pool // terms.lot_units
        if lots <= 0 or position.lots < 0:
            return
        share = round(Fraction(self.dust_costs[terms.base] * lots * terms.lot_units, pool))
        worth = self.convert(floor(lots * price * terms.ticklot), terms.quote)
        if worth == 0:
            cost = lots * price
        else:
            cost = floor(Fraction(lots * price * share, worth))
            share = ceil(Fraction(cost * worth, lots * price))
        self.dust_costs[terms.base] -= share
        position.cost += cost
        position.lots += lots
        self.move(terms.base, DUST, CASH, lots * terms.lot_units)

    def buy_missing(self, quote: int) -> None:
        missing = -self.balances[quote, CASH]
        if not self.auto_convert or quote == self.account or missing <= 0:
            return
        price = self.convert(missing, quote, up=True)
        cost = ceil(Fraction(price * self.conversion_ppm, 10**6))
        self.move(quote, CONVERSION, CASH, missing)
        self.move(self.account, CASH, CONVERSION, price + cost)
        self.conversion_paid += cost

    def pay_carry(self, strategy: int, instrument: int, amount: int) -> None:
        paid = self.convert(amount, self.terms[instrument].quote)
        self.positions[strategy, instrument].carry += paid
        self.move(self.account, CARRY, CASH, paid)

    def holding(self, instrument: int) -> tuple[int, int]:
        """Lots and cost over all strategies."""
        cells = [p for (_, i), p in self.positions.items() if i == instrument]
        return sum(p.lots for p in cells), sum(p.cost for p in cells)

    def open_results(self) -> dict[int, int]:
        """Open result of margin positions per quote currency."""
        out: dict[int, int] = defaultdict(int)
        for k, terms in enumerate(self.terms):
            lots, cost = self.holding(k)
            if not terms.spot:
                out[terms.quote] += floor((lots * self.marks[k] - cost) * terms.ticklot)
        return out

    def equity(self) -> int:
        opened = self.open_results()
        currencies = {currency for currency, _ in self.balances} | set(opened)
        return sum(
            self.convert(self.balances[c, CASH] + self.balances[c, DUST] + opened.get(c, 0), c)
            for c in currencies
        )

    def unrealized(self, strategy: int, instrument: int) -> int:
        position, terms = self.positions[strategy, instrument], self.terms[instrument]
        result = position.lots * self.marks[instrument] - position.cost
        return self.convert(floor(result * terms.ticklot), terms.quote)

    def margin_used(self) -> int:
        total = 0
        for k, terms in enumerate(self.terms):
            lots, _ = self.holding(k)
            if not terms.spot and lots:
                notional = ceil(abs(lots) * self.marks[k] * terms.ticklot)
                margin = ceil(Fraction(notional * terms.margin_ppm, 10**6))
                total += self.convert(margin, terms.quote, up=True)
        return total

    def free_money(self) -> int:
        settles = {self.account, *(terms.quote for terms in self.terms)}
        total = 0
        for currency in {currency for currency, _ in self.balances}:
            cash = self.balances[currency, CASH]
            if cash > 0 and currency not in settles:
                cash = 0
            if cash > 0:
                held = sum(
                    max(0, self.holding(k)[0]) * terms.lot_units
                    for k, terms in enumerate(self.terms)
                    if terms.spot and terms.base == currency
                )
                cash = max(0, cash - held)
            total += self.convert(cash, currency)
        opened = sum(self.convert(amount, c) for c, amount in self.open_results().items())
        return total - self.margin_used() + min(0, opened)
