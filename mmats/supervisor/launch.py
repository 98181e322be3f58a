"""Starts a program that ends with its parent; run as a file: `launch.py PARENT_PID PROGRAM ...`.

It runs between fork and exec of a child, in a process of its own, since nothing but exec is safe
after a fork in a process with threads. The death signal survives exec.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 3


def main() -> None:
    """Ask for SIGTERM at the parent's death, then become the program."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(EXIT_ORPHAN)
    try:
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        sys.stderr.write(f"error: {sys.argv[2]} can't be started: {error.strerror}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
