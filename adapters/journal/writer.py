"""The thread that makes groups durable, one at a time, and stops for good at the first failure."""

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, perf_counter_ns

import lmdb

from adapters.journal.append import Appender
from adapters.journal.chain import RECORD_SIZE
from adapters.journal.layout import Environment
from mmats.model.errors import JournalError
from mmats.ports.journal import Group, Head

READER_CHECK_S = 10.0
COMMIT_TIMES_KEPT = 1000


class JournalWriter:
    """Implements IJournalWriter. What failed once is not tried again.

    After an error of the disk a later write can seem to succeed while an earlier one is lost: so
    the first failure is kept, and no commit is attempted after it.
    """

    def __init__(
        self,
        store: Environment,
        appender: Appender,
        *,
        seal_every: int,
        seal_interval_s: float,
        release: Callable[[], None],
    ) -> None:
        self._store = store
        self._appender = appender
        self._seal_every = seal_every
        self._seal_interval_s = seal_interval_s
        self._release = release
        self._changed = threading.Condition()
        self._group: Group | None = None
        self._is_closing = False
        self._is_closed = False
        self._wake: Callable[[], None] | None = None
        self._committed = 0
        self._failure: Exception | None = None
        self._head = _head(appender)
        self._fill_ratio = appender.fill_ratio
        self._commit_ns: deque[int] = deque(maxlen=COMMIT_TIMES_KEPT)
        self._seal_due_s = monotonic() + seal_interval_s
        self._check_due_s = monotonic() + READER_CHECK_S
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, group: Group) -> None:
        """Hand over the next group; only while `is_idle`. Returns at once.

        Raises
        ------
        JournalError
            The writer has failed or is closed; the last group is still on its way; the group is
            not the next one, or not whole.
        """
        _check_group(group)
        with self._changed:
            if self._failure is not None:
                raise JournalError(f"nothing can be written any more: {self._failure}")
            if self._is_closing:
                raise JournalError("the journal is closed")
            if self._group is not None:
                raise JournalError(f"group {self._group.number} is still on its way")
            if group.number != self._committed + 1:
                raise JournalError(f"group {group.number} does not follow {self._committed}")
            self._group = group
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """No group is on its way."""
        return self._group is None

    @property
    def committed(self) -> int:
        """Number of the last group that is durable; 0 where none is."""
        return self._committed

    @property
    def failure(self) -> Exception | None:
        """What stopped the writer for good."""
        return self._failure

    @property
    def head(self) -> Head:
        """End of the durable journal."""
        return self._head

    @property
    def commit_ns_last(self) -> int:
        """How long the last commit took; 0 before the first."""
        with self._changed:
            return self._commit_ns[-1] if self._commit_ns else 0

    @property
    def commit_ns(self) -> list[int]:
        """How long each of the last 1000 commits took."""
        with self._changed:
            return list(self._commit_ns)

    @property
    def fill_ratio(self) -> float:
        """Share of the largest allowed size that is in use, 0 to 1; raise the alarm at 0.7."""
        return self._fill_ratio

    def on_done(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called, from the writer's thread, after every commit and on failure."""
        self._wake = wake

    def close(self) -> None:
        """Wait for what is on its way, seal, and close the store; a second call does nothing."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        if not self._is_closed:
            self._is_closed = True
            self._store.close()
            self._release()

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001 - whatever it was: it is kept and shown
            with self._changed:
                self._failure = _as_failure(error, self._group)
                self._group = None
                self._changed.notify_all()
            self._notify()

    def _step(self) -> bool:
        """Do what is next; False after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._group or self._is_closing, self._pause_s())
            group, is_closing = self._group, self._is_closing
        if group is not None:
            self._commit(group)
        elif self._appender.unsealed and (is_closing or monotonic() >= self._seal_due_s):
            self._appender.seal()
            self._done(0)
        if monotonic() >= self._check_due_s:
            # A reader that was killed would keep all pages that it saw.
            self._store.env.reader_check()
            self._check_due_s = monotonic() + READER_CHECK_S
        return group is not None or not is_closing

    def _pause_s(self) -> float:
        due_s = self._check_due_s
        if self._appender.unsealed:
            due_s = min(due_s, self._seal_due_s)
        return max(due_s - monotonic(), 0.0)

    def _commit(self, group: Group) -> None:
        is_first_unsealed = not self._appender.unsealed
        start_ns = perf_counter_ns()
        # An old tail is sealed with the group, too: it need not wait for a pause.
        is_due = not is_first_unsealed and monotonic() >= self._seal_due_s
        self._appender.append(group, 1 if is_due else self._seal_every)
        if is_first_unsealed or not self._appender.unsealed:
            self._seal_due_s = monotonic() + self._seal_interval_s
        self._done(perf_counter_ns() - start_ns)

    def _done(self, commit_ns: int) -> None:
        with self._changed:
            self._head = _head(self._appender)
            self._fill_ratio = self._appender.fill_ratio
            if commit_ns:
                self._commit_ns.append(commit_ns)
                self._committed += 1
                self._group = None
            self._changed.notify_all()
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake()


def _head(appender: Appender) -> Head:
    return Head(appender.meta.size, appender.meta.hash.hex())


def _check_group(group: Group) -> None:
    count, rest = divmod(len(group.records), RECORD_SIZE)
    if rest:
        raise JournalError(f"{len(group.records)} bytes are not records of {RECORD_SIZE} bytes")
    for note in group.notes:
        if not 0 <= note.position <= count:
            raise JournalError(f"note {note.kind}: position {note.position} of {count} records")


def _as_failure(error: Exception, group: Group | None) -> Exception:
    what = f"group {group.number}" if group is not None else "a seal"
    if isinstance(error, lmdb.MapFullError):
        return JournalError(f"{what}: the journal is full", hint="raise size_max")
    if isinstance(error, (OSError, lmdb.Error)):
        return JournalError(f"{what}: the disk refused: {error}")
    return JournalError(f"{what}: {type(error).__name__}: {error}")
