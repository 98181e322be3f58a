"""The client for asyncio: the same surface, to be awaited."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
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
from mmats.client.connection import Connection
from mmats.client.endpoints import Tcp
from mmats.client.mirror import Event, Mirror
from mmats.client.replies import Asked, CommandReply
from mmats.client.sync import EVENTS_MAX
from mmats.model.profile import Profile


class AsyncEventStream(AsyncIterator[Event]):
    """Events from the moment of `AsyncClient.events` on."""

    def __init__(
        self, connection: Connection, kinds: frozenset[str] | None, timeout_s: float | None
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._buffer = EventBuffer(kinds, EVENTS_MAX)
        self._filled = Bell()
        connection.listen(self._put)

    @property
    def lost(self) -> int:
        """Events that were dropped because this stream was not read in time."""
        return self._buffer.lost

    def _put(self, event: Event | None) -> None:
        if self._buffer.put(event):
            self._filled.ring()

    @property
    def ended(self) -> bool:
        """Whether no event will come any more."""
        return self._buffer.ended

    async def get(self, timeout_s: float | None) -> Event | None:
        """Return the next event; None if there is none in time, or the stream has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (event := self._buffer.pop()) is None and not self.ended:
                    await self._filled.wait()
                return event
        return None

    async def __anext__(self) -> Event:
        event = await self.get(self._timeout_s)
        if event is None:
            self.close()
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Take no more events."""
        self._connection.unlisten(self._put)
        self._put(None)


class Bell:
    """Wakes a coroutine from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self) -> None:
        """Wait for the next ring after the last `wait`."""
        await self._rung.wait()
        self._rung.clear()


class AsyncClient(ClientBase[Awaitable[CommandReply]]):
    """A session with the engine; see `Client`. Every command is awaited.

    >>> async with await AsyncClient.connect() as client:
    ...     reply = await client.pause(reason="news")
    ...     async for event in client.events("fill"):
    ...         print(event.value)

    It belongs to the event loop that it was connected on.
    """

    def __init__(self, connection: Connection, profile: Profile) -> None:
        super().__init__(connection, profile)
        self._closed = False

    @classmethod
    async def connect(
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
        """Open a session and fetch the state; parameters and errors as of `Client.connect`."""
        chosen = profile_of(profile, home)
        connection = new_connection(chosen, role=role, token=token, tcp=tcp, wait=wait)
        connection.start()
        try:
            await asyncio.wait_for(asyncio.wrap_future(connection.ready), timeout_s)
        except TimeoutError as error:
            await asyncio.to_thread(connection.close)
            raise unreachable(chosen, f"no engine answers within {timeout_s:g} s") from error
        except BaseException:
            await asyncio.to_thread(connection.close)
            raise
        return cls(connection, chosen)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session; open calls raise ClientClosed, streams of events end."""
        self._closed = True
        await asyncio.to_thread(self._connection.close)

    def events(
        self, kinds: str | Iterable[str] | None = None, *, timeout_s: float | None = None
    ) -> AsyncEventStream:
        """Follow events; see `Client.events`."""
        return AsyncEventStream(self._connection, chosen_kinds(kinds), timeout_s)

    async def wait_for(self, condition: Callable[[Mirror], bool], *, timeout_s: float) -> bool:
        """Wait until the state fulfills a condition; False: it did not in time."""
        changed = Bell()
        self._connection.observe(changed.ring)
        try:
            async with asyncio.timeout(timeout_s):
                while not condition(self.state):
                    if self._closed:
                        return False
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            self._connection.unobserve(changed.ring)
        return True

    async def snapshot(self, *, timeout_s: float = TIMEOUT_S) -> CommandReply:
        """Ask the engine for its whole state, beside the mirror; body as `messages.Snapshot`."""
        return await self.command("snapshot", timeout_s=timeout_s)

    async def _result(self, asked: Asked, timeout_s: float) -> CommandReply:
        return await asyncio.wrap_future(self._connection.ask(asked, timeout_s))

    def _ask(self, asked: Asked, timeout_s: float) -> Awaitable[CommandReply]:
        return self._result(asked, timeout_s)
