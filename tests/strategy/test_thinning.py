from __future__ import annotations

import numpy as np
import pytest

from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.staleness import StalenessCurve
from pitstop.strategy.thinning import filled, filled_matrix, thinning_error
from pitstop.testing.policy_laws import simulated_stream


def thinned(matrix: LossMatrix, every: int) -> LossMatrix:
    losses, variances = matrix.losses.copy(), matrix.variances.copy()
    hidden = [model for model in range(matrix.periods) if model % every]
    losses[hidden] = variances[hidden] = np.nan
    return LossMatrix(losses, matrix.rows, variances, matrix.lead)


def test_losses_that_follow_the_curve_are_filled_exactly() -> None:
    """g(age) = age/10 per row, ten rows a column: every missing cell is one more than its neighbour's."""
    size = 6
    truth = np.array([[10.0 * (5 + (j - i) / 10) if j >= i else np.nan for j in range(size)] for i in range(size)])
    holes = truth.copy()
    holes[[1, 3, 4]] = np.nan
    curves = (StalenessCurve(1.0, 0.0),) * size
    found = filled(holes, np.arange(size), np.full(size, 10), curves)
    np.testing.assert_allclose(found, truth)


def test_measured_cells_stay_and_none_is_left_open() -> None:
    matrix = simulated_stream(3, decay=0.02, periods=12).matrix
    thin = thinned(matrix, 3)
    found = filled_matrix(thin)
    known = np.isfinite(thin.losses)
    np.testing.assert_array_equal(found.losses[known], thin.losses[known])
    assert np.isfinite(found.losses[np.triu_indices(12)]).all()
    assert (found.variances[np.triu_indices(12)] >= 0).all()


def test_a_filled_matrix_cut_at_a_period_is_the_cut_one_filled() -> None:
    thin = thinned(simulated_stream(4, decay=0.03, periods=12).matrix, 2)
    whole = filled_matrix(thin)
    for now in (4, 7, 11):
        cut = filled_matrix(thin.visible(now))
        np.testing.assert_allclose(whole.visible(now).losses, cut.losses)


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_the_error_that_is_told_is_about_the_one_that_is_made(decay: float) -> None:
    ratios = []
    for seed in range(4):
        matrix = simulated_stream(20 + seed, decay=decay, periods=20).matrix
        thin = thinned(matrix, 2)
        told = thinning_error(thin)
        assert told is not None
        gap = (filled_matrix(thin).losses - matrix.losses) * matrix.scale()
        made = gap[1::2][np.isfinite(gap[1::2])]
        ratios.append(float(np.abs(made).mean()) / matrix.fresh_loss() / told.mean)
    # Without decay all error is noise, the same for both; with it the gap that is bridged counts.
    assert np.mean(ratios) <= (1.0 if decay else 1.2)
    assert thinning_error(simulated_stream(1, periods=3).matrix) is None
