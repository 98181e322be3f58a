"""What a strategy sees and says: market data in, signals out, results back.

Strategies see floats: prices in quote currency, quantities in units of the base asset, money in
account currency. Times are int64 nanoseconds since 1970 UTC.
"""

from collections.abc import Iterator, KeysView, Mapping, Sequence
from enum import IntEnum
from typing import Any, Self, SupportsFloat, TypeVar, final, overload

from typing_extensions import disjoint_base

from mmats._core.ledger import Ledger

_T = TypeVar("_T")

class Action(IntEnum):
    """What a signal asks for."""

    SELL = -1
    HOLD = 0
    BUY = 1

class SignalProblem(IntEnum):
    """What keeps a signal from being turned into ticks and lots."""

    SIGNAL_OK = 0
    SIGNAL_SIZE = 1
    SIGNAL_PRICE = 2
    SIGNAL_TOO_LARGE = 3

class SignalError(ValueError):
    """A signal that says something impossible; raised where the strategy builds it."""

@final
class Indicators:
    """Read-only mapping from indicator name to its current value (NaN until warmed up).

    Raises KeyError, with the names that are declared, for one that is not.
    """

    def __new__(cls, slots: dict[str, int]) -> Self: ...
    def __getitem__(self, name: str, /) -> float: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, name: object, /) -> bool: ...
    @overload
    def get(self, name: str, default: None = None) -> float | None: ...
    @overload
    def get(self, name: str, default: _T) -> float | _T:
        """Return the value of `name`, or `default` where it is not declared."""
    def keys(self) -> KeysView[str]: ...
    def items(self) -> list[tuple[str, float]]: ...
    def values_list(self) -> list[float]:
        """Return the current values in the order of the names."""

@final
class MarketData:
    """One closed bar (or one tick) of one symbol; `timestamp` is its close in ns UTC.

    A strategy may keep the object, or its `indicators`, as long as it likes: neither changes.
    """

    timestamp: int
    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    indicators: Indicators
    ready: bool
    """Every declared indicator has seen enough bars."""

    def __init__(
        self,
        timestamp: int,
        symbol: str,
        open: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        indicators: Mapping[str, float] | None = None,
        ready: bool = True,
    ) -> None: ...

@final
class TradeSignal:
    """What a strategy wants done.

    Parameters
    ----------
    action
        `Action.BUY`, `Action.SELL` or `Action.HOLD` (or their names).
    symbol
        `BTCUSDT` where unique, `BTCUSDT.BINANCE` always.
    size
        Quantity in units of the base (0.001 BTC, 1000 EUR). With `reduce_only` and no size: the
        whole position. Ignored as a quantity where the strategy's sizing is not "signal".
    stop_loss, take_profit
        Prices of the bracket that protects the position which this signal opens.
    confidence
        0 < confidence <= 1; scales the size of sized signals.
    order_type, price, trigger, trail
        "market", "limit" (price), "stop" (trigger), "stop_limit" (both), "take_profit" (trigger),
        "trailing_stop" (trail: distance in price units).
    time_in_force, expire_ns
        GTC, IOC, FOK, DAY, or GTD with `expire_ns`.
    post_only, reduce_only
        Flags as at the venues.

    Raises
    ------
    SignalError
        Unknown action, order type or time in force; a price that the order type needs is missing;
        confidence outside (0, 1].
    """

    id: int
    """Set by the engine when it takes the signal; 0 before."""
    symbol: str
    size: SupportsFloat | None
    stop_loss: SupportsFloat | None
    take_profit: SupportsFloat | None
    price: SupportsFloat | None
    trigger: SupportsFloat | None
    trail: SupportsFloat | None
    confidence: float
    expire_ns: int

    def __init__(
        self,
        action: Action | int | str,
        symbol: str,
        size: SupportsFloat | None = None,
        stop_loss: SupportsFloat | None = None,
        take_profit: SupportsFloat | None = None,
        confidence: float = 1.0,
        order_type: str = "market",
        price: SupportsFloat | None = None,
        trigger: SupportsFloat | None = None,
        trail: SupportsFloat | None = None,
        time_in_force: str = "GTC",
        expire_ns: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> None: ...
    @property
    def action(self) -> Action: ...
    @property
    def order_type(self) -> str: ...
    @property
    def time_in_force(self) -> str: ...
    @property
    def post_only(self) -> bool: ...
    @property
    def reduce_only(self) -> bool: ...

@final
class TradeResult:
    """What became of a signal: one call for each fill, denial, rejection, cancel or expiry.

    `pnl` is what the fill realised and `commission` its fee, both in the account currency;
    `status` is DENIED, REJECTED, PARTIALLY_FILLED, FILLED, CANCELED or EXPIRED.
    """

    signal_id: int
    order_id: int
    fill_price: float
    """0 where nothing was filled."""
    quantity: float
    """Filled by this execution, or refused or left over, in units of the base."""
    commission: float
    pnl: float
    status: str
    reason: str
    """Name of the limit that denied it, such as NOTIONAL_MIN; else empty."""

    def __init__(
        self,
        signal_id: int,
        fill_price: float = ...,
        commission: float = 0.0,
        pnl: float = 0.0,
        status: str = "FILLED",
        quantity: float = 0.0,
        order_id: int = 0,
        reason: str = "",
    ) -> None: ...

class Position:
    """A strategy's position in one symbol: signed quantity and average entry price."""

    __slots__ = ("average_price", "quantity", "symbol", "unrealized_pnl")

    symbol: str
    quantity: float
    average_price: float
    unrealized_pnl: float
    """Account currency; NaN where it can't be valued."""

    def __init__(
        self, symbol: str, quantity: float, average_price: float, unrealized_pnl: float
    ) -> None: ...

@final
class AccountState:
    """Live view of the account as one strategy sees it; money in the account currency."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Raise TypeError: the engine makes it, and strategies reach it as `self.account`."""
    @property
    def equity(self) -> float:
        """Everything at current marks."""
    @property
    def balance(self) -> float:
        """Money that is not bound in spot holdings, less open losses of margin positions."""
    @property
    def margin_used(self) -> float: ...
    @property
    def positions(self) -> dict[str, Position]:
        """Open positions of this strategy: symbol -> Position."""
    def position(self, symbol: str) -> float:
        """Return this strategy's signed quantity in `symbol`; KeyError for an unknown symbol."""

@disjoint_base
class CompiledStrategy:
    """Base of strategies in Cython: cimport it, override `on_bar` and/or `on_book`."""

    supported_symbols: Sequence[str]
    indicators: Sequence[str]
    name: str
    ledger: Ledger
    index: int
    """Place in the run; -1 until the engine has it."""
    hears_book: bool
    """`on_book` is called for order book data."""

    def __init__(self, name: str = "") -> None: ...
    def initialize(self, config: Mapping[str, Any]) -> None:
        """Take the parameters of the configuration; called once before the first event."""
    def bind(
        self,
        instrument: int,
        symbol: str,
        slots: dict[str, int],
        tick_size: float,
        lot_size: float,
    ) -> None:
        """Learn where the indicators of an instrument's bars are; called once per symbol.

        `slots` maps an indicator's name to its index in the array that `on_bar` gets.
        """
    def on_market_data(self, data: MarketData) -> None: ...
    def on_signal_result(self, signal: TradeSignal, result: TradeResult) -> None: ...
