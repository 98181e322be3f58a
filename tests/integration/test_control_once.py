"""Commands over time: deadlines, rates, room, and that no id is executed twice."""

import random
from collections.abc import Iterator

import msgspec
import pytest

from adapters.bus.control import ControlLimits, ControlServer
from mmats.model.messages import Answer, Outcome, Role
from tests.fakes.control import BODIES, PASSPHRASE, FakeClock, Stage, control_stage, until


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(clock: FakeClock) -> Iterator[Stage]:
    with control_stage(clock) as made:
        yield made
        assert made.server.counters()["errors"] == 0


# -- time ------------------------------------------------------------------------------------------


def test_deadlines(stage: Stage, clock: FakeClock) -> None:
    client = stage.client(Role.TRADER)
    for command in ("halt", "ping"):
        assert client.ask(command, deadline_ns=clock.now).code == "EXPIRED"
        assert client.ask(command, deadline_ns=clock.now + 61 * 10**9).code == "DEADLINE"
    assert stage.server.take_commands(10) == []


def test_a_command_that_waited_too_long_is_not_executed(stage: Stage, clock: FakeClock) -> None:
    client = stage.client(Role.TRADER)
    payload = client.payload("halt", deadline_ns=clock.now + 10**9)
    client.send(payload)
    until(lambda: stage.server.counters()["commands_queued"] == 1)
    clock.advance(1.5)
    assert stage.server.take_commands(10) == []
    assert client.receive().code == "EXPIRED"


def test_no_answer_in_time_is_an_unknown_outcome_until_there_is_one(
    stage: Stage, clock: FakeClock
) -> None:
    client = stage.client(Role.TRADER)
    payload = client.payload("halt", deadline_ns=clock.now + 10**9)
    client.send(payload)
    until(lambda: stage.server.counters()["commands_queued"] == 1)
    (command,) = stage.server.take_commands(10)
    clock.advance(1.9)
    assert not client.socket.poll(250)
    clock.advance(0.2)
    assert client.receive().outcome is Outcome.UNKNOWN
    stage.server.answer(command, Answer(outcome=Outcome.DONE, text="late"))
    until(lambda: stage.server.counters()["commands_pending"] == 0)
    client.send(payload)
    reply = client.receive()
    assert (reply.outcome, reply.text) == (Outcome.DONE, "late")
    assert stage.server.take_commands(10) == []


# -- rates and room --------------------------------------------------------------------------------


def test_stops_have_a_rate_of_their_own(stage: Stage, clock: FakeClock) -> None:
    stage.engine()
    client = stage.client(Role.TRADER)
    assert [client.ask("ping").code for _ in range(22)] == [""] * 20 + ["RATE"] * 2
    assert client.ask("halt").outcome is Outcome.DONE
    assert [client.ask("pause").code for _ in range(21)] == [""] * 19 + ["RATE"] * 2
    clock.advance(0.1)
    assert [client.ask("ping").code for _ in range(3)] == ["", "", "RATE"]


def test_snapshots_have_a_lower_rate(stage: Stage) -> None:
    client = stage.client(Role.VIEWER)
    assert [client.ask("snapshot").code for _ in range(5)] == [""] * 4 + ["RATE"]


def test_a_full_queue_still_takes_stops(clock: FakeClock) -> None:
    limits = ControlLimits(commands_queued_max=3, stops_queued_max=2)
    with control_stage(clock, limits=limits) as stage:
        client = stage.client(Role.TRADER)
        for command in ("down", "mode", "cancel", "cancel", "halt", "flatten", "pause"):
            client.send(client.payload(command, BODIES[command]))
        assert [client.receive().code for _ in range(2)] == ["BUSY", "BUSY"]
        taken = [command.command for command in stage.server.take_commands(100)]
        assert taken == ["down", "mode", "cancel", "halt", "flatten"]


# -- at most once ----------------------------------------------------------------------------------


def test_the_same_id_is_executed_once(stage: Stage, clock: FakeClock) -> None:
    engine = stage.engine()
    client = stage.client(Role.TRADER)
    payload = client.payload("cancel", {"order_id": 7}, id="one")
    client.send(payload)
    first = client.receive()
    client.send(payload)
    assert client.receive() == first
    spaced = payload.replace(b'{"order_id":7}', b'{ "scope":null, "order_id": 7 }')
    assert spaced != payload
    client.send(spaced)
    assert client.receive() == first
    clock.advance(100)  # the deadline is over; what became of the command can be asked for still
    client.send(payload)
    assert client.receive() == first
    assert client.ask("cancel", {"order_id": 8}, id="one").code == "ID_REUSED"
    assert client.ask("pause", id="one").code == "ID_REUSED"
    assert stage.client(Role.ADMIN).ask("cancel", {"order_id": 7}, id="one").code == "ID_REUSED"
    assert len(engine.executed) == 1


