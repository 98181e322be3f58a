"""Where every open order lives: slots, ids, what is still to be told, and what is unanswered."""

from typing import Self

from mmats._core.journal import JournalPort
from mmats._core.ledger import Ledger
from mmats._core.risk import RiskGate
from mmats._core.venue import VenuePort

class PipelineFault(Exception):
    """The books can no longer be trusted (overflow, unknown order, full ring): trading stops."""

class OrderTable:
    """Base of the order manager. `venue` None: no order can leave."""

    order_sequence: int
    """Number of orders so far."""

    def __new__(
        cls, ledger: Ledger, gate: RiskGate, venue: VenuePort | None, journal: JournalPort
    ) -> Self: ...
