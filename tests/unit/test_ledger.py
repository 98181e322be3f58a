"""The double-entry ledger: what each posting does, and what it refuses."""

import pytest

from mmats._core.accounts import Account, LedgerError, LedgerFault, RateKind
from mmats._core.ledger import Ledger

EUR, USD, USDT, BTC, BNB = range(5)
EURUSD, BTCUSDT, SHARE, BNBUSDT = range(4)
UNIT = 10**8
"""One whole unit of a currency."""


def new_ledger(strategy_count: int = 2) -> Ledger:
    """EUR account; EURUSD on margin at 30:1, BTCUSDT spot, a share quoted in EUR on margin."""
    ledger = Ledger(5, 4, strategy_count, EUR)
    ledger.declare_instrument(
        index=EURUSD, base_currency=EUR, quote_currency=USD, settlement=2,
        money_num=1000, lot_units=UNIT, margin_ppm=33_334, stale_after_ns=1000,
    )  # fmt: skip
    ledger.declare_instrument(
        index=BTCUSDT, base_currency=BTC, quote_currency=USDT, settlement=1,
        money_num=10, lot_units=1000, stale_after_ns=1000,
    )  # fmt: skip
    ledger.declare_instrument(
        index=SHARE, base_currency=USD, quote_currency=EUR, settlement=2,
        money_num=100_000, lot_units=UNIT, margin_ppm=1_000_000,
    )  # fmt: skip
    ledger.declare_instrument(
        index=BNBUSDT, base_currency=BNB, quote_currency=USDT, settlement=1,
        money_num=1000, lot_units=100_000,
    )  # fmt: skip
    ledger.set_rate(BTC, RateKind.RATE_BASE, BTCUSDT)
    ledger.set_rate(BNB, RateKind.RATE_BASE, BNBUSDT)
    ledger.set_rate(USDT, RateKind.RATE_PEG, USD)
    ledger.set_rate(USD, RateKind.RATE_QUOTE, EURUSD)
    return ledger


@pytest.fixture
def ledger() -> Ledger:
    """1.25 USD per EUR, 50,000 USDT per BTC, 500 USDT per BNB, 1,000 EUR paid in."""
    ledger = new_ledger()
    ledger.mark_price(EURUSD, 125_000)
    ledger.mark_price(BTCUSDT, 5_000_000)
    ledger.mark_price(BNBUSDT, 50_000)
    ledger.deposit(EUR, 1000 * UNIT)
    return ledger


def code_of(error: pytest.ExceptionInfo[LedgerFault]) -> LedgerError:
    return error.value.code


# -- postings ----------------------------------------------------------------------------------


def test_deposit_moves_capital_to_cash(ledger: Ledger) -> None:
    assert ledger.cash(EUR) == 1000 * UNIT
    assert ledger.balance(EUR, Account.ACCOUNT_CAPITAL) == -1000 * UNIT
    assert ledger.account_equity == 1000 * UNIT


def test_spot_purchase_swaps_quote_for_base(ledger: Ledger) -> None:
    ledger.deposit(USDT, 600 * UNIT)
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=1000, price=5_000_000)
    assert ledger.cash(USDT) == 100 * UNIT
    assert ledger.cash(BTC) == UNIT // 100
    assert ledger.balance(USDT, Account.ACCOUNT_TRADING) == 500 * UNIT
    assert ledger.account_equity == 1000 * UNIT + 480 * UNIT


def test_spot_sale_realises_against_average_cost(ledger: Ledger) -> None:
    ledger.deposit(USDT, 1000 * UNIT)
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=500, price=5_000_000)
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=500, price=5_200_000)
    result = ledger.apply(strategy=0, instrument=BTCUSDT, side=-1, lots=1000, price=5_350_000)
    assert result.realized == 20 * UNIT  # 25 USDT at 1.25 USD per EUR
    assert result.closed_lots == 1000
    cell = ledger.cell(0, BTCUSDT)
    assert (cell.lots, cell.cost_ticklots, cell.realized_quote) == (0, 0, 25 * UNIT)
    assert ledger.cash(USDT) == 1025 * UNIT


