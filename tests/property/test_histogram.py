"""The latency histogram against sorting: bounded relative error, merging, fixed memory."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmats.engine.histogram import RELATIVE_ERROR_MAX, Histogram

VALUE_MAX = 2**42 - 1
VALUES = st.lists(
    st.one_of(st.integers(0, 300), st.integers(0, 10**7), st.integers(0, VALUE_MAX)),
    min_size=1,
    max_size=300,
)


def histogram(values: list[int]) -> Histogram:
    """All values, recorded."""
    result = Histogram()
    for value in values:
        result.record(value)
    return result


@given(VALUES, st.integers(0, 100))
def test_percentiles_are_near_the_exact_ones(values: list[int], percent: int) -> None:
    exact = int(np.percentile(np.array(values), percent, method="inverted_cdf"))
    found = histogram(values).percentile(percent)
    assert exact <= found <= exact * (1 + RELATIVE_ERROR_MAX)


@given(VALUES, VALUES)
def test_merging_is_recording_all(left: list[int], right: list[int]) -> None:
    merged = histogram(left)
    merged.merge(histogram(right))
    assert merged.summary() == histogram(left + right).summary()


@given(VALUES)
def test_the_summary_is_exact_where_it_can_be(values: list[int]) -> None:
    summary = histogram(values).summary()
    assert summary["count"] == len(values)
    assert summary["sum_ns"] == sum(values)
    assert summary["max_ns"] == max(values)


def test_the_ends_of_the_range() -> None:
    ends = histogram([-5, 0, VALUE_MAX, VALUE_MAX + 1, 10**18])
    assert ends.percentile(0) == 0
    assert ends.percentile(100) == VALUE_MAX
    assert Histogram().percentile(99) == 0
    with pytest.raises(ValueError, match="0 to 100"):
        Histogram().percentile(math.nan)


def test_memory_is_fixed_and_clear_forgets() -> None:
    one = histogram([1])
    before = sys.getsizeof(one._counts)
    for value in range(0, VALUE_MAX, VALUE_MAX // 1000):
        one.record(value)
    assert sys.getsizeof(one._counts) == before
    one.clear()
    assert one.summary() == Histogram().summary()
