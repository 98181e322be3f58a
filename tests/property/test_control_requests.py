"""The request decoder: whatever the bytes, a request or a declared refusal."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bus.control_requests import Code, Refusal, body_hash, decode_body, decode_request
from mmats.model.messages import COMMANDS, MESSAGE_BYTES_MAX, Request
from tests.fakes.control import BODIES

VALID = [
    msgspec.json.encode(
        {
            "v": 1,
            "id": f"id-{name}",
            "session": "s" * 32,
            "deadline_ns": 1_700_000_000_000_000_000,
            "command": name,
            "body": BODIES[name],
        }
    )
    for name in COMMANDS
]
PIECES = [
    b"\xff", b"\x00", b'"', b"{", b"}", b"[" * 40, b"\\ud800", b"\\u0000", b"null", b"1e999", b"-0",
    b"9" * 40, b'"v":1,', b'"body":{},', b"NaN", b"\xed\xa0\x80", b"true", b'"id":"other",', b",",
]  # fmt: skip


def outcome(payload: bytes) -> str:
    """Decode as the server does; any exception but a refusal is an error of the test."""
    try:
        request, spec = decode_request(payload)
        body = decode_body(request)
    except Refusal as error:
        refusal = error
    else:
        assert isinstance(request, Request)
        assert type(body) is spec.body
        body_hash("somebody", request.command, body)
        return "accepted"
    assert refusal.code is Code.BAD_MESSAGE
    assert refusal.text
    return "refused" if refusal.id else "dropped"


def mutated(chance: random.Random, payload: bytes) -> bytes:
    """Change a message in one to four places."""
    data = bytearray(payload)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 2:
            data[at:at] = chance.choice(PIECES)
        elif kind == 3:
            other = chance.choice(VALID)
            start = chance.randrange(len(other))
            data[at:at] = other[start : start + chance.randint(1, 40)]
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_mutated_requests_have_declared_outcomes_only(count: int) -> None:
    chance = random.Random(count)
    seen = dict.fromkeys(("accepted", "refused", "dropped"), 0)
    for _ in range(count):
        seen[outcome(mutated(chance, chance.choice(VALID)))] += 1
    assert all(number > count // 200 for number in seen.values()), seen


@given(st.binary(max_size=300))
def test_any_bytes(payload: bytes) -> None:
    assert outcome(payload) in {"refused", "dropped"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(COMMANDS)), JSON)
def test_any_body(command: str, body: object) -> None:
    payload = {"v": 1, "id": "i", "deadline_ns": 1, "command": command, "body": body}
    assert outcome(msgspec.json.encode(payload)) in {"accepted", "refused"}


@pytest.mark.parametrize("payload", VALID)
def test_valid_requests_are_accepted(payload: bytes) -> None:
    assert outcome(payload) == "accepted"
    assert outcome(payload + b" " * (MESSAGE_BYTES_MAX - len(payload))) == "accepted"
    assert outcome(payload + b" " * (MESSAGE_BYTES_MAX - len(payload) + 1)) == "dropped"


def test_the_hash_tells_who_asks_for_what() -> None:
    bodies = [
        msgspec.json.decode(text, type=COMMANDS["cancel"].body)
        for text in (b'{"order_id":7}', b'{ "scope" : null, "order_id":7}', b'{"order_id":8}')
    ]
    first, same, other = (body_hash("ann", "cancel", body) for body in bodies)
    assert first == same
    assert len({first, other, body_hash("bob", "cancel", bodies[0])}) == 3
