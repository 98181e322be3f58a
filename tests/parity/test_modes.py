"""One event file through backtest, paper, advisory and operator: the same decisions."""

import numpy as np
import pytest

from mmats._core import RecordKind
from mmats.model import MarketData, Strategy, TradeSignal
from tests.fakes import sessions

SIGNALS_AND_DENIALS = (RecordKind.RECORD_SIGNAL, RecordKind.RECORD_DENIED)


class Flags(Strategy):
    """Decides on prices alone, so that it says the same where nothing is ever filled."""

    name = "flags"

    def on_market_data(self, data: MarketData) -> TradeSignal | None:
        """Ask for a small and, now and then, for far too large an amount."""
        turn = int(data.timestamp // 60_000_000_000)
        if turn % 1441 == 0:
            return TradeSignal("BUY", data.symbol, 0.0004, stop_loss=data.close * 0.98)
        if turn % 311 == 0:
            return TradeSignal("BUY", data.symbol, 5.0, stop_loss=data.close * 0.98)
        return None


@pytest.fixture(scope="module")
def config():
    return sessions.small_config()


@pytest.fixture(scope="module")
def blocks(config):
    return sessions.events_of(config)


@pytest.fixture(scope="module")
def backtest(config):
    return sessions.backtest_records(config)


def kinds(records):
    return np.isin(records["kind"], SIGNALS_AND_DENIALS)


def test_there_is_something_to_compare(backtest):
    found = {
        int(kind): int((backtest["kind"] == kind).sum()) for kind in np.unique(backtest["kind"])
    }
    assert found[RecordKind.RECORD_SIGNAL] > 50
    assert found[RecordKind.RECORD_FILLED] > 50


def test_paper_is_the_backtest(config, blocks, backtest):
    _, paper = sessions.session_records(sessions.in_mode(config, "paper"), blocks)
    sessions.same(backtest, paper)


def test_operator_with_a_simulated_venue_is_the_backtest(config, blocks, backtest):
    _, operator = sessions.operator_records(sessions.in_mode(config, "operator"), blocks)
    sessions.same(backtest, operator)


def test_advisory_signals_and_denials_are_those_of_the_backtest():
    table = {
        "name": "flags",
        "source": "tests.parity.test_modes:Flags",
        "symbols": ["BTCUSDT"],
    }
    config = sessions.small_config(strategies=[table])
    blocks = sessions.events_of(config)
    backtest = sessions.backtest_records(config)
    for kind in SIGNALS_AND_DENIALS:
        assert (backtest["kind"] == kind).sum() > 3
    session, advisory = sessions.session_records(sessions.in_mode(config, "advisory"), blocks)
    assert session.assembly.venue is None
    assert not np.isin(advisory["kind"], [RecordKind.RECORD_SUBMITTED]).any()
    sessions.same(backtest, advisory, kinds)
