"""At most once: what was answered to each command id, so that it is never executed again."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.bus.control_requests import Code, Refusal
from adapters.bus.control_sessions import Peer

_WAITERS_MAX = 16  # of one command; the earliest gives way
_PENDING_MAX = 1_024  # commands that the engine has and has not answered


@dataclass(slots=True)
class Kept:
    """One command id: the hash of its command, and the reply once there is one."""

    hash: str
    reply: bytes | None
    made_ns: int  # monotonic
    waiters: dict[Peer, int] = field(default_factory=dict)  # until when, monotonic ns


class Replies:
    """Replies by command id, oldest first; times are monotonic ns.

    An id is forgotten after its time only: where there is no room, new commands are refused rather
    than old ones forgotten. Those that must go on have as much room again, then the oldest id gives
    way. `executed` are ids of an earlier run as (id, hash, reply as JSON).
    """

    def __init__(
        self,
        kept_max: int,
        kept_ns: int,
        executed: Iterable[tuple[str, str, str]] = (),
        now_ns: int = 0,
    ) -> None:
        self._kept_max = kept_max
        self._kept_ns = kept_ns
        self._by_id: OrderedDict[str, Kept] = OrderedDict()
        self._pending: dict[str, Kept] = {}
        for request_id, hashed, reply in executed:
            self._by_id[request_id] = Kept(hashed, reply.encode(), now_ns)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def pending(self) -> int:
        """Commands without a reply."""
        return len(self._pending)

    def find(self, request_id: str, hashed: str) -> Kept | None:
        """Return what is known of an id; Refusal ID_REUSED where it was another command."""
        kept = self._by_id.get(request_id)
        if kept is not None and kept.hash != hashed:
            raise Refusal(Code.ID_REUSED, "another command had this id", request_id)
        return kept

    def add(self, request_id: str, hashed: str, now_ns: int, must: bool) -> Kept:
        """Note a new command; Refusal BUSY where there is no room, unless it `must` go on."""
        self.expire(now_ns)
        if not must and (len(self._by_id) >= self._kept_max or len(self._pending) >= _PENDING_MAX):
            raise Refusal(Code.BUSY, "too many commands; not executed", request_id)
        if len(self._by_id) >= 2 * self._kept_max:
            self._forget_oldest()
        kept = Kept(hashed, None, now_ns)
        self._by_id[request_id] = kept
        self._pending[request_id] = kept
        return kept

    def wait(self, kept: Kept, peer: Peer, until_ns: int) -> None:
        """Let a peer have the reply when there is one."""
        kept.waiters.pop(peer, None)
        if len(kept.waiters) >= _WAITERS_MAX:
            del kept.waiters[next(iter(kept.waiters))]
        kept.waiters[peer] = until_ns

    def settle(self, request_id: str, reply: bytes) -> list[Peer]:
        """Keep the reply of a pending command; return who waits for it."""
        kept = self._pending.pop(request_id, None)
        if kept is None:
            return []
        kept.reply = reply
        peers = list(kept.waiters)
        kept.waiters = {}
        return peers

    def drop(self, request_id: str) -> list[Peer]:
        """Forget a command that was not executed; return who waits for its reply."""
        self._by_id.pop(request_id, None)
        kept = self._pending.pop(request_id, None)
        return list(kept.waiters) if kept is not None else []

    def overdue(self, now_ns: int) -> list[tuple[str, Peer]]:
        """Return who has waited for too long, once; the commands stay pending."""
        found = []
        for request_id, kept in self._pending.items():
            late = [peer for peer, until_ns in kept.waiters.items() if until_ns <= now_ns]
            for peer in late:
                del kept.waiters[peer]
                found.append((request_id, peer))
        return found

    def expire(self, now_ns: int) -> None:
        """Forget answered commands whose time is over."""
        while self._by_id:
            request_id, kept = next(iter(self._by_id.items()))
            if kept.made_ns > now_ns - self._kept_ns:
                return
            if kept.reply is None:  # a reply may still come: it counts as new
                kept.made_ns = now_ns
                self._by_id.move_to_end(request_id)
                continue
            del self._by_id[request_id]

    def _forget_oldest(self) -> None:
        for request_id, kept in self._by_id.items():
            if kept.reply is not None:
                del self._by_id[request_id]
                return
