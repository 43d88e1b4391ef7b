"""Hindsight: the cheapest schedule of releases when every loss is known, and the prices at which a schedule wins.

No policy can reach it, because it looks ahead: it is the yardstick ("excess over the oracle"). On values instead of
losses, pass the negated values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Models released after the first one, in order, and what that cost: `loss` of the models and `cost` with releases.

    Model `i` is released at the start of period `i`. Both amounts are in currency.
    """

    first: int
    releases: tuple[int, ...]
    loss: float
    cost: float


def oracle(losses: Floats, release: float, first: int = 0) -> Schedule:
    """Return the cheapest schedule from period `first` to the last column, with model `first` given and free.

    `losses[i, j]` is the loss of model `i` in period `j` (NaN where it cannot serve, so models that were not fitted
    are never released). Dynamic programming over the next release, V(s) = min over u > s of Σ_{s<=j<u} L[s, j] +
    [u < T](release + V(u)), O(T²) with running sums. Of equally cheap schedules the one that releases later and less
    often is returned. Raises `StrategyError` where no schedule covers all periods.
    """
    periods = _periods(losses, first)
    best = np.full(periods + 1, np.inf)
    best[periods] = 0.0
    following = np.full(periods + 1, periods)
    for start in range(periods - 1, first - 1, -1):
        stint = np.cumsum(losses[start, start:])
        ends = np.arange(periods, start, -1)
        totals = stint[ends - start - 1] + np.where(ends < periods, release, 0.0) + best[ends]
        totals = np.where(np.isnan(totals), np.inf, totals)
        # `ends` runs from late to early, and argmin takes the first of equals.
        choice = int(np.argmin(totals))
        best[start], following[start] = totals[choice], ends[choice]
    if not np.isfinite(best[first]):
        msg = f"no schedule from model {first} covers all {periods} periods; the matrix lacks losses"
        raise StrategyError(msg)
    releases = []
    at = int(following[first])
    while at < periods:
        releases.append(at)
        at = int(following[at])
    return schedule_cost(losses, tuple(releases), release, first)


def schedule_cost(losses: Floats, releases: tuple[int, ...], release: float, first: int = 0) -> Schedule:
    """Return what a schedule costs: model `first` from its period on, then each released model from its own.

    Raises `StrategyError` where the releases are not increasing, lie outside the matrix, or a served loss is NaN.
    """
    periods = _periods(losses, first)
    models = (first, *releases)
    if any(later <= earlier for earlier, later in zip(models, releases, strict=False)) or models[-1] >= periods:
        msg = f"got releases {releases} after model {first}; expected increasing periods below {periods}"
        raise StrategyError(msg)
    ends = (*releases, periods)
    loss = float(sum(losses[model, model:end].sum() for model, end in zip(models, ends, strict=True)))
    if not np.isfinite(loss):
        msg = f"releases {releases} serve a model in a period where its loss is not known"
        raise StrategyError(msg)
    return Schedule(first, tuple(releases), loss, loss + release * len(releases))


def winning_prices(own: tuple[float, int], rivals: tuple[tuple[float, int], ...]) -> tuple[float, float] | None:
    """Return the lowest and highest price of a release at which one schedule is at least as cheap as all rivals.

    Each schedule is (loss in currency, number of releases), held fixed while the price varies, so its cost is a
    straight line in the price. The highest price may be infinite. None where it wins at no price from 0 on. For values
    pass their negatives as losses.
    """
    low, high = 0.0, float("inf")
    loss, releases = own
    for rival_loss, rival_releases in rivals:
        extra = releases - rival_releases
        saved = rival_loss - loss
        if extra == 0:
            if saved < 0:
                return None
        elif extra > 0:
            high = min(high, saved / extra)
        else:
            low = max(low, saved / extra)
    return (low, high) if low <= high else None


def _periods(losses: Floats, first: int) -> int:
    periods = int(losses.shape[0])
    if losses.shape != (periods, periods) or not 0 <= first < periods:
        msg = f"got losses of shape {losses.shape} and first model {first}; expected a square matrix that holds it"
        raise StrategyError(msg)
    return periods
