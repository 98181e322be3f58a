"""Feeds a recording to a fresh session: the proof that a run's decisions follow from its inputs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from mmats._core import EVENT_DTYPE, RECORD_DTYPE, REPORT_DTYPE
from mmats.config import Config, load_config
from mmats.engine.commands import CommandDesk
from mmats.engine.session import EngineFault, Input, Session
from mmats.model.errors import DataError
from mmats.model.messages import COMMANDS

TAKE_RECORDS = 8_192  # the ring has room for many more than the next input makes


@dataclass
class Rerun:
    """What a recording gives when it is played again."""

    run: str
    config: Config
    records: NDArray[np.void]
    image_hash: str  # of the state after the last input
    inputs: int
    fault: str = ""
    reloads: int = 0  # strategies that were loaded anew: from the files as they are now


@dataclass(frozen=True)
class Difference:
    """The first record that is not the same."""

    position: int
    journal: dict[str, Any] | None  # None: there is none
    rerun: dict[str, Any] | None


def rerun(inputs: Iterator[tuple[int, int, bytes]]) -> Rerun:
    """Play a recording.

    Raises
    ------
    DataError
        It does not begin with the configuration and the state that its run began with.
    """
    start = _plain(_expect(inputs, Input.START), "run", "config", "base_dir")
    config = load_config(start["config"], base_dir=Path(str(start["base_dir"])))
    session = Session(config)
    image = _expect(inputs, Input.IMAGE)
    if image:
        session.restore(image, 0)
    desk = CommandDesk(session)
    taken = [np.empty(0, RECORD_DTYPE)]
    result = Rerun(start["run"], config, taken[0], "", 0)
    try:
        for kind, ts_ns, payload in inputs:
            result.inputs += 1
            result.reloads += _loads_anew(kind, payload)
            _apply(session, desk, kind, ts_ns, payload)
            if session.journal.waiting_count >= TAKE_RECORDS:
                taken.append(session.journal.take())
    except EngineFault as error:
        result.fault = str(error)
    taken.append(session.journal.take())
    result.records = np.concatenate(taken)
    result.image_hash = image_hash(session.image())
    return result


def _loads_anew(kind: int, payload: bytes) -> bool:
    names = (b'"command":"strategy.reload"', b'"command":"strategy.load"')
    return kind == Input.COMMAND and any(name in payload for name in names)


def _expect(inputs: Iterator[tuple[int, int, bytes]], kind: Input) -> bytes:
    found, _, payload = next(inputs, (0, 0, b""))
    if found != kind:
        raise DataError(f"the recording has no {kind.name.lower()} where it must stand")
    return payload


def _apply(session: Session, desk: CommandDesk, kind: int, ts_ns: int, payload: bytes) -> None:
    match kind:
        case Input.EVENTS:
            session.events(_rows(payload, EVENT_DTYPE))
        case Input.REPORTS:
            session.reports(_rows(payload, REPORT_DTYPE), ts_ns)
        case Input.TIMER:
            session.timer(ts_ns)
        case Input.RESYNC:
            session.resync(ts_ns)
        case Input.BREAK:
            session.feed_broken()
        case Input.RECONCILE:
            session.reconcile(ts_ns)
        case Input.COMMAND:
            command = _plain(payload, "command", "body", "may_raise")
            spec = COMMANDS.get(command["command"])
            if spec is None:
                raise DataError(f"the recording has an unknown command {command['command']!r}")
            try:
                body = msgspec.convert(command["body"], spec.body)
            except msgspec.ValidationError as error:
                raise DataError(f"the recording has a bad {command['command']}: {error}") from error
            desk.execute(command["command"], body, bool(command["may_raise"]), ts_ns)
        case _:
            raise DataError(f"a recording holds no input {kind} in this place")


def _rows(payload: bytes, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    if len(payload) % dtype.itemsize:
        raise DataError(f"the recording has {len(payload)} bytes of rows of {dtype.itemsize}")
    return np.frombuffer(payload, dtype)


def _plain(payload: bytes, *keys: str) -> dict[str, Any]:
    try:
        found = orjson.loads(payload)
    except ValueError as error:
        raise DataError(f"the recording has no JSON where it must stand: {error}") from error
    if not isinstance(found, dict) or not set(keys) <= found.keys():
        raise DataError(f"the recording lacks {', '.join(keys)}")
    return found


def image_hash(image: bytes) -> str:
    """The hash that the journal keeps of a state image."""
    return hashlib.blake2b(image, digest_size=16).hexdigest()


def first_difference(
    journal: NDArray[np.void], again: NDArray[np.void], is_whole: bool
) -> Difference | None:
    """Compare a run's journal with its rerun.

    Parameters
    ----------
    is_whole : the run ended cleanly; a crashed one may have decided more than it could commit
    """
    count = min(len(journal), len(again))
    same = journal[:count].view("V160") == again[:count].view("V160")
    if not same.all():
        at = int(np.argmin(same))
        return Difference(at, _row(journal, at), _row(again, at))
    if len(journal) > count or (is_whole and len(again) > count):
        return Difference(count, _row(journal, count), _row(again, count))
    return None


def _row(records: NDArray[np.void], at: int) -> dict[str, Any] | None:
    if at >= len(records):
        return None
    names = records.dtype.names or ()
    return {name: records[at][name].item() for name in names if not name.startswith("pad")}
