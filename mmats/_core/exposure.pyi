"""What open orders can lead to: worst-case positions, exposure and the money they need.

Money is in 1e-8 units of the account currency, quantities are lots of the instrument.
"""

from typing import Self

from typing_extensions import disjoint_base

from mmats._core.ledger import Ledger

@disjoint_base
class Exposure:
    """Lots and money of open orders; the order manager is the single writer."""

    def __new__(cls, ledger: Ledger, *args: object) -> Self: ...
    @property
    def unknown_order_count(self) -> int:
        """Open orders of which nobody knows what became."""

    @property
    def open_order_count(self) -> int:
        """Number of open orders, protective ones included."""

    @property
    def reserved(self) -> int:
        """Money that open orders reserve."""

    def set_reserve(self, fee_ppm: int, market_buffer_ppm: int) -> None:
        """Say what an order reserves beyond its notional, in millionths of it (0 to 1000000).

        ``fee_ppm`` is the worst fee; an order without a limit price is counted
        ``market_buffer_ppm`` beyond the mark. Raises ``ValueError``.
        """

    def open_lots(self, instrument: int) -> tuple[int, int]:
        """Lots to buy and to sell in open orders, stops and targets left out.

        Raises ``IndexError``.
        """

    def hold(self, **fields: int) -> None:
        """Count an order (fields of ``order_t``) as open, with what it says it has ``reserved``.

        Raises ``TypeError`` for unknown fields and ``IndexError`` for unknown indices.
        """

    def release(self, **fields: int) -> None:
        """Undo ``hold`` of the same order."""
