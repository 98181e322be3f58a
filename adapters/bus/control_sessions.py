"""Sessions of clients: who has said hello, what they may do, how often they may ask."""

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from adapters.bus.control_requests import Code, Refusal
from adapters.bus.users import User, UserStore
from mmats.model.messages import Role
from mmats.ports.clock import IClock

_S = 1_000_000_000
_BACKOFF_S_MAX = 60
_PEERS_WATCHED_MAX = 1_024


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """Bounds of the control plane; times in seconds, rates a second."""

    sessions_max: int = 64
    session_idle_s: int = 3_600
    session_evict_s: int = 10  # idle for so long, a session makes room for a new one
    commands_per_s: int = 20  # of one session; halt, flatten and pause have as many of their own
    snapshots_per_s: int = 4
    failures_max: int = 5  # wrong tokens of one peer, or passphrases of one user, in a minute
    failures_link_max: int = 20  # wrong tokens of all peers of a link in a minute
    raise_s: int = 300  # how long a passphrase counts
    deadline_s_max: int = 60
    answer_grace_s: float = 1.0  # after the deadline; then the outcome is unknown
    commands_queued_max: int = 256
    stops_queued_max: int = 64  # room kept for halt, flatten and pause
    replies_kept_max: int = 100_000
    replies_kept_s: int = 600
    audit_queued_max: int = 4_096
    refusals_audited_per_s: int = 50
    published_queued_max: int = 65_536
    hang_s: float = 2.0  # without a renewal of the heartbeat


class Peer(NamedTuple):
    """Where a reply goes: the socket, and the identity that the ROUTER gave the client."""

    link: str  # ipc or tcp
    identity: bytes