def test_margin_result_is_paid_in_the_account_currency(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=EURUSD, side=1, lots=1000, price=125_000)
    assert ledger.cash(EUR) == 1000 * UNIT
    ledger.mark_price(EURUSD, 128_000)
    result = ledger.apply(strategy=0, instrument=EURUSD, side=-1, lots=1000, price=128_000)
    assert result.realized == 30 * UNIT * 100 // 128
    assert ledger.cash(EUR) == 1000 * UNIT + result.realized
    assert ledger.balance(EUR, Account.ACCOUNT_PNL) == -result.realized
    assert ledger.cash(USD) == 0


def test_flip_closes_then_opens(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=3, price=10_000)
    result = ledger.apply(strategy=0, instrument=SHARE, side=-1, lots=5, price=11_000)
    assert result.closed_lots == 3
    assert result.position_lots == -2
    assert result.realized == 3 * UNIT
    assert ledger.cell(0, SHARE).cost_ticklots == -2 * 11_000


def test_released_cost_rounds_half_to_even_and_the_rest_stays(ledger: Ledger) -> None:
    for price in (10, 10, 10, 11):
        ledger.apply(strategy=0, instrument=SHARE, side=1, lots=1, price=price)
    costs = []
    for _ in range(4):
        ledger.apply(strategy=0, instrument=SHARE, side=-1, lots=1, price=10)
        costs.append(ledger.cell(0, SHARE).cost_ticklots)
    assert costs == [31, 21, 11, 0]  # 41/4 -> 10, 31/3 -> 10, 21/2 = 10.5 -> 10, 11
    assert ledger.cell(0, SHARE).realized_ticklots == -1


def test_a_thousand_small_gains_add_up_exactly(ledger: Ledger) -> None:
    """0.004 EUR each, tick 0.001, lot 1: books that round to cents would show 0.00."""
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=1000, price=10_000)
    for _ in range(1000):
        ledger.apply(strategy=0, instrument=SHARE, side=-1, lots=1, price=10_004)
    assert ledger.cell(0, SHARE).realized == 4 * UNIT
    assert ledger.cash(EUR) == 1004 * UNIT


def test_a_thousand_small_round_trips_add_up_exactly(ledger: Ledger) -> None:
    for _ in range(1000):
        ledger.apply(strategy=0, instrument=SHARE, side=1, lots=1, price=10_000)
        ledger.apply(strategy=0, instrument=SHARE, side=-1, lots=1, price=10_004)
    assert ledger.cash(EUR) == 1004 * UNIT


def test_cash_below_one_unit_is_carried() -> None:
    ledger = Ledger(2, 1, 1, 0)
    ledger.declare_instrument(
        index=0, base_currency=1, quote_currency=0, settlement=1,
        money_num=1, money_den=250, lot_units=1,
    )  # fmt: skip
    for _ in range(1000):
        ledger.apply(strategy=0, instrument=0, side=1, lots=1, price=1)
    assert ledger.cash(0) == -4
    assert ledger.cell(0, 0).carry_quote == 0


def test_holding_is_the_sum_of_its_cells(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=7, price=10_000)
    ledger.apply(strategy=1, instrument=SHARE, side=-1, lots=4, price=9_000)
    assert ledger.holding(SHARE).lots == 3
    assert ledger.holding(SHARE).cost_ticklots == 70_000 - 36_000
    assert ledger.balanced()


def test_opposite_positions_of_two_strategies_keep_their_locked_in_result(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=4, price=9_000)
    ledger.apply(strategy=1, instrument=SHARE, side=-1, lots=4, price=9_500)
    assert ledger.holding(SHARE).lots == 0
    assert ledger.account_equity == 1002 * UNIT
    ledger.mark_price(SHARE, 20_000)
    assert ledger.account_equity == 1002 * UNIT


def test_carry_is_converted_and_kept_in_the_cell(ledger: Ledger) -> None:
    ledger.pay_carry(0, EURUSD, -5 * UNIT)
    assert ledger.cell(0, EURUSD).carry == -4 * UNIT
    assert ledger.cash(EUR) == 996 * UNIT
    assert ledger.balance(EUR, Account.ACCOUNT_CARRY) == 4 * UNIT


