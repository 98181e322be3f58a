"""The execution port: orders wait until their intent is durable, then leave as packed requests.

What a venue process must answer to a request, as records of ``REPORT_DTYPE``:

- SUBMIT: ACCEPTED (`leaves_lots`: what is open) or REJECTED; then FILLED, TRIGGERED, EXPIRED.
- CANCEL: CANCELED, or CANCEL_REJECTED while the order is still open or unknown.
- MODIFY: UPDATED, or CANCEL_REJECTED: the order is as it was.
- QUERY: every fill of the order again, oldest first, with the trade ids they had; then exactly one
  of ACCEPTED (still open, with `leaves_lots`), CANCELED, REJECTED or EXPIRED. Where the last fill
  completed the order (its `leaves_lots` is 0), nothing follows. An order that the venue does not
  know: one NOT_FOUND. A question that can't be answered now is not answered at all.

A request is sent once and never again. Fills may come in any order and more than once. Every
report says in `cum_lots` how much of its order has been filled, itself included: an order ends only
when so much has been booked, so that a fill that was lost is asked for.
"""

from enum import IntEnum
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from mmats._core.venue import VenuePort

class RequestKind(IntEnum):
    """What the pipeline wants of a venue."""

    REQUEST_SUBMIT = 1
    REQUEST_CANCEL = 2
    REQUEST_MODIFY = 3
    REQUEST_QUERY = 4

class ReportsFull(Exception):
    """More reports than the port has room for: take what waits first. Nothing was taken over."""

@final
class ExecutionPort(VenuePort):
    """A venue port that is emptied and filled from outside; single writer, no input or output.

    `currency_count` is the number of currencies of the ledger. Orders that add risk may fill half
    of the requests' ring, queries a quarter; cancels, changes and closing orders all of it.
    """

    request_count: int
    """Requests that were ever put in."""
    taken_count: int
    """Requests that were ever taken out."""
    trade_count: int
    """Fills that were delivered to the pipeline."""
    duplicate_count: int
    """Fills that were dropped because their (instrument, trade id) had come before."""
    refused_count: int
    """Reports with values that no venue may send; they were not taken over."""
    foreign_count: int
    """Reports for orders that this port never sent, or whose place another order has taken."""

    def __new__(
        cls, currency_count: int, request_capacity: int = 16384, report_capacity: int = 16384
    ) -> Self: ...
    @property
    def waiting(self) -> int:
        """Number of requests that wait to be taken."""

    def take_requests(self, count: int) -> NDArray[np.void]:
        """Take up to `count` requests, the oldest first, as an array of ``REQUEST_DTYPE``."""

    def drop_requests(self) -> int:
        """Forget the requests that wait (after a restart nobody knows what left); how many."""

    def give_reports(self, reports: NDArray[Any]) -> int:
        """Take over reports (contiguous, ``REPORT_DTYPE``); returns how many were accepted.

        The others are counted in `refused_count` or `foreign_count`. `ts_recv_ns` is ignored:
        reports are dated when the pipeline takes them. Raises ReportsFull, and ValueError for
        another dtype.
        """
