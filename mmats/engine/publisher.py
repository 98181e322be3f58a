"""What the trading thread publishes beside events: state, heartbeat and its own figures."""

import time
from typing import Any

from mmats._core import TradingState
from mmats.engine.feeds_seen import FeedsSeen
from mmats.engine.metrics import EngineMetrics
from mmats.engine.published import private_state, public_state
from mmats.engine.session import Session
from mmats.engine.uptime import MarketUptimes
from mmats.model.messages import PRIVATE, PUBLIC
from mmats.ports.bus import IControlServer, IEngineBus
from mmats.ports.journal import Head, IJournalWriter

STATE_NS = 250_000_000
CHANGED_NS = 50_000_000
"""After a decision the state follows sooner, but no more often than this."""
HEARTBEAT_NS = 200_000_000
METRICS_NS = 1_000_000_000
ENDED = "ended"
"""`state` of the key `engine` as the last word of a run that ends in good order."""


class Publisher:
    """Compares the state with what was published last, and publishes the difference.

    Parameters
    ----------
    facts : what never changes within a run: run, profile, version, started_ns, recovered
    """

    def __init__(
        self,
        session: Session,
        control: IControlServer,
        writer: IJournalWriter,
        bus: IEngineBus,
        feeds: FeedsSeen,
        metrics: EngineMetrics,
        facts: dict[str, Any],
    ) -> None:
        self._session, self._control, self._writer = session, control, writer
        self._bus, self._feeds, self._metrics, self._facts = bus, feeds, metrics, facts
        self._told: dict[str, dict[str, Any]] = {PUBLIC: {}, PRIVATE: {}}
        self._heartbeat_due_ns = self._metrics_due_ns = 0
        self._uptimes = MarketUptimes(metrics)
        self._has_changed = False
        self._last_ns = 0
        self._started_ns = time.monotonic_ns()
        self.arm = "armed"

    # -- figures ---------------------------------------------------------------------------------

    def turn_ended(self, started_ns: int) -> None:
        """A turn of the loop is done: so long it could take nothing else."""
        self._metrics.loop_lag.record(time.monotonic_ns() - started_ns)

    def decided(self, taken_ns: int) -> None:
        """A frame of market data that was taken then has led to a record."""
        self._metrics.tick_to_signal.record(time.monotonic_ns() - taken_ns)

    def committed(self, commit_ns: int) -> None:
        """A group has become durable."""
        self._metrics.journal_commit.record(commit_ns)

    def sent(self, decided_ns: int) -> None:
        """Requests have left; the first event that led to them was taken at `decided_ns`."""
        if decided_ns:
            self._metrics.tick_to_order.record(time.monotonic_ns() - decided_ns)

    def changed(self) -> None:
        """Decisions have been told: the state follows soon."""
        self._has_changed = True

    # -- publishing ------------------------------------------------------------------------------

    def publish(self, now_ns: int) -> None:
        """Publish what is due."""
        wait_ns = CHANGED_NS if self._has_changed else STATE_NS
        if now_ns >= self._last_ns + wait_ns:
            self._last_ns = now_ns
            self._has_changed = False
            self._publish_state(now_ns)
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + HEARTBEAT_NS
            self._beat(now_ns, self.arm)

    def _word(self) -> str:
        """What the engine does, in a word."""
        if self.arm != "armed":
            return "fault"
        state = TradingState(self._session.gate.limits("global")["trading_state"])
        return {
            TradingState.TRADING_REDUCING: "paused",
            TradingState.TRADING_HALTED: "halted",
        }.get(state, "trading")

    def ended(self, fault: str) -> None:
        """The last word. In good order, the silence from now on is no reason to act."""
        state = {"state": "fault", "arm": fault} if fault else {"state": ENDED}
        engine = {**self._told[PUBLIC].get("engine", self._facts), **state}
        self._control.publish_state(PUBLIC, [("engine", engine)])
        # A heartbeat reaches those, too, that have lost a message.
        self._beat(time.monotonic_ns(), engine["state"])

    def _beat(self, now_ns: int, state: str) -> None:
        head: Head = self._writer.head
        self._control.set_heartbeat(
            {
                "head": [head.size, head.hash],
                "uptime_s": (now_ns - self._started_ns) // 10**9,
                "state": state,
            }
        )

    def _publish_state(self, now_ns: int) -> None:
        session = self._session
        engine = {
            **self._facts,
            "mode": session.mode.word,
            "state": self._word(),
            "arm": self.arm,
        }
        feeds = self._feeds.state(self._bus.feed_state())
        public = {"engine": engine, **feeds, **public_state(session)}
        public["intake"] = {"refused": session.intake.refused_count, **session.intake.refused}
        head = self._writer.head
        private = {
            **private_state(session),
            "journal": {"size": head.size, "hash": head.hash},
        }
        if now_ns >= self._metrics_due_ns:
            self._metrics_due_ns = now_ns + METRICS_NS
            self._uptimes.observe(session.pipeline.now_ns, self._tradable())
            self._metrics.sample()
        private["metrics"] = self._metrics.last
        self._send(PUBLIC, public)
        self._send(PRIVATE, private)

    def _tradable(self) -> dict[str, bool]:
        """Whether the engine trades and a price is fresh, by market."""
        session = self._session
        tradable: dict[str, bool] = {}
        for index, terms in enumerate(session.catalogue.instruments):
            marked_ns = session.ledger.holding(index).marked_ns
            fresh = marked_ns > 0 and session.pipeline.now_ns - marked_ns <= terms.stale_after_ns
            up = fresh and self.arm == "armed"
            tradable[terms.market] = tradable.get(terms.market, False) or up
        return tradable

    def _send(self, channel: str, state: dict[str, Any]) -> None:
        told = self._told[channel]
        changes = [(key, value) for key, value in state.items() if told.get(key) != value]
        changes += [(key, None) for key in told if key not in state]
        if changes:
            self._told[channel] = state
            self._control.publish_state(channel, changes)
