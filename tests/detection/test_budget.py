import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.detection.budget import Budget
from pitstop.errors import SpecError

WEIGHTS = st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0.01, 100), min_size=1, max_size=8)


@given(WEIGHTS, st.floats(0.01, 3), st.sampled_from([4, 30, 720]), st.floats(0, 0.9))
def test_streams_and_paths_together_spend_at_most_the_promise(
    weights: dict[str, float], per_month: float, windows: int, fast_share: float
) -> None:
    budget = Budget(per_month, windows, fast_share)
    slow = sum(windows / c for c in budget.thresholds(weights).values())
    fast = sum(windows * level for level in budget.fast_levels(weights).values())
    assert slow + fast <= per_month * (1 + 1e-9)


@given(WEIGHTS)
def test_a_heavier_stream_alarms_earlier(weights: dict[str, float]) -> None:
    thresholds = Budget(1.0, 30).thresholds(weights)
    ordered = sorted(weights, key=lambda name: weights[name])
    assert all(thresholds[a] >= thresholds[b] for a, b in pairwise(ordered))


def test_one_stream_gets_the_whole_budget() -> None:
    budget = Budget(per_month=1.0, windows_per_month=30, fast_share=0.1)
    assert budget.thresholds({"error": 5.0}) == {"error": pytest.approx(30 / 0.9)}
    assert budget.fast_levels({"error": 5.0}) == {"error": pytest.approx(0.1 / 30)}


@pytest.mark.parametrize(
    "arguments", [(0.0, 30), (math.nan, 30), (-1.0, 30), (1.0, 0), (1.0, 30, 1.0), (1.0, 30, -0.1)]
)
def test_a_budget_that_promises_nothing_is_refused(arguments: tuple[float, int]) -> None:
    with pytest.raises(SpecError, match="expected"):
        Budget(*arguments)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(SpecError, match="'x'"):
        Budget(1.0, 30).thresholds({"x": weight, "y": 1.0})
