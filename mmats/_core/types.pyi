"""Enumerations of the compiled core; the records are in `types.pxd`."""

from enum import IntEnum

class EventFlag(IntEnum):
    """Flags of market data records; their meaning depends on the kind."""

    DELTA_ASK = 1
    DELTA_SNAPSHOT = 2
    DELTA_CLEAR = 4
    DELTA_LAST = 8
    TRADE_SELLER = 1
    BAR_BID = 1
    BAR_MID = 2
    BAR_SPREAD = 4

class EventKind(IntEnum):
    """Kinds of market data records."""

    EVENT_BAR = 1
    EVENT_QUOTE = 2
    EVENT_TRADE = 3
    EVENT_DELTA = 4
    EVENT_TIMER = 5

class Liquidity(IntEnum):
    """Whether a fill made or took liquidity."""

    LIQUIDITY_MAKER = 1
    LIQUIDITY_TAKER = 2

class OrderFlag(IntEnum):
    """Flags of an order, to be combined."""

    FLAG_POST_ONLY = 1
    FLAG_REDUCE_ONLY = 2

class OrderRole(IntEnum):
    """Who an order is from and what it is for."""

    ROLE_ENTRY = 1
    ROLE_STOP = 2
    ROLE_TARGET = 3
    ROLE_MANUAL = 4
    ROLE_FLATTEN = 5

class OrderState(IntEnum):
    """State of an order."""

    STATE_INITIALIZED = 1
    STATE_DENIED = 2
    STATE_SUBMITTED = 3
    STATE_UNKNOWN = 4
    STATE_ACCEPTED = 5
    STATE_TRIGGERED = 6
    STATE_PENDING_CANCEL = 7
    STATE_PENDING_UPDATE = 8
    STATE_PARTIALLY_FILLED = 9
    STATE_FILLED = 10
    STATE_CANCELED = 11
    STATE_EXPIRED = 12
    STATE_REJECTED = 13

class OrderType(IntEnum):
    """Kinds of orders."""

    ORDER_MARKET = 1
    ORDER_LIMIT = 2
    ORDER_STOP = 3
    ORDER_STOP_LIMIT = 4
    ORDER_TAKE_PROFIT = 5
    ORDER_TRAILING_STOP = 6

class ReportKind(IntEnum):
    """What the venue says of an order."""

    REPORT_ACCEPTED = 1
    REPORT_REJECTED = 2
    REPORT_TRIGGERED = 3
    REPORT_FILLED = 4
    REPORT_CANCELED = 5
    REPORT_EXPIRED = 6
    REPORT_UPDATED = 7
    REPORT_CANCEL_REJECTED = 8
    REPORT_NOT_FOUND = 9

class Settlement(IntEnum):
    """How an instrument settles."""

    SETTLE_SPOT = 1
    SETTLE_MARGIN = 2

class Side(IntEnum):
    """Side of an order."""

    SIDE_BUY = 1
    SIDE_SELL = -1

class TimeInForce(IntEnum):
    """How long an order stands."""

    TIF_GTC = 1
    TIF_IOC = 2
    TIF_FOK = 3
    TIF_GTD = 4
    TIF_DAY = 5

class TradingState(IntEnum):
    """What a level of the risk gate lets pass."""

    TRADING_ACTIVE = 1
    TRADING_REDUCING = 2
    TRADING_HALTED = 3

class VenueReason(IntEnum):
    """Why the venue refused or ended an order."""

    VENUE_OK = 0
    VENUE_POST_ONLY_WOULD_TAKE = 1
    VENUE_NOTIONAL_MIN = 2
    VENUE_QUANTITY = 3
    VENUE_FOK_NOT_FILLED = 4
    VENUE_IOC_REST = 5
    VENUE_REDUCE_ONLY = 6
    VENUE_UNKNOWN_ORDER = 7
    VENUE_FULL = 8
    VENUE_PRICE = 9
    VENUE_NOT_FOUND = 10
    VENUE_FILLS_MISSING = 11
