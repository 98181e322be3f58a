"""`mmats venue` as a process: orders over its socket, the watchdog beside them, a clean end."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from adapters.bus.venue_link import VenueLink
from adapters.venues.access import VenueAccess
from mmats._core import REQUEST_DTYPE
from mmats.cli.main import main
from mmats.model.profile import Profile
from tests.campaigns.children import Child, cli, wait_until
from tests.campaigns.kill import CONFIG
from tests.fakes.profiles import temporary_profile
from tests.fakes.venue_market import LIMIT, order_id
from tests.fakes.venue_requests import QUERY, SUBMIT, request

DEADLINE_S = 20.0
LOTS = 100_000


@pytest.fixture
def profile() -> Iterator[Profile]:
    with temporary_profile() as made:
        (made.root.parent / "venue.toml").write_text(CONFIG)
        yield made


def venue_of(profile: Profile, *options: str) -> Child:
    home = profile.root.parent
    command = cli("venue", "--config", home / "venue.toml", "--home", home, *options)
    venue = Child(command, home / "venue.log")
    wait_until(
        profile.socket("venue-rehearsal").exists, venue, DEADLINE_S, lambda: time.sleep(0.005)
    )
    return venue


def told(link: VenueLink, count: int) -> list[int]:
    """Wait for so many reports; return their kinds."""
    kinds: list[int] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(kinds) < count and time.monotonic() < deadline:
        kinds += link.receive(50)["kind"].tolist()
    return kinds


def test_orders_are_filled_told_and_closed_over_the_socket(profile: Profile) -> None:
    with venue_of(profile, "--book", str(profile.root / "book")) as venue:
        engine = VenueLink(profile, name="rehearsal")
        access = VenueAccess(VenueLink(profile, name="rehearsal"), timeout_ms=10_000)
        try:
            orders = [
                request(SUBMIT, order_id(1), quantity_lots=LOTS),
                request(SUBMIT, order_id(2), quantity_lots=LOTS, type=LIMIT, price_ticks=1000),
                request(QUERY, order_id(3)),
            ]
            wait_until(
                lambda: engine.send(np.zeros(0, REQUEST_DTYPE)),
                venue,
                DEADLINE_S,
                lambda: time.sleep(0.005),
            )
            engine.send(np.concatenate(orders))
            assert told(engine, 4) == [1, 4, 1, 9]
            assert access.open_orders() == 1
            assert access.cancel_all() == 1
            assert access.flatten() == 0
            assert told(engine, 1) == [5]
        finally:
            engine.close()
            access.close()
        assert venue.stop(DEADLINE_S) == 0
        counters = orjson.loads(venue.log.read_bytes().splitlines()[-1])
    assert (counters["submits"], counters["fills"], counters["open_orders"]) == (3, 2, 0)
    assert len((profile.root / "book").read_bytes().splitlines()) >= 6
    assert not profile.socket("venue-rehearsal").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--lose", "120%"), ("--lose", "often"), ("--delay", "-1%")]
)
def test_a_share_without_sense_is_refused(profile: Profile, option: str, value: str) -> None:
    home = profile.root.parent
    arguments = ["venue", "--config", str(home / "venue.toml"), "--home", str(home)]
    result = CliRunner().invoke(main, [*arguments, option, value])
    assert result.exit_code == 2


def test_a_second_venue_of_that_name_is_refused(profile: Profile) -> None:
    home = profile.root.parent
    with venue_of(profile):
        arguments = ["venue", "--config", str(home / "venue.toml"), "--home", str(home)]
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "holds it" in result.output


def test_what_is_no_configuration_is_refused(profile: Profile) -> None:
    missing = Path("/nowhere/at/all.toml")
    result = CliRunner().invoke(main, ["venue", "--config", str(missing)])
    assert result.exit_code == 2
