"""Exploration is planned where models differ only, within its budget, and buys the least variance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StrategyError
from pitstop.retraining.comparison import PairedTest
from pitstop.retraining.propensities import Cohort, check_overlap, doubly_robust
from pitstop.strategy.exploring import plan_exploration

Floats = NDArray[np.float64]


@given(st.integers(0, 10_000), st.floats(0.02, 2.0))
def test_it_stays_within_the_budget_and_explores_where_models_differ(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    differing, shown = random.random(60) < 0.4, random.random(60) < 0.5
    spread, cost = random.uniform(0.1, 3.0, 60), random.uniform(0.1, 3.0, 60)
    hidden = differing & ~shown
    budget = share * float(cost[hidden].sum())
    plan = plan_exploration(differing, shown, spread, cost, budget)
    assert (plan.rates[~hidden] == 0.0).all()
    assert (plan.rates[hidden] >= 0.01).all()
    assert (plan.rates <= 1.0).all()
    assert plan.cost <= budget + 1e-9
    assert plan.cost == pytest.approx(min(budget, float(cost[hidden].sum())), rel=1e-6)
    assert plan.expected == pytest.approx(plan.rates.sum())
    check_overlap(plan.chances, differing)
    # No other plan of the same price has less variance: move money between any two rows.
    free = np.flatnonzero(hidden & (plan.rates < 0.99) & (plan.rates > 0.0101))
    for one, other in pairwise(free):
        moved = plan.rates.copy()
        moved[one] += 1e-4 / cost[one]
        moved[other] -= 1e-4 / cost[other]
        before, after = (float((spread[hidden] ** 2 / rates[hidden]).sum()) for rates in (plan.rates, moved))
        assert after >= before - 1e-9


def test_the_rows_it_speaks_of_are_about_those_that_prove_it() -> None:
    """Within a factor of two: the test pays for not knowing mean and variance."""
    random, gain, needed = np.random.default_rng(2), 0.3, []
    rows = 1000
    differing, shown = np.arange(rows) < 300, np.arange(rows) < 100
    plan = plan_exploration(differing, shown, np.full(rows, 0.95), np.ones(rows), 40.0)
    for _ in range(20):
        test = PairedTest(0.05, 1e-9)
        while test.verdict == "undecided" and test.rows < 20_000:
            place = random.integers(0, rows, 100)
            apart = differing[place]
            value = np.where(apart, np.where(random.random(100) < (1 + gain) / 2, 1.0, -1.0), 0.0)
            seen = random.random(100) < plan.chances[place]
            cohort = Cohort(
                np.where(seen, value, np.nan), plan.chances[place], apart.astype(np.float64), np.ones((100, 1))
            )
            ends = doubly_robust(cohort, np.where(apart, gain, 0.0))
            test = test.updated(ends.low, max(test.scale, ends.scale), upper=ends.high)
        needed.append(test.rows)
        assert test.verdict == "better"
    said = plan.rows_for(0.3 * gain, 0.05)
    assert 0.5 * said <= np.median(needed) <= 2.0 * said


def test_what_cannot_be_planned_is_refused() -> None:
    all_rows, no_row = np.ones(10, dtype=np.bool_), np.zeros(10, dtype=np.bool_)
    ones = np.ones(10)
    with pytest.raises(StrategyError, match="exploring 10 rows at the least chance"):
        plan_exploration(all_rows, no_row, ones, ones, 0.05)
    with pytest.raises(StrategyError, match="expected finite spreads and costs above 0"):
        plan_exploration(all_rows, no_row, ones, 0.0 * ones, 5.0)
    nothing = plan_exploration(all_rows, all_rows, ones, ones, 0.0)
    assert nothing.expected == 0.0
    assert nothing.variance == 1.0
    with pytest.raises(StrategyError, match="a number that is not 0"):
        nothing.rows_for(0.0, 0.05)


@pytest.mark.parametrize("spread", [np.nan, np.inf, -1.0])
def test_a_spread_that_is_none_is_refused_where_models_differ_and_the_label_shows(spread: float) -> None:
    differing, shown, ones = np.ones(10, dtype=np.bool_), np.arange(10) < 5, np.ones(10)
    spreads = np.where(np.arange(10) == 0, spread, 1.0)
    with pytest.raises(StrategyError, match="expected finite spreads"):
        plan_exploration(differing, shown, spreads, ones, 5.0)
    assert plan_exploration(~shown, shown, spreads, ones, 5.0).rows_for(0.5, 0.05) > 0
