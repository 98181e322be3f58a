"""Accounts per currency: balances, rates and marks, and what all of it is worth.

Money is an integer in 1e-8 units of its currency, prices are ticks and quantities lots of the
instrument. Currencies, instruments and strategies are dense indexes from 0.
"""

from enum import IntEnum
from typing import NamedTuple, TypedDict, Unpack, type_check_only

from typing_extensions import disjoint_base

class Account(IntEnum):
    """Accounts of each currency; every posting moves money between two of them."""

    ACCOUNT_CAPITAL = 0
    ACCOUNT_CASH = 1
    ACCOUNT_DUST = 2
    ACCOUNT_TRADING = 3
    ACCOUNT_PNL = 4
    ACCOUNT_FEES = 5
    ACCOUNT_CONVERSION = 6
    ACCOUNT_CARRY = 7

class RateKind(IntEnum):
    """How a currency is valued."""

    RATE_NONE = 0
    RATE_ACCOUNT = 1
    RATE_PEG = 2
    RATE_BASE = 3
    RATE_QUOTE = 4

class LedgerError(IntEnum):
    """Result codes of the compiled methods."""

    LEDGER_OK = 0
    LEDGER_OVERFLOW = -1
    LEDGER_NO_RATE = -2
    LEDGER_INVALID = -3

class LedgerFault(Exception):
    """The ledger refused and changed nothing; ``code`` says why."""

    code: LedgerError

    def __init__(self, what: str, code: int) -> None: ...

class Holding(NamedTuple):
    """One instrument, all strategies together."""

    lots: int
    """Signed."""
    cost_ticklots: int
    """Ticks * lots, with the sign of ``lots``."""
    mark_ticks: int
    """0 = never marked."""
    marked_ns: int
    """Nanoseconds UTC of the last mark."""
    value: int
    """Quote currency, rounded down: market value of a spot holding, open result on margin."""

@type_check_only
class InstrumentTerms(TypedDict, total=False):
    """Keywords of ``Accounts.declare_instrument``; those without a default are required."""

    index: int
    market: int
    """Default 0."""
    base_currency: int
    quote_currency: int
    settlement: int
    """``Settlement``: 1 spot, 2 margin."""
    money_num: int
    """One tick * one lot is money_num / money_den units of quote currency; >= 1."""
    money_den: int
    """1..2**31, default 1."""
    lot_units: int
    """One lot in 1e-8 units of the base asset; >= 1."""
    margin_ppm: int
    """Initial margin in millionths of notional, default 0."""
    stale_after_ns: int
    """Age after which a mark values nothing new; 0 (default) = never."""

@disjoint_base
class Accounts:
    """Balances per currency and account, marks, and their value; base class of ``Ledger``.

    Parameters
    ----------
    currency_count, instrument_count, strategy_count
        Fixed sizes, at least 1.
    account_currency
        Index of the reporting currency.

    Raises
    ------
    ValueError
        A size below 1, or the account currency out of range.
    """

    def __init__(
        self,
        currency_count: int,
        instrument_count: int,
        strategy_count: int,
        account_currency: int,
    ) -> None: ...
    @property
    def currency_count(self) -> int: ...
    @property
    def instrument_count(self) -> int: ...
    @property
    def strategy_count(self) -> int: ...
    @property
    def account_currency(self) -> int: ...
    @property
    def conversion_paid(self) -> int:
        """Cost of conversions so far, account currency."""

    def declare_instrument(self, **fields: Unpack[InstrumentTerms]) -> None:
        """Declare the instrument of slot ``index``, once.

        Raises ``ValueError`` for terms out of range, ``KeyError`` for a missing and ``TypeError``
        for an unknown keyword.
        """

    def set_rate(self, currency: int, kind: int, via: int) -> None:
        """Say how a currency is valued in the account currency.

        ``kind`` is ``RATE_PEG`` (``via`` is a currency of equal worth), ``RATE_BASE`` or
        ``RATE_QUOTE`` (``via`` is a declared instrument whose base or quote this currency is).
        Chains have at most 4 links and may be declared in any order. Raises ``ValueError`` for a
        circle, a longer chain or an index that does not fit, and then changes nothing.
        """

    def deposit(self, currency: int, amount: int) -> None:
        """Move the owner's money in, or out when negative. Raises ``LedgerFault``."""

    def mark_price(self, instrument: int, price: int, now_ns: int = 0) -> None:
        """Take a new mark (ticks > 0). Raises ``LedgerFault``, ``IndexError``."""

    @property
    def account_equity(self) -> int:
        """Everything in the account currency, rounded down. Raises ``LedgerFault``."""

    def to_account(self, amount: int, currency: int, round_up: bool = False) -> int:
        """Convert into the account currency at the marks. Raises ``LedgerFault``."""

    def notional_of(self, instrument: int, lots: int, price: int) -> int:
        """Notional of lots (>= 0) at a price in ticks, quote currency, rounded up."""

    def valued(self, instrument: int, now_ns: int) -> bool:
        """Whether all marks that value the account and the instrument's quote are fresh."""

    def balanced(self) -> bool:
        """Whether each currency sums to zero and each holding is the sum of its cells."""

    def balance(self, currency: int, account: int) -> int:
        """Balance of one account. Raises ``IndexError``."""

    def cash(self, currency: int) -> int:
        """Balance of CASH: free money, or sellable units of an asset."""

    def dust(self, currency: int) -> int:
        """Units of an asset below one lot, pooled."""

    def dust_cost(self, currency: int) -> int:
        """Cost of the pooled dust, account currency."""

    def holding(self, instrument: int) -> Holding:
        """One instrument over all strategies. Raises ``IndexError``."""

    def state_bytes(self) -> bytes:
        """Serialize all mutable state; equal states give equal bytes (native byte order)."""

    def restore(self, state: bytes) -> None:
        """Take over a state of ``state_bytes``.

        Raises ``ValueError``, changing nothing, when the state is of other sizes or instruments
        or does not balance.
        """
