"""The way out: gate, slot, journal, venue. Cancels, and closing orders that are tried again."""

from enum import IntEnum

from mmats._core.order_table import OrderTable

class ClosingState(IntEnum):
    """What became of the closing of a position."""

    CLOSING_NONE = 0
    CLOSING_PENDING = 1
    CLOSING_FLAT = 2
    CLOSING_FAILED = 3

class Dispatch(OrderTable):
    """Base of the order manager."""

    pending_closing_count: int
    """Positions that are being closed."""
    denied_count: int
    """Number of orders that the gate denied."""

    def set_advisory(self, strategy: int, is_advisory: bool) -> None:
        """Let a strategy only advise: what passes the gate is recorded as ADVISED and not sent.

        Orders that it has already, and its stops and targets, stay as they are. Raises ValueError.
        """
    def set_closing(self, *, retry_ns: int, attempts_max: int) -> None:
        """Set how often, and at what distance, a closing order is tried (1 s, 5). ValueError."""
