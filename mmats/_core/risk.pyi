"""The one gate that every order passes before it leaves: comparisons of integers, fail closed.

Money is in 1e-8 units of the account currency, prices are ticks and quantities lots of the
instrument, shares are millionths (ppm), times are nanoseconds UTC.
"""

from enum import IntEnum
from typing import Any, Self, TypedDict, final, type_check_only

import numpy as np
from numpy.typing import NDArray

from mmats._core.exposure import Exposure
from mmats._core.ledger import Ledger

class Reason(IntEnum):
    """Why an order was denied."""

    REASON_OK = 0
    REASON_HALTED = 1
    REASON_REDUCING = 2
    REASON_VALUATION_UNKNOWN = 3
    REASON_DAILY_LOSS = 4
    REASON_DRAWDOWN = 5
    REASON_GROSS_EXPOSURE = 6
    REASON_MESSAGE_RATE = 7
    REASON_MARKET_HALTED = 10
    REASON_MARKET_EXPOSURE = 11
    REASON_MARKET_DAILY_LOSS = 12
    REASON_STRATEGY_HALTED = 20
    REASON_STRATEGY_EXPOSURE = 21
    REASON_STRATEGY_DAILY_LOSS = 22
    REASON_STRATEGY_DRAWDOWN = 23
    REASON_STRATEGY_OPEN_ORDERS = 24
    REASON_ORDER_UNKNOWN = 25
    REASON_STOP_LOSS_MISSING = 30
    REASON_STOP_LOSS_SIDE = 31
    REASON_TAKE_PROFIT_SIDE = 32
    REASON_SIZE_UNKNOWN = 33
    REASON_QUANTITY_ZERO = 40
    REASON_QUANTITY_MIN = 41
    REASON_QUANTITY_MAX = 42
    REASON_NOTIONAL_MIN = 43
    REASON_NOTIONAL_MAX = 44
    REASON_PRICE_INVALID = 45
    REASON_PRICE_COLLAR = 46
    REASON_POSITION_MAX = 47
    REASON_BUYING_POWER = 48
    REASON_ASSET_SHORT = 49
    REASON_NOTHING_TO_REDUCE = 50
    REASON_OPEN_ORDERS = 51
    REASON_ORDER_INVALID = 52
    REASON_OVERFLOW = 53
    REASON_PORT_FULL = 54

@type_check_only
class Verdict(TypedDict):
    """Answer of the gate about one order."""

    reason: Reason
    reduces: bool
    """Whether it passes as a reduction, and so must leave as reduce-only."""
    observed: int
    """What was compared with the limit, in the unit of the limit."""
    limit: int
    reserve: int
    """Money to reserve while the order is open."""

@final
class RiskGate(Exposure):
    """Limits of account, markets, strategies and symbols, and the checks of an order."""

    def __new__(cls, ledger: Ledger, market_count: int) -> Self: ...
    @property
    def market_count(self) -> int: ...
    @property
    def equity(self) -> int:
        """Equity when it was last known."""

    @property
    def initial_equity(self) -> int:
        """The first equity that was known."""

    @property
    def day_start_equity(self) -> int:
        """Equity when the UTC day began, or when it was first known."""

    @property
    def peak_equity(self) -> int:
        """Highest equity so far."""

    @property
    def is_valued(self) -> bool:
        """Whether the equity is known now: everything that is held has a rate."""

    def set_limits(self, level: str, index: int = 0, **limits: int) -> None:
        """Set limits of one scope; those that are not named stay as they are.

        ``level`` is global, market, strategy or symbol, and ``index`` the market, strategy or
        instrument. ``NO_LIMIT`` lifts a limit; of an amount (``_max``) and a share (``_ppm``) the
        stricter counts. Shares are of the account's equity: daily loss of that at the start of
        the UTC day, drawdown of its peak, exposure of the current one.

        Raises
        ------
        ValueError
            No such scope, a limit that this level does not check, a value out of range.
        """

    def limits(self, level: str, index: int = 0) -> dict[str, int]:
        """Return the limits of one scope. Raises ``ValueError``."""

    def set_quantity_limits(self, instrument: int, order_max: int, position_max: int) -> None:
        """Limit an entry and the worst-case net position of an instrument, in lots."""

    def check_order(self, now_ns: int, **fields: int) -> Verdict:
        """Say what would happen to an order (fields of ``order_t``); nothing is sent or counted.

        A field that is left out is 0, except side = buy, type = market, tif = GTC, role = entry,
        reference_ticks = mark. Raises ``TypeError`` and ``IndexError``.
        """

    def check_many(self, orders: NDArray[np.void], now_ns: int) -> NDArray[Any]:
        """Check an array of ORDER_DTYPE, each order by itself; returns one of VERDICT_DTYPE.

        Raises ``ValueError`` for another array, ``IndexError`` for unknown indices.
        """

    def tell_sent(self, now_ns: int) -> None:
        """Count one message to the venue toward the message rate."""

    def update(self, now_ns: int) -> None:
        """Take over the ledger's equity: roll the day, move the peaks.

        Raises ``OverflowError``.
        """
