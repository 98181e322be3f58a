"""The watchdog on a clock of its own: it acts in time, once a loss, and until it is done."""

import math
from dataclasses import dataclass, field

import pytest

from mmats.model.errors import MmatsError
from mmats.supervisor.watchdog import EXIT_ORPHAN, Watchdog, WatchdogOptions


@dataclass
class World:
    """Time, the engine's heartbeats, and what the watchdog did when."""

    now_s: float = 100.0
    beats: bool = True
    last: float = -math.inf
    ended: bool = False
    back_at_s: float = math.inf
    alarms: list[tuple[float, str]] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def wait(self, timeout_s: float) -> None:
        self.now_s += timeout_s
        if self.now_s >= self.back_at_s:
            self.beats = True
        if self.beats:
            self.last = self.now_s

    def last_s(self) -> float:
        return self.last

    def has_ended(self) -> bool:
        return self.ended

    def alarm(self, reason: str) -> None:
        self.alarms.append((self.now_s, reason))

    def watchdog(self, *venues: "Venue", **options: float) -> Watchdog:
        named = [(f"venue{i}", venue) for i, venue in enumerate(venues)]
        return Watchdog(
            self,
            named,
            alarm=self.alarm,
            monotonic_s=self.clock,
            options=WatchdogOptions(**options),  # type: ignore[arg-type]
        )

    def pass_time(self, watchdog: Watchdog, duration_s: float) -> None:
        end_s = self.now_s + duration_s
        watchdog.run(lambda: self.now_s >= end_s, lambda: False)


class Venue:
    """A venue whose orders go away slowly, or that fails for a while."""

    def __init__(self, world: World, orders: int = 3, per_cancel: int = 99, failures: int = 0):
        self.world = world
        self.orders = orders
        self.per_cancel = per_cancel
        self.failures = failures
        self.positions = 2

    def cancel_all(self) -> int:
        self.world.calls.append((self.world.now_s, "cancel"))
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no route")
        asked, self.orders = self.orders, max(0, self.orders - self.per_cancel)
        return asked

    def open_orders(self) -> int:
        return self.orders

    def flatten(self) -> int:
        assert self.orders == 0
        self.world.calls.append((self.world.now_s, "flatten"))
        self.positions -= 1
        return self.positions


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_quiet_while_heartbeats_come(world: World) -> None:
    venue = Venue(world)
    world.pass_time(world.watchdog(venue), 60)
    assert (world.alarms, world.calls) == ([], [])


def test_a_loss_is_told_and_canceled_once_in_time(world: World) -> None:
    venue = Venue(world)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 5)
    lost_s = world.last
    world.beats = False
    world.pass_time(watchdog, 60)
    assert len(world.alarms) == 1
    assert "no heartbeat" in world.alarms[0][1]
    assert [name for _, name in world.calls] == ["cancel"]
    assert 2.0 < world.calls[0][0] - lost_s < 2.3
    assert world.alarms[0][0] <= world.calls[0][0]
    assert venue.orders == 0


def test_heartbeats_arm_it_again(world: World) -> None:
    venue = Venue(world)
    watchdog = world.watchdog(venue)
    for _ in range(3):
        world.beats = True
        world.pass_time(watchdog, 5)
        venue.orders = 1
        world.beats = False
        world.pass_time(watchdog, 10)
        assert venue.orders == 0
    assert len(world.alarms) == 3


def test_an_engine_that_never_comes_is_a_loss(world: World) -> None:
    world.beats = False
    watchdog = world.watchdog(Venue(world))
    world.pass_time(watchdog, 14)
    assert world.calls == []
    world.pass_time(watchdog, 3)
    assert [name for _, name in world.calls] == ["cancel"]


def test_an_orderly_end_is_no_loss(world: World) -> None:
    watchdog = world.watchdog(Venue(world))
    world.pass_time(watchdog, 5)
    world.beats, world.ended = False, True
    world.pass_time(watchdog, 60)
    assert (world.alarms, world.calls) == ([], [])


