"""Operator mode, with the rehearsal venue in a process of its own: orders leave, and rest."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from adapters.bus.feed import FeedPublisher
from mmats._core import EVENT_DTYPE, EventKind
from mmats.client import Client
from mmats.ports.bus import FrameKind
from tests.fakes.engines import Place, ended, kill, place, until

WAIT_S = 20.0
PRICE = 4_200_000
CONFIG = """
profile = "dev"
name = "operator"
[account]
currency = "USDT"
balances = ["1000 USDT"]
[[feeds]]
symbol = "BTCUSDT.BINANCE"
source = "synthetic"
live = true
[[strategies]]
name = "idle"
source = "idle.py"
symbols = ["BTCUSDT"]
[engine]
mode = "operator"
venue = "rehearsal"
record = true
reply_timeout = "300ms"
query_wait = "100ms"
query_wait_max = "200ms"
not_found_after = "300ms"
[risk]
price_collar = "none"
[watchdog]
timeout = "1s"
"""
IDLE = """
from mmats.model import Strategy


class Idle(Strategy):
    name = "idle"
    supported_symbols = ()

    def on_market_data(self, data):
        return None
"""
POSITION = "position:manual:BTCUSDT.BINANCE"


class Desk:
    """An operator engine, its venue, a feed that tells one price, and a client."""

    def __init__(self, here: Place, client: Client, venue: Any) -> None:
        self.here, self.client, self.venue = here, client, venue
        self._feed = FeedPublisher(here.profile, feed=0, session=7)
        self.say_price()

    def say_price(self) -> None:
        row = np.zeros(1, EVENT_DTYPE)
        row["kind"] = EventKind.EVENT_BAR
        row["ts_event_ns"] = row["ts_recv_ns"] = time.time_ns()
        for name in "abcd":
            row[name] = PRICE
        row["e"] = 1000
        assert self._feed.send(FrameKind.DATA, row, 0, 10_000)
        assert self.client.wait_for(
            lambda s: bool(s["market:BTCUSDT.BINANCE"]["last"]), timeout_s=WAIT_S
        )

    def buy(self, quantity: str, limit: str = "") -> int:
        reply = self.client.submit_order("BTCUSDT", "buy", quantity, limit=limit)
        assert reply.done, reply.text
        return int(reply.body["order_id"])

    def rest(self) -> int:
        """An order that waits at the venue."""
        order_id = self.buy("0.001", limit="10000")
        assert self.client.wait_for(
            lambda s: s.get(f"order:{order_id}", {}).get("state") == "ACCEPTED", timeout_s=WAIT_S
        ), self.client.state.below("order")
        return order_id

    def gone(self, order_id: int) -> bool:
        return self.client.wait_for(lambda s: f"order:{order_id}" not in s, timeout_s=WAIT_S)

    def close(self) -> None:
        self._feed.close(linger_ms=0)


@contextmanager
def desk() -> Iterator[Desk]:
    with place("dev") as here:
        here.config.write_text(CONFIG)
        here.write("idle.py", IDLE)
        venue = here.start("venue")
        here.engine = here.start("engine")
        with here.client() as client:
            found = Desk(here, client, venue)
            try:
                yield found
            finally:
                found.close()


def test_orders_are_acknowledged_filled_and_replayed_the_same() -> None:
    with desk() as at:
        run = at.client.run
        at.buy("0.002")
        assert at.client.wait_for(lambda s: POSITION in s, timeout_s=WAIT_S)
        resting = at.rest()
        assert at.client.cancel(resting).done
        assert at.gone(resting)
        assert at.client.flatten(reason="enough").done
        assert at.client.wait_for(lambda s: POSITION not in s, timeout_s=WAIT_S)
        assert at.client.down().done
        assert ended(at.here.engine)[0] == 0
        assert at.here.findings() == []
        again = at.here.mmats("replay", run, "--diff", "--json", "--profile", "dev")
        assert again.returncode == 0, again.stdout + again.stderr


def test_what_a_venue_forgets_when_it_is_started_anew_is_resolved() -> None:
    with desk() as at:
        at.buy("0.002")
        assert at.client.wait_for(lambda s: POSITION in s, timeout_s=WAIT_S)
        resting = at.rest()
        kill(at.venue)
        lost = at.buy("0.001", limit="10001")  # nobody is there to take it
        at.venue = at.here.start("venue")
        assert at.gone(resting)
        assert at.client.wait_for(
            lambda s: s.get(f"order:{lost}", {}).get("state", "") in ("", "ACCEPTED"),
            timeout_s=WAIT_S,
        )
        assert POSITION in at.client.state  # a fill stays a fill
        assert any("anew" in note["problem"] for note in at.here.notes("venue"))
        assert at.client.state["engine"]["state"] == "trading"
        run = at.client.run
        assert at.client.down().done
        assert ended(at.here.engine)[0] == 0
        again = at.here.mmats("replay", run, "--diff", "--json", "--profile", "dev")
        assert again.returncode == 0, again.stdout + again.stderr


def test_the_watchdog_cancels_for_an_engine_that_is_stopped_and_the_engine_learns_it() -> None:
    with desk() as at:
        resting = at.rest()
        watchdog = at.here.start("watchdog")
        until(lambda: '"connected"' in log(at.here), WAIT_S)
        at.here.engine.send_signal(signal.SIGSTOP)
        alarm = at.here.profile.run_dir / "ALARM"
        until(lambda: alarm.exists() and "no heartbeat" in alarm.read_text(), WAIT_S)
        until(lambda: "canceled" in log(at.here) or "cancel" in alarm.read_text(), WAIT_S)
        at.here.engine.send_signal(signal.SIGCONT)
        assert at.gone(resting)
        assert at.client.ping().done
        assert at.client.state["engine"]["state"] == "halted"  # what it believes may be wrong
        watchdog.terminate()
        assert ended(watchdog)[0] == 0


def log(here: Place) -> str:
    path = here.profile.logs_dir / "watchdog.jsonl"
    return path.read_text() if path.exists() else ""
