"""What can go wrong between a client and its engine."""

from mmats.model.errors import MmatsError
from mmats.model.messages import Reply
from mmats.model.profile import Profile


class ClientError(MmatsError):
    """Base of every error of `mmats.client`."""


class EngineUnreachable(ClientError):
    """No engine answers; the hint says how to stop trading without it."""


class NotAdmitted(ClientError):
    """The engine refused the token."""


class TokenUnreadable(ClientError):
    """The token's file is not there, empty, or not ours to read."""


class CommandInvalid(ClientError, ValueError):
    """There is no such command, or its body breaks the protocol; nothing was sent."""


class ClientClosed(ClientError):
    """The client was closed."""


class CommandFailed(ClientError):
    """A command was not done; `reply` has the engine's words."""

    def __init__(self, message: str, reply: Reply, hint: str = "") -> None:
        super().__init__(message, reply.code, hint)
        self.reply = reply


class CommandRefused(CommandFailed):
    """The engine did not execute the command."""


class CommandUnknown(CommandFailed):
    """No reply came in time: the command may have been executed. `retry` is safe."""


def ways_to_stop(profile: Profile) -> str:
    """How to stop trading when the link to the engine is gone."""
    return (
        f"to stop trading without the link: mmats halt --profile {profile.name}, "
        f"or create the file {profile.kill_file}, or send SIGUSR1 to the engine's process"
    )