# -- fees and dust -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "fee", "expected"),
    [(EUR, 3, 3), (USDT, 126, 101), (BNB, 1000, 400_000), (USDT, -126, -100)],
)
def test_fee_leaves_the_cash_of_its_currency(
    ledger: Ledger, currency: int, fee: int, expected: int
) -> None:
    cash = ledger.cash(currency)
    result = ledger.apply(
        strategy=0, instrument=SHARE, side=1, lots=1, price=1, fee=fee, fee_currency=currency
    )
    assert result.fee == expected  # rounded up: 100.8 costs 101, -100.8 brings 100
    assert ledger.cell(0, SHARE).fees == expected
    assert ledger.cash(currency) == cash - fee
    assert ledger.balance(currency, Account.ACCOUNT_FEES) == fee


def buy_with_base_fee(ledger: Ledger, fee: int, lots: int = 100, price: int = 5_000_000) -> None:
    ledger.apply(
        strategy=0, instrument=BTCUSDT, side=1, lots=lots, price=price, fee=fee, fee_currency=BTC
    )


def test_base_fee_takes_a_whole_lot_and_leaves_dust(ledger: Ledger) -> None:
    buy_with_base_fee(ledger, fee=100)
    cell = ledger.cell(0, BTCUSDT)
    assert (cell.lots, cell.cost_ticklots) == (99, 99 * 5_000_000)
    assert ledger.cash(BTC) == 99 * 1000
    assert ledger.dust(BTC) == 900
    assert cell.fees == 4_000_000  # 1e-6 BTC = 0.05 USDT = 0.04 EUR
    assert ledger.dust_cost(BTC) == 36_000_000
    assert cell.realized_ticklots == 0


def test_dust_returns_as_soon_as_it_makes_a_lot(ledger: Ledger) -> None:
    buy_with_base_fee(ledger, fee=100)
    buy_with_base_fee(ledger, fee=100, price=6_000_000)
    cell = ledger.cell(0, BTCUSDT)
    assert cell.lots == 99 + 99 + 1
    assert ledger.dust(BTC) == 800
    assert ledger.cash(BTC) == 199 * 1000
    # The pool cost 0.36 + 0.432 EUR for 1,800 units; the lot brings 1000/1800 of it.
    assert cell.cost_ticklots == 99 * 11_000_000 + 5_500_000
    assert ledger.dust_cost(BTC) == 35_200_000
    assert cell.realized_ticklots == 0


def test_dust_never_reaches_two_lots_over_many_round_trips(ledger: Ledger) -> None:
    for _ in range(300):
        buy_with_base_fee(ledger, fee=137)
        lots = ledger.cell(0, BTCUSDT).lots
        ledger.apply(strategy=0, instrument=BTCUSDT, side=-1, lots=lots, price=5_000_000)
        assert 0 <= ledger.dust(BTC) < 1000
        assert ledger.cash(BTC) == 0
    assert ledger.balance(BTC, Account.ACCOUNT_FEES) == 300 * 137
    assert ledger.balanced()


def test_fee_of_whole_lots_leaves_no_dust(ledger: Ledger) -> None:
    buy_with_base_fee(ledger, fee=2000)
    assert ledger.cell(0, BTCUSDT).lots == 98
    assert ledger.dust(BTC) == 0


# -- conversion --------------------------------------------------------------------------------


def test_missing_quote_currency_is_bought_at_the_marks_plus_cost(ledger: Ledger) -> None:
    ledger.auto_convert = True
    ledger.conversion_cost_ppm = 1000
    ledger.deposit(USDT, 100 * UNIT)
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=1000, price=5_000_000)
    assert ledger.cash(USDT) == 0
    assert ledger.conversion_paid == 32 * UNIT // 100
    assert ledger.cash(EUR) == 680 * UNIT - ledger.conversion_paid
    assert ledger.balance(USDT, Account.ACCOUNT_CONVERSION) == -400 * UNIT


def test_without_conversion_cash_goes_negative(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=1000, price=5_000_000)
    assert ledger.cash(USDT) == -500 * UNIT
    assert ledger.account_equity == 1000 * UNIT


def test_conversion_rounds_against_us(ledger: Ledger) -> None:
    ledger.mark_price(EURUSD, 300_000)
    assert ledger.to_account(100, USD) == 33
    assert ledger.to_account(100, USD, True) == 34
    assert ledger.to_account(-100, USD) == -34
    assert ledger.to_account(-100, USD, True) == -33


