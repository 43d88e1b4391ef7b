"""Which recipe a candidate is fitted by: chosen again at each period, from what fresh candidates lost so far.

One shadow candidate is kept for each recipe. All rules look at columns that are complete: the loss of the candidate
that was fresh in each, and how candidates aged. What is chosen at a period stays, so the candidates that a rule would
have entered make one loss matrix, by which a schedule is charged (`row_losses.composed`); what a decision about timing
looks at stands in `switching`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.base import UNKNOWN_HORIZON
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.staleness import cheapest_from_fresh, fit_curve

Floats = NDArray[np.float64]
# Columns that the plain rule looks back on (strategy study: "recipe x timing").
LOOK_BACK = 8
# The tournament widens its intervals by this many standard errors (a confidence of about 90% for each look).
_WIDTH = 1.3

Rule = Callable[[Sequence[LossMatrix], int, float], int]
"""Chooses among recipes by their matrices at the start of a period, at a price of a release in currency."""


def fresh_losses(matrix: LossMatrix, now: int) -> Floats:
    """Return the loss per row of the freshest candidate in each column before `now`; NaN where there is none."""
    found = np.full(min(now, matrix.periods), np.nan)
    for column in range(found.size):
        fresh = matrix.freshest(column)
        if fresh is not None and matrix.rows[column]:
            found[column] = matrix.losses[fresh, column] / matrix.rows[column]
    return found


def lowest_fresh(matrices: Sequence[LossMatrix], now: int, release: float) -> int:
    """Return the recipe whose fresh candidates lost least per row in the last eight columns; the first on a tie.

    Only columns in which all recipes have a candidate count. Without any the first recipe is chosen.
    """
    del release
    level = _recent_level(matrices, now)
    return int(np.argmin(level)) if level.size else 0


def cheapest_plan(matrices: Sequence[LossMatrix], now: int, release: float) -> int:
    """Return the recipe whose best plan costs least over the horizon; the first on a tie, or without shared columns.

    A model that is best when fresh may age faster than another, and whoever pays much for a release keeps models for
    long. So a recipe costs what its fresh candidates lost lately (as in `lowest_fresh`), and on top what the cheapest
    plan of releases costs that its own staleness curve and the price allow.
    """
    level = _recent_level(matrices, now)
    if not level.size:
        return 0
    size = _usual_rows(matrices[0])
    ahead = [
        UNKNOWN_HORIZON * loss * size + cheapest_from_fresh(fit_curve(matrix), UNKNOWN_HORIZON, release)[-1]
        for matrix, loss in zip(matrices, level.tolist(), strict=True)
    ]
    return int(np.argmin(ahead))


def _recent_level(matrices: Sequence[LossMatrix], now: int) -> Floats:
    """Return each recipe's mean fresh loss per row in the last eight columns that all have; empty without any."""
    recent = np.array([fresh_losses(matrix, now) for matrix in matrices])[:, -LOOK_BACK:]
    shared = recent[:, np.isfinite(recent).all(axis=0)]
    return np.asarray(shared.mean(axis=1), dtype=np.float64) if shared.size else np.zeros(0)


def _usual_rows(matrix: LossMatrix) -> float:
    """Return the rows of a period of the usual size: what `LossMatrix.scale` brings every column to."""
    known = matrix.rows[matrix.rows > 0][-1:]
    factors = matrix.scale()[matrix.rows > 0][-1:]
    return float(known[0] * factors[0]) if known.size else 0.0


def tournament(matrices: Sequence[LossMatrix], now: int, release: float) -> int:
    """Return the winner of a single-elimination tournament of recipes, each match over a window of its own length.

    A match looks at the paired differences of fresh losses in the last w columns. Long windows have less noise, short
    ones less of a past that is over: w is the one with the least sum of standard error and of the largest contradiction
    by a shorter window. After Han, Huang and Wang, "Model assessment and selection under temporal distribution shift"
    (ICML 2024).
    """
    del release
    losses = [fresh_losses(matrix, now) for matrix in matrices]
    players = list(range(len(matrices)))
    while len(players) > 1:
        winners = [
            one if _difference(losses[one] - losses[other]) <= 0 else other
            for one, other in zip(players[::2], players[1::2], strict=False)
        ]
        players = winners + players[len(winners) * 2 :]
    return players[0]


def _difference(gaps: Floats) -> float:
    """Return the mean of the newest gaps over the window that balances noise and age; 0 without any."""
    newest = gaps[np.isfinite(gaps)][::-1]
    if not newest.size:
        return 0.0
    spread = float(np.abs(np.diff(newest)).mean()) / math.sqrt(2) if newest.size > 1 else 0.0
    means = np.cumsum(newest) / np.arange(1, newest.size + 1)
    errors = _WIDTH * spread / np.sqrt(np.arange(1, newest.size + 1))
    best, least = 0, math.inf
    for window in range(newest.size):
        shorter = np.abs(means[window] - means[: window + 1]) - (errors[window] + errors[: window + 1])
        total = errors[window] + max(0.0, float(shorter.max()))
        if total < least:
            best, least = window, total
    return float(means[best])


def chosen_by(rule: Rule, matrices: Sequence[LossMatrix], release: float) -> tuple[int, ...]:
    """Return the recipe that a rule chooses at the start of each period, at a price of a release in currency."""
    periods = matrices[0].periods
    return tuple(rule([matrix.visible(now) for matrix in matrices], now, release) for now in range(periods))