class Bucket:
    """A rate limit that allows a burst of one second's worth."""

    def __init__(self, per_s: int, now_ns: int) -> None:
        self._per_s = per_s
        self._left_ns = per_s * _S
        self._seen_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Take one; False where none is left."""
        earned_ns = (now_ns - self._seen_ns) * self._per_s
        self._left_ns = min(self._left_ns + max(earned_ns, 0), self._per_s * _S)
        self._seen_ns = now_ns
        if self._left_ns < _S:
            return False
        self._left_ns -= _S
        return True


class Failures:
    """Counts failures within a minute; past the bound, doubles the time of the lock each time."""

    def __init__(self, failures_max: int, lock_s: int) -> None:
        self._max = failures_max
        self._lock_s = lock_s
        self._locks = 0
        self._times: deque[int] = deque(maxlen=failures_max)
        self._until_ns = 0

    def locked_s(self, now_ns: int) -> int:
        """Seconds until the lock opens, rounded up; 0 where there is none."""
        return max(0, -((now_ns - self._until_ns) // _S))

    def add(self, now_ns: int) -> None:
        """Note a failure, and lock if it is one too many."""
        while self._times and self._times[0] <= now_ns - 60 * _S:
            self._times.popleft()
        if now_ns - self._until_ns > 10 * 60 * _S:
            self._locks = 0
        self._times.append(now_ns)
        if len(self._times) >= self._max:
            lock_s = min(self._lock_s * 2**self._locks, _BACKOFF_S_MAX)
            self._until_ns = now_ns + lock_s * _S
            self._locks = min(self._locks + 1, 10)


@dataclass(slots=True)
class Session:
    """One client that said hello."""

    id: str
    peer: Peer
    user: User
    client: str
    hello_id: str
    seen_ns: int  # monotonic
    commands: Bucket
    stops: Bucket
    snapshots: Bucket
    raise_until_ns: int = field(default=0)  # monotonic

    def may_raise(self, now_ns: int) -> bool:
        """Whether an admin has shown the passphrase within the last minutes."""
        return self.user.role >= Role.ADMIN and now_ns < self.raise_until_ns


class Sessions:
    """All sessions; the oldest unused one comes first."""

    def __init__(self, users: UserStore, limits: ControlLimits, clock: IClock) -> None:
        self._users = users
        self._limits = limits
        self._clock = clock
        self._by_id: OrderedDict[str, Session] = OrderedDict()
        self._by_peer: dict[Peer, Session] = {}
        self._peer_failures: OrderedDict[Peer, Failures] = OrderedDict()
        self._link_failures: dict[str, Failures] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, peer: Peer, curve_key: str, token: str, client: str, hello_id: str) -> Session:
        """Open a session for the owner of a token, in place of an older one of the same peer.

        A hello that arrives twice opens one session.

        Raises
        ------
        Refusal
            LOCKED, TOKEN or BUSY.
        """
        now_ns = self._clock.monotonic_ns()
        link = self._link_failures.setdefault(
            peer.link, Failures(self._limits.failures_link_max, 1)
        )
        locked_s = max(link.locked_s(now_ns), self._failures(peer).locked_s(now_ns))
        if locked_s:
            raise Refusal(Code.LOCKED, f"too many wrong tokens; try again in {locked_s} s")
        user = self._users.find_token(token)
        if user is None or not _fits(peer, curve_key, user):
            link.add(now_ns)
            self._failures(peer).add(now_ns)
            raise Refusal(Code.TOKEN, "nobody who may come in this way has this token")
        old = self._by_peer.get(peer)
        if old is not None:
            if old.hello_id == hello_id and old.user == user:
                return old
            self.close(old)
        self._make_room(now_ns)
        session = Session(
            id=secrets.token_urlsafe(24),
            peer=peer,
            user=user,
            client=client,
            hello_id=hello_id,
            seen_ns=now_ns,
            commands=Bucket(self._limits.commands_per_s, now_ns),
            stops=Bucket(self._limits.commands_per_s, now_ns),
            snapshots=Bucket(self._limits.snapshots_per_s, now_ns),
        )
        self._by_id[session.id] = session
        self._by_peer[peer] = session
        return session

    def find(self, session_id: str, peer: Peer, curve_key: str) -> Session:
        """Return a session whose user still is who they were; Refusal SESSION otherwise."""
        session = self._by_id.get(session_id)
        if session is None or session.peer != peer:
            raise Refusal(Code.SESSION, "there is no such session; say hello first")
        now_ns = self._clock.monotonic_ns()
        user = self._users.user(session.user.name)
        if user != session.user or not _fits(peer, curve_key, session.user):
            self.close(session)
            raise Refusal(Code.SESSION, f"{session.user.name} is revoked or has changed")
        if now_ns - session.seen_ns > self._limits.session_idle_s * _S:
            self.close(session)
            raise Refusal(Code.SESSION, "the session was idle for too long; say hello again")
        session.seen_ns = now_ns
        self._by_id.move_to_end(session_id)
        return session

    def close(self, session: Session) -> None:
        """Forget a session."""
        self._by_id.pop(session.id, None)
        if self._by_peer.get(session.peer) is session:
            del self._by_peer[session.peer]

    def close_peer(self, peer: Peer) -> None:
        """Forget the session of a peer that is gone."""
        session = self._by_peer.get(peer)
        if session is not None:
            self.close(session)

    def expire(self) -> None:
        """Forget sessions that have been idle for too long."""
        oldest_ns = self._clock.monotonic_ns() - self._limits.session_idle_s * _S
        while self._by_id:
            session = next(iter(self._by_id.values()))
            if session.seen_ns >= oldest_ns:
                return
            self.close(session)

    def _make_room(self, now_ns: int) -> None:
        if len(self._by_id) < self._limits.sessions_max:
            return
        idle = next(iter(self._by_id.values()))
        if now_ns - idle.seen_ns < self._limits.session_evict_s * _S:
            raise Refusal(Code.BUSY, f"there are {self._limits.sessions_max} sessions in use")
        self.close(idle)

    def _failures(self, peer: Peer) -> Failures:
        failures = self._peer_failures.get(peer)
        if failures is None:
            failures = self._peer_failures[peer] = Failures(self._limits.failures_max, 60)
            if len(self._peer_failures) > _PEERS_WATCHED_MAX:
                self._peer_failures.popitem(last=False)
        return failures


def _fits(peer: Peer, curve_key: str, user: User) -> bool:
    """Whether a user may come by this link: over tcp with the user's own key only."""
    return peer.link == "ipc" or bool(curve_key and curve_key == user.curve_key)
