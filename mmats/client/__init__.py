"""Look at a running engine and command it: for scripts, the command line and user interfaces.

`Client` is synchronous, `AsyncClient` is for asyncio. `docs/clients.md` begins at the beginning.
"""

from mmats.client.aio import AsyncClient
from mmats.client.endpoints import Curve, Tcp
from mmats.client.errors import (
    ClientClosed,
    ClientError,
    CommandFailed,
    CommandInvalid,
    CommandRefused,
    CommandUnknown,
    EngineUnreachable,
    NotAdmitted,
    TokenUnreadable,
)
from mmats.client.link import Link
from mmats.client.mirror import Event, Mirror
from mmats.client.replies import CommandReply
from mmats.client.sync import Client
from mmats.model.messages import Outcome, Role

__all__ = [
    "AsyncClient",
    "Client",
    "ClientClosed",
    "ClientError",
    "CommandFailed",
    "CommandInvalid",
    "CommandRefused",
    "CommandReply",
    "CommandUnknown",
    "Curve",
    "EngineUnreachable",
    "Event",
    "Link",
    "Mirror",
    "NotAdmitted",
    "Outcome",
    "Role",
    "Tcp",
    "TokenUnreadable",
]
