"""The published state: from the trading thread's changes to numbered messages and snapshots."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from mmats.model.messages import CHANNELS, PUBLIC, Published, Role, Snapshot

EVENTS_KEPT = 200  # of each kind


class _State(NamedTuple):
    channel: str
    changes: Sequence[tuple[str, Any]]


class _Event(NamedTuple):
    channel: str
    kind: str
    value: Any
    lost_before: int  # events of the channel that found no room


class PublicationQueue:
    """From the trading thread to the control thread, without a lock: neither waits for the other.

    Where the control thread is starved and the queue is full, state changes are kept back by key
    (as many as there are keys) and go out when there is room; events are lost, counted, and make a
    gap in the channel's numbers. `put_*` and `flush` are the trading thread's, `take` is the other
    one's.
    """

    def __init__(self, queued_max: int) -> None:
        self._queued_max = queued_max
        self._queue: deque[_State | _Event] = deque()
        self._held_back: dict[str, dict[str, Any]] = {}
        self._lost = dict.fromkeys(CHANNELS, 0)
        self.events_lost = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put_state(self, channel: str, changes: Sequence[tuple[str, Any]]) -> None:
        """Queue changes of keys; the values must not be changed afterwards."""
        if channel not in self._lost:
            raise ValueError(f"there is no channel {channel!r}")
        self.flush()
        if self._held_back or len(self._queue) >= self._queued_max:
            self._held_back.setdefault(channel, {}).update(changes)
        else:
            self._queue.append(_State(channel, tuple(changes)))

    def put_event(self, channel: str, kind: str, value: Any) -> None:
        """Queue an event, or count it where there is no room."""
        if channel not in self._lost:
            raise ValueError(f"there is no channel {channel!r}")
        self.flush()
        if len(self._queue) >= self._queued_max:
            self._lost[channel] += 1
            self.events_lost += 1
            return
        self._queue.append(_Event(channel, kind, value, self._lost[channel]))
        self._lost[channel] = 0

    def flush(self) -> None:
        """Queue what was kept back, if there is room."""
        if self._held_back and len(self._queue) < self._queued_max:
            for channel, changes in self._held_back.items():
                self._queue.append(_State(channel, tuple(changes.items())))
            self._held_back = {}

    def take(self) -> list[_State | _Event]:
        """Take what is there now."""
        taken = []
        for _ in range(len(self._queue)):
            taken.append(self._queue.popleft())  # noqa: PERF401 - the other end is being filled
        return taken


class Channel:
    """State, last events and number of the last message of one channel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 0
        self.state: dict[str, Any] = {}
        self.events: dict[str, deque[Any]] = {}


class Mirror:
    """Applies publications in order and hands on the encoded messages; for the control thread.

    `send` gets the channel and the message, and must not block.
    """

    def __init__(
        self, run: str, now_ns: Callable[[], int], send: Callable[[str, bytes], None]
    ) -> None:
        self._run = run
        self._now_ns = now_ns
        self._send = send
        self.channels = {name: Channel(name) for name in CHANNELS}
        self.published = 0
        self.unfit = 0  # publications that are not JSON

    def apply(self, queued: Sequence[_State | _Event]) -> None:
        """Publish what was queued: of a key that changed several times in a row, the last value."""
        pending: dict[str, dict[str, Any]] = {name: {} for name in self.channels}
        for item in queued:
            changes = pending[item.channel]
            if isinstance(item, _State):
                for key, value in item.changes:
                    changes.pop(key, None)
                    changes[key] = value
                continue
            self._publish_state(self.channels[item.channel], changes)
            changes.clear()
            self._publish_event(self.channels[item.channel], item)
        for name, changes in pending.items():
            self._publish_state(self.channels[name], changes)

    def heartbeat(self, value: dict[str, Any]) -> None:
        """Tell every channel's last number."""
        for channel in self.channels.values():
            self._emit(channel, channel.seq, "heartbeat", "", value)

    def snapshot(self, role: Role) -> Snapshot:
        """Return the state and the last events of the channels that a role may see."""
        seen = [
            channel
            for channel in self.channels.values()
            if channel.name == PUBLIC or role >= Role.TRADER
        ]
        return Snapshot(
            run=self._run,
            seqs={channel.name: channel.seq for channel in seen},
            state={key: value for channel in seen for key, value in channel.state.items()},
            events={kind: list(last) for channel in seen for kind, last in channel.events.items()},
        )

    def _publish_state(self, channel: Channel, changes: dict[str, Any]) -> None:
        for key, value in changes.items():
            if value is None and key not in channel.state:
                continue
            if not self._emit(channel, channel.seq + 1, "state", key, value):
                continue
            channel.seq += 1
            if value is None:
                del channel.state[key]
            else:
                channel.state[key] = value

    def _publish_event(self, channel: Channel, event: _Event) -> None:
        channel.seq += event.lost_before
        if self._emit(channel, channel.seq + 1, "event", event.kind, event.value):
            channel.seq += 1
            channel.events.setdefault(event.kind, deque(maxlen=EVENTS_KEPT)).append(event.value)

    def _emit(self, channel: Channel, seq: int, kind: Any, key: str, value: Any) -> bool:
        message = Published(
            run=self._run,
            channel=channel.name,  # type: ignore[arg-type]
            seq=seq,
            ts_ns=self._now_ns(),
            kind=kind,
            key=key,
            value=value,
        )
        try:
            encoded = msgspec.json.encode(message)
        except (TypeError, ValueError, RecursionError):
            self.unfit += 1
            return False
        self.published += 1
        self._send(channel.name, encoded)
        return True