def test_it_flattens_after_the_orders_until_flat(world: World) -> None:
    venue = Venue(world, orders=5, per_cancel=2)
    watchdog = world.watchdog(venue, flatten=True)
    world.pass_time(watchdog, 1)
    world.beats = False
    world.pass_time(watchdog, 60)
    assert [name for _, name in world.calls] == [
        *("cancel", "cancel", "cancel", "flatten"),
        *("cancel", "flatten"),
    ]
    assert venue.positions == 0
    assert len(world.alarms) == 1


def test_a_failing_venue_is_tried_again_and_does_not_hold_up_others(world: World) -> None:
    bad, good = Venue(world, failures=99), Venue(world)
    watchdog = world.watchdog(bad, good, attempts=4)
    world.pass_time(watchdog, 1)
    world.beats = False
    world.pass_time(watchdog, 60)
    assert good.orders == 0
    assert bad.failures == 95
    assert world.calls[0][0] == world.calls[1][0]  # good had its turn at once
    assert world.alarms[-1][1] == "venue0: ConnectionError: no route after 4 attempts"


def test_a_venue_that_recovers_is_done(world: World) -> None:
    venue = Venue(world, failures=3)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 1)
    world.beats = False
    world.pass_time(watchdog, 60)
    assert venue.orders == 0
    assert len(world.alarms) == 1


def test_it_leaves_the_rest_to_an_engine_that_is_back(world: World) -> None:
    venue = Venue(world, failures=99)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 1)
    world.beats = False
    world.back_at_s = world.now_s + 3
    world.pass_time(watchdog, 60)
    assert "heartbeats are back" in world.alarms[-1][1]
    assert venue.failures > 90


def test_without_access_it_says_so(world: World) -> None:
    watchdog = world.watchdog()
    world.pass_time(watchdog, 1)
    world.beats = False
    world.pass_time(watchdog, 10)
    assert "access to no venue" in world.alarms[0][1]


def test_an_orphan_ends_after_it_has_acted(world: World) -> None:
    venue = Venue(world)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 1)
    world.beats = False
    assert watchdog.run(lambda: False, lambda: True) == EXIT_ORPHAN
    assert venue.orders == 0


@pytest.mark.parametrize("options", [{"timeout_s": 0.0}, {"attempts": 0}])
def test_absurd_options_are_refused(world: World, options: dict[str, float]) -> None:
    with pytest.raises(MmatsError, match="above 0"):
        world.watchdog(**options)


def test_told_to_end_beside_an_engine_that_went_without_a_word_it_acts_first() -> None:
    world = World()
    venue = Venue(world)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 1.0)
    world.beats = False
    world.pass_time(watchdog, 0.5)  # it is told to end before the silence is long enough
    assert venue.orders == 0
    assert len(world.alarms) == 1


@pytest.mark.parametrize("said", [True, False])
def test_told_to_end_beside_an_engine_that_said_so_or_goes_on_it_does_nothing(said: bool) -> None:
    world = World()
    venue = Venue(world)
    watchdog = world.watchdog(venue)
    world.pass_time(watchdog, 1.0)
    world.ended, world.beats = said, not said
    world.pass_time(watchdog, 0.5)
    assert venue.orders == 3
    assert world.alarms == []


def test_what_it_does_at_a_venue_halts_an_engine_that_comes_back() -> None:
    world = World(beats=False, last=100.0)
    venue, latched = Venue(world), []

    def latch(reason: str) -> None:
        latched.append((reason, venue.orders))

    watchdog = Watchdog(
        world, [("venue", venue)], alarm=world.alarm, monotonic_s=world.clock, latch=latch
    )
    world.pass_time(watchdog, 5.0)
    assert [orders for _, orders in latched] == [3]  # before the first cancel
    assert venue.orders == 0
