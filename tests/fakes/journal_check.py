"""Checks many damaged journals, each in a process of its own: damage can kill a reader."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import orjson

from adapters.journal.rows import read_rows
from adapters.journal.verify import Anchor, check

ROOT = Path(__file__).resolve().parents[2]
FOUND = "found"
KILLED = "killed"


def check_all(folders: list[Path], key: bytes, anchor: Anchor) -> list[str]:
    """For each folder FOUND, KILLED, or, where nothing was found, the hash of all its rows."""
    request = {"folders": [str(folder) for folder in folders], "key": key.hex(), "anchor": anchor}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.journal_check"],
        input=orjson.dumps(request),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=True,
    )
    outcomes: list[str] = orjson.loads(done.stdout)
    return outcomes


def outcome(folder: Path, key: bytes, anchor: Anchor) -> str:
    """What a check of one journal says."""
    if check(folder, key=key, anchors=[anchor]).findings:
        return FOUND
    return sha256(orjson.dumps(list(read_rows(folder)))).hexdigest()


def _in_a_process(folder: Path, key: bytes, anchor: Anchor) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, outcome(folder, key, anchor).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status > 0:
        raise RuntimeError(f"the check of {folder} broke off")
    return KILLED if status < 0 else text


def main() -> None:
    """Read the request on stdin, write the outcomes to stdout."""
    request = orjson.loads(sys.stdin.buffer.read())
    key = bytes.fromhex(request["key"])
    size, hash_ = request["anchor"]
    outcomes = [_in_a_process(Path(f), key, (size, hash_)) for f in request["folders"]]
    sys.stdout.buffer.write(orjson.dumps(outcomes))


if __name__ == "__main__":
    main()
