"""Orders of which nobody knows what became: they are asked for, and never sent again.

A request without an answer for `reply_timeout_ns` makes its order UNKNOWN. It counts as open at its
worst case, blocks new risk of its strategy in its instrument, and is asked for at once and then at
growing intervals. That the venue does not know it counts only when it has been said several times
over a while: a request can be late. What arrives even later is booked as a late fill.
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
    def mark_open_unknown(self, now_ns: int) -> int:
        """Make every open order unknown and ask for it at once; returns how many there are.

        For after a reconnect, and after a restart, where the port's old requests must be dropped
        first. Raises ValueError where the venue can't be asked.
        """
