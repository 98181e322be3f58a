"""The compiled ledger against an exact model, and the invariants it promises.

Roundings that the identities allow for: one unit of account currency per link and conversion.
"""

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmats._core.ledger import Account, Ledger, RateKind
from tests.fakes.oracles_ledger import OracleLedger, Terms

EUR, USD, USDT, BTC, BNB, ETH, XAU = range(7)
EURUSD, BTCUSDT, BNBUSDT, ETHBTC, BTCEUR, XAUUSD = range(6)
STRATEGIES = 2

TERMS = [
    Terms(EUR, USD, False, Fraction(1000), 10**8, 33_334),
    Terms(BTC, USDT, True, Fraction(10), 1000),
    Terms(BNB, USDT, True, Fraction(1000), 10**5),
    Terms(ETH, BTC, True, Fraction(1, 100), 10**4),
    Terms(BTC, EUR, True, Fraction(10**4), 10**4),
    Terms(XAU, USD, False, Fraction(3, 7), 10, 50_000),
]
FIRST_MARKS = [110_000, 9_000_000, 60_000, 35_000, 81_000, 270_000]
# Steps to the account currency, and the links that declare them.
RATES = {
    USD: [(EURUSD, True)],
    USDT: [(EURUSD, True)],
    BTC: [(BTCUSDT, False), (EURUSD, True)],
    BNB: [(BNBUSDT, False), (EURUSD, True)],
    ETH: [(ETHBTC, False), (BTCUSDT, False), (EURUSD, True)],
}
LINKS = [
    (ETH, RateKind.RATE_BASE, ETHBTC),
    (BNB, RateKind.RATE_BASE, BNBUSDT),
    (BTC, RateKind.RATE_BASE, BTCUSDT),
    (USDT, RateKind.RATE_PEG, USD),
    (USD, RateKind.RATE_QUOTE, EURUSD),
]


def new_ledger(auto_convert: bool = False, conversion_ppm: int = 0) -> Ledger:
    ledger = Ledger(len(RATES) + 2, len(TERMS), STRATEGIES, EUR)
    for index, terms in enumerate(TERMS):
        ledger.declare_instrument(
            index=index,
            base_currency=terms.base,
            quote_currency=terms.quote,
            settlement=1 if terms.spot else 2,
            money_num=terms.ticklot.numerator,
            money_den=terms.ticklot.denominator,
            lot_units=terms.lot_units,
            margin_ppm=terms.margin_ppm,
        )
    for currency, kind, via in LINKS:
        ledger.set_rate(currency, kind, via)
    ledger.auto_convert = auto_convert
    ledger.conversion_cost_ppm = conversion_ppm
    return ledger


@dataclass(frozen=True)
class Fill:
    strategy: int
    instrument: int
    side: int
    lots: int
    price: int
    fee: int
    fee_currency: int


@dataclass(frozen=True)
class Mark:
    instrument: int
    price: int


@dataclass(frozen=True)
class Carry:
    strategy: int
    instrument: int
    amount: int


Step = Fill | Mark | Carry

fills = st.builds(
    lambda strategy, instrument, side, lots, move, fee_ppm, fee_in: make_fill(
        strategy, instrument, side, lots, FIRST_MARKS[instrument] + move, fee_ppm, fee_in
    ),
    st.integers(0, STRATEGIES - 1),
    st.integers(0, len(TERMS) - 1),
    st.sampled_from([1, -1]),
    st.integers(1, 300) | st.integers(1, 10**6),
    st.integers(-1000, 1000),
    st.sampled_from([0, 0, 750, 1000, -100, 40_000]),
    st.sampled_from(["quote", "base", "third", "account"]),
)
marks = st.builds(
    lambda instrument, move: Mark(instrument, FIRST_MARKS[instrument] + move),
    st.integers(0, len(TERMS) - 1),
    st.integers(-20_000, 20_000),
)
carries = st.builds(
    Carry,
    st.integers(0, STRATEGIES - 1),
    st.integers(0, len(TERMS) - 1),
    st.integers(-(10**9), 10**9),
)
steps = st.lists(fills | fills | fills | marks | carries, min_size=1, max_size=25)


def make_fill(
    strategy: int, instrument: int, side: int, lots: int, price: int, fee_ppm: int, fee_in: str
) -> Fill:
    """Build a fill whose fee is about ``fee_ppm`` of its size, in the asset asked for."""
    terms = TERMS[instrument]
    money = lots * price * terms.ticklot
    units = lots * terms.lot_units
    fee, currency = {
        "quote": (money * fee_ppm / 10**6, terms.quote),
        "base": (Fraction(units * fee_ppm, 10**6), terms.base),
        "third": (money * fee_ppm / 10**6 / 600, BNB),
        "account": (money * fee_ppm / 10**6, EUR),
    }[fee_in if terms.spot or fee_in != "base" else "account"]
    return Fill(strategy, instrument, side, lots, price, int(fee), currency)


