"""For how much of each market's session the engine could trade it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from mmats.engine.metrics import Metrics

FOREX = "forex"
_NEW_YORK = ZoneInfo("America/New_York")
_DAY_TURN = timedelta(hours=7)  # from 17:00 in New York, where a day of forex ends, to midnight


def session_of(market: str, now_ns: int) -> str:
    """Return the day that a market is in, empty while it is closed.

    Forex days end at 17:00 in New York, and there is none on Saturday and Sunday; every other
    market has the days of UTC.
    """
    if market != FOREX:
        return f"{datetime.fromtimestamp(now_ns / 1e9, UTC):%Y-%m-%d}"
    shifted = datetime.fromtimestamp(now_ns / 1e9, _NEW_YORK).replace(tzinfo=None) + _DAY_TURN
    return "" if shifted.weekday() >= 5 else f"{shifted:%Y-%m-%d}"


class SessionUptime:
    """Share of a market's session, so far, in which it could be traded."""

    def __init__(self) -> None:
        self._session = ""
        self._last_ns = 0
        self._total_ns = 0
        self._up_ns = 0
        self._was_up = False

    def observe(self, now_ns: int, session: str, up: bool) -> None:
        """Say which session it is (empty: closed), and whether the market can be traded.

        The time since the last call counts as that call told.
        """
        if session != self._session:
            self._session = session
            self._total_ns = self._up_ns = 0
        elif session:
            passed_ns = max(0, now_ns - self._last_ns)
            self._total_ns += passed_ns
            self._up_ns += passed_ns * self._was_up
        self._last_ns = now_ns
        self._was_up = up

    @property
    def share(self) -> float:
        """0 to 1; 1 before anything is known, and while the market is closed."""
        return self._up_ns / self._total_ns if self._total_ns else 1.0


def _share(uptime: SessionUptime) -> float:
    return uptime.share


class MarketUptimes:
    """Publishes `session_uptime_share.MARKET` of this engine's markets.

    An engine counts from its own start: what was before it is not known to it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._markets: dict[str, SessionUptime] = {}

    def observe(self, now_ns: int, tradable: dict[str, bool]) -> None:
        """Say at a moment of the engine's clock which markets can be traded; every few seconds."""
        for market, up in tradable.items():
            uptime = self._markets.get(market)
            if uptime is None:
                uptime = self._markets[market] = SessionUptime()
                self._metrics.gauge(
                    "session_uptime_share",
                    "Share of the session in which the market could be traded",
                    partial(_share, uptime),
                    market,
                )
            uptime.observe(now_ns, session_of(market, now_ns), up)
