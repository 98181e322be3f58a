"""Commands over real sockets: who may do what, what is refused, and that nothing happens twice."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq

from adapters.bus.control import ControlLimits, ControlServer
from mmats.model.errors import MmatsError
from mmats.model.messages import COMMANDS, Answer, Outcome, Role
from tests.fakes.control import (
    BODIES,
    PASSPHRASE,
    WAIT_S,
    FakeClock,
    RawClient,
    Stage,
    control_stage,
    make_users,
    until,
)
from tests.fakes.profiles import temporary_profile

VIEWER = {"ping", "snapshot"}
TRADER = VIEWER | {
    "pause", "halt", "flatten", "cancel", "order.submit", "strategy.enable", "strategy.disable",
    "mode", "limit.set", "down",
}  # fmt: skip
ADMIN = TRADER | {"reauthenticate", "resume", "strategy.reload", "strategy.load"}
MAY = {Role.VIEWER: VIEWER, Role.TRADER: TRADER, Role.ADMIN: ADMIN}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(clock: FakeClock) -> Iterator[Stage]:
    with control_stage(clock) as made:
        yield made
        assert made.server.counters()["errors"] == 0


@pytest.fixture(scope="module")
def open_stage() -> Iterator[Stage]:
    """One for the whole matrix: cells are independent of each other."""
    with control_stage(limits=ControlLimits(commands_per_s=10_000, failures_max=10_000)) as made:
        made.engine()
        yield made


@pytest.fixture(scope="module")
def by_role(open_stage: Stage) -> dict[Role | None, RawClient]:
    found: dict[Role | None, RawClient] = {role: open_stage.client(role) for role in Role}
    return found | {None: open_stage.client()}


# -- roles -----------------------------------------------------------------------------------------


def test_the_matrix_has_every_command() -> None:
    assert set(BODIES) == set(COMMANDS)
    assert set(COMMANDS) == ADMIN | {"hello"}


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.name if role else "nobody")
@pytest.mark.parametrize("command", [*BODIES, "engine.format", "HALT", "halt "])
def test_role_and_command(
    role: Role | None, command: str, by_role: dict[Role | None, RawClient]
) -> None:
    reply = by_role[role].ask(command, BODIES.get(command))
    if command not in BODIES:
        expected = "BAD_MESSAGE"
    elif command == "hello":
        expected = "TOKEN"  # anybody may say hello, and has to have a token
    elif role is None:
        expected = "SESSION"
    elif command not in MAY[role]:
        expected = "ROLE"
    elif command == "resume":
        expected = "REAUTHENTICATE|"  # the passphrase may have been shown by another cell
    else:
        expected = ""
    assert reply.code in expected.split("|")
    assert reply.outcome is (Outcome.REFUSED if reply.code else Outcome.DONE)


@pytest.mark.parametrize("value", [0, 4, -1, "admin", None, 1.5])
def test_an_unknown_role_is_nobody(stage: Stage, value: object) -> None:
    kept = msgspec.json.decode(stage.users.path.read_bytes())
    for user in kept["users"]:
        user["role"] = value
    stage.users.path.write_bytes(msgspec.json.encode(kept))
    reply = stage.client().hello(stage.tokens[Role.ADMIN])
    assert reply.code == "TOKEN"


def test_a_session_belongs_to_its_connection(stage: Stage) -> None:
    owner = stage.client(Role.ADMIN)
    thief = stage.client()
    thief.session = owner.session
    assert thief.ask("ping").code == "SESSION"
    assert owner.ask("ping").outcome is Outcome.DONE


def test_hello_tells_what_runs(stage: Stage) -> None:
    reply = stage.client().hello(stage.tokens[Role.TRADER])
    session = reply.body.pop("session")
    assert len(session) >= 32
    assert reply.body == {
        "role": "trader",
        "principal": "owner-trader",
        "run": "run1",
        "profile": "dev",
        "mode": "paper",
        "version": "0",
    }


def test_a_revoked_user_is_out_at_the_next_message(stage: Stage) -> None:
    client = stage.client(Role.TRADER)
    assert client.ask("ping").outcome is Outcome.DONE
    stage.users.revoke("owner-trader")
    assert client.ask("halt").code == "SESSION"
    assert client.hello(stage.tokens[Role.TRADER]).code == "TOKEN"
    assert stage.server.take_commands(10) == []


def test_a_name_taken_again_does_not_revive_sessions(stage: Stage) -> None:
    client = stage.client(Role.ADMIN)
    stage.users.revoke("owner-admin")
    stage.users.add("owner-admin", Role.ADMIN)
    assert client.ask("ping").code == "SESSION"


def test_an_idle_session_ends(stage: Stage, clock: FakeClock) -> None:
    client = stage.client(Role.VIEWER)
    clock.advance(3_599)
    assert client.ask("ping").outcome is Outcome.DONE
    clock.advance(3_601)
    assert client.ask("ping").code == "SESSION"


def test_sessions_are_bounded_and_unused_ones_give_way(clock: FakeClock) -> None:
    with control_stage(clock, limits=ControlLimits(sessions_max=3)) as stage:
        first, second, third = (stage.client(Role.VIEWER) for _ in range(3))
        assert stage.client().hello(stage.tokens[Role.ADMIN]).code == "BUSY"
        clock.advance(11)
        assert second.ask("ping").outcome is Outcome.DONE
        assert third.ask("ping").outcome is Outcome.DONE
        stage.client(Role.ADMIN)
        assert first.ask("ping").code == "SESSION"
        assert second.ask("ping").outcome is Outcome.DONE
        assert stage.server.counters()["sessions"] == 3


# -- wrong tokens and passphrases ------------------------------------------------------------------


def test_wrong_tokens_lock_the_peer(stage: Stage, clock: FakeClock) -> None:
    client = stage.client()
    wrong = [client.hello("mm_" + "x" * 43).code for _ in range(5)]
    assert wrong == ["TOKEN"] * 5
    assert client.hello(stage.tokens[Role.ADMIN]).code == "LOCKED"
    stage.client(Role.ADMIN)  # another peer is not locked out
    clock.advance(61)
    assert client.hello(stage.tokens[Role.ADMIN]).outcome is Outcome.DONE


def test_wrong_tokens_of_many_peers_slow_everybody_down(stage: Stage, clock: FakeClock) -> None:
    codes = [stage.client().hello("mm_wrong").code for _ in range(22)]
    assert codes == ["TOKEN"] * 20 + ["LOCKED"] * 2
    clock.advance(1.1)
    assert stage.client().hello("mm_wrong").code == "TOKEN"
    clock.advance(1.1)  # the lock doubles
    assert stage.client().hello(stage.tokens[Role.ADMIN]).code == "LOCKED"
    clock.advance(1.1)
    stage.client(Role.ADMIN)


def test_what_raises_risk_needs_the_passphrase_and_a_reason(stage: Stage, clock: FakeClock) -> None:
    engine = stage.engine()
    client = stage.client(Role.ADMIN)
    assert client.ask("resume", BODIES["resume"]).code == "REAUTHENTICATE"
    assert client.ask("reauthenticate", {"passphrase": "wrong"}).code == "PASSPHRASE"
    assert client.ask("resume", BODIES["resume"]).code == "REAUTHENTICATE"
    assert client.ask("reauthenticate", {"passphrase": PASSPHRASE}).outcome is Outcome.DONE
    assert client.ask("resume", {"reason": "    "}).code == "REAUTHENTICATE"
    assert client.ask("resume", {"reason": ""}).code == "BAD_MESSAGE"
    assert client.ask("resume", BODIES["resume"]).outcome is Outcome.DONE
    clock.advance(301)
    assert client.ask("resume", BODIES["resume"]).code == "REAUTHENTICATE"
    assert client.ask("mode", {"mode": "paper"}).outcome is Outcome.DONE
    assert [(c.command, c.may_raise) for c in engine.executed] == [
        ("resume", True),
        ("mode", False),
    ]


def test_the_passphrase_counts_for_its_session_alone(stage: Stage) -> None:
    shown, other = stage.client(Role.ADMIN), stage.client(Role.ADMIN)
    assert shown.ask("reauthenticate", {"passphrase": PASSPHRASE}).outcome is Outcome.DONE
    assert other.ask("resume", BODIES["resume"]).code == "REAUTHENTICATE"


def test_wrong_passphrases_lock(stage: Stage, clock: FakeClock) -> None:
    client = stage.client(Role.ADMIN)
    codes = [client.ask("reauthenticate", {"passphrase": "wrong"}).code for _ in range(6)]
    assert codes == ["PASSPHRASE"] * 5 + ["LOCKED"]
    clock.advance(61)
    assert client.ask("reauthenticate", {"passphrase": PASSPHRASE}).outcome is Outcome.DONE


def test_few_passphrases_are_checked_at_a_time_and_the_loop_goes_on(stage: Stage) -> None:
    client = stage.client(Role.ADMIN)
    for _ in range(6):
        client.send(client.payload("reauthenticate", {"passphrase": PASSPHRASE}))
    client.send(client.payload("ping"))
    replies = [client.receive() for _ in range(7)]
    first = [reply.code for reply in replies[:5]]
    assert first == ["BUSY"] * 4 + [""]  # the ping overtakes the two that are being checked
    assert "ts_ns" in replies[4].body


# -- bad messages ----------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str]] = [
    ({"v": 2}, "$.v"),
    ({"more": 1}, "unknown field `more`"),
    ({"deadline_ns": 0}, "$.deadline_ns"),
    ({"deadline_ns": 2**63}, "$.deadline_ns"),
    ({"deadline_ns": "soon"}, "$.deadline_ns"),
    ({"command": ""}, "$.command"),
    ({"command": "x" * 65}, "$.command"),
    ({"session": 5}, "$.session"),
    ({"command": "halt", "body": []}, "body of halt"),
    ({"command": "halt", "body": {"scope": "everything"}}, "$.scope"),
    ({"command": "halt", "body": {"force": True}}, "unknown field `force`"),
    ({"command": "halt", "body": None}, "body of halt"),
    ({"command": "cancel", "body": {"order_id": -1}}, "$.order_id"),
    ({"command": "cancel", "body": {"order_id": 1.5}}, "$.order_id"),
    ({"command": "order.submit", "body": {"symbol": "A", "side": "buy"}}, "quantity"),
]


@pytest.mark.parametrize(("fields", "says"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_message_is_refused_with_what_is_wrong(
    open_stage: Stage, by_role: dict[Role | None, RawClient], fields: dict[str, Any], says: str
) -> None:
    reply = by_role[Role.ADMIN].ask("ping", **fields)
    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "BAD_MESSAGE")
    assert says in reply.text


UNNUMBERED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'{"id": "\xff"}',
    b"[" * 60_000,
    b'{"v":1}',
    b'{"v":1,"id":"","command":"ping","deadline_ns":1}',
    b'{"v":1,"id":"a b","command":"ping","deadline_ns":1}',
    b'{"id":' + b"9" * 5_000 + b"}",
]


def test_what_has_no_id_is_dropped_counted_and_noted(stage: Stage) -> None:
    client = stage.client(Role.VIEWER)
    for payload in UNNUMBERED:
        client.send(payload)
    client.socket.send_multipart([b"", client.payload("ping")])
    client.socket.send_multipart([client.payload("ping")] * 500)
    assert client.ask("ping").outcome is Outcome.DONE
    assert stage.server.counters()["dropped"] == len(UNNUMBERED) + 2
    notes = [facts for kind, facts in stage.server.take_audit() if kind == "control.dropped"]
    assert len(notes) == len(UNNUMBERED) + 2


def test_notes_of_bad_messages_are_bounded_in_rate(stage: Stage, clock: FakeClock) -> None:
    client = stage.client(Role.VIEWER)
    for _ in range(500):
        client.send(b"{")
    assert client.ask("ping").outcome is Outcome.DONE
    notes = [facts for kind, facts in stage.server.take_audit(9_999) if kind == "control.dropped"]
    assert len(notes) == 50
    clock.advance(1)
    client.send(b"{")
    until(lambda: stage.server.counters()["dropped"] == 501)
    assert [f["left_out_before"] for _, f in stage.server.take_audit(9_999)] == [450]


def test_an_oversized_message_ends_its_connection_and_no_other(stage: Stage) -> None:
    other = stage.client(Role.TRADER)
    client = stage.client(Role.TRADER)
    client.send(client.payload("halt", {"reason": "x" * 70_000}))
    assert not client.socket.poll(200)
    assert other.ask("ping").outcome is Outcome.DONE
    assert stage.server.take_commands(10) == []


def test_a_message_that_does_not_end_holds_nobody_up(stage: Stage) -> None:
    other = stage.client(Role.TRADER)
    client = stage.client(Role.TRADER)
    for _ in range(1_000):
        client.socket.send(b"x" * 1_000, zmq.SNDMORE)
    assert other.ask("ping").outcome is Outcome.DONE
    client.close()
    assert other.ask("ping").outcome is Outcome.DONE


def test_a_handler_that_raises_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with control_stage() as stage:
        client = stage.client(Role.VIEWER)

        def fail(name: str) -> None:
            raise KeyError(name)

        with monkeypatch.context() as patch:
            patch.setattr(stage.users, "user", fail)
            client.send(client.payload("ping"))
            until(lambda: stage.server.counters()["errors"] == 1, "the error")
        assert client.ask("ping").outcome is Outcome.DONE
        assert "request failed" in caplog.text


# -- records ---------------------------------------------------------------------------------------


def test_no_secret_reaches_a_record_or_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.engine()
    client = stage.client(Role.ADMIN)
    token = stage.tokens[Role.ADMIN]
    client.ask("reauthenticate", {"passphrase": PASSPHRASE})
    client.ask("reauthenticate", {"passphrase": PASSPHRASE + "!"})
    client.ask("reauthenticate", {PASSPHRASE: 1})
    client.ask("hello", {"token": token, "more": 1})
    client.ask("hello", {token: token})
    client.ask(token)
    client.ask("halt", {"reason": f"with {token}"})
    client.ask("halt", {"reason": f"x{token}", token: 1})
    client.ask("halt", id=token)
    client.send(token.encode())
    client.ask("hello", {"token": token, "client": token})
    notes = stage.server.take_audit(9_999)
    text = msgspec.json.encode(notes).decode()
    kinds = [kind for kind, _ in notes]
    assert kinds.count("control.command") == 2
    assert kinds.count("control.refused") == 6
    assert kinds.count("control.dropped") == 1
    for secret in (PASSPHRASE, token, hashlib.sha256(token.encode()).hexdigest(), client.session):
        assert secret not in text
        assert secret not in caplog.text


def test_every_refusal_says_who_and_what(stage: Stage) -> None:
    client = stage.client(Role.VIEWER)
    client.ask("halt", id="one")
    assert stage.server.take_audit()[-1] == (
        "control.refused",
        {
            "id": "one",
            "principal": "owner-viewer",
            "command": "halt",
            "code": "ROLE",
            "text": "halt is not for a viewer",
            "link": "ipc",
        },
    )


# -- life ------------------------------------------------------------------------------------------


def test_a_second_server_does_not_take_the_sockets_over(stage: Stage) -> None:
    second = ControlServer(stage.profile, run="run2", mode="paper", version="0", users=stage.users)
    with pytest.raises(MmatsError, match="holds this socket"):
        second.start()
    second.close()
    assert stage.client(Role.VIEWER).ask("ping").body["run"] == "run1"


def test_it_stops_and_starts_again() -> None:
    with temporary_profile() as profile:
        users, _ = make_users(profile)
        for run in ("one", "two"):
            server = ControlServer(profile, run=run, mode="paper", version="0", users=users)
            server.publish_state("public", [("engine", {"state": "starting"})])
            server.start()
            assert profile.socket("control").is_socket()
            server.close()
            server.close()
            assert not profile.socket("control").exists()


def test_an_answer_that_is_not_json_is_told_as_far_as_it_is(stage: Stage) -> None:
    client = stage.client(Role.TRADER)
    client.send(client.payload("halt"))
    until(lambda: stage.server.counters()["commands_queued"] == 1)
    (command,) = stage.server.take_commands(1)
    stage.server.answer(command, Answer(outcome=Outcome.DONE, body={"odd": object()}))
    reply = client.receive()
    assert reply.outcome is Outcome.DONE
    assert "not JSON" in reply.text


def test_a_client_that_does_not_read_loses_replies_and_nobody_waits() -> None:
    with control_stage(limits=ControlLimits(commands_per_s=10**6)) as stage:
        other = stage.client(Role.VIEWER)
        deaf = stage.client()
        payload = deaf.payload("ping", id="x" * 64)
        end = time.monotonic() + WAIT_S
        while not stage.server.counters()["replies_dropped"]:
            assert time.monotonic() < end, "no reply was dropped"
            for _ in range(1_000):
                deaf.send(payload)
            assert other.ask("ping").outcome is Outcome.DONE