# -- values ------------------------------------------------------------------------------------


def test_deposited_asset_is_valued_once(ledger: Ledger) -> None:
    ledger.deposit(BTC, UNIT // 100)
    assert ledger.account_equity == 1400 * UNIT
    ledger.apply(strategy=0, instrument=BTCUSDT, side=-1, lots=500, price=5_000_000)
    assert ledger.account_equity == 1400 * UNIT


def test_equity_follows_a_rate_source(ledger: Ledger) -> None:
    ledger.deposit(USDT, 500 * UNIT)
    assert ledger.account_equity == 1400 * UNIT
    ledger.mark_price(EURUSD, 100_000)
    assert ledger.account_equity == 1500 * UNIT


def test_margin_open_result_counts_in_equity_and_against_free_money(ledger: Ledger) -> None:
    ledger.mark_price(SHARE, 10_000)
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=50, price=10_000)
    assert ledger.account_margin_used == 500 * UNIT
    assert ledger.account_free_money == 500 * UNIT
    ledger.mark_price(SHARE, 9_000)
    assert ledger.account_equity == 950 * UNIT
    assert ledger.open_result(0, SHARE) == -50 * UNIT
    assert ledger.account_free_money == (1000 - 450 - 50) * UNIT
    ledger.mark_price(SHARE, 12_000)
    assert ledger.account_equity == 1100 * UNIT
    assert ledger.account_free_money == (1000 - 600) * UNIT  # an open gain backs nothing


def test_margin_in_use_follows_fills_and_marks(ledger: Ledger) -> None:
    ledger.mark_price(SHARE, 10_000)
    for lots, used in ((5, 50), (7, 120), (9, 210)):
        ledger.apply(strategy=0, instrument=SHARE, side=1, lots=lots, price=10_000)
        assert ledger.account_margin_used == used * UNIT
    ledger.mark_price(SHARE, 20_000)
    assert ledger.account_margin_used == 420 * UNIT


def test_margin_is_rounded_up(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=EURUSD, side=-1, lots=1, price=125_000)
    assert ledger.account_margin_used == 3_333_400
    ledger.mark_price(EURUSD, 124_999)
    # 1.24999 USD * 0.033334 = 4166716.67 -> 4166717 units; / 1.24999 = 3333400.27
    assert ledger.account_margin_used == 3_333_401


def test_free_money_leaves_spot_positions_out(ledger: Ledger) -> None:
    ledger.deposit(USDT, 500 * UNIT)
    ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=500, price=5_000_000)
    assert ledger.account_free_money == 1200 * UNIT
    assert ledger.account_equity == 1400 * UNIT


def test_debt_in_any_asset_lowers_free_money(ledger: Ledger) -> None:
    ledger.apply(
        strategy=0, instrument=EURUSD, side=1, lots=1, price=125_000, fee=10**6, fee_currency=BNB
    )
    assert ledger.cash(BNB) == -(10**6)
    assert ledger.account_free_money == 996 * UNIT - ledger.account_margin_used


def test_notional_is_rounded_up() -> None:
    ledger = Ledger(2, 1, 1, 0)
    ledger.declare_instrument(
        index=0, base_currency=1, quote_currency=0, settlement=1,
        money_num=1, money_den=100, lot_units=1,
    )  # fmt: skip
    assert ledger.notional_of(0, 101, 1) == 2
    assert ledger.notional_of(0, 100, 1) == 1


def test_a_missing_mark_leaves_the_account_without_a_value() -> None:
    ledger = new_ledger()
    ledger.deposit(EUR, UNIT)
    assert ledger.account_equity == UNIT
    ledger.deposit(USDT, UNIT)
    with pytest.raises(LedgerFault, match="never been seen") as error:
        _ = ledger.account_equity
    assert code_of(error) == LedgerError.LEDGER_NO_RATE
    ledger.mark_price(EURUSD, 100_000)
    assert ledger.account_equity == 2 * UNIT


