"""Walks a policy through a whole loss matrix, showing it at each period only what was known then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError
from pitstop.strategy.base import Costs, Decision, History, Policy
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.oracle import Schedule, schedule_cost
from pitstop.strategy.switching import ChosenNow

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """The decisions of a policy, one a period, and the schedule that they made."""

    decisions: tuple[Decision, ...]
    schedule: Schedule


def walk(
    policy: Policy,
    matrix: LossMatrix,
    costs: Costs,
    first: int = 0,
    *,
    horizon_known: bool = True,
    fit_every: int = 1,
    truth: Floats | None = None,
    lag: int = 0,
    inputs: Floats | None = None,
    chosen: ChosenNow | None = None,
) -> Walk:
    """Return what a policy would have done from period `first` on, model `first` being given and free.

    Columns before `first` are history that the policy may learn from. With `horizon_known` it knows how many periods
    are left. With `fit_every` k only every k-th model from `first` on is shown to it before it asks for a release;
    models that it releases itself are shown from their release on. `cost` charges releases; fits are the caller's to
    add, because they are paid whatever is decided. Instants are period numbers.

    `matrix` is what decisions see: columns of labels by period of arrival. `truth[i, j]`, of the same shape, is what
    model `i` lost on the rows *predicted* in period `j`, and is what the schedule is charged; without it labels are
    immediate and both are the same. A released model serves `lag` periods later. `inputs` are the mean inputs by
    period of prediction, for policies that watch them.

    Where recipes are chosen again at each period, `matrix` and `truth` are those of the candidates that would have been
    entered, and `chosen` says what a decision looks at; then every candidate is shown.
    """
    charged = matrix.losses if truth is None else truth
    if charged.shape != matrix.losses.shape:
        msg = f"got losses by prediction {charged.shape} and by arrival {matrix.losses.shape}; expected one shape"
        raise StrategyError(msg)
    served = first
    releases: list[int] = []
    decisions = []
    for now in range(first, matrix.periods):
        own = {first, *releases}
        seen = chosen.at(now, served) if chosen is not None else _shown(matrix, own, first, fit_every)
        remaining = matrix.periods - now if horizon_known else None
        history = History(seen, served, now, tuple(releases), remaining, inputs=inputs)
        decision = policy.decide(history, costs, now)
        decisions.append(decision)
        # A candidate that could not be fitted cannot be released; the policy is asked again a period later.
        if decision.action == "retrain" and now > served and np.isfinite(charged[now, now:]).all():
            served = now
            releases.append(now)
    return Walk(tuple(decisions), schedule_cost(charged, tuple(releases), costs.release, first, lag))


def _shown(matrix: LossMatrix, own: set[int], first: int, fit_every: int) -> LossMatrix:
    if fit_every == 1:
        return matrix
    hidden = [model for model in range(matrix.periods) if (model - first) % fit_every and model not in own]
    losses, variances = matrix.losses.copy(), matrix.variances.copy()
    losses[hidden] = np.nan
    variances[hidden] = np.nan
    return LossMatrix(losses, matrix.rows, variances, matrix.lead)
