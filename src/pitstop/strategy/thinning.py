"""Candidates fitted at some periods only: the losses of the others, interpolated by age, and how wrong that is.

Within one column, L[i, j] is estimated from the nearest fitted models i' before and after i, by
L[i', j] + g(j - i) - g(j - i'), weighted by nearness, with g the staleness curve learnt from the columns up to j. A
column is complete when it is filled, so a filled matrix is cut at a period like any other. (Strategy study: thin the
training dates, not the training rows.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.staleness import StalenessCurve, fit_curve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ThinningError:
    """How far interpolated cells lie from measured ones, as a share of a fresh model's loss in a usual period.

    Every other fitted model was hidden and estimated from the rest, so the gaps bridged were twice as long as those
    that are bridged in earnest: where models age, the error is an upper one. `cells` counts the cells compared.
    """

    mean: float
    root_mean_square: float
    cells: int


def curves(matrix: LossMatrix) -> tuple[StalenessCurve, ...]:
    """Return for each column the curve that is known when it closes, in currency per row."""
    found = []
    for column in range(matrix.periods):
        seen = matrix.visible(column + 1)
        curve, usual = fit_curve(seen), usual_rows(seen)
        found.append(StalenessCurve(curve.linear / usual, curve.early / usual) if usual else StalenessCurve(0.0, 0.0))
    return tuple(found)


def usual_rows(matrix: LossMatrix) -> float:
    """Return the number of rows of a period of the usual size (see `LossMatrix.scale`), 0 where there are none."""
    scale = matrix.scale()
    known = np.flatnonzero(np.isfinite(scale))
    return float(scale[known[-1]] * matrix.rows[known[-1]]) if known.size else 0.0


def filled_matrix(matrix: LossMatrix, by_column: Sequence[StalenessCurve] | None = None) -> LossMatrix:
    """Return the matrix with every model that was not fitted estimated in every column; variances likewise."""
    periods = np.arange(matrix.periods)
    by_column = curves(matrix) if by_column is None else by_column
    losses = filled(matrix.losses, periods, matrix.rows, by_column)
    flat = tuple(StalenessCurve(0.0, 0.0) for _ in by_column)
    variances = np.maximum(filled(matrix.variances, periods, matrix.rows, flat), 0.0)
    return LossMatrix(losses, matrix.rows, variances, matrix.lead)


def filled(losses: Floats, periods: Ints, rows: Ints, by_period: Sequence[StalenessCurve]) -> Floats:
    """Return losses, shape (models, columns), with the missing ones estimated.

    `periods[c]` is the period and `rows[c]` the number of rows of column `c` (a period, or a part of one);
    `by_period` are curves in currency per row. Columns in which no model is known stay as they are.
    """
    whole = np.array(losses, dtype=np.float64)
    for column, period in enumerate(periods.tolist()):
        known = np.flatnonzero(np.isfinite(losses[: period + 1, column]))
        if not known.size:
            continue
        curve = by_period[period]
        for model in range(period + 1):
            if np.isfinite(losses[model, column]):
                continue
            before, after = known[known < model][-1:], known[known > model][:1]
            anchors = np.concatenate([before, after])
            weights = 1.0 / np.abs(anchors - model)
            shift = [curve.at(period - model) - curve.at(period - int(anchor)) for anchor in anchors]
            estimates = losses[anchors, column] + np.array(shift) * rows[column]
            whole[model, column] = float((estimates * weights).sum() / weights.sum())
    return whole


def thinning_error(matrix: LossMatrix) -> ThinningError | None:
    """Return how wrong interpolation is on this matrix, or None where fewer than four models were fitted."""
    fitted = np.flatnonzero(np.isfinite(matrix.losses).any(axis=1))
    level = matrix.fresh_loss()
    if fitted.size < 4 or level <= 0:
        return None
    hidden = fitted[1::2]
    losses, variances = matrix.losses.copy(), matrix.variances.copy()
    losses[hidden] = variances[hidden] = np.nan
    thin = filled_matrix(LossMatrix(losses, matrix.rows, variances, matrix.lead))
    gap = ((thin.losses - matrix.losses) * matrix.scale())[hidden]
    gap = gap[np.isfinite(gap)]
    if not gap.size:
        return None
    return ThinningError(float(np.abs(gap).mean()) / level, float(np.sqrt((gap**2).mean())) / level, int(gap.size))
