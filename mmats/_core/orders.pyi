"""The order manager: life of every order from signal to its last report, and the brackets."""

from typing import Self, final

from mmats._core.journal import JournalPort
from mmats._core.ledger import Ledger
from mmats._core.risk import RiskGate
from mmats._core.venue import VenuePort

class PipelineFault(Exception):
    """The books can no longer be trusted (overflow, unknown order, full ring): trading stops."""

@final
class OrderManager:
    """Owns every open order and every bracket; single writer."""

    def __new__(
        cls, ledger: Ledger, gate: RiskGate, venue: VenuePort, journal: JournalPort
    ) -> Self: ...
    @property
    def order_sequence(self) -> int:
        """Number of orders so far."""

    @property
    def signal_sequence(self) -> int:
        """Number of signals so far."""

    @property
    def denied_count(self) -> int:
        """Number of orders that the gate denied."""

    @property
    def late_fill_count(self) -> int:
        """Number of fills that came after their order's end."""

    @property
    def stale_report_count(self) -> int:
        """Number of other reports that came after their order's end."""

    def set_sizing(self, strategy: int, **fields: int) -> None:
        """Set the sizing of one strategy by field name of ``sizing_t``. Raises ``ValueError``."""
