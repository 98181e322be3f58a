"""Subscribers that never read; usage: engine_subscribers HOME COUNT.

Each has its own connection to both channels and room for next to nothing, so that what the engine
publishes piles up on its side. The parent stops the whole process.
"""

import signal
import sys
from pathlib import Path

import zmq

from adapters.bus.sockets import SocketOptions, open_connected
from mmats.model.messages import CHANNELS
from mmats.model.profile import Profile


def subscribe(profile: Profile, count: int) -> None:
    """Subscribe, say so, and wait for the end."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = []
    for _ in range(count):
        for channel in CHANNELS:
            socket = open_connected(
                context, zmq.SUB, profile.endpoint(channel), SocketOptions(receive_queue_max=1)
            )
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            sockets.append(socket)
    for socket in sockets:
        socket.poll(10_000)
    print(len(sockets), flush=True)
    signal.pause()


if __name__ == "__main__":
    subscribe(Profile.of("dev", Path(sys.argv[1])), int(sys.argv[2]))
