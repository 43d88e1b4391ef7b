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


def oracle(losses: Floats, release: float, first: int = 0, lag: int = 0) -> Schedule:
    """Return the cheapest schedule from period `first` to the last column, with model `first` given and free.

    `losses[i, j]` is the loss of model `i` in period `j` (NaN where it cannot serve, so models that were not fitted
    are never released). Dynamic programming over the next release, V(s) = min over u > s of Σ_{s<=j<u} L[s, j] +
    [u < T](release + V(u)), O(T²) with running sums. Of equally cheap schedules the one that releases later and less
    often is returned. With a `lag` a model serves that many periods after it was released, so the oracle is bound by it
    like everybody. Raises `StrategyError` where no schedule covers all periods.
    """
    periods = _periods(losses, first, lag)
    best = np.full(periods + 1, np.inf)
    best[periods] = 0.0
    following = np.full(periods + 1, periods)
    for start in range(periods - 1, first - 1, -1):
        begin = min(_begin(start, first, lag), periods)
        stint = np.concatenate(([0.0], np.cumsum(losses[start, begin:])))
        later = np.arange(periods, start, -1)
        # A release whose model would begin after the end is no release.
        later = later[(later == periods) | (later + lag < periods)]
        ends = np.minimum(later + lag, periods)
        totals = stint[ends - begin] + np.where(later < periods, release, 0.0) + best[later]
        totals = np.where(np.isnan(totals), np.inf, totals)
        # `later` runs from late to early, and argmin takes the first of equals.
        choice = int(np.argmin(totals))
        best[start], following[start] = totals[choice], later[choice]
    if not np.isfinite(best[first]):
        msg = f"no schedule from model {first} covers all {periods} periods; the matrix lacks losses"
        raise StrategyError(msg)
    releases = []
    at = int(following[first])
    while at < periods:
        releases.append(at)
        at = int(following[at])
    return schedule_cost(losses, tuple(releases), release, first, lag)


def frontier(losses: Floats, most: int, first: int = 0, lag: int = 0) -> Floats:
    """Return the least loss that any schedule of at most 0, 1, ..., `most` releases has, shape (most + 1,).

    The budget is a state of the dynamic programme of `oracle`. Infinite where no such schedule covers all periods.
    """
    periods = _periods(losses, first, lag)
    best = np.full((most + 1, periods + 1), np.inf)
    best[:, periods] = 0.0
    for start in range(periods - 1, first - 1, -1):
        begin = min(_begin(start, first, lag), periods)
        stint = np.concatenate(([0.0], np.cumsum(losses[start, begin:])))
        best[:, start] = stint[-1] if np.isfinite(stint[-1]) else np.inf
        later = np.arange(start + 1, periods - lag)
        if later.size and most:
            totals = stint[later + lag - begin] + best[:-1, later]
            totals = np.where(np.isnan(totals), np.inf, totals)
            best[1:, start] = np.minimum(best[1:, start], totals.min(axis=1))
    return best[:, first]


def schedule_cost(losses: Floats, releases: tuple[int, ...], release: float, first: int = 0, lag: int = 0) -> Schedule:
    """Return what a schedule costs: model `first` from its period on, each released one from `lag` periods after it.

    Raises `StrategyError` where the releases are not increasing, lie outside the matrix, or a served loss is NaN.
    """
    loss = float(served_losses(losses, releases, first, lag).sum())
    return Schedule(first, tuple(releases), loss, loss + release * len(releases))


def served_losses(losses: Floats, releases: tuple[int, ...], first: int = 0, lag: int = 0) -> Floats:
    """Return the loss of the model that serves in each period from `first` on; raises as `schedule_cost` does."""
    periods = _periods(losses, first, lag)
    models = (first, *releases)
    if any(later <= earlier for earlier, later in zip(models, releases, strict=False)) or models[-1] >= periods:
        msg = f"got releases {releases} after model {first}; expected increasing periods below {periods}"
        raise StrategyError(msg)
    serving = serving_models(periods, releases, first, lag)
    served = losses[serving, np.arange(first, periods)]
    if not np.isfinite(served).all():
        msg = f"releases {releases} serve a model in a period where its loss is not known"
        raise StrategyError(msg)
    return np.asarray(served, dtype=np.float64)


def serving_models(periods: int, releases: tuple[int, ...], first: int = 0, lag: int = 0) -> NDArray[np.int64]:
    """Return which model serves in each of the periods `first` to `periods - 1`."""
    serving = np.full(periods, first, dtype=np.int64)
    for release in releases:
        serving[release + lag :] = release
    return serving[first:]


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


def _begin(model: int, first: int, lag: int) -> int:
    return first if model == first else model + lag


def _periods(losses: Floats, first: int, lag: int) -> int:
    periods = int(losses.shape[0])
    if losses.shape != (periods, periods) or not 0 <= first < periods or lag < 0:
        msg = (
            f"got losses of shape {losses.shape}, first model {first} and a lag of {lag} periods; "
            "expected a square matrix that holds the model, and a lag of at least 0"
        )
        raise StrategyError(msg)
    return periods
