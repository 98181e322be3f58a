"""Stored states that were damaged: refused with a typed error, and the session is as before."""

import random

import pytest

from mmats.engine.session import Session
from mmats.model.errors import MmatsError
from tests.fakes import sessions
from tests.fakes.mutations import spoiled

PIECES = (
    b'"advisory"', b'"operator"', b'"live"', b"null", b"{}", b"[]", b'"trend":', b',"x":1', b'"',
    b"\xff", b"9" * 30, b"[" * 2000, b'"BTCUSDT.BINANCE",', b"\\ud800",
)  # fmt: skip


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("has_changed", [False, True])
def test_a_damaged_state_changes_nothing(count: int, has_changed: bool) -> None:
    config = sessions.in_mode(sessions.small_config(), "paper")
    first = Session(config)
    for block in sessions.events_of(config)[:1]:
        first.events(block[:3000])
    whole = first.image()
    other = sessions.small_config(name="b", fill={"queue": False}) if has_changed else config
    session = Session(sessions.in_mode(other, "paper"))
    core_bytes = int.from_bytes(whole[-16:-8], "little")
    core, trailer, lengths = whole[:core_bytes], whole[core_bytes:-16], whole[-16:]
    chance = random.Random(count)
    before, modes, restored = session.image(), dict(session.strategy_modes), 0
    for number in range(count // 2):
        if number % 4 == 0:
            data = spoiled(chance, core) + trailer + lengths
        elif number % 4 == 1:
            data = spoiled(chance, core + trailer + lengths[: chance.randrange(17)])
        else:
            changed = spoiled(chance, trailer, PIECES)
            data = core + changed + lengths[:8] + len(changed).to_bytes(8, "little")
        try:
            session.restore(data, 0)
        except MmatsError:
            assert number % 1000 or session.image() == before
            assert session.strategy_modes == modes
            continue
        restored += 1
        session = Session(session.config)
    assert session.image() == before
    assert 0 < restored < count // 10
