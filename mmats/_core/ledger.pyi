"""Double-entry ledger: cash, holdings, positions, profit and loss in integers.

Money is an integer in 1e-8 units of its currency, prices are ticks and quantities lots of the
instrument.
"""

from typing import NamedTuple, final

from mmats._core.accounts import Accounts

class Cell(NamedTuple):
    """Position of one strategy in one instrument."""

    lots: int
    """Signed."""
    cost_ticklots: int
    """Ticks * lots at average cost, with the sign of ``lots``."""
    realized_ticklots: int
    """Exact, ticks * lots, before fees."""
    realized_quote: int
    """The same in quote currency, rounded down."""
    realized: int
    """Account currency, at the rates of the time."""
    fees: int
    """Account currency, at the rates of the time; positive = paid."""
    carry: int
    """Account currency; positive = received."""
    carry_quote: int
    """Spot cash below one unit of quote currency, in units / money_den."""

class FillResult(NamedTuple):
    """What one fill did."""

    realized: int
    """Account currency."""
    fee: int
    """Account currency."""
    position_lots: int
    """Of the cell, after the fill."""
    closed_lots: int
    """How much of the fill reduced the position."""

@final
class Ledger(Accounts):
    """Positions, fees and results of one trading account."""

    auto_convert: bool
    """Whether a spot fill buys missing quote currency from the account currency."""
    conversion_cost_ppm: int
    """Cost of such a conversion in millionths of its amount."""

    def apply(
        self,
        *,
        strategy: int,
        instrument: int,
        side: int,
        lots: int,
        price: int,
        fee: int = 0,
        fee_currency: int = 0,
        now_ns: int = 0,
    ) -> FillResult:
        """Post one fill; ``side`` is 1 to buy and -1 to sell.

        ``fee`` is in units of ``fee_currency``, positive = paid. Raises ``LedgerFault`` and then
        changes nothing.
        """

    def pay_carry(self, strategy: int, instrument: int, amount_quote: int) -> None:
        """Post swap or rollover in quote currency, positive = received. Raises ``LedgerFault``."""

    @property
    def account_free_money(self) -> int:
        """Account currency that may back new orders. Raises ``LedgerFault``."""

    @property
    def account_margin_used(self) -> int:
        """Initial margin of all margin positions, account currency. Raises ``LedgerFault``."""

    def open_result(self, strategy: int, instrument: int) -> int:
        """Open result of one cell, account currency, rounded down. Raises ``LedgerFault``."""

    def cell(self, strategy: int, instrument: int) -> Cell:
        """Position and results of one strategy in one instrument. Raises ``IndexError``."""
