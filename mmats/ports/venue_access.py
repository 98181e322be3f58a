"""The port of emergencies: what the watchdog does at a venue when the engine is gone.

Implementations register a factory under the entry point group `mmats.venue_access`. It is called
as `factory(profile=Profile, config=Path | None)` and returns the access, or None where that
profile has none. It uses a connection and, where a venue allows it, a key of its own that can only
cancel and close.
"""

from typing import Protocol


class IVenueAccess(Protocol):
    """Emergency access to one venue; synchronous, every call bounded in time by itself.

    Any method may raise: the watchdog tells the error and tries again.
    """

    def cancel_all(self) -> int:
        """Ask the venue to cancel every open order of the account; return how many it was asked."""

    def open_orders(self) -> int:
        """Return how many orders are open at the venue now."""

    def flatten(self) -> int:
        """Ask the venue to close every position; return how many are still open, 0: flat."""
