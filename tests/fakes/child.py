"""A child process of the supervisor's tests: `child.py FIFO NAME BEHAVIOR [ARGUMENT]`.

It tells in a FIFO what happens to it; `run` ends at SIGTERM, `stubborn` does not.
"""

import json
import os
import signal
import subprocess
import sys


def tell(text: str) -> None:
    """Write one line, whole, into the FIFO."""
    handle = os.open(sys.argv[1], os.O_WRONLY)
    os.write(handle, f"{sys.argv[2]} {text}\n".encode())
    os.close(handle)


def main() -> None:
    """Behave."""
    behavior = sys.argv[3]
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    if behavior == "parent":
        other = subprocess.Popen([sys.executable, __file__, sys.argv[1], "grandchild", "stubborn"])
        tell(f"has {other.pid}")
    tell(f"up {os.getpid()}")
    if behavior == "die":
        sys.exit(int(sys.argv[4]))
    if behavior == "refuse":
        sys.stderr.write("error: strategies[a]: no such file\n")
        sys.exit(2)
    if behavior == "environment":
        tell(json.dumps(dict(os.environ)))
    while signal.sigwait(stopping) is not None:
        tell("term")
        if behavior != "stubborn":
            break


if __name__ == "__main__":
    main()
