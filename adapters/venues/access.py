"""Access to the rehearsal venue that needs no engine: for the watchdog and the kill switch."""

import secrets
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmats._core import REQUEST_DTYPE, OrderFlag, RequestKind
from mmats.config import load_config
from mmats.model.errors import MmatsError
from mmats.model.profile import Profile
from mmats.plugins import plugin


def open_access(*, profile: Profile, config: Path | None) -> "VenueAccess | None":
    """Return the access to a rehearsal venue; None where the configuration names another one."""
    engine = load_config(config).engine if config is not None else None
    if engine is None or not engine.venue.startswith(REHEARSAL):
        return None
    return VenueAccess(plugin("mmats.bus", "zeromq-venue-link")(profile, name=engine.venue))


REHEARSAL = "rehearsal"  # what names of simulated venues begin with


class ILink(Protocol):
    """A connection of its own to a venue process."""

    def send(self, requests: NDArray[Any]) -> bool:
        """Send requests; False: the venue is not there."""

    def receive(self, timeout_ms: int) -> NDArray[Any]:
        """Return reports that have come, after waiting at most so long; none: no rows."""

    def close(self) -> None:
        """Close the connection."""


class VenueAccess:
    """Implements `IVenueAccess` over a link; used by one thread.

    Every call raises MmatsError where there is no answer in time. A call that is made again acts
    again: to cancel or to flatten what is canceled or flat does nothing.
    """

    def __init__(self, link: ILink, timeout_ms: int = 1000) -> None:
        self._link = link
        self._timeout_ms = timeout_ms

    def cancel_all(self) -> int:
        """Cancel every open order; return the number of cancels."""
        return int(self._ask(RequestKind.REQUEST_CANCEL)["last_lots"])

    def open_orders(self) -> int:
        """Return the number of orders that are open."""
        return int(self._ask(RequestKind.REQUEST_QUERY)["leaves_lots"])

    def flatten(self) -> int:
        """Close every position at market; return how many are still open."""
        return int(self._ask(RequestKind.REQUEST_SUBMIT, OrderFlag.FLAG_REDUCE_ONLY)["leaves_lots"])

    def close(self) -> None:
        """Close the link."""
        self._link.close()

    def _ask(self, kind: RequestKind, flags: int = 0) -> Any:
        token = secrets.randbits(31)  # a small time of no meaning: it must not move the venue's
        request: NDArray[Any] = np.zeros(1, dtype=REQUEST_DTYPE)
        request["kind"], request["flags"], request["ts_ns"] = kind, flags, token
        deadline_ns = time.monotonic_ns() + self._timeout_ms * 1_000_000
        sent = self._link.send(request)
        while (left_ms := (deadline_ns - time.monotonic_ns()) // 1_000_000) > 0:
            reports = self._link.receive(min(left_ms, 50))
            for report in reports[(reports["order_id"] == 0) & (reports["trade_id"] == token)]:
                return report
            sent = sent or self._link.send(request)
        raise MmatsError(
            "the venue does not answer" if sent else "the venue can't be reached",
            kind.name.partition("_")[2].lower(),
            "look at the venue itself: what stands there is not known",
        )
