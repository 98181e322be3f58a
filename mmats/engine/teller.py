"""Tells what has become durable, a few items a turn: nobody's curiosity holds up the next tick."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmats.engine.logs import get_logger
from mmats.engine.published import record_event
from mmats.engine.session import Session
from mmats.model.messages import Answer, Command
from mmats.ports.bus import IControlServer
from mmats.ports.journal import Note

RECORDS_A_TURN = 16


class Teller:
    """Events, audit notes and answers of committed groups, in the order of the groups."""

    def __init__(self, session: Session, control: IControlServer) -> None:
        """Nothing waits."""
        self._session, self._control = session, control
        self._log = get_logger("trading")
        self._waiting: deque[NDArray[np.void] | Note | tuple[Command, Answer]] = deque()

    def add(
        self,
        records: NDArray[np.void],
        notes: tuple[Note, ...],
        answers: list[tuple[Command, Answer]],
    ) -> None:
        """Take what a group held; it is durable."""
        for start in range(0, len(records), RECORDS_A_TURN):
            self._waiting.append(records[start : start + RECORDS_A_TURN])
        self._waiting.extend(notes)
        self._waiting.extend(answers)

    @property
    def is_done(self) -> bool:
        """Nothing waits to be told."""
        return not self._waiting

    def turn(self) -> bool:
        """Tell a little, more where much waits; True: the published state may have changed by it.

        The share keeps what waits bounded, whatever comes in a turn.
        """
        is_changed = False
        for _ in range(min(len(self._waiting), 1 + len(self._waiting) // 8)):
            is_changed |= self._tell(self._waiting.popleft())
        return is_changed

    def finish(self) -> None:
        """Tell all of it."""
        while self._waiting:
            self.turn()

    def _tell(self, item: NDArray[np.void] | Note | tuple[Command, Answer]) -> bool:
        if isinstance(item, Note):
            event = {"what": item.kind, "ts_ns": item.ts_ns, **item.data}
            self._control.publish_event("private", "audit", event)
            return False
        if isinstance(item, tuple):
            self._control.answer(*item)
            return True
        for row in item:
            self._tell_record(row)
        return True

    def _tell_record(self, row: Any) -> None:
        channel, kind, event = record_event(self._session, row)
        self._control.publish_event(channel, kind, event)
        line = dict(event)
        line["event_ns"] = line.pop("ts_ns")  # a log line has a time of its own
        self._log.info(kind, **line)