def random_steps(seed: int, count: int) -> list[Step]:
    """Draw steps from one seed: far cheaper than one draw of hypothesis per number."""
    random = Random(seed)  # noqa: S311 - test input, not a secret
    out: list[Step] = []
    for _ in range(count):
        instrument = random.randrange(len(TERMS))
        price = FIRST_MARKS[instrument] + random.randint(-15_000, 15_000)
        roll = random.random()
        if roll < 0.2:
            out.append(Mark(instrument, price))
        elif roll < 0.25:
            out.append(Carry(random.randrange(STRATEGIES), instrument, random.randint(-(10**9), 10**9)))
        else:
            out.append(
                make_fill(
                    random.randrange(STRATEGIES),
                    instrument,
                    random.choice((1, -1)),
                    random.choice((random.randint(1, 9), random.randint(1, 10**5))),
                    price,
                    random.choice((0, 0, 750, 1000, -100, 40_000)),
                    random.choice(("quote", "base", "third", "account")),
                )
            )
    return out


def run(ledger: Ledger, step: Step) -> tuple[int, ...]:
    if isinstance(step, Mark):
        ledger.mark_price(step.instrument, step.price)
        return ()
    if isinstance(step, Carry):
        ledger.pay_carry(step.strategy, step.instrument, step.amount)
        return ()
    return tuple(
        ledger.apply(
            strategy=step.strategy,
            instrument=step.instrument,
            side=step.side,
            lots=step.lots,
            price=step.price,
            fee=step.fee,
            fee_currency=step.fee_currency,
        )
    )


def run_oracle(oracle: OracleLedger, step: Step) -> tuple[int, ...]:
    if isinstance(step, Mark):
        oracle.marks[step.instrument] = step.price
        return ()
    if isinstance(step, Carry):
        oracle.pay_carry(step.strategy, step.instrument, step.amount)
        return ()
    return oracle.fill(
        step.strategy,
        step.instrument,
        step.side,
        step.lots,
        step.price,
        step.fee,
        step.fee_currency,
    )


def assert_same(ledger: Ledger, oracle: OracleLedger) -> None:
    for currency in range(ledger.currency_count):
        for account in Account:
            expected = oracle.balances[currency, account]
            assert ledger.balance(currency, account) == expected, (currency, account)
        assert ledger.dust_cost(currency) == oracle.dust_costs[currency]
    for instrument, terms in enumerate(TERMS):
        holding = ledger.holding(instrument)
        assert (holding.lots, holding.cost_ticklots) == oracle.holding(instrument)
        for strategy in range(STRATEGIES):
            cell = ledger.cell(strategy, instrument)
            position = oracle.positions[strategy, instrument]
            assert cell.lots == position.lots
            assert cell.cost_ticklots == position.cost
            assert cell.realized_ticklots == position.realized_ticklots
            assert cell.realized_quote == position.realized_ticklots * terms.ticklot // 1
            assert cell.realized == position.realized
            assert cell.fees == position.fees
            assert cell.carry == position.carry
            assert cell.carry_quote == position.cash_flow % 1 * terms.ticklot.denominator
            expected = oracle.unrealized(strategy, instrument)
            assert ledger.open_result(strategy, instrument) == expected
            if cell.lots == 0:
                assert cell.cost_ticklots == 0
    assert ledger.conversion_paid == oracle.conversion_paid
    assert ledger.account_equity == oracle.equity()
    assert ledger.account_margin_used == oracle.margin_used()
    assert ledger.account_free_money == oracle.free_money()


def check_against_oracle(sequence: list[Step], auto_convert: bool) -> None:
    ledger = new_ledger(auto_convert, 1500)
    oracle = OracleLedger(TERMS, RATES, EUR, auto_convert, 1500)
    for instrument, price in enumerate(FIRST_MARKS):
        ledger.mark_price(instrument, price)
        oracle.marks[instrument] = price
    for currency, amount in ((EUR, 200 * 10**8), (BNB, 10**7)):
        ledger.deposit(currency, amount)
        oracle.move(currency, Account.ACCOUNT_CAPITAL, Account.ACCOUNT_CASH, amount)
    for step in sequence:
        assert run(ledger, step) == run_oracle(oracle, step)
        assert ledger.balanced()
        assert ledger.account_equity == oracle.equity()
    assert_same(ledger, oracle)


@given(seed=st.integers(0, 2**63), count=st.integers(1, 12), auto_convert=st.booleans())
@settings(max_examples=9000, deadline=None)
def test_random_sequences_match_the_exact_model(seed: int, count: int, auto_convert: bool) -> None:
    check_against_oracle(random_steps(seed, count), auto_convert)


@given(sequence=steps, auto_convert=st.booleans())
@settings(max_examples=1000, deadline=None)
def test_drawn_sequences_match_the_exact_model(sequence: list[Step], auto_convert: bool) -> None:
    check_against_oracle(sequence, auto_convert)


@pytest.mark.long
@given(seed=st.integers(0, 2**63), count=st.integers(1, 60), auto_convert=st.booleans())
@settings(max_examples=100_000, deadline=None)
def test_long_sequences_match_the_exact_model(seed: int, count: int, auto_convert: bool) -> None:
    check_against_oracle(random_steps(seed, count), auto_convert)
