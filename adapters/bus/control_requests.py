"""From the bytes of a client to a request, or to a refusal that says what is wrong with them."""

import hashlib
from enum import StrEnum

import msgspec

from mmats.model.messages import (
    COMMANDS,
    MESSAGE_BYTES_MAX,
    Answer,
    CommandSpec,
    Id,
    Message,
    Outcome,
    Reply,
    Request,
)

SECRET_COMMANDS = frozenset({"hello", "reauthenticate"})
"""Nothing of their bodies goes into records."""


class Code(StrEnum):
    """Why the control server refused a command; the engine has codes of its own."""

    BAD_MESSAGE = "BAD_MESSAGE"  # not what the protocol says
    TOKEN = "TOKEN"  # noqa: S105 - hello: nobody has this token
    LOCKED = "LOCKED"  # too many wrong tokens or passphrases: wait
    SESSION = "SESSION"  # no such session, or its user is revoked: say hello again
    ROLE = "ROLE"  # the role may not do this
    RATE = "RATE"  # too many commands a second
    DEADLINE = "DEADLINE"  # more than a minute ahead
    EXPIRED = "EXPIRED"  # the deadline is over; not executed
    ID_REUSED = "ID_REUSED"  # another command had this id
    REAUTHENTICATE = "REAUTHENTICATE"  # raises risk: needs a reason and the passphrase again
    PASSPHRASE = "PASSPHRASE"  # noqa: S105 - reauthenticate: it is not the passphrase
    BUSY = "BUSY"  # no room; not executed


class Refusal(Exception):
    """A command that is not executed; `id` is empty where nobody can be told."""

    def __init__(self, code: Code, text: str, request_id: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.id = request_id


class _Numbered(msgspec.Struct):
    """As much of a bad request as is needed to refuse it."""

    id: Id


_REQUEST = msgspec.json.Decoder(Request)
_NUMBERED = msgspec.json.Decoder(_Numbered)
_BODIES = {name: msgspec.json.Decoder(spec.body) for name, spec in COMMANDS.items()}


def decode_request(payload: bytes) -> tuple[Request, CommandSpec]:
    """Decode a request and find its command; Refusal where it is not one."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise Refusal(Code.BAD_MESSAGE, f"longer than {MESSAGE_BYTES_MAX} bytes")
    try:
        request = _REQUEST.decode(payload)
    except (ValueError, RecursionError) as error:
        raise Refusal(Code.BAD_MESSAGE, _reason(error), _id_of(payload)) from None
    spec = COMMANDS.get(request.command)
    if spec is None:
        raise Refusal(Code.BAD_MESSAGE, f"there is no command {request.command!r}", request.id)
    return request, spec


def decode_body(request: Request) -> Message:
    """Decode the body of a request whose command exists; Refusal where it is not what it takes."""
    try:
        return _BODIES[request.command].decode(request.body)
    except (ValueError, RecursionError) as error:
        text = f"body of {request.command}: {_reason(error)}"
        raise Refusal(Code.BAD_MESSAGE, text, request.id) from None


def body_hash(principal: str, command: str, body: Message) -> str:
    """Tell commands of one id apart: SHA-256 of who asks for what, hexadecimal.

    It is taken of the decoded body: spaces and the order of keys make no other command.
    """
    text = msgspec.json.encode([principal, command, body])
    return hashlib.sha256(text).hexdigest()


def refused(request_id: str, code: str, text: str) -> bytes:
    """Encode the reply to a command that was not executed."""
    reply = Reply(id=request_id, outcome=Outcome.REFUSED, code=code, text=text)
    return msgspec.json.encode(reply)


def answered(request_id: str, answer: Answer) -> bytes:
    """Encode the engine's reply."""
    reply = Reply(
        id=request_id,
        outcome=answer.outcome,
        code=answer.code,
        text=answer.text,
        body=answer.body,
    )
    return msgspec.json.encode(reply)


def _id_of(payload: bytes) -> str:
    try:
        return _NUMBERED.decode(payload).id
    except (ValueError, RecursionError):
        return ""


def _reason(error: Exception) -> str:
    """What msgspec says, which has names and places of fields, and no text that could be split."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)[:200]
