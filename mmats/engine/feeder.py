"""A feed process: market data of a configuration, at its pace, to the engine of a profile."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmats.config import Config
from mmats.engine.clock import WallClock
from mmats.engine.feeds import is_live, live_stream, stored_events
from mmats.engine.merging import merge, ordered
from mmats.engine.outbox import Outbox
from mmats.model.errors import ConfigError
from mmats.ports.bus import FrameKind, IFeedPublisher
from mmats.ports.clock import IClock
from mmats.ports.feed import ILiveStream

Events = NDArray[np.void]
BATCH_MAX = 256
QUEUE_MAX = 65_536
HEARTBEAT_NS = 250_000_000
BATCH_NS = 1_000_000  # so long events wait for company
POLL_NS = 5_000_000  # of live sources, and of a full pipe
SEND_MS = 100  # of one attempt, so that a stop is noticed
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """How a feed process plays its data.

    Attributes
    ----------
    speed_ppm : int
        Of stored data: millionths of real time; 0 = as fast as the engine takes it.
    endless : bool
        Synthetic data go on without end.
    live : bool
        Synthetic data are made from now on, in real time, whatever the configuration says.
    from_start : bool
        Live sources begin with what they hold already.
    batch_max, queue_max : int
        Events of one frame; events that wait for a slow engine.
    """

    speed_ppm: int = PPM
    endless: bool = False
    live: bool = False
    from_start: bool = False
    batch_max: int = BATCH_MAX
    queue_max: int = QUEUE_MAX


def run_feed(
    config: Config,
    publisher: IFeedPublisher,
    plan: FeedPlan,
    stop: threading.Event,
    *,
    clock: IClock | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, int]:
    """Feed the engine until the data end or `stop` is set.

    Parameters
    ----------
    stop
        Its `wait` is what this sleeps in.
    tell
        Called with what a person should know: a lost source, bad lines, dropped events.

    Returns
    -------
    frames, events, conflated (quotes that a later one replaced), lost (dropped, and told).

    Raises
    ------
    ConfigError, DataError
        A source can't be opened, is out of order, or live and stored ones are mixed.
    """
    clock = clock or WallClock()
    feeds = [
        msgspec.structs.replace(feed, live=True)
        if plan.live and feed.source == "synthetic"
        else feed
        for feed in config.feeds
    ]
    live = [feed for feed in feeds if is_live(feed)]
    if live and len(live) < len(feeds):
        raise ConfigError(
            f"{live[0].symbol} is live, other feeds are stored data of another time",
            "feeds",
            "synthetic feeds can be made live: --live, or live = true",
        )
    feeder = Feeder(publisher, plan, stop, clock, tell)
    if live:
        now_ns = clock.now_ns()
        feeder.follow(
            [
                (
                    config.resolved_instruments.index(config.instrument(feed.symbol)),
                    live_stream(config, feed, now_ns, plan.from_start),
                )
                for feed in live
            ]
        )
        return feeder.counters()
    replay = config.backtest
    span = (
        replay.start.ns if replay.start else None,
        replay.end.ns if replay.end else None,
    )
    sources = [stored_events(config, feed, span, endless=plan.endless) for feed in feeds]
    feeder.replay(merge(sources))
    return feeder.counters()


class Feeder:
    """Sends one stream of events at its pace, with heartbeats; used once, by one thread."""

    def __init__(
        self,
        publisher: IFeedPublisher,
        plan: FeedPlan,
        stop: threading.Event,
        clock: IClock,
        tell: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._plan = plan
        self._stop = stop
        self._clock = clock
        self._tell = tell
        # Where a full pipe holds us up nothing piles up, and nothing may be dropped.
        queue_max = plan.queue_max if plan.speed_ppm else sys.maxsize
        self._outbox = Outbox(publisher, plan.batch_max, queue_max, tell)
        self._last_sent_ns = 0
        self._frames_seen = 0

    def counters(self) -> dict[str, int]:
        """frames, events, conflated, lost."""
        box = self._outbox
        return {
            "frames": box.frames,
            "events": box.events,
            "conflated": box.conflated,
            "lost": box.lost,
        }

    def replay(self, blocks: Iterator[Events]) -> None:
        """Play blocks of events in time order, at the plan's speed."""
        first = next(blocks, None)
        if first is None or not self._say(FrameKind.START):
            return
        self._play(first, int(first["ts_event_ns"][0]), self._clock.monotonic_ns(), blocks)
        while not self._outbox.flush(SEND_MS) and not self._stop.is_set():
            pass
        self._say(FrameKind.END)

    def _play(self, block: Events, zero_ns: int, started_ns: int, blocks: Iterator[Events]) -> None:
        while not self._stop.is_set():
            if self._plan.speed_ppm == 0:
                self._send_all(block)
            else:
                self._pace(block, zero_ns, started_ns)
            following = next(blocks, None)
            if following is None:
                return
            block = following

    def _send_all(self, block: Events) -> None:
        """As fast as the engine takes them: a full pipe holds us up."""
        self._outbox.put(block)
        while not self._outbox.flush(SEND_MS) and not self._stop.is_set():
            pass

    def _pace(self, block: Events, zero_ns: int, started_ns: int) -> None:
        ts = block["ts_event_ns"]
        speed = self._plan.speed_ppm
        start = 0
        while start < len(block) and not self._stop.is_set():
            passed_ns = self._clock.monotonic_ns() - started_ns
            due_ns = zero_ns + passed_ns * speed // PPM
            end = int(np.searchsorted(ts, due_ns, "right"))
            if end > start:
                self._outbox.put(block[start:end])
                start = end
            ahead_ns = (int(ts[start]) - due_ns) * PPM // speed if start < len(block) else 0
            self._rest(ahead_ns)

    def follow(self, streams: Sequence[tuple[int, ILiveStream]]) -> None:
        """Tell what comes of live sources, each with its instrument's index, until the stop."""
        lost = dict.fromkeys((index for index, _ in streams), "")
        problems = dict.fromkeys(lost, 0)
        try:
            if not self._say(FrameKind.START):
                return
            while not self._stop.is_set():
                parts = []
                now_ns = self._clock.now_ns()
                for index, stream in streams:
                    events = stream.poll(now_ns)
                    events["instrument"] = index
                    parts.append(events)
                    if stream.lost and stream.lost != lost[index]:
                        self._outbox.stale()
                        self._tell(f"a source is lost: {stream.lost}")
                    lost[index] = stream.lost
                    problems[index] = self._tell_bad_lines(stream, problems[index])
                if any(map(len, parts)):
                    self._outbox.put(ordered(parts))
                    # Events of one source do not bring back another one.
                    if any(lost.values()):
                        self._outbox.stale()
                self._rest(POLL_NS)
            self._say(FrameKind.END)
        finally:
            for _, stream in streams:
                stream.close()

    def _tell_bad_lines(self, stream: ILiveStream, before: int) -> int:
        count = stream.counters().get("bad_lines", 0)
        if count > before:
            problem = getattr(stream, "problem", "")
            self._tell(f"{count - before} bad lines, the last one: {problem}")
        return count

    def _rest(self, ahead_ns: int) -> None:
        """Send what can be sent, show that we live, and sleep until there is something to do."""
        self._outbox.flush()
        now_ns = self._clock.monotonic_ns()
        if self._outbox.frames != self._frames_seen:
            self._frames_seen, self._last_sent_ns = self._outbox.frames, now_ns
        silent_ns = now_ns - self._last_sent_ns
        if silent_ns >= HEARTBEAT_NS and self._outbox.is_empty:
            self._publisher.send(FrameKind.HEARTBEAT, None, 0, 0)
            self._last_sent_ns, silent_ns = now_ns, 0
        until_ns = min(max(ahead_ns, BATCH_NS), HEARTBEAT_NS - min(silent_ns, HEARTBEAT_NS))
        self._stop.wait((until_ns if self._outbox.is_empty else POLL_NS) / 1e9)

    def _say(self, kind: FrameKind) -> bool:
        """Send START or END, however long the engine needs; False where we are to stop before."""
        while not self._publisher.send(kind, None, 0, SEND_MS):
            if self._stop.is_set():
                return False
        self._last_sent_ns = self._clock.monotonic_ns()
        return True
