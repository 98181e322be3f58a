"""The venue's order desk: actions in flight, working orders, positions, reports."""

from mmats._core.venue import VenuePort

class OrderDesk(VenuePort):
    """Base of the simulated venue: takes orders, keeps them, reports; it matches nothing itself."""

    @property
    def instrument_count(self) -> int: ...
    @property
    def strategy_count(self) -> int: ...
    @property
    def fill_count(self) -> int:
        """Return the number of fills so far, which is also the last trade id."""
    @property
    def now_ns(self) -> int:
        """Return the simulated time (ns UTC) of the last thing that happened at the venue."""
