"""The parts of a baseline: calibrator, score edges, importances, cells; and its way through a saved state."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.baseline.baseline import (
    DRAWS,
    Baseline,
    calibrate,
    calibrator_draws,
    quantile_edges,
    surrogate_importance,
)
from pitstop.baseline.calibration import MIN_CALIBRATION_ROWS
from pitstop.profile import Layout, OutcomeProfile, profile_outcomes
from pitstop.records.spec import Task
from pitstop.statistics.outcome_bins import STEPS, score_values
from pitstop.testing import monitor_laws

LAYOUT = Layout((), (), "binary", ("0", "1"))


def outcomes(scores: np.ndarray, positive: np.ndarray) -> OutcomeProfile:
    decided = pa.array(np.where(scores >= 0.5, "1", "0"))
    labels = pa.array(np.where(positive, "1", "0"))
    zeros = np.zeros(len(scores))
    return profile_outcomes(LAYOUT, scores, decided, labels, zeros.astype(np.int32), zeros)


def drawn(rows: int, seed: int = 0) -> OutcomeProfile:
    """Return outcomes of an overconfident model: the truth lies halfway between its score and one half."""
    random = np.random.default_rng(seed)
    scores = random.random(rows)
    return outcomes(scores, random.random(rows) < (scores + 0.5) / 2)


def test_an_overconfident_model_is_calibrated() -> None:
    found = calibrate(drawn(20_000))
    assert found is not None
    truth = (score_values() + 0.5) / 2
    assert np.abs(found - truth)[50:-50].max() < 0.08
    assert np.abs(found - truth).mean() < 0.03


@given(st.integers(0, 300), st.integers(0, 20))
def test_a_calibrator_is_a_rising_probability_of_every_score(rows: int, seed: int) -> None:
    found = calibrate(drawn(rows, seed))
    assert found is not None
    assert found.shape == (STEPS + 1,)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()
    if rows < MIN_CALIBRATION_ROWS:
        assert np.array_equal(found, score_values())


def test_one_outcome_only_leaves_scores_as_they_are() -> None:
    scores = np.linspace(0, 1, 200)
    found = calibrate(outcomes(scores, np.ones(200, dtype=bool)))
    assert found is not None
    assert np.array_equal(found, score_values())


def test_draws_are_repeatable_and_spread_like_the_calibrator() -> None:
    few, many = calibrator_draws(drawn(200)), calibrator_draws(drawn(20_000))
    assert few is not None
    assert many is not None
    assert few.shape == many.shape == (DRAWS, STEPS + 1)
    again = calibrator_draws(drawn(200))
    assert again is not None
    assert np.array_equal(few, again)
    assert few.std(axis=0).mean() > 3 * many.std(axis=0).mean()
    assert calibrator_draws(OutcomeProfile.empty(LAYOUT)) is None


COUNTS = st.lists(st.tuples(st.integers(0, STEPS), st.integers(1, 50)), max_size=40)


@given(COUNTS)
def test_score_edges_rise_and_split_what_can_be_split(filled: list[tuple[int, int]]) -> None:
    by_score = np.zeros(STEPS + 1, dtype=np.int64)
    for cell, count in filled:
        by_score[cell] += count
    edges = quantile_edges(by_score)
    assert edges
    assert list(edges) == sorted(set(edges))
    assert all(0 < edge <= STEPS + 1 for edge in edges)
    if (by_score > 0).sum() > 1:
        assert all(0 < by_score[:edge].sum() <= by_score.sum() for edge in edges)


def test_importances_are_shares_of_what_explains_the_output() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 10, (3000, 3)).astype(np.int32)
    output = codes[:, 0] + 0.2 * codes[:, 1] + random.normal(size=3000) * 0.1
    found = surrogate_importance(codes, output, ("strong", "weak", "none"))
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["strong"] > 0.8
    assert found["none"] < 0.02
    assert surrogate_importance(codes, np.ones(3000), ("a", "b", "c")) == dict.fromkeys("abc", pytest.approx(1 / 3))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_state_gives_the_baseline_back(task: Task) -> None:
    watched = monitor_laws.ward(task)
    one = watched.baseline
    other = Baseline.from_state(one.layout, one.to_state())
    for name in ("id", "at", "score_edges", "importance", "windows", "ages", "unit", "profile", "outcomes"):
        assert getattr(other, name) == getattr(one, name)
    for name in ("calibrated", "calibrator_draws"):
        assert np.array_equal(getattr(other, name), getattr(one, name))
    assert np.array_equal(other.cells.vector, one.cells.vector)
    rows = monitor_laws.sample(task, np.random.default_rng(9))
    decided = rows.decided
    assert np.array_equal(other.leaves(rows.table, rows.scores, decided), one.leaves(rows.table, rows.scores, decided))
