"""What both clients have: whom they speak with, the state, the link, the warnings."""

import getpass
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mmats.client.anchors import Anchors
from mmats.client.commands import Commands, R
from mmats.client.connection import Connection, Target, Welcome
from mmats.client.endpoints import Tcp, local_endpoints, read_token
from mmats.client.errors import ClientClosed, EngineUnreachable, ways_to_stop
from mmats.client.link import Link
from mmats.client.mirror import Event, Mirror
from mmats.model.messages import Role
from mmats.model.profile import Profile

RoleName = Literal["viewer", "trader", "admin"]


class ClientBase(Commands[R]):
    """Attributes that both clients have; all may be read from any thread."""

    def __init__(self, connection: Connection, profile: Profile) -> None:
        self._connection = connection
        self.profile = profile

    @property
    def state(self) -> Mirror:
        """The engine's published state."""
        return self._connection.mirror

    @property
    def link(self) -> Link:
        """LIVE, STALE or LOST, by the engine's heartbeats."""
        return self._connection.link

    @property
    def link_age_s(self) -> float:
        """Seconds since the last heartbeat; infinite before the first."""
        return self._connection.link_age_s

    @property
    def engine_state(self) -> str:
        """What the engine said of itself in its last heartbeat: armed, a fault, or ended."""
        return self._connection.engine_state

    @property
    def is_current(self) -> bool:
        """Whether the state is what the engine has now: the link lives and nothing is missing."""
        return self.link is Link.LIVE and not self.state.needs_snapshot

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at, such as a journal that was set back."""
        return tuple(self._connection.warnings)

    @property
    def run(self) -> str:
        """The engine's run."""
        return self._welcome.run

    @property
    def mode(self) -> str:
        """The engine's mode when the session was opened."""
        return self._welcome.mode

    @property
    def version(self) -> str:
        """The engine's version."""
        return self._welcome.version

    @property
    def role(self) -> Role:
        """What this session may do."""
        return self._connection.role

    @property
    def _welcome(self) -> Welcome:
        welcome = self._connection.welcome
        if welcome is None:
            raise ClientClosed("the client never had a session")
        return welcome


def new_connection(
    profile: Profile, *, role: RoleName, token: str | None, tcp: Tcp | None, wait: bool
) -> Connection:
    """Make a connection that is not started yet.

    Raises
    ------
    TokenUnreadable, EngineUnreachable
    """
    if tcp is None and not wait and not profile.socket("control").exists():
        raise unreachable(profile, "no engine runs: its control socket is not there")
    target = Target(
        endpoints=local_endpoints(profile) if tcp is None else tcp.endpoints(),
        token=read_token(profile, role) if token is None else token,
        name=f"{getpass.getuser()} process {os.getpid()}",
        curve=None if tcp is None else tcp.curve,
        stop_hint=ways_to_stop(profile),
    )
    return Connection(target, Anchors(profile.anchors_file))


def profile_of(profile: str | Profile, home: str | Path | None) -> Profile:
    """Return a profile by name."""
    if isinstance(profile, Profile):
        return profile
    return Profile.of(profile, None if home is None else Path(home))


def unreachable(profile: Profile, text: str) -> EngineUnreachable:
    """The error of an engine that does not answer."""
    return EngineUnreachable(text, str(profile.socket("control")), ways_to_stop(profile))


def chosen_kinds(kinds: str | Iterable[str] | None) -> frozenset[str] | None:
    """Kinds of events as a set; None takes all."""
    if kinds is None:
        return None
    return frozenset({kinds} if isinstance(kinds, str) else kinds)


class EventBuffer:
    """Events between the connection and a reader; the newest are dropped where it is too slow.

    `lost` counts them.
    """

    def __init__(self, kinds: frozenset[str] | None, events_max: int) -> None:
        self.kinds = kinds
        self.lost = 0
        self.ended = False
        self._events: deque[Event] = deque()
        self._events_max = events_max

    def put(self, event: Event | None) -> bool:
        """Add an event, None being the end; whether a reader must be told."""
        if event is None:
            self.ended = True
            return True
        if self.kinds is not None and event.kind not in self.kinds:
            return False
        if len(self._events) >= self._events_max:
            self.lost += 1
            return False
        self._events.append(event)
        return True

    def pop(self) -> Event | None:
        """Take the oldest event; None: there is none."""
        return self._events.popleft() if self._events else None
