"""The feed process of the kill campaign: bars at a steady pace, through any number of engines.

usage: python -m tests.campaigns.feed CONFIG HOME
"""

import secrets
import sys
import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from adapters.bus.feed import FeedPublisher
from mmats.config import load_config
from mmats.engine.feeds import stored_events
from mmats.model.profile import Profile
from mmats.ports.bus import FrameKind

BARS_A_SECOND = 300


def now(bar: NDArray[Any]) -> NDArray[Any]:
    """Give a stored bar the time that it is."""
    bar["ts_event_ns"] = bar["ts_recv_ns"] = time.time_ns()
    return bar


def main(config_file: Path, home: Path) -> None:
    """Send until killed; time goes on while there is no engine, but no bar is made for it."""
    config = load_config(config_file)
    profile = Profile.of("dev", home)
    ready = profile.run_dir / "engine.ready"
    publisher, engine = None, ""
    due = time.monotonic()
    for chunk in stored_events(config, config.feeds[0], (None, None)):
        for row in range(len(chunk)):
            bar = chunk[row : row + 1].copy()
            while publisher is None or not publisher.send(FrameKind.DATA, now(bar), block_ms=10):
                # A new engine is met at once, without the pauses between attempts to connect.
                met = ready.read_text() if ready.exists() else ""
                if publisher is None or met != engine:
                    if publisher is not None:
                        publisher.close(linger_ms=0)
                    publisher = FeedPublisher(profile, feed=0, session=secrets.randbits(63) | 1)
                    engine = met
            due = max(due + 1 / BARS_A_SECOND, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
