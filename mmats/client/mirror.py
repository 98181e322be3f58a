"""The engine's published state, rebuilt from a snapshot and the messages after it.

No sockets and no clock: messages go in, in any order and with any loss, and the mirror says when it
needs a snapshot. Once it has one that is new enough it is equal to the engine's map again.
"""

from collections import deque
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

import msgspec

from mmats.model.messages import PRIVATE, PUBLIC, Published, Snapshot

EVENTS_KEPT = 1_000  # of each kind
HELD_MAX = 20_000  # messages of a channel kept while a snapshot is on its way


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A signal, denial, order, fill, log line or audit record."""

    kind: str
    value: Any
    run: str


class Mirror(Mapping[str, Any]):
    """Keys and values of one run of the engine.

    One thread feeds it; any thread may read it at any time. Values are replaced, never changed.

    Attributes
    ----------
    run : str
        The run of the engine that the values are of; empty before the first snapshot.
    seqs : dict of str to int
        By channel, the last message that the values contain.
    gaps : int
        How often messages were missing.
    snapshots : int
        How often a snapshot was taken.
    events_lost : int
        How often more events were lost than the engine keeps.
    """

    def __init__(self) -> None:
        self.run = ""
        self.seqs: dict[str, int] = {}
        self.gaps = 0
        self.snapshots = 0
        self.events_lost = 0
        self._whole = False
        self._values: dict[str, Any] = {}
        self._recent: dict[str, deque[Any]] = {}
        self._heard_run = ""  # the run of the messages that are held
        self._heard: dict[str, int] = {}  # by channel, the highest sequence heard of
        self._held: dict[str, dict[int, Published]] = {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> ItemsView[str, Any]:
        """Keys and values of one moment."""
        return self.copy().items()

    def values(self) -> ValuesView[Any]:
        """The values of one moment."""
        return self.copy().values()

    def copy(self) -> dict[str, Any]:
        """The state of one moment."""
        return self._values.copy()

    def below(self, prefix: str) -> dict[str, Any]:
        """Return what follows `prefix:` in the keys, with the values, in order of the keys."""
        start = f"{prefix}:"
        chosen = {k.removeprefix(start): v for k, v in self.items() if k.startswith(start)}
        return dict(sorted(chosen.items()))

    def recent(self, kind: str) -> list[Any]:
        """Return the last events of a kind, oldest first."""
        return list(self._recent.get(kind, ()))

    @property
    def needs_snapshot(self) -> bool:
        """Whether messages are missing, or the engine was started anew."""
        return not self._whole

    def take(self, message: Published) -> list[Event]:
        """Take a published message; return the events that are new with it, in order."""
        was_whole = self._whole
        if was_whole and message.run == self.run:
            last = self.seqs.get(message.channel, 0)
            is_next = message.seq == last + 1 and message.kind != "heartbeat"
            if is_next:  # nearly always
                self._heard[message.channel] = self.seqs[message.channel] = message.seq
                _set(self._values, message)
                return self._event(message)
            if message.seq <= last:
                return []
        if message.run != self._heard_run:
            self._hear_run(message.run)
            was_whole = False
        heard = self._heard.get(message.channel, 0)
        self._heard[message.channel] = max(heard, message.seq)
        if message.kind != "heartbeat":
            self._hold(message)
        events = self._advance() if self.run == self._heard_run else []
        self._judge()
        if was_whole and not self._whole:
            self.gaps += 1
        return events

    def take_snapshot(self, snapshot: Snapshot) -> list[Event]:
        """Take a snapshot; return the events that it and the messages held bring.

        A snapshot that is older than the mirror and can't be brought forward with the messages held
        is left alone.
        """
        if snapshot.run == self.run and not self._reaches(snapshot):
            return []
        if snapshot.run != self._heard_run:
            self._hear_run(snapshot.run)
        events = self._missed_events(snapshot)
        before = self.seqs if snapshot.run == self.run else {}
        self.run = snapshot.run
        self.snapshots += 1
        values = dict(snapshot.state)
        seqs = dict(snapshot.seqs)
        for channel, seq in seqs.items():
            self._heard[channel] = max(self._heard.get(channel, 0), seq)
            for message in self._following(channel, seq):
                if message.seq > before.get(channel, 0):
                    events += self._event(message)
                _set(values, message)
                seqs[channel] = message.seq
        self._values, self.seqs = values, seqs
        self._judge()
        return events

    def _judge(self) -> None:
        """Find out whether anything is missing; if not, nothing needs to be held."""
        self._whole = (
            self.run != ""
            and self._heard_run == self.run
            and all(last <= self.seqs.get(channel, 0) for channel, last in self._heard.items())
        )
        if self._whole:
            self._held.clear()

    def _hear_run(self, run: str) -> None:
        self._heard_run = run
        self._heard = {}
        self._held = {}

    def _hold(self, message: Published) -> None:
        held = self._held.setdefault(message.channel, {})
        held[message.seq] = message
        if len(held) > HELD_MAX:
            del held[next(iter(held))]

    def _following(self, channel: str, seq: int) -> Iterator[Published]:
        """Messages held that follow `seq` without a gap."""
        held = self._held.get(channel, {})
        while (message := held.get(seq + 1)) is not None:
            yield message
            seq = message.seq

    def _advance(self) -> list[Event]:
        events = []
        for channel in tuple(self._held):
            if channel in self.seqs:
                for message in self._following(channel, self.seqs[channel]):
                    events += self._event(message)
                    _set(self._values, message)
                    self.seqs[channel] = message.seq
        return events

    def _reaches(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot and the messages held lead at least to where the mirror is."""
        for channel, seq in self.seqs.items():
            if channel not in snapshot.seqs:
                return False
            last = snapshot.seqs[channel]
            for message in self._following(channel, last):
                last = message.seq
            if last < seq:
                return False
        return True

    def _event(self, message: Published) -> list[Event]:
        if message.kind != "event":
            return []
        kept = self._recent.setdefault(message.key, deque(maxlen=EVENTS_KEPT))
        kept.append(message.value)
        return [Event(kind=message.key, value=message.value, run=message.run)]

    def _missed_events(self, snapshot: Snapshot) -> list[Event]:
        """Events of the snapshot that came after the last one we had; none on the first one."""
        first, same_run = not self.run, snapshot.run == self.run
        if not same_run:
            self._recent = {}
        missed = []
        for kind, values in snapshot.events.items():
            channel = PUBLIC if kind == "signal" else PRIVATE
            if same_run and snapshot.seqs.get(channel, 0) <= self.seqs.get(channel, 0):
                continue
            kept = self._recent.setdefault(kind, deque(maxlen=EVENTS_KEPT))
            known = _overlap(list(kept), values)
            if kept and values and not known:
                self.events_lost += 1
            kept.extend(values[known:])
            if not first:
                missed += [Event(kind=kind, value=v, run=snapshot.run) for v in values[known:]]
        return missed


def _set(values: dict[str, Any], message: Published) -> None:
    if message.kind != "state":
        return
    if message.value is None:
        values.pop(message.key, None)
    else:
        values[message.key] = message.value


def _overlap(known: list[Any], values: list[Any]) -> int:
    """How many of the first values are the last of the known ones."""
    for count in range(min(len(known), len(values)), 0, -1):
        if values[:count] == known[-count:]:
            return count
    return 0
