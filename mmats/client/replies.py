"""A command that was asked, and what became of it."""

from typing import Any, Self

import msgspec

from mmats.client.errors import CommandInvalid, CommandRefused, CommandUnknown
from mmats.model.messages import COMMANDS, Message, Outcome, Reply


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command with its id, as it can be asked again."""

    id: str
    command: str
    body: bytes
    deadline_ns: int  # UTC; asked again it stays, or a late refusal and a new try could cross

    def __repr__(self) -> str:
        """Leave the body out: it may have a token or a passphrase."""
        return f"Asked(id={self.id!r}, command={self.command!r})"


class CommandReply(Reply, frozen=True, kw_only=True):
    """The engine's reply, or `unknown` where none came in time."""

    asked: Asked

    @property
    def done(self) -> bool:
        """Whether the command was executed."""
        return self.outcome is Outcome.DONE

    def raise_for_outcome(self) -> Self:
        """Return self if the command was done.

        Raises
        ------
        CommandRefused, CommandUnknown
        """
        if self.outcome is Outcome.REFUSED:
            raise CommandRefused(self.text or "refused", self)
        if self.outcome is Outcome.UNKNOWN:
            hint = "asking again with the same id is safe: client.retry(error.reply)"
            raise CommandUnknown(self.text or "no reply in time", self, hint)
        return self


def checked_body(command: str, body: Message | dict[str, Any] | None) -> bytes:
    """Return the body as JSON, checked against the protocol.

    Raises
    ------
    CommandInvalid
        There is no such command, or the body is not what it takes.
    """
    spec = COMMANDS.get(command)
    if spec is None:
        raise CommandInvalid("there is no such command", command, ", ".join(sorted(COMMANDS)))
    try:
        encoded = msgspec.json.encode({} if body is None else body)
        msgspec.json.decode(encoded, type=spec.body)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise CommandInvalid(str(error), command) from error
    return encoded


def reply_to(asked: Asked, reply: Reply) -> CommandReply:
    """Join the engine's reply with the command."""
    return CommandReply(
        id=reply.id,
        outcome=reply.outcome,
        code=reply.code,
        text=reply.text,
        body=reply.body,
        asked=asked,
    )


def unknown(asked: Asked, code: str, text: str) -> CommandReply:
    """Say that nobody knows what became of the command."""
    return CommandReply(id=asked.id, outcome=Outcome.UNKNOWN, code=code, text=text, asked=asked)
