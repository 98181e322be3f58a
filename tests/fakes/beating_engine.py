"""An engine that does nothing but beat: `python -m tests.fakes.beating_engine HOME`.

SIGTERM is an orderly end: it publishes that it has ended.
"""

import signal
import sys
from pathlib import Path

from adapters.bus.control import ControlServer
from adapters.bus.users import UserStore
from mmats.engine.publisher import ENDED
from mmats.model.messages import PUBLIC
from mmats.model.profile import Profile


def main() -> None:
    """Beat until SIGTERM."""
    stopping = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    profile = Profile.of("dev", Path(sys.argv[1]))
    profile.create()
    users = UserStore(profile)
    if not users.users():
        users.create_defaults()
    server = ControlServer(profile, run="run1", mode="operator", version="0", users=users)
    server.publish_state(PUBLIC, [("engine", {"state": "running"})])
    server.set_heartbeat({"head": [0, ""], "uptime_s": 0, "state": "armed"})
    server.start()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    # A process that was stopped for longer than the timeout gets an answer without a signal.
    while getattr(signal.sigtimedwait(stopping, 0.1), "si_signo", 0) != signal.SIGTERM:
        server.set_heartbeat({"head": [0, ""], "uptime_s": 1, "state": "armed"})
    server.publish_state(PUBLIC, [("engine", {"state": ENDED})])
    server.close()


if __name__ == "__main__":
    main()
