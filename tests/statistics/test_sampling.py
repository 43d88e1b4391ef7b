"""Standard errors from counts against what repeating the draw of rows shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pitstop.statistics.bins import NumericBins
from pitstop.statistics.outcome_bins import OutcomeBins
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.sampling import standard_errors

ROWS, REPEATS = 600, 300


def draw(task: str, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    score = rng.beta(1, 1.5, ROWS)
    if task == "binary":
        return score, score > 0.4, (rng.random(ROWS) < score).astype(np.int64)
    if task == "regression":
        truth = rng.normal(0, 3, ROWS)
        return None, truth + rng.normal(0.2, 1, ROWS) * (1 + score), truth
    names = np.array(["a", "b", "c"])
    guess = rng.choice(3, ROWS, p=[0.6, 0.3, 0.1])
    return score, names[guess], names[np.where(rng.random(ROWS) < score, guess, rng.integers(0, 3, ROWS))]


def bins_of(task: str) -> OutcomeBins:
    if task == "binary":
        return OutcomeBins("binary", ("0", "1"))
    if task == "regression":
        grid = np.random.default_rng(0).normal(0, 3, 500)
        return OutcomeBins("regression", (), NumericBins.fit(grid), (1.0,))
    return OutcomeBins("multiclass", ("a", "b", "c"))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_they_are_the_spread_of_repeated_draws(task: str) -> None:
    rng = np.random.default_rng(4)
    bins = bins_of(task)
    values: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        outcomes = Outcomes.empty(bins).updated(*draw(task, rng))
        metrics = outcomes.metrics()
        for name, error in standard_errors(outcomes).items():
            values.setdefault(name, []).append(metrics[name])
            errors.setdefault(name, []).append(error)
    assert values
    for name, found in values.items():
        # Four standard errors of a standard deviation over 300 repeats are 16%.
        assert np.mean(errors[name]) == pytest.approx(np.std(found), rel=0.17), name


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_without_rows_there_is_none(task: str) -> None:
    assert np.isnan(list(standard_errors(Outcomes.empty(bins_of(task))).values())).all()
