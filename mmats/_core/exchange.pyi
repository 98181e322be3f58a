"""The simulated venue as a counterparty: packed requests in, packed reports out."""

from collections.abc import Callable
from typing import Any, final

from numpy.typing import NDArray

from mmats._core.matching import SimulatedVenue

@final
class Exchange:
    """Executes requests on a simulated venue, each order id once, and keeps what it reported.

    Trade ids count up by one from `trade_id_base` + 1: a venue process that starts anew must not
    use those of the last one again.
    """

    def __init__(self, venue: SimulatedVenue, *, trade_id_base: int = 0) -> None: ...
    @property
    def venue(self) -> SimulatedVenue:
        """The venue that matches."""

    @property
    def submit_count(self) -> int:
        """Number of orders taken."""

    @property
    def duplicate_count(self) -> int:
        """Number of submits whose order id had come before; they were answered, not executed."""

    @property
    def own_order_count(self) -> int:
        """Number of orders that `flatten` made."""

    @property
    def fill_count(self) -> int:
        """Number of fills so far."""

    def open_orders(self) -> list[int]:
        """Return the ids of all orders that have not ended, oldest first."""

    def open_positions(self) -> int:
        """Return how many positions of a strategy in an instrument are not flat."""

    def on_events(
        self, events: NDArray[Any], on_step: Callable[[int], object] | None = None
    ) -> None:
        """Run EVENT_DTYPE records through the venue.

        Events of one moment belong in one call, before whoever trades hears of them. `on_step` is
        called with the event's time when reports may be taken and answered, in the middle of a
        bar's path too; without it they wait for `take_reports`. Raises ValueError for an
        instrument that the venue does not know.
        """

    def on_requests(self, requests: NDArray[Any], now_ns: int) -> None:
        """Execute REQUEST_DTYPE records at `now_ns` (UTC), in order.

        A query, and a submit whose order id is known, are answered with all fills again and then
        the state; or with NOT_FOUND. Raises ValueError, and executes nothing, where one of them
        has an unknown kind, instrument or strategy or no order id.
        """

    def take_reports(self, now_ns: int) -> NDArray[Any]:
        """Take the REPORT_DTYPE records that have left the venue by `now_ns`, in order."""

    def cancel_all(self, now_ns: int) -> int:
        """Cancel every open order; returns the number of cancels sent."""

    def flatten(self, now_ns: int) -> list[int]:
        """Close every position at market with orders of the venue's own; returns their ids."""
