"""Opening the journal: one engine at a time, the right journal, a whole one, or an error."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import lmdb

from adapters.journal import chain
from adapters.journal.append import MAP_SIZE_FIRST, Appender
from adapters.journal.layout import (
    DAMAGE,
    DATA,
    GENESIS,
    HEAD,
    LOCK,
    SEAL_KEY,
    Environment,
    Meta,
)
from adapters.journal.recovery import Found, examine
from adapters.journal.seals import SealKey
from adapters.journal.writer import JournalWriter
from mmats.model.errors import JournalError, JournalQuarantined
from mmats.ports.journal import Genesis, Head, Recovered

FILL_ALARM = 0.7
_NEW = "new"  # folder in which a journal is made before it takes its place


def open_journal(
    path: Path,
    genesis: Genesis,
    *,
    run: str,
    seal_every: int = 1000,
    seal_interval_s: float = 60.0,
    size_max: int = 2**30,
    verification_key_file: Path | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> tuple[JournalWriter, Recovered]:
    """Open the journal in folder `path`, or make it, and start its writer.

    Parameters
    ----------
    path : Path
        Folder of the journal; made if missing, mode 0700.
    genesis : Genesis
        Whom it must belong to.
    run : str
        Name of this run, for messages.
    seal_every, seal_interval_s : int, float
        A seal follows after so many entries, and at the latest so many seconds after the first
        entry that has none.
    size_max : int
        Bytes that the data may grow to; beyond, the writer fails.
    verification_key_file : Path, optional
        Where a new journal's first key is written, mode 0600, in hex; by default
        `keys/journal.verify` beside the journal's folder. Nothing here ever reads it again.
    now_ns : callable
        Time of seals and cuts, ns UTC.

    Raises
    ------
    JournalError
        Another engine has it open, it belongs to another profile or account, has another schema,
        or the disk refuses.
    JournalQuarantined
        It is damaged or rolled back; nothing was changed.
    """
    key_file = verification_key_file or path.parent / "keys" / "journal.verify"
    try:
        _make_folder(path)
        lock = _lock(path, run)
    except OSError as error:
        raise JournalError(f"can't be opened: {error}", str(path)) from error
    try:
        return _open(
            path,
            genesis,
            key_file=key_file,
            size_max=size_max,
            seal_every=seal_every,
            seal_interval_s=seal_interval_s,
            now_ns=now_ns,
            lock=lock,
        )
    except lmdb.Error as error:
        os.close(lock)
        raise JournalError(f"can't be opened: {error}", str(path)) from error
    except OSError as error:
        os.close(lock)
        raise JournalError(f"can't be opened: {error}", str(path)) from error
    except BaseException:
        os.close(lock)
        raise


def _open(
    path: Path,
    genesis: Genesis,
    *,
    key_file: Path,
    size_max: int,
    seal_every: int,
    seal_interval_s: float,
    now_ns: Callable[[], int],
    lock: int,
) -> tuple[JournalWriter, Recovered]:
    is_new = not (path / DATA).exists()
    key = _make(path, genesis, key_file, size_max) if is_new else SealKey.read(path / SEAL_KEY)
    try:
        store = Environment(path, map_size=min(MAP_SIZE_FIRST, size_max))
    except DAMAGE as error:
        raise JournalQuarantined(f"the data is damaged: {error}", str(path)) from error
    try:
        store.env.reader_check()
        found = examine(store, genesis, str(path))
        key = _current(key, found, path)
        appender = Appender(store, found.meta, found.image, key, size_max=size_max, now_ns=now_ns)
        if found.cut is not None:
            appender.cut(found.cut)
        recovered = _recovered(found, appender, is_new)
        writer = JournalWriter(
            store,
            appender,
            seal_every=seal_every,
            seal_interval_s=seal_interval_s,
            release=lambda: os.close(lock),
        )
    except BaseException:
        store.close()
        raise
    return writer, recovered


def _make_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _lock(path: Path, run: str) -> int:
    """Keep a second engine out, as long as this process lives."""
    descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        raise JournalError(
            f"another engine has it open: {holder or 'unknown'}",
            str(path),
            "stop that one, or use another profile",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}, run {run}\n".encode(), 0)
    return descriptor


def _make(path: Path, genesis: Genesis, key_file: Path, size_max: int) -> SealKey:
    """Make a journal, in an order in which a crash leaves either none or a whole one."""
    key = SealKey.read(path / SEAL_KEY)
    if key is not None and key.is_bound:
        raise JournalQuarantined(
            f"the data is gone, though seals up to epoch {key.epoch} were made", str(path)
        )
    key = key or SealKey.new(path / SEAL_KEY)
    _publish(key, key_file)
    folder = path / _NEW
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    made = Environment(folder, map_size=min(MAP_SIZE_FIRST, size_max), create=True)
    try:
        stored = chain.genesis_json(genesis)
        with made.env.begin(write=True) as txn:
            txn.put(GENESIS, stored, db=made.meta)
            txn.put(HEAD, Meta(0, chain.genesis_hash(stored)).pack(), db=made.meta)
    finally:
        made.close()
    (folder / DATA).rename(path / DATA)
    shutil.rmtree(folder)
    _sync_folder(path)
    key.bind()
    return key


def _publish(key: SealKey, file: Path) -> None:
    """Write the first key where the administrator finds it; what is there must be the same."""
    text = key.key.hex() + "\n"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.exists() and file.stat().st_size:
        if file.read_text() != text:
            raise JournalError(
                "the key of another journal is there",
                str(file),
                "move it away, to where its journal is",
            )
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, text.encode(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _current(key: SealKey | None, found: Found, path: Path) -> SealKey:
    """The key for the next seal: after a crash it can be one step behind, never ahead."""
    where = str(path / SEAL_KEY)
    if key is None:
        raise JournalQuarantined("the key of the seals is missing or damaged", where)
    if key.epoch == found.seal_epoch:
        key.evolve()
    if key.epoch != found.seal_epoch + 1:
        raise JournalQuarantined(
            f"the key is that of seal {key.epoch}, but the last seal is {found.seal_epoch}: "
            "the data or the key was replaced by another copy",
            where,
        )
    if not key.is_bound:
        key.bind()
    return key


def _recovered(found: Found, appender: Appender, is_new: bool) -> Recovered:
    notes = []
    cut_entries = 0
    if found.cut is not None:
        cut_entries = found.cut.to - found.cut.first + 1
        notes.append(f"entries {found.cut.first} to {found.cut.to} were cut: {found.cut.reason}")
    elif not found.is_clean:
        notes.append(f"run {found.last_run or 'before'} did not end by itself")
    if appender.fill_ratio >= FILL_ALARM:
        notes.append(f"the journal has filled {appender.fill_ratio:.0%} of its largest size")
    return Recovered(
        head=Head(appender.meta.size, appender.meta.hash.hex()),
        image=found.image,
        is_new=is_new,
        clean=found.is_clean,
        cut_entries=cut_entries,
        last_run=found.last_run,
        notes=tuple(notes),
    )
