"""A program that writes a journal and tells of each group that it holds to be durable.

`python -m tests.fakes.journal_session FOLDER GROUPS RUN ACKS` continues the journal in FOLDER by
so many groups. For each it writes a line to the file ACKS (`-`: stdout): number of the group over
all sessions, size and hash of the journal. Exit code 3: the writer failed.
"""

import ctypes
import os
import random
import sys
import threading
from pathlib import Path

from adapters.journal.store import open_journal
from mmats.model.errors import JournalError
from mmats.ports.journal import Genesis, Group, IJournalWriter, Note

GENESIS = Genesis("paper", "USD test", 1)
SEAL_EVERY = 20
START_NS = 1_700_000_000 * 10**9
EXIT_FAILED = 3


def image_of(number: int) -> bytes:
    """The state after a group: starts with its number; few pages differ from the one before."""
    size = 5000 + 37 * (number % 40)
    image = bytearray(size)
    image[:8] = number.to_bytes(8, "little")
    for back in range(min(number, 60)):
        at = 8 + random.Random(number - back).randrange(4900)
        image[at] = (number - back) % 251 + 1
    return bytes(image)


def records_of(number: int) -> bytes:
    """One to six records of chance content, each under its time."""
    chance = random.Random(number)
    return b"".join(
        (START_NS + number * 1000 + i).to_bytes(8, "little") + chance.randbytes(152)
        for i in range(chance.randint(1, 6))
    )


def group_of(number: int, position: int) -> Group:
    """Group `number` of all sessions as group `position` of this one."""
    notes = (Note("mode", START_NS, {"number": number}, 1),) if number % 3 == 0 else ()
    return Group(position, START_NS + number, records_of(number), notes, image_of(number))


def number_of(image: bytes) -> int:
    """Number of the group that a state is of; 0 for none."""
    return int.from_bytes(image[:8], "little")


def commit(writer: IJournalWriter, group: Group) -> bool:
    """Submit a group and wait; False where the writer failed."""
    done = threading.Event()
    writer.on_done(done.set)
    writer.submit(group)
    while writer.committed < group.number and writer.failure is None:
        done.wait()
        done.clear()
    return writer.failure is None


def session(folder: Path, count: int, name: str, acks: str) -> int:
    """Run a session of `count` groups; returns the exit code."""
    ack = 1 if acks == "-" else os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        writer, recovered = open_journal(
            folder / "journal", GENESIS, run=name, seal_every=SEAL_EVERY
        )
    except JournalError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    first = number_of(recovered.image)
    for position in range(1, count + 1):
        if not commit(writer, group_of(first + position, position)):
            break
        head = writer.head
        os.write(ack, f"{first + position} {head.size} {head.hash}\n".encode())
    if writer.failure is not None:
        # Whatever is tried after a failure, nothing may be acknowledged.
        for position in range(writer.committed + 1, writer.committed + 4):
            try:
                writer.submit(group_of(first + position, position))
            except JournalError:
                continue
            os.write(ack, b"accepted after a failure\n")
    writer.close()
    return EXIT_FAILED if writer.failure is not None else 0


def failing_sessions(count: int) -> int:
    """Run a session for each line `FOLDER OPERATION ERRNO` of stdin, in a process of its own.

    Operation number so of the session fails with that error. Prints the exit codes.
    """
    shim = ctypes.CDLL(None)
    for line in sys.stdin:
        folder, operation, error = line.split()
        Path(folder).mkdir()
        child = os.fork()
        if child == 0:
            shim.mmats_shim_fail(ctypes.c_long(int(operation)), int(error))
            os._exit(session(Path(folder), count, "run", f"{folder}/acks"))
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return 0


def main() -> int:
    """Run one session, or with `-` as its folder those that stdin names."""
    folder, count, *rest = sys.argv[1:]
    if folder == "-":
        return failing_sessions(int(count))
    name, acks = rest
    return session(Path(folder), int(count), name, acks)


if __name__ == "__main__":
    sys.exit(main())
