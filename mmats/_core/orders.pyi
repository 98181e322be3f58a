"""The order manager: life of every order from signal to its last report, and the brackets."""

from typing import final

from mmats._core.inquiry import Inquiry
from mmats._core.order_table import PipelineFault as PipelineFault

@final
class OrderManager(Inquiry):
    """Owns every open order and every bracket; single writer."""

    signal_sequence: int
    """Number of signals so far."""
    late_fill_count: int
    """Number of fills that came after their order's end."""

    def set_sizing(self, strategy: int, **fields: int) -> None:
        """Set the sizing of one strategy by field name of ``sizing_t``. Raises ``ValueError``."""