def test_a_command_that_runs_is_waited_for(stage: Stage) -> None:
    client = stage.client(Role.TRADER)
    payload = client.payload("halt")
    for _ in range(5):
        client.send(payload)
    until(lambda: stage.server.counters()["duplicates"] == 4)
    (command,) = stage.server.take_commands(10)
    stage.server.answer(command, Answer(outcome=Outcome.DONE))
    assert client.receive().outcome is Outcome.DONE
    client.send(payload)
    assert client.receive().outcome is Outcome.DONE


def test_a_refused_command_can_be_asked_again(stage: Stage) -> None:
    engine = stage.engine()
    client = stage.client(Role.ADMIN)
    assert client.ask("resume", BODIES["resume"], id="one").code == "REAUTHENTICATE"
    assert client.ask("reauthenticate", {"passphrase": PASSPHRASE}).outcome is Outcome.DONE
    assert client.ask("resume", BODIES["resume"], id="one").outcome is Outcome.DONE
    assert len(engine.executed) == 1


def test_ids_are_forgotten_after_their_time_only(clock: FakeClock) -> None:
    with control_stage(clock, limits=ControlLimits(replies_kept_max=2)) as stage:
        engine = stage.engine()
        client = stage.client(Role.TRADER)
        assert client.ask("cancel", id="one").outcome is Outcome.DONE
        assert client.ask("cancel", id="two").outcome is Outcome.DONE
        assert client.ask("cancel", id="three").code == "BUSY"
        assert client.ask("halt", id="four").outcome is Outcome.DONE
        clock.advance(601)
        assert client.ask("cancel", id="three").outcome is Outcome.DONE
        assert [command.id for command in engine.executed] == ["one", "two", "four", "three"]


def test_stops_find_room_where_the_oldest_gives_way(clock: FakeClock) -> None:
    with control_stage(clock, limits=ControlLimits(replies_kept_max=2)) as stage:
        engine = stage.engine()
        client = stage.client(Role.TRADER)
        assert [client.ask("halt", id=f"id{n}").code for n in range(6)] == [""] * 6
        assert stage.server.counters()["replies_kept"] == 4
        assert client.ask("halt", {"scope": "market:crypto"}, id="id5").code == "ID_REUSED"
        assert len(engine.executed) == 6


def test_ids_survive_a_restart(clock: FakeClock) -> None:
    with control_stage(clock) as stage:
        client = stage.client(Role.TRADER)
        client.send(client.payload("cancel", {"order_id": 7}, id="one"))
        until(lambda: stage.server.counters()["commands_queued"] == 1)
        (command,) = stage.server.take_commands(10)
        answer = Answer(outcome=Outcome.DONE, body={"canceled": ["7"]})
        stage.server.answer(command, answer)
        first = client.receive()
        kept = ControlServer.record(command, answer)
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    assert kept["principal"] == "owner-trader"
    with control_stage(clock, executed_ids=[(kept["id"], kept["hash"], kept["reply"])]) as stage:
        engine = stage.engine()
        client = stage.client(Role.TRADER)
        assert client.ask("cancel", {"order_id": 7}, id="one") == first
        assert client.ask("cancel", {"order_id": 8}, id="one").code == "ID_REUSED"
        assert engine.executed == []


@pytest.mark.parametrize("count", [2_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_duplicates_and_reordering_execute_each_id_once(count: int) -> None:
    """10 % of the commands arrive twice, 5 % change places with a later one."""
    chance = random.Random(5)
    limits = ControlLimits(commands_per_s=10**6, commands_queued_max=10**4, replies_kept_max=10**6)
    with control_stage(limits=limits) as stage:
        engine = stage.engine()
        client = stage.client(Role.TRADER)
        sent = list(range(1, count + 1))
        sent += chance.sample(sent, count // 10)
        for _ in range(count // 20):
            first, second = chance.randrange(len(sent)), chance.randrange(len(sent))
            sent[first], sent[second] = sent[second], sent[first]
        replied: set[str] = set()
        for start in range(0, len(sent), 200):  # no more on their way than a client may have
            batch = sent[start : start + 200]
            for number in batch:
                client.send(client.payload("cancel", {"order_id": number}, id=f"id{number}"))
            while not {f"id{number}" for number in batch} <= replied:
                reply = client.receive()
                assert reply.outcome is Outcome.DONE
                replied.add(reply.id)
        executed = [command.body.order_id for command in engine.executed]
        assert sorted(executed) == list(range(1, count + 1))
        assert stage.server.counters()["duplicates"] == count // 10
