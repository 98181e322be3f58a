"""Orders of which nobody knows what became: they are asked for, and never sent again.

A request without an answer for `reply_timeout_ns` makes its order UNKNOWN. It counts as open at its
worst case, blocks new risk of its strategy in its instrument, and is asked for at once and then at
growing intervals. That the venue does not know it counts only when it has been said several times
over a while: a request can be late. What arrives even later is booked as a late fill.

Reports can be lost one by one. Each says how much of its order has been filled (`cum_lots`); where
we have booked less, the order is unknown, and does not end before the fills that are missing have
come. Where the venue never tells them, it stays unknown: after `not_found_min` questions in vain, a
second RECORD_UNKNOWN says so, with the reason VENUE_FILLS_MISSING.
"""

from mmats._core.brackets import Brackets

class Inquiry(Brackets):
    """Base of the order manager."""

    stale_report_count: int
    """Reports, other than fills, that came after their order's end, or answer no open question."""

    def set_inquiry(
        self,
        *,
        reply_timeout_ns: int,
        query_wait_ns: int,
        query_wait_max_ns: int,
        not_found_min: int,
        not_found_after_ns: int,
    ) -> None:
        """Set when orders become unknown, and when they count as never arrived.

        Defaults: 5 s; questions 2, 4, 8, 16, 30, 30... s apart; at least 3 answers "not found", of
        which the last is at least 30 s after the first. Raises ValueError.
        """
    def query_open(self, now_ns: int) -> int:
        """Ask for every open order, which stays as it is; returns how many questions left.

        To compare at intervals. An answer that is no news records nothing; an order without an
        answer for `reply_timeout_ns` becomes unknown, and one that is unknown is asked for anyway.
        Raises ValueError where the venue can't be asked.
        """
    def mark_open_unknown(self, now_ns: int) -> int:
        """Make every open order unknown and ask for it at once; returns how many there are.

        For after a reconnect, and after a restart, where the port's old requests must be dropped
        first. Raises ValueError where the venue can't be asked.
        """
