"""The client for scripts, the command line and everything without an event loop."""

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from mmats.client.base import (
    ClientBase,
    EventBuffer,
    RoleName,
    chosen_kinds,
    new_connection,
    profile_of,
    unreachable,
)
from mmats.client.commands import TIMEOUT_S
from mmats.client.connection import REPLY_GRACE_S, Connection
from mmats.client.endpoints import Tcp
from mmats.client.errors import ClientClosed
from mmats.client.mirror import Event, Mirror
from mmats.client.replies import Asked, CommandReply
from mmats.model.profile import Profile

EVENTS_MAX = 100_000  # of a stream that nobody reads


class EventStream(Iterator[Event]):
    """Events from the moment of `Client.events` on; ends with the client or after a silence."""

    def __init__(
        self, connection: Connection, kinds: frozenset[str] | None, timeout_s: float | None
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._buffer = EventBuffer(kinds, EVENTS_MAX)
        self._filled = threading.Condition()
        connection.listen(self._put)

    @property
    def lost(self) -> int:
        """Events that were dropped because this stream was not read in time."""
        return self._buffer.lost

    def _put(self, event: Event | None) -> None:
        with self._filled:
            if self._buffer.put(event):
                self._filled.notify_all()

    @property
    def ended(self) -> bool:
        """Whether no event will come any more."""
        return self._buffer.ended

    def get(self, timeout_s: float | None) -> Event | None:
        """Return the next event; None if there is none in time, or the stream has ended."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._filled:
            while (event := self._buffer.pop()) is None:
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if self.ended or (left_s is not None and left_s <= 0):
                    return None
                self._filled.wait(left_s)
            return event

    def __next__(self) -> Event:
        event = self.get(self._timeout_s)
        if event is None:
            self.close()
            raise StopIteration
        return event

    def close(self) -> None:
        """Take no more events."""
        self._connection.unlisten(self._put)
        self._put(None)


class Client(ClientBase[CommandReply]):
    """A session with the engine.

    >>> with Client.connect(role="viewer") as client:
    ...     for event in client.events("signal", timeout_s=60):
    ...         print(event.value)

    A thread of its own receives; `close` ends it. May be used from several threads.
    """

    def __init__(self, connection: Connection, profile: Profile) -> None:
        super().__init__(connection, profile)
        self._changed = threading.Condition()
        connection.observe(partial(_notify, self._changed))  # holds no client: it may be collected
        self._close = weakref.finalize(self, connection.close)  # also when Python ends

    @classmethod
    def connect(
        cls,
        profile: str | Profile = "paper",
        home: str | Path | None = None,
        *,
        role: RoleName = "trader",
        token: str | None = None,
        tcp: Tcp | None = None,
        wait: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> Self:
        """Open a session and fetch the state.

        Parameters
        ----------
        profile, home
            Whose sockets and keys to take; `home` is $MMATS_HOME, else ~/.mmats.
        role
            Whose token to take from `keys/ROLE.token`; `token` is one of your own.
        tcp
            An engine on another machine; without it the one of this machine.
        wait
            Whether to wait for an engine that is about to start.

        Raises
        ------
        EngineUnreachable, NotAdmitted, TokenUnreadable, ConfigError
        """
        chosen = profile_of(profile, home)
        connection = new_connection(chosen, role=role, token=token, tcp=tcp, wait=wait)
        connection.start()
        try:
            connection.ready.result(timeout_s)
        except FutureTimeoutError as error:
            connection.close()
            raise unreachable(chosen, f"no engine answers within {timeout_s:g} s") from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, chosen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; open calls raise ClientClosed, streams of events end."""
        self._close()

    def events(
        self, kinds: str | Iterable[str] | None = None, *, timeout_s: float | None = None
    ) -> EventStream:
        """Follow events: signal, denial, order, fill, log, audit; all if no kinds are given.

        Ends when the client is closed, or after `timeout_s` without an event.
        """
        return EventStream(self._connection, chosen_kinds(kinds), timeout_s)

    def wait_for(self, condition: Callable[[Mirror], bool], *, timeout_s: float) -> bool:
        """Wait until the state fulfills a condition; False: it did not in time."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self.state):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not self._close.alive:
                    return False
                self._changed.wait(left_s)
        return True

    def snapshot(self, *, timeout_s: float = TIMEOUT_S) -> CommandReply:
        """Ask the engine for its whole state, beside the mirror; body as `messages.Snapshot`."""
        return self.command("snapshot", timeout_s=timeout_s)

    def _ask(self, asked: Asked, timeout_s: float) -> CommandReply:
        future = self._connection.ask(asked, timeout_s)
        try:
            return future.result(timeout_s + REPLY_GRACE_S + 1)
        except FutureTimeoutError as error:  # the connection's thread has died
            raise ClientClosed("the connection has ended", asked.command) from error


def _notify(changed: threading.Condition) -> None:
    with changed:
        changed.notify_all()
