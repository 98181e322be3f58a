"""The line between a venue and us: what it loses, doubles, delays and swaps, from a seed."""

from typing import Any

import numpy as np
import pytest

from adapters.venues.faults import Fault, FaultPlan, FaultyLine
from mmats._core import REPORT_DTYPE
from mmats.model.errors import ConfigError

MS = 1_000_000


def numbered(*numbers: int) -> Any:
    reports = np.zeros(len(numbers), REPORT_DTYPE)
    reports["order_id"] = numbers
    return reports


def each(**plan: Any) -> FaultPlan:
    return FaultPlan(each_report=True, **plan)


def passed(line: FaultyLine, count: int, now_ns: int = 0) -> list[int]:
    line.put(numbered(*range(1, count + 1)), now_ns)
    return taken(line, now_ns)


def taken(line: FaultyLine, now_ns: int) -> list[int]:
    reports = line.take(now_ns)
    return [] if reports is None else reports["order_id"].tolist()


def test_without_a_plan_everything_arrives_in_order() -> None:
    line = FaultyLine(FaultPlan())
    assert passed(line, 5) == [1, 2, 3, 4, 5]
    assert taken(line, 0) == []
    assert line.next_ns() is None


@pytest.mark.parametrize(
    ("script", "arrives"),
    [
        ({2: Fault.LOSE}, [1, 3, 4]),
        ({2: Fault.DUPLICATE}, [1, 2, 2, 3, 4]),
        ({2: Fault.REORDER}, [1, 3, 2, 4]),
        ({2: Fault.REORDER, 3: Fault.REORDER}, [1, 3, 2, 4]),
        ({2: Fault.REORDER, 3: Fault.LOSE}, [1, 4, 2]),
    ],
)
def test_a_script_names_the_report_that_a_fault_meets(
    script: dict[int, Fault], arrives: list[int]
) -> None:
    assert passed(FaultyLine(each(script=script)), 4) == arrives


def test_a_reordered_report_with_none_after_it_arrives_in_the_end() -> None:
    line = FaultyLine(each(script={1: Fault.REORDER}, delay_ns_max=10 * MS))
    assert passed(line, 1, now_ns=5 * MS) == []
    assert line.next_ns() == 15 * MS
    assert taken(line, 15 * MS - 1) == []
    assert taken(line, 15 * MS) == [1]


def test_a_delayed_report_arrives_when_its_time_has_come() -> None:
    line = FaultyLine(each(script={1: Fault.DELAY}, delay_ns_max=10 * MS))
    assert passed(line, 2, now_ns=5 * MS) == [2]
    due = line.next_ns()
    assert due is not None
    assert 5 * MS <= due <= 15 * MS
    assert taken(line, due) == [1]
    assert line.next_ns() is None


def test_a_message_meets_a_fault_as_a_whole_unless_each_report_is_one() -> None:
    line = FaultyLine(FaultPlan(script={1: Fault.LOSE}))
    assert passed(line, 3) == []
    assert passed(line, 2) == [1, 2]
    assert line.counters["lose"] == 1


def test_shares_are_met_and_counted() -> None:
    line = FaultyLine(each(lose=0.2, duplicate=0.1, seed=3))
    arrived = passed(line, 10_000)
    assert line.counters["lose"] == pytest.approx(2000, abs=150)
    assert line.counters["duplicate"] == pytest.approx(1000, abs=120)
    assert len(arrived) == 10_000 - line.counters["lose"] + line.counters["duplicate"]
    assert line.counters["sent"] == len(arrived)


def test_the_same_seed_gives_the_same_faults() -> None:
    def lost(seed: int) -> list[int]:
        return passed(FaultyLine(each(lose=0.5, seed=seed)), 100)

    assert lost(1) == lost(1) != lost(2)


def test_cancels_are_refused_at_their_share() -> None:
    line = FaultyLine(FaultPlan(reject_cancels=1.0))
    assert line.refuses_cancel()
    assert line.counters["refused_cancels"] == 1
    assert not FaultyLine(FaultPlan()).refuses_cancel()


@pytest.mark.parametrize(
    "wrong",
    [{"lose": -0.1}, {"lose": 0.6, "delay": 0.5}, {"reject_cancels": 2}, {"delay_ns_max": -1}],
)
def test_a_plan_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FaultPlan(**wrong)
