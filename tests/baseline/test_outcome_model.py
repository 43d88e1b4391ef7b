"""What features say of outcomes beyond the score: learnt where there is something, and nothing where there is not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from pitstop.baseline.outcome_model import (
    DEPTH,
    FEWEST_ROWS,
    MIN_LEAF_ROWS,
    RATE,
    RIDGE,
    ROUNDS,
    OutcomeModel,
    fit_outcome_model,
)


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    codes = random.integers(-1, 20, (count, 4)).astype(np.int32)
    return codes, 0.3 * (codes[:, 0] > 9) - 0.15 + random.normal(0, 0.4, count)


def test_the_trees_say_what_scikit_learn_says() -> None:
    codes, differences = rows(3000, 1)
    fit = fit_outcome_model(codes, differences)
    assert fit is not None
    theirs = HistGradientBoostingRegressor(
        max_iter=ROUNDS,
        learning_rate=RATE,
        max_depth=DEPTH,
        min_samples_leaf=MIN_LEAF_ROWS,
        l2_regularization=RIDGE,
        early_stopping=False,
        random_state=0,
    ).fit(codes.astype(float), differences)
    fresh, _ = rows(500, 2)
    fresh[0] = 1000
    np.testing.assert_allclose(fit.model.whole.predict(fresh), theirs.predict(fresh.astype(float)), atol=1e-9)


def test_a_difference_that_is_there_is_found_on_new_rows() -> None:
    fit = fit_outcome_model(*rows(6000, 3))
    assert fit is not None
    codes, _ = rows(5000, 4)
    found = fit.model.differences(codes)
    assert found.shape == (5, 5000)
    assert found[0].mean() == pytest.approx((0.3 * (codes[:, 0] > 9) - 0.15).mean(), abs=0.02)
    assert fit.model.share > 0.7


def test_noise_is_not_believed() -> None:
    random = np.random.default_rng(5)
    shares = []
    for _ in range(3):
        fit = fit_outcome_model(random.integers(0, 20, (4000, 5)).astype(np.int32), random.normal(0, 0.4, 4000))
        shares.append(0.0 if fit is None else fit.model.share)
    assert max(shares) < 0.2


def test_few_rows_teach_nothing() -> None:
    codes, differences = rows(FEWEST_ROWS - 1, 6)
    assert fit_outcome_model(codes, differences) is None


def test_it_comes_back_from_its_state_to_the_last_bit() -> None:
    fit = fit_outcome_model(*rows(2000, 7))
    assert fit is not None
    codes, _ = rows(100, 8)
    again = OutcomeModel.from_state(fit.model.to_state())
    np.testing.assert_array_equal(again.differences(codes), fit.model.differences(codes))