def test_margin_position_without_mark_leaves_the_account_without_a_value(ledger: Ledger) -> None:
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=1, price=10_000)
    for query in ("account_equity", "account_margin_used", "account_free_money"):
        with pytest.raises(LedgerFault) as error:
            getattr(ledger, query)
        assert code_of(error) == LedgerError.LEDGER_NO_RATE
    assert not ledger.valued(SHARE, 0)
    ledger.mark_price(SHARE, 10_500)
    assert ledger.account_equity == 1000 * UNIT + UNIT // 2
    ledger.apply(strategy=0, instrument=SHARE, side=-1, lots=1, price=10_000)
    assert ledger.account_equity == 1000 * UNIT


def test_a_fill_that_needs_a_missing_rate_changes_nothing() -> None:
    ledger = new_ledger()
    before = ledger.state_bytes()
    with pytest.raises(LedgerFault) as error:
        ledger.apply(
            strategy=0, instrument=BTCUSDT, side=1, lots=1, price=1, fee=1, fee_currency=USDT
        )
    assert code_of(error) == LedgerError.LEDGER_NO_RATE
    assert ledger.state_bytes() == before


def test_account_is_valued_only_by_fresh_marks() -> None:
    ledger = new_ledger()
    ledger.deposit(EUR, UNIT)
    assert ledger.valued(SHARE, 0)  # quoted in the account currency
    assert not ledger.valued(BTCUSDT, 0)  # USDT has never had a rate
    ledger.mark_price(EURUSD, 125_000, 5_000)
    assert ledger.valued(BTCUSDT, 6_000)
    assert not ledger.valued(BTCUSDT, 6_001)
    assert ledger.valued(SHARE, 6_001)
    ledger.deposit(USD, 1)
    assert not ledger.valued(SHARE, 6_001)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"lots": 0}, {"lots": -1}, {"price": 0}, {"side": 0}, {"side": 2}, {"strategy": 2},
        {"strategy": -1}, {"instrument": 4}, {"fee": 1, "fee_currency": 5},
    ],
)  # fmt: skip
def test_an_impossible_fill_is_refused(ledger: Ledger, change: dict[str, int]) -> None:
    fill = {"strategy": 0, "instrument": SHARE, "side": 1, "lots": 1, "price": 1} | change
    before = ledger.state_bytes()
    with pytest.raises(LedgerFault) as error:
        ledger.apply(**fill)
    assert code_of(error) == LedgerError.LEDGER_INVALID
    assert ledger.state_bytes() == before


def test_a_mark_must_be_positive(ledger: Ledger) -> None:
    with pytest.raises(LedgerFault, match="positive"):
        ledger.mark_price(BTCUSDT, 0)


def test_positions_up_to_the_last_integer_and_not_beyond() -> None:
    ledger = Ledger(2, 1, 1, 0)
    ledger.declare_instrument(
        index=0, base_currency=1, quote_currency=0, settlement=2, money_num=1, lot_units=1
    )
    ledger.apply(strategy=0, instrument=0, side=1, lots=2**63 - 2, price=1)
    ledger.apply(strategy=0, instrument=0, side=1, lots=1, price=1)
    assert ledger.cell(0, 0).cost_ticklots == 2**63 - 1
    before = ledger.state_bytes()
    for change in ({"side": 1, "lots": 1, "price": 1}, {"side": -1, "lots": 2**62, "price": 2}):
        with pytest.raises(LedgerFault) as error:
            ledger.apply(strategy=0, instrument=0, **change)
        assert code_of(error) == LedgerError.LEDGER_OVERFLOW
        assert ledger.state_bytes() == before
    ledger.mark_price(0, 1)
    with pytest.raises(LedgerFault):
        ledger.mark_price(0, 2)
    assert ledger.holding(0).mark_ticks == 1
    assert ledger.account_equity == 0


def test_overflow_of_a_later_leg_takes_the_earlier_ones_back(ledger: Ledger) -> None:
    ledger.deposit(BTC, 2**63 - 1)
    before = ledger.state_bytes()
    with pytest.raises(LedgerFault) as error:
        ledger.apply(strategy=0, instrument=BTCUSDT, side=1, lots=1, price=1)
    assert code_of(error) == LedgerError.LEDGER_OVERFLOW
    assert ledger.state_bytes() == before


