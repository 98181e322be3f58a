"""The compiled ledger against an exact model, and the invariants it promises.

Roundings that the identities allow for: one unit of account currency per link and conversion.
"""

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmats._core.accounts import Account, LedgerError, LedgerFault, RateKind
from mmats._core.ledger import Ledger
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
    random = Random(seed)
    out: list[Step] = []
    for _ in range(count):
        instrument = random.randrange(len(TERMS))
        price = FIRST_MARKS[instrument] + random.randint(-15_000, 15_000)
        roll = random.random()
        if roll < 0.2:
            out.append(Mark(instrument, price))
        elif roll < 0.25:
            out.append(
                Carry(random.randrange(STRATEGIES), instrument, random.randint(-(10**9), 10**9))
            )
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
        assert isinstance(ledger.account_equity, int)  # fills the caches that assert_same checks
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


# -- invariants that do not lean on the model --------------------------------------------------


def marked_ledger(auto_convert: bool = False) -> Ledger:
    ledger = new_ledger(auto_convert, 1500)
    for instrument, price in enumerate(FIRST_MARKS):
        ledger.mark_price(instrument, price)
    ledger.deposit(EUR, 200 * 10**8)
    return ledger


@given(seed=st.integers(0, 2**63), count=st.integers(1, 25), auto_convert=st.booleans())
@settings(max_examples=500, deadline=None)
def test_equity_is_deposits_plus_results_at_constant_rates(
    seed: int, count: int, auto_convert: bool
) -> None:
    """Rounding: at most 12 units per fill (six conversions of two links), 2 per cell and currency.

    The marks that convert (EURUSD, and BNBUSDT for fees) stand still. ETHBTC and BTCEUR stay out:
    the one pays with an asset that is a position itself, the other prices it a second time.
    """
    ledger = marked_ledger(auto_convert)
    ledger.deposit(BNB, 10**9)
    capital = ledger.account_equity
    sequence = [
        step
        for step in random_steps(seed, count)
        if step.instrument in (EURUSD, BTCUSDT, BNBUSDT, XAUUSD)
        and not (isinstance(step, Mark) and step.instrument in (EURUSD, BNBUSDT))
    ]
    for step in sequence:
        run(ledger, step)
        cells = [ledger.cell(s, i) for s in range(STRATEGIES) for i in range(len(TERMS))]
        explained = (
            capital
            + sum(cell.realized - cell.fees + cell.carry for cell in cells)
            + sum(ledger.open_result(s, i) for s in range(STRATEGIES) for i in range(len(TERMS)))
            + sum(ledger.to_account(ledger.dust(c), c) - ledger.dust_cost(c) for c in (BTC, BNB))
            - ledger.conversion_paid
        )
        allowed = 12 * len(sequence) + 2 * (len(cells) + ledger.currency_count)
        assert abs(ledger.account_equity - explained) <= allowed


@given(
    instrument=st.sampled_from([BTCUSDT, ETHBTC, BTCEUR]),
    side=st.sampled_from([1, -1]),
    parts=st.lists(st.integers(1, 10**5), min_size=1, max_size=20),
    price_ticks=st.integers(1, 10**7),
    before=st.integers(0, 10**5),
)
@settings(max_examples=300, deadline=None)
def test_partial_fills_add_up_to_the_whole_fill(
    instrument: int, side: int, parts: list[int], price_ticks: int, before: int
) -> None:
    whole, split = marked_ledger(), marked_ledger()
    for ledger in (whole, split):
        if before:
            ledger.apply(strategy=0, instrument=instrument, side=1, lots=before, price=333)
    whole.apply(strategy=0, instrument=instrument, side=side, lots=sum(parts), price=price_ticks)
    for lots in parts:
        split.apply(strategy=0, instrument=instrument, side=side, lots=lots, price=price_ticks)
    for currency in range(whole.currency_count):
        assert split.cash(currency) == whole.cash(currency)
    one, many = whole.cell(0, instrument), split.cell(0, instrument)
    assert many.lots == one.lots
    assert many.carry_quote == one.carry_quote
    # Each release rounds by at most half a tick * lot; what moves stays in cost or result.
    assert abs(many.cost_ticklots - one.cost_ticklots) <= len(parts)
    assert many.realized_ticklots - many.cost_ticklots == one.realized_ticklots - one.cost_ticklots


@given(seed=st.integers(0, 2**63), count=st.integers(1, 30))
@settings(max_examples=300, deadline=None)
def test_order_of_fills_across_instruments_does_not_matter(seed: int, count: int) -> None:
    fills_only = [s for s in random_steps(seed, count) if isinstance(s, Fill)]
    free = [s for s in fills_only if s.fee == 0 or s.fee_currency != TERMS[s.instrument].base]
    mixed, sorted_ = marked_ledger(), marked_ledger()
    for step in free:
        run(mixed, step)
    for step in sorted(free, key=lambda step: step.instrument):
        run(sorted_, step)
    assert mixed.state_bytes() == sorted_.state_bytes()
    assert mixed.account_equity == sorted_.account_equity


@given(
    seed=st.integers(0, 2**63),
    count=st.integers(1, 30),
    cut=st.integers(0, 30),
    auto_convert=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_snapshot_and_tail_equal_the_full_run(
    seed: int, count: int, cut: int, auto_convert: bool
) -> None:
    sequence = random_steps(seed, count)
    full, restored = marked_ledger(auto_convert), new_ledger(auto_convert, 1500)
    for step in sequence[:cut]:
        run(full, step)
    restored.restore(full.state_bytes())
    assert restored.state_bytes() == full.state_bytes()
    for step in sequence[cut:]:
        assert run(full, step) == run(restored, step)
    assert restored.state_bytes() == full.state_bytes()
    assert restored.account_equity == full.account_equity
    assert restored.account_free_money == full.account_free_money


HUGE = 2**63 - 1
huge = st.integers(1, HUGE) | st.integers(1, 10**6) | st.integers(2**31, 2**33)


@given(
    sequence=st.lists(
        st.tuples(
            st.sampled_from([EURUSD, BTCUSDT, ETHBTC, XAUUSD]),
            st.sampled_from([1, -1]),
            huge,
            huge,
            st.integers(-HUGE, HUGE) | st.just(0),
            st.sampled_from([EUR, USDT, BTC]),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=1000, deadline=None)
def test_overflow_is_refused_and_changes_nothing(
    sequence: list[tuple[int, int, int, int, int, int]],
) -> None:
    """A fill is either posted exactly as the model says, or refused without a trace."""
    ledger = marked_ledger()
    oracle = OracleLedger(TERMS, RATES, EUR, marks=dict(enumerate(FIRST_MARKS)))
    oracle.move(EUR, Account.ACCOUNT_CAPITAL, Account.ACCOUNT_CASH, 200 * 10**8)
    for instrument, side, lots, price, fee, currency in sequence:
        before = ledger.state_bytes()
        try:
            result = run(ledger, Fill(0, instrument, side, lots, price, fee, currency))
        except LedgerFault as fault:
            assert fault.code == LedgerError.LEDGER_OVERFLOW  # noqa: PT017 - both ends are fine
            assert ledger.state_bytes() == before
        else:
            assert result == oracle.fill(0, instrument, side, lots, price, fee, currency)
            assert ledger.cell(0, instrument).cost_ticklots == oracle.positions[0, instrument].cost
        assert ledger.balanced()
    for currency in range(ledger.currency_count):
        assert ledger.cash(currency) == oracle.balances[currency, Account.ACCOUNT_CASH]
