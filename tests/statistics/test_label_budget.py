"""Label plans: every label is used, the optimum is found, and what few labels say is right also under concept drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.statistics.label_budget import allocate, estimate_from_labels, plan_labels

SIZES = st.lists(st.integers(1, 200), min_size=1, max_size=8).map(lambda sizes: np.array(sizes, dtype=np.int64))


@given(SIZES, st.integers(2, 300), st.data())
def test_labels_are_used_up_and_no_stratum_gives_more_than_it_has(
    sizes: np.ndarray, labels: int, data: st.DataObject
) -> None:
    weight = np.array(data.draw(st.lists(st.floats(0, 50), min_size=len(sizes), max_size=len(sizes))))
    each = allocate(sizes, weight, labels)
    assert (each <= sizes).all()
    assert (each >= np.minimum(sizes, 2)).all()
    assert each.sum() == max(min(labels, sizes.sum()), np.minimum(sizes, 2).sum())


def test_the_allocation_is_neymans() -> None:
    each = allocate(np.array([10_000, 10_000, 10_000]), np.array([100.0, 200.0, 700.0]), 1000)
    np.testing.assert_allclose(each, [100, 200, 700], atol=2)


def _simulated(drift: str, labels: int, repeats: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return misses, whether the interval held, and misses of as many labels drawn without a plan."""
    random = np.random.default_rng(seed)
    misses, held, plain = [], [], []
    for _ in range(repeats):
        score = random.beta(0.6, 0.6, 3000)
        expected = np.minimum(score, 1 - score)
        chance = {"none": expected, "flipped": 0.5 - 0.8 * expected, "better": 0.3 * expected}[drift]
        losses = (random.random(3000) < chance).astype(np.float64)
        plan = plan_labels(
            expected, np.sqrt(np.clip(expected, 0.05, 0.95) * (1 - np.clip(expected, 0.05, 0.95))), labels, random
        )
        means = np.bincount(plan.stratum, expected) / plan.sizes
        rows = plan.rows
        found = estimate_from_labels(plan.sizes, means, plan.stratum[rows], expected[rows], losses[rows], rates=True)
        misses.append(found.value - losses.mean())
        held.append(found.low <= losses.mean() <= found.high)
        plain.append(losses[random.choice(3000, labels, replace=False)].mean() - losses.mean())
    return np.array(misses), np.array(held), np.array(plain)


@pytest.mark.simulation
@pytest.mark.parametrize("drift", ["none", "flipped", "better"])
def test_few_labels_are_unbiased_and_covered_whatever_the_relation_became(drift: str) -> None:
    misses, held, plain = _simulated(drift, 100, 400, 6)
    # Four standard errors of the mean of 400; the interval may miss 95% by as much as chance in 400 runs, 4 points.
    assert abs(misses.mean()) < 4 * misses.std() / np.sqrt(len(misses))
    assert held.mean() > 0.91
    if drift == "none":
        assert misses.std() < plain.std()


def test_a_plan_of_every_row_knows_the_answer() -> None:
    expected, losses = np.linspace(0, 0.5, 40), np.tile([0.0, 1.0], 20)
    plan = plan_labels(expected, np.ones(40), 40, np.random.default_rng(0))
    means = np.bincount(plan.stratum, expected) / plan.sizes
    found = estimate_from_labels(
        plan.sizes, means, plan.stratum[plan.rows], expected[plan.rows], losses[plan.rows], rates=True
    )
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(found.high)


def test_a_stratum_with_one_label_is_refused() -> None:
    with pytest.raises(StatisticError, match="stratum 1 has 1 labelled rows of 9"):
        estimate_from_labels(np.array([9, 9]), np.zeros(2), np.array([0, 0, 1]), np.zeros(3), np.zeros(3), rates=True)


def test_too_few_labels_or_no_rows_are_refused() -> None:
    for rows, labels in ((0, 5), (5, 1)):
        with pytest.raises(StatisticError, match="at least 2 labels"):
            plan_labels(np.zeros(rows), np.zeros(rows), labels, np.random.default_rng(0))
