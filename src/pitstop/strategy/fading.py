"""How long a model's departure from the staleness curve lasts: learnt from what became of earlier departures.

A model that lately lost more than its age explains may go on doing so, because what it learnt is over, or may have met
two odd periods. For every fitted model and every visible column, the mean departure of its last three columns is set
against its departure h columns later; the slope of the second on the first, pooled over models, is the share of a
departure that is left after h periods. A prior of one half for each period stands in until enough columns were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.matrix import LossMatrix, gaps
from pitstop.strategy.staleness import RECENT, StalenessCurve

Floats = NDArray[np.float64]

_AHEAD = 6
_PRIOR_SHARE = 0.5
# The prior counts as this many columns.
_PRIOR_COLUMNS = 10.0


@lru_cache(maxsize=512)
def shares_left(matrix: LossMatrix, curve: StalenessCurve, horizon: int) -> tuple[float, ...]:
    """Return which share of a departure is expected 1, 2, ..., `horizon` periods on; each from 0 to 1.

    Beyond six periods it goes on falling as it did at the sixth.
    """
    later_now, now_now = np.zeros(_AHEAD), np.zeros(_AHEAD)
    columns: list[set[int]] = [set() for _ in range(_AHEAD)]
    for own in _departures(matrix, curve).values():
        at, departures = [column for column, _ in own], np.array([value for _, value in own])
        recent = _recent_means(departures)
        for place in range(min(_AHEAD, len(own) - 1)):
            ahead = place + 1
            later_now[place] += float(recent[:-ahead] @ departures[ahead:])
            now_now[place] += float(recent[:-ahead] @ recent[:-ahead])
            columns[place].update(at[ahead:])
    found = []
    for place in range(_AHEAD):
        prior = _PRIOR_SHARE ** (place + 1)
        seen = len(columns[place]) if now_now[place] > 0.0 else 0
        slope = later_now[place] / now_now[place] if seen else prior
        share = (seen * slope + _PRIOR_COLUMNS * prior) / (seen + _PRIOR_COLUMNS)
        found.append(float(min(1.0, max(0.0, share))))
    falls = min(1.0, found[-1] / found[-2]) if found[-2] > 0.0 else 0.0
    found += [found[-1] * falls**more for more in range(1, horizon - _AHEAD + 1)]
    return tuple(found[:horizon])


def _departures(matrix: LossMatrix, curve: StalenessCurve) -> dict[int, list[tuple[int, float]]]:
    """Return each model's departures from the curve as (column, currency per usual period), in order of columns."""
    found: dict[int, list[tuple[int, float]]] = {}
    for gap in gaps(matrix):
        expected = curve.at(gap.age) - curve.at(gap.fresh_age)
        found.setdefault(gap.model, []).append((gap.column, gap.excess - expected))
    return found


def _recent_means(values: Floats) -> Floats:
    """Return the mean of the last `RECENT` values up to each one."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - RECENT)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins), dtype=np.float64)


def departure_paths(departure: float, shares: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the two readings of a departure over the periods to come: it lasts, or it fades as departures did."""
    return (departure,) * len(shares), tuple(departure * share for share in shares)