def test_deposit_beyond_the_last_integer_is_refused() -> None:
    ledger = Ledger(1, 1, 1, 0)
    ledger.deposit(0, 2**63 - 1)
    with pytest.raises(LedgerFault) as error:
        ledger.deposit(0, 1)
    assert code_of(error) == LedgerError.LEDGER_OVERFLOW
    assert ledger.cash(0) == 2**63 - 1
    assert ledger.balanced()


# -- setting up --------------------------------------------------------------------------------


def test_rates_in_a_circle_are_refused(ledger: Ledger) -> None:
    equity = ledger.account_equity
    with pytest.raises(ValueError, match="circle"):
        ledger.set_rate(USD, RateKind.RATE_PEG, USDT)
    ledger.deposit(USDT, UNIT)
    assert ledger.account_equity == equity + 80_000_000


def test_a_chain_of_more_than_four_links_is_refused() -> None:
    ledger = Ledger(6, 1, 1, 0)
    for currency in range(1, 5):
        ledger.set_rate(currency, RateKind.RATE_PEG, currency - 1)
    assert ledger.to_account(7, 4) == 7
    with pytest.raises(ValueError, match="longer than 4"):
        ledger.set_rate(5, RateKind.RATE_PEG, 4)


@pytest.mark.parametrize(
    ("currency", "kind", "via"),
    [
        (EUR, RateKind.RATE_PEG, USD), (9, RateKind.RATE_PEG, USD), (USD, RateKind.RATE_PEG, 9),
        (USD, RateKind.RATE_BASE, BTCUSDT), (USD, RateKind.RATE_QUOTE, 9), (USD, 0, 0),
    ],
)  # fmt: skip
def test_a_rate_that_does_not_fit_is_refused(
    ledger: Ledger, currency: int, kind: int, via: int
) -> None:
    with pytest.raises(ValueError, match="ledger:"):
        ledger.set_rate(currency, kind, via)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 1}, {"quote_currency": 0}, {"base_currency": 7}, {"settlement": 3},
        {"money_num": 0}, {"money_den": 0}, {"lot_units": 0}, {"margin_ppm": -1},
    ],
)  # fmt: skip
def test_an_impossible_instrument_is_refused(change: dict[str, int]) -> None:
    terms = {
        "index": 0, "base_currency": 0, "quote_currency": 1, "settlement": 1,
        "money_num": 1, "lot_units": 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match="ledger: instrument"):
        Ledger(2, 1, 1, 0).declare_instrument(**(terms | change))


def test_more_than_64_currencies_keep_their_own_values() -> None:
    ledger = Ledger(130, 129, 1, 0)
    for k in range(129):
        ledger.declare_instrument(
            index=k, base_currency=k + 1, quote_currency=0, settlement=1,
            money_num=1, lot_units=1,
        )  # fmt: skip
        ledger.set_rate(k + 1, RateKind.RATE_BASE, k)
        ledger.mark_price(k, k + 1)
        ledger.deposit(k + 1, 1)
    assert ledger.account_equity == sum(range(1, 130))
    ledger.mark_price(128, 1000)
    assert ledger.account_equity == sum(range(1, 129)) + 1000


# -- state -------------------------------------------------------------------------------------


def test_state_does_not_depend_on_what_was_asked(ledger: Ledger) -> None:
    ledger.mark_price(SHARE, 10_000)
    ledger.apply(strategy=0, instrument=SHARE, side=1, lots=5, price=10_000)
    before = ledger.state_bytes()
    assert ledger.account_margin_used == 50 * UNIT
    assert ledger.account_free_money == 950 * UNIT
    assert ledger.state_bytes() == before
    assert ledger.account_margin_used == 50 * UNIT


def test_restore_refuses_what_is_not_its_state(ledger: Ledger) -> None:
    before = ledger.state_bytes()
    torn = bytearray(before)
    torn[24] ^= 1  # the first balance
    for state in (b"", before[:-1], b"\0" * len(before), bytes(torn)):
        with pytest.raises(ValueError, match="ledger:"):
            ledger.restore(state)
        assert ledger.state_bytes() == before
    other = Ledger(5, 4, 2, EUR)
    with pytest.raises(ValueError, match="other instruments"):
        other.restore(before)
