"""X and Y|X: the parts add up to the change, each finds what was injected, and noise is called unclear."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.diagnosis.attribution import decompose, rank_features
from pitstop.statistics.cells import Cells, LeafBins

LEAF_ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.none(), st.floats(0, 50).map(lambda x: round(x, 2)))),
    max_size=150,
)


def cells(leaves: Any, losses: Any) -> Cells:
    values = np.array([np.nan if loss is None else loss for loss in losses], dtype=np.float64)
    return Cells.empty(LeafBins()).updated(np.asarray(leaves, dtype=np.int32), values)


def drawn(shares: list[float], rates: list[float], rows: int, seed: int) -> Cells:
    """Return cells of rows over a few leaves with these shares and error rates."""
    random = np.random.default_rng(seed)
    leaves = random.choice(len(shares), rows, p=shares)
    return cells(leaves, (random.random(rows) < np.array(rates)[leaves]).astype(float))


def mean_loss(counted: Cells) -> float:
    return float(counted.total_loss / counted.labelled.sum())


@given(LEAF_ROWS, LEAF_ROWS)
def test_the_parts_add_up_to_the_change(before: list[Any], after: list[Any]) -> None:
    reference, window = (cells(*zip(*rows, strict=True)) if rows else cells([], []) for rows in (before, after))
    found = decompose(reference, window)
    if not reference.labelled.sum() or not window.labelled.sum():
        assert found is None
        return
    assert found is not None
    change = mean_loss(window) - mean_loss(reference)
    assert found.inputs + found.relation == pytest.approx(found.total, abs=1e-9)
    assert found.total == pytest.approx(change, abs=1e-6)
    assert found.inputs_se >= 0
    assert found.relation_se >= 0
    assert len(found.leaves) <= 3


def test_a_leaf_too_rare_for_a_mean_of_its_own_does_not_break_the_sum() -> None:
    reference = cells([0] * 6 + [1], [1.0] * 6 + [0.0])
    found = decompose(reference, cells([1] * 7, [1.0] * 7))
    assert found is not None
    assert found.total == pytest.approx(1 / 7)
    assert found.inputs + found.relation == pytest.approx(found.total)


def test_only_the_inputs_moved() -> None:
    rates = [0.05, 0.2, 0.6]
    found = decompose(drawn([0.6, 0.3, 0.1], rates, 4000, 1), drawn([0.1, 0.3, 0.6], rates, 4000, 2))
    assert found is not None
    assert found.inputs == pytest.approx(0.275, abs=0.04)
    assert found.relation == pytest.approx(0.0, abs=4 * found.relation_se)
    assert found.x_share is not None
    assert found.x_share > 0.85


def test_only_the_relation_moved_and_its_leaf_is_named() -> None:
    shares = [0.5, 0.3, 0.2]
    found = decompose(drawn(shares, [0.1, 0.1, 0.1], 4000, 1), drawn(shares, [0.1, 0.1, 0.7], 4000, 2))
    assert found is not None
    assert found.relation == pytest.approx(0.12, abs=0.03)
    assert found.inputs == pytest.approx(0.0, abs=4 * found.inputs_se + 0.01)
    assert found.yx_share is not None
    assert found.yx_share > 0.85
    assert found.leaves[0] == 2


def test_noise_is_called_unclear() -> None:
    shares, rates = [0.5, 0.3, 0.2], [0.1, 0.3, 0.5]
    unclear = 0
    for seed in range(200):
        found = decompose(drawn(shares, rates, 1000, 2 * seed), drawn(shares, rates, 1000, 2 * seed + 1))
        assert found is not None
        unclear += found.yx_share is None
    # Two standard errors: about 1 in 20 passes.
    assert unclear >= 180


DISTANCES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1)


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 10)), DISTANCES)
def test_suspects_are_all_features_by_falling_suspicion(importance: dict[str, float], moved: dict[str, float]) -> None:
    ranked = rank_features(importance, moved)
    assert sorted(item.column for item in ranked) == sorted(moved)
    suspicion = [item.importance * item.distance for item in ranked]
    assert all(a >= b - 1e-12 for a, b in pairwise(suspicion))
    assert sum(item.importance for item in ranked) == pytest.approx(1.0)
    assert sum(item.share for item in ranked) == pytest.approx(1.0 if max(suspicion) > 0 else 0.0)


def test_importance_and_distance_both_count() -> None:
    ranked = rank_features({"big": 0.9, "small": 0.1}, {"big": 0.1, "small": 0.5, "unknown": 0.6})
    assert [item.column for item in ranked] == ["big", "unknown", "small"]
    assert [item.column for item in rank_features({}, {"b": 0.2, "a": 0.2, "c": 0.9})] == ["c", "a", "b"]
