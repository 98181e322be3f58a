"""Uptime of markets by session: forex weeks end on Friday in New York."""

from datetime import UTC, datetime

import pytest

from mmats.engine.metrics import Metrics
from mmats.engine.uptime import MarketUptimes, SessionUptime, session_of

S = 10**9


def at(text: str) -> int:
    """A moment in UTC as ns."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


def test_uptime_of_a_session() -> None:
    uptime = SessionUptime()
    uptime.observe(0, "", up=False)
    uptime.observe(5 * S, "monday", up=True)
    assert uptime.share == 1.0
    uptime.observe(8 * S, "monday", up=False)
    uptime.observe(9 * S, "monday", up=True)
    assert uptime.share == 0.75
    uptime.observe(9 * S, "tuesday", up=False)
    uptime.observe(10 * S, "tuesday", up=False)
    assert uptime.share == 0.0
    uptime.observe(11 * S, "", up=False)
    assert uptime.share == 1.0


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-01-09T21:59:59", "2026-01-09"),  # a Friday in winter: 17:00 is 22:00 UTC
        ("2026-01-09T22:00:00", ""),
        ("2026-01-11T21:59:59", ""),
        ("2026-01-11T22:00:00", "2026-01-12"),
        ("2026-07-10T20:59:59", "2026-07-10"),  # and in summer 21:00
        ("2026-07-10T21:00:00", ""),
        ("2026-07-12T21:00:00", "2026-07-13"),
        ("2026-07-14T21:00:00", "2026-07-15"),
    ],
)
def test_days_of_forex(moment: str, session: str) -> None:
    assert session_of("forex", at(moment)) == session


def test_crypto_never_closes() -> None:
    assert session_of("crypto", at("2026-01-10T23:59:59")) == "2026-01-10"
    assert session_of("crypto", at("2026-01-11T00:00:00")) == "2026-01-11"


def test_every_market_has_a_figure_of_its_own() -> None:
    metrics = Metrics()
    uptimes = MarketUptimes(metrics)
    start = at("2026-01-07T12:00:00")
    for second in range(9):
        uptimes.observe(start + second * S, {"crypto": True, "forex": second < 4, "stocks": False})
    sample = metrics.sample()
    assert sample["session_uptime_share.crypto"] == 1.0
    assert sample["session_uptime_share.forex"] == 0.5
    assert sample["session_uptime_share.stocks"] == 0.0
