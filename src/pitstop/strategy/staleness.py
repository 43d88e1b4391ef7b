"""The staleness curve: how much a model loses against a fresh one as it ages, and how far one model departs from it.

The method is "shadow plan" of the strategy study: paired gaps of every fitted model against the freshest one on the
same rows, so a hard month is hard for both and is not mistaken for staleness. Ages here are 0 when fresh (see
`matrix`); the study's are 1, so its `ln a` is `ln(1 + age)` here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.matrix import LossMatrix, gaps

# Constants of the study: half life of a column's weight, weight and mean of the prior (the prior mean is a share of the
# fresh loss per period), ridge, and the number of recent columns in which the served model is looked at by itself.
_HALF_LIFE = 10.0
_PRIOR_WEIGHT = 3.0
_PRIOR_INFORMATION = np.array([[0.1, 0.2], [0.2, 0.5]])
PRIOR_MEAN = (0.018, 0.019)
_RIDGE = 1e-3
RECENT = 3
# Models fitted on one or two periods are worse for want of data, not of freshness.
_YOUNG = 2


@dataclass(frozen=True)
class StalenessCurve:
    """g(age) = linear · age/10 + early · ln(1 + age)/ln 11, in currency per period of the usual size; 0 when fresh."""

    linear: float
    early: float

    def at(self, age: int) -> float:
        """Return the expected excess loss of one period at this age over a fresh model; age is at least 0."""
        return self.linear * age / 10 + self.early * math.log1p(age) / math.log(11)


@dataclass(frozen=True)
class Excess:
    """What the served model lost more than the freshest one, per period of the usual size.

    `total` over all columns since its release, `total_error` the standard error of that; `recent` is the mean of the
    last three columns, `recent_error` its standard error; `departure` is the recent mean minus what the curve says,
    `columns` the number of columns compared. All are 0 where nothing could be compared.
    """

    total: float = 0.0
    total_error: float = 0.0
    recent: float = 0.0
    recent_error: float = 0.0
    departure: float = 0.0
    columns: int = 0


# Several policies ask for the curve of one matrix, and vote asks twice.
@lru_cache(maxsize=512)
def fit_curve(matrix: LossMatrix, prior_mean: tuple[float, float] = PRIOR_MEAN) -> StalenessCurve:
    """Return the curve fitted to all visible gaps: non-negative least squares towards a prior.

    Each column counts once whatever the number of its models, and half as much for every ten periods of its age.
    Without any gap the curve is (nearly) the prior: `prior_mean`, the two coefficients as shares of the fresh loss.
    """
    usable = [gap for gap in gaps(matrix) if matrix.lead + gap.model > _YOUNG]
    information = np.zeros((2, 2))
    moment = np.zeros(2)
    if usable:
        columns = np.array([gap.column for gap in usable])
        design = _features([gap.age for gap in usable]) - _features([gap.fresh_age for gap in usable])
        weights = 0.5 ** ((matrix.periods - 1 - columns) / _HALF_LIFE) / np.bincount(columns)[columns]
        information = design.T @ (design * weights[:, None])
        moment = design.T @ (weights * np.array([gap.excess for gap in usable]))
    information = information + np.eye(2) * _RIDGE * np.trace(information)
    prior = _PRIOR_WEIGHT * _PRIOR_INFORMATION
    linear, early = _non_negative(information + prior, moment + prior @ np.array(prior_mean) * matrix.fresh_loss())
    return StalenessCurve(linear, early)


def cheapest_from_fresh(curve: StalenessCurve, horizon: int, release: float) -> list[float]:
    """Return the least cost above a fresh model of 0, 1, ..., `horizon` periods that start with a fresh one.

    Releases within them are charged at `release`, in currency; the first model is given. See `shadow_plan`.
    """
    fresh = list(accumulate((curve.at(age) for age in range(horizon)), initial=0.0))
    best = [0.0]
    for ahead in range(1, horizon + 1):
        best.append(min(fresh[k] + (release if k < ahead else 0.0) + best[ahead - k] for k in range(1, ahead + 1)))
    return best


def excess_of(matrix: LossMatrix, served: int, curve: StalenessCurve) -> Excess:
    """Return how the served model compares with the freshest models of the columns since its release."""
    own = [gap for gap in gaps(matrix) if gap.model == served]
    if not own:
        return Excess()
    recent = own[-RECENT:]
    mean = sum(gap.excess for gap in recent) / len(recent)
    expected = sum(curve.at(gap.age) - curve.at(gap.fresh_age) for gap in recent) / len(recent)
    return Excess(
        total=sum(gap.excess for gap in own),
        total_error=math.sqrt(sum(gap.variance for gap in own)),
        recent=mean,
        recent_error=math.sqrt(sum(gap.variance for gap in recent)) / len(recent),
        departure=mean - expected,
        columns=len(own),
    )


def _features(ages: list[int]) -> NDArray[np.float64]:
    known = np.array(ages, dtype=np.float64)
    return np.column_stack([known / 10, np.log1p(known) / math.log(11)])


def _non_negative(information: NDArray[np.float64], moment: NDArray[np.float64]) -> tuple[float, float]:
    """Return argmin over c >= 0 of c'Ac - 2b'c for two coefficients: the inner solution, or the better edge."""
    inner = np.linalg.solve(information, moment)
    if (inner >= 0).all():
        return float(inner[0]), float(inner[1])
    edges = [
        (max(0.0, float(moment[0] / information[0, 0])), 0.0),
        (0.0, max(0.0, float(moment[1] / information[1, 1]))),
    ]
    return min(edges, key=lambda c: float(np.array(c) @ information @ np.array(c) - 2 * moment @ np.array(c)))
