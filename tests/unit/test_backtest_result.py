"""What a run hands to its report: results by strategy, and what its data are."""

import pytest

from mmats.model import TradeSignal
from tests.fakes.backtests import SYMBOL, bars, config, play


def test_swap_counts_in_the_result_of_the_strategy_that_held_the_position():
    frame = bars([100.0] * 6, start="2024-01-01 23:57")
    costs = {**config()["costs"], "swap_long": "-36.5%/year"}
    _, report = play({0: TradeSignal("BUY", SYMBOL, 10.0)}, frame, costs=costs)
    assert report.costs["carry"] == pytest.approx(1.0)  # a thousandth of 1000 BBB, for one night
    assert report.by_strategy["script"]["net_profit"] == pytest.approx(-1.0)
    assert report.unallocated == 0.0
