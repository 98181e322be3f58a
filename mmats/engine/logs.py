"""Logs of a process: JSON lines, written by a thread of their own, without secrets.

Every line has `ts` (UTC), `level`, `event`, `run` and `component`; `bind_ids` adds signal_id,
order_id, trade_id and command_id to what is logged in its block, so that one id can be followed
from a signal through its order to the fills.
"""

import logging
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger

from mmats.engine.redaction import Redactor
from mmats.engine.rotation import RotatingFile

Level = Literal["debug", "info", "warning", "error", "critical"]
CLOSE_S_MAX = 5.0
_LEVELS = {name: getattr(logging, name.upper()) for name in Level.__args__}  # type: ignore[attr-defined]
# These tell whole requests, with their headers, at lower levels.
_TOO_OPEN = ("ccxt.base.exchange", "urllib3", "asyncio", "requests", "websockets", "httpx")
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_END: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How much is logged and kept."""

    level: Level = "info"
    file_bytes_max: int = 10_000_000
    file_count: int = 5  # old files beside the current one
    queue_lines_max: int = 10_000  # what comes while so many wait is counted and dropped
    echo: Level | None = None  # lines of this level and above also go to stderr


class Logs:
    """Everything that this process logs, structlog and stdlib alike, into `folder/NAME.jsonl`.

    Logging never blocks and never raises: lines go to a queue, and those that find it full are
    counted and told in a line of their own, `log.dropped`.
    """

    def __init__(
        self, folder: Path, name: str, *, run: str = "", options: LogOptions | None = None
    ) -> None:
        self._options = options or LogOptions()
        self._run = run
        self._name = name
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._redactor = Redactor()
        self._file = RotatingFile(
            folder / f"{name}.jsonl", self._options.file_bytes_max, self._options.file_count
        )
        self._before: tuple[list[logging.Handler], Any, Any] | None = None
        self._told_failure = False
        self._dropped_told = 0
        self.dropped = 0
        """Lines that found the queue full."""
        self.failed = 0
        """Lines that could not be written."""
        self._thread = threading.Thread(target=self._write_all, name="logs", daemon=True)

    @property
    def depth(self) -> int:
        """Lines that wait to be written."""
        return self._queue.qsize()

    def start(self) -> "Logs":
        """Take over structlog, stdlib logging and uncaught exceptions of this process."""
        self._thread.start()
        structlog.configure(
            processors=[merge_contextvars, structlog.stdlib.add_log_level, self._enqueue],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[self._options.level]),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=False,
        )
        root = logging.getLogger()
        # Another handler would write what this one leaves out.
        self._before = (root.handlers[:], sys.excepthook, threading.excepthook)
        root.handlers[:] = [StdlibHandler(self)]
        root.setLevel(_LEVELS[self._options.level])
        for name in _TOO_OPEN:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.captureWarnings(capture=True)
        sys.excepthook = self._uncaught
        threading.excepthook = lambda args: self._uncaught(
            args.exc_type, args.exc_value, args.exc_traceback
        )
        return self

    def close(self) -> None:
        """Write what waits, at most for five seconds, and give everything back."""
        self._queue.put(_END)
        if self._thread.is_alive():
            self._thread.join(CLOSE_S_MAX)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        if self._before is not None:
            logging.getLogger().handlers[:], sys.excepthook, threading.excepthook = self._before

    def put(self, event: dict[str, Any]) -> None:
        """Hand a line over to the writing thread; safe in a signal handler."""
        if self._queue.qsize() >= self._options.queue_lines_max:
            self.dropped += 1
            return
        event.setdefault("ts_ns", time.time_ns())
        self._queue.put(event)

    def _enqueue(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        if event.get("exc_info") is True:
            event["exc_info"] = sys.exc_info()[1]
        self.put(dict(event))
        raise structlog.DropEvent

    def _uncaught(
        self,
        kind: type[BaseException],
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        self.put({"event": "uncaught", "level": "critical", "exc_info": error})
        text = self._redactor.text(f"{kind.__qualname__}: {error}")
        sys.stderr.write(f"{self._name}: {text}; see {self._file.path.name}\n")

    def _write_all(self) -> None:
        while (event := self._queue.get()) is not _END:
            self._write(event)
            if self.dropped != self._dropped_told:
                count = self.dropped - self._dropped_told
                self._dropped_told = self.dropped
                self._write({"event": "log.dropped", "level": "error", "count": count})
        self._file.close()

    def _write(self, event: dict[str, Any]) -> None:
        """Write one line; whatever goes wrong, the next one is tried."""
        try:
            ordered = self._ordered(event)
            self._file.write(self._redactor.line(ordered) + "\n")
            self._echo(ordered)
        except Exception as error:  # noqa: BLE001 - the reason is told, and logging must go on
            self.failed += 1
            if not self._told_failure:
                self._told_failure = True
                sys.stderr.write(f"{self._name}: can't log: {type(error).__qualname__}\n")

    def _ordered(self, event: dict[str, Any]) -> dict[str, Any]:
        moment = datetime.fromtimestamp(event.pop("ts_ns", time.time_ns()) / 1e9, UTC)
        error = event.pop("exc_info", None)
        head = {
            "ts": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": event.pop("level", "info"),
            "event": event.pop("event", ""),
            "run": event.pop("run", self._run),
            "component": event.pop("component", self._name),
        }
        if isinstance(error, tuple):
            error = error[1]
        return head | event | ({"exception": error} if error is not None else {})

    def _echo(self, event: dict[str, Any]) -> None:
        echo = self._options.echo
        if echo is None or _LEVELS.get(event["level"], 0) < _LEVELS[echo]:
            return
        rest = {k: v for k, v in event.items() if k not in ("ts", "level", "event", "run")}
        line = f"{event['ts'][11:19]} {event['level']} {event['event']} {self._redactor.line(rest)}"
        sys.stderr.write(self._redactor.text(line) + "\n")


class StdlibHandler(logging.Handler):
    """Routes records of stdlib logging into the logs, with their `extra` fields."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record over; a message that can't be formatted is handed over unformatted."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format must not raise in whoever logs
            text = str(record.msg)
        extra = {k: v for k, v in vars(record).items() if k not in _RECORD_FIELDS}
        self._logs.put(
            extra
            | {
                "event": text,
                "level": record.levelname.lower(),
                "component": record.name,
                "exc_info": record.exc_info[1] if record.exc_info else None,
                "ts_ns": int(record.created * 1e9),
            }
        )


def get_logger(component: str) -> FilteringBoundLogger:
    """Return the logger of a component; before `Logs.start` it prints nothing useful."""
    logger: FilteringBoundLogger = structlog.get_logger().bind(component=component)
    return logger


@contextmanager
def bind_ids(**ids: int | str) -> Iterator[None]:
    """Add ids (signal_id, order_id, trade_id, command_id) to all that the block logs."""
    with bound_contextvars(**ids):
        yield
